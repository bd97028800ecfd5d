"""Expressions as combinations of action units, with the variation of real ones.

The seven prototypes follow the combinations that the FACS investigators' guide and EMFACS list for each emotion (Ekman,
Friesen and Hager, 2002); pain follows the prototypic pain units of K. M. Prkachin (Pain, 1992): brow lowering,
tightening of the orbit, levator contraction and eye closure. Each emotion has several prototypes; a sample picks one,
then varies the strength of every unit, lets optional units come or go, and makes left and right differ.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from facekit.morphable.action_units import ACTION_UNITS, NUM_ACTION_UNITS, action_unit_index

EXPRESSIONS: tuple[str, ...] = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""The labels of the expression data sets, in the order of their ids: neutral, anger, disgust, fear, happiness, sadness,
surprise."""
FURTHER_EXPRESSIONS: tuple[str, ...] = ("pain", "nervousness")
"""Further states of the 4D data sets, pain and nervousness; their ids follow those of `EXPRESSIONS`."""
ALL_EXPRESSIONS: tuple[str, ...] = EXPRESSIONS + FURTHER_EXPRESSIONS
"""`EXPRESSIONS`, then `FURTHER_EXPRESSIONS`: an expression's id is its place."""

Units = dict[int, float]


class Prototype(NamedTuple):
    """Units that an expression always shows at full strength, and units that come with the given probability."""

    always: Units
    sometimes: dict[int, tuple[float, float]]  # unit -> (strength, probability)


PROTOTYPES: dict[str, tuple[Prototype, ...]] = {
    "neutral": (Prototype({}, {}),),
    "anger": (
        Prototype({4: 0.95, 5: 0.45, 7: 0.7, 23: 0.8, 24: 0.5}, {17: (0.5, 0.5), 10: (0.2, 0.15)}),
        Prototype({4: 0.95, 5: 0.5, 7: 0.7, 10: 0.4, 16: 0.5, 25: 0.7, 23: 0.3}, {26: (0.35, 0.5), 9: (0.2, 0.2)}),
    ),
    "disgust": (
        Prototype({9: 0.95, 10: 0.5, 17: 0.5}, {4: (0.4, 0.5), 15: (0.4, 0.4), 6: (0.3, 0.3), 7: (0.4, 0.4)}),
        Prototype({9: 0.8, 10: 0.85, 16: 0.35, 25: 0.6}, {4: (0.4, 0.5), 26: (0.3, 0.3), 6: (0.3, 0.3)}),
    ),
    "fear": (
        Prototype({1: 0.9, 2: 0.55, 4: 0.6, 5: 0.9, 20: 0.8, 25: 0.6}, {26: (0.5, 0.5), 7: (0.3, 0.3)}),
        Prototype({1: 0.9, 2: 0.4, 4: 0.7, 5: 0.95, 20: 0.6, 25: 0.7, 26: 0.6}, {27: (0.2, 0.15), 7: (0.3, 0.3)}),
    ),
    "happiness": (
        Prototype({6: 0.75, 12: 0.9}, {25: (0.5, 0.3), 7: (0.3, 0.2)}),
        Prototype({6: 0.85, 12: 1.0, 25: 0.75}, {26: (0.4, 0.5), 7: (0.3, 0.2), 10: (0.2, 0.15)}),
    ),
    "sadness": (
        Prototype({1: 0.9, 4: 0.55, 15: 0.75, 17: 0.5}, {6: (0.3, 0.3), 43: (0.18, 0.4), 24: (0.2, 0.2)}),
        Prototype({1: 0.8, 4: 0.6, 15: 0.7}, {7: (0.3, 0.3), 25: (0.25, 0.2), 43: (0.25, 0.5), 17: (0.3, 0.4)}),
    ),
    "surprise": (
        Prototype({1: 0.9, 2: 0.9, 5: 0.75, 25: 0.6, 26: 0.85}, {27: (0.3, 0.3)}),
        Prototype({1: 0.9, 2: 0.9, 5: 0.8, 25: 0.5, 27: 0.7}, {26: (0.4, 0.3)}),
    ),
    "pain": (
        Prototype({4: 0.8, 6: 0.7, 7: 0.7, 9: 0.5, 43: 0.6}, {25: (0.5, 0.5), 20: (0.4, 0.4), 10: (0.3, 0.3)}),
        Prototype({4: 0.7, 7: 0.8, 10: 0.7, 43: 0.75, 25: 0.5}, {6: (0.5, 0.5), 26: (0.3, 0.4), 12: (0.2, 0.2)}),
    ),
    "nervousness": (
        Prototype({1: 0.4, 4: 0.3, 24: 0.5, 14: 0.4}, {20: (0.4, 0.5), 5: (0.3, 0.4), 23: (0.3, 0.4)}),
        Prototype(
            {1: 0.3, 12: 0.3, 20: 0.45, 17: 0.25}, {2: (0.3, 0.3), 5: (0.35, 0.5), 25: (0.2, 0.4), 14: (0.3, 0.4)}
        ),
    ),
}

#: Mouth shapes of speech, after the viseme classes of MPEG-4 (ISO/IEC 14496-2, table of visemes and phonemes).
VISEMES: dict[str, Units] = {
    "rest": {},
    "p_b_m": {24: 0.55, 23: 0.15},
    "f_v": {25: 0.35, 23: 0.35, 17: 0.35, 10: 0.15},
    "th": {25: 0.5, 26: 0.2, 16: 0.15},
    "t_d": {25: 0.45, 26: 0.15, 20: 0.15},
    "k_g": {25: 0.5, 26: 0.3},
    "ch_sh": {25: 0.5, 22: 0.7, 26: 0.1},
    "s_z": {25: 0.45, 20: 0.3, 16: 0.15},
    "n_l": {25: 0.5, 26: 0.25, 10: 0.1},
    "r": {25: 0.4, 18: 0.3, 22: 0.3},
    "aa": {25: 0.8, 26: 0.75, 27: 0.15},
    "e": {25: 0.6, 26: 0.35, 20: 0.35, 12: 0.1},
    "ih": {25: 0.5, 26: 0.15, 20: 0.5, 12: 0.15},
    "oh": {25: 0.6, 26: 0.45, 18: 0.5, 22: 0.25},
    "ou": {25: 0.35, 26: 0.15, 18: 0.8, 22: 0.4},
}

#: Spread of a unit's strength (of its log) and of the left-right bias.
STRENGTH_SPREAD = 0.22
ASYMMETRY_SPREAD = 0.10
#: Units that hardly ever act on one side alone: their bias is smaller.
_PAIRED = (1, 4, 9, 16, 17, 18, 22, 23, 24, 25, 26, 27, 43)


def expression_ids(labels: str | Tensor, count: int) -> Tensor:
    """Ids (B,) into `ALL_EXPRESSIONS` of one label for all, or of ids given as a tensor.

    Raises:
        ValueError: for an unknown label or id, or ids of another shape.
    """
    if isinstance(labels, str):
        if labels not in ALL_EXPRESSIONS:
            raise ValueError(f"unknown expression '{labels}', expected one of {', '.join(ALL_EXPRESSIONS)}")
        return torch.full((count,), ALL_EXPRESSIONS.index(labels), dtype=torch.long)
    if (labels.numel() and labels.is_floating_point()) or tuple(labels.shape) != (count,):
        raise ValueError(f"expression ids must be whole numbers ({count},), found {labels.dtype} {tuple(labels.shape)}")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < len(ALL_EXPRESSIONS):
        raise ValueError(
            f"expression ids must lie in 0..{len(ALL_EXPRESSIONS) - 1}, found {int(labels.min())}..{int(labels.max())}"
        )
    return labels.long()


def units_vector(units: Units) -> Tensor:
    """Strengths (A,) of a combination of action units."""
    vector = torch.zeros(NUM_ACTION_UNITS)
    for number, strength in units.items():
        vector[action_unit_index(number)] = strength
    return vector


def sample_expression(labels: str | Tensor, intensity: Tensor, generator: torch.Generator) -> Tensor:
    """Draw expressions as people show them.

    Args:
        labels: one label for all, or ids (B,) into `ALL_EXPRESSIONS`.
        intensity (B,): overall strength in [0, 1]; weak expressions show fewer of the prototype's units.
        generator: source of randomness; each row uses the same number of draws whatever its label.

    Returns:
        Action unit intensities (B, A, 2) in [0, 1].

    Raises:
        ValueError: for an unknown label, an intensity outside [0, 1], or a shape that does not fit.
    """
    return expression_from_draws(labels, intensity, Draws(intensity.numel(), generator))


def expression_from_draws(labels: str | Tensor, intensity: Tensor, draw: Draws) -> Tensor:
    """The same from any source of random rows that has the methods of `Draws`, such as numbers that belong to rows."""
    if intensity.dim() != 1:
        raise ValueError(f"expression intensity must be (B,), found {tuple(intensity.shape)}")
    count = len(intensity)
    if count and not 0.0 <= float(intensity.min()) <= float(intensity.max()) <= 1.0:
        raise ValueError(
            f"expression intensity must lie in [0, 1], found {float(intensity.min()):.3g}..{float(intensity.max()):.3g}"
        )
    ids = expression_ids(labels, count).to(intensity.device)
    always, strength, probability = (table.to(intensity.device) for table in _prototype_tables())
    pick = (draw.uniform(1)[:, 0] * always.shape[1]).long().clamp(max=always.shape[1] - 1)
    shown = draw.uniform(NUM_ACTION_UNITS) < probability[ids, pick]
    base = torch.maximum(always[ids, pick], strength[ids, pick] * shown)
    varied = base * torch.exp(STRENGTH_SPREAD * draw.normal(NUM_ACTION_UNITS))
    level = intensity[:, None]
    # Each unit has its own onset: at low intensity the late ones have hardly begun.
    onset = 0.18 * draw.uniform(NUM_ACTION_UNITS)
    grown = varied * ((level - onset) / (1.0 - onset)).clamp(0.0, 1.0)
    return _with_asymmetry(grown, draw).clamp(0.0, 1.0)


def _with_asymmetry(units: Tensor, draw: Draws) -> Tensor:
    """Right and left intensities (B, A, 2): a bias per face and a smaller one per unit."""
    paired = units.new_tensor([0.35 if number in _PAIRED else 1.0 for number in ACTION_UNITS])
    bias = ASYMMETRY_SPREAD * (0.8 * draw.normal(1) + 0.6 * draw.normal(NUM_ACTION_UNITS)) * paired
    return torch.stack([units * (1.0 + bias), units * (1.0 - bias)], dim=-1)


@cache
def _prototype_tables() -> tuple[Tensor, Tensor, Tensor]:
    """Strengths of the units always shown, of the others, and their probabilities: three of (labels, prototypes, A)."""
    most = max(len(prototypes) for prototypes in PROTOTYPES.values())
    always, strength, probability = (torch.zeros(len(ALL_EXPRESSIONS), most, NUM_ACTION_UNITS) for _ in range(3))
    for row, label in enumerate(ALL_EXPRESSIONS):
        prototypes = PROTOTYPES[label]
        for column in range(most):
            prototype = prototypes[column % len(prototypes)]
            always[row, column] = units_vector(prototype.always)
            strength[row, column] = units_vector({unit: s for unit, (s, _) in prototype.sometimes.items()})
            probability[row, column] = units_vector({unit: p for unit, (_, p) in prototype.sometimes.items()})
    return always, strength, probability


class Draws:
    """Rows of random numbers from one generator, on its device."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def uniform(self, size: int) -> Tensor:
        return torch.rand(self.count, size, generator=self.generator, device=self.generator.device)

    def normal(self, size: int) -> Tensor:
        return torch.randn(self.count, size, generator=self.generator, device=self.generator.device)
