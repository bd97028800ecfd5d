"""Identity: from a person's traits to the control points of the neutral face.

`controls = A(z)` is not linear: sizes multiply, the nose tip and other parts turn about hinges, and what is added to a
part is added after its size has been set. The identity code is the traits' z-scores in the order of `NAMES`: the
factors sex, age and fat, the named traits, those of the muscles (which show in expressions alone), then the residual
shape.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from facekit.morphable.procedural import layout
from facekit.morphable.procedural.cage import Array, Cage
from facekit.morphable.procedural.muscle_traits import MUSCLE_TRAITS
from facekit.morphable.procedural.traits import (
    FACTORS,
    NUM_RESIDUALS,
    RESIDUAL_MM,
    TRAITS,
    Move,
    Ramp,
    Scale,
    Trait,
    Turn,
)

NAMES: tuple[str, ...] = (
    *FACTORS,
    *(trait.name for trait in (*TRAITS, *MUSCLE_TRAITS)),
    *(f"shape_{i}" for i in range(NUM_RESIDUALS)),
)
"""Names of the entries of the identity code, in order."""
NUM_IDENTITY = len(NAMES)

#: Sex is drawn from two equal bells at +-SEX_MEAN, with a variance of one in all.
SEX_MEAN = 0.9


@cache
def loadings() -> Array:
    """Loadings (NUM_IDENTITY, 3) of the code's entries on the factors."""
    table = np.zeros((NUM_IDENTITY, len(FACTORS)))
    table[: len(FACTORS)] = np.eye(len(FACTORS))
    for i, trait in enumerate(TRAITS, start=len(FACTORS)):
        table[i] = trait.sex, trait.age, trait.fat
    return table


def correlation() -> Array:
    """Correlation matrix (NUM_IDENTITY, NUM_IDENTITY) of the identity code in the population."""
    shared = loadings() @ loadings().T
    np.fill_diagonal(shared, 1.0)
    return shared


def sample_traits(count: int, generator: torch.Generator) -> Tensor:
    """Draw identity codes (N, NUM_IDENTITY), float32 on the generator's device.

    Every entry has mean zero and variance one; all but sex, and what follows it, are normal.
    """
    device = generator.device
    own = torch.randn(count, NUM_IDENTITY, generator=generator, device=device)
    side = torch.randint(0, 2, (count,), generator=generator, device=device) * 2.0 - 1.0
    factors = own[:, : len(FACTORS)].clone()
    factors[:, 0] = SEX_MEAN * side + (1.0 - SEX_MEAN**2) ** 0.5 * factors[:, 0]
    table = torch.as_tensor(loadings(), dtype=own.dtype, device=device)
    rest = (1.0 - (table**2).sum(dim=1)).clamp_min(0.0).sqrt()
    return factors @ table.T + own * rest


class Anatomy(nn.Module):
    """Control points of neutral faces."""

    def __init__(self, cage: Cage) -> None:
        super().__init__()
        additive = np.zeros((NUM_IDENTITY, len(cage), 3))
        self._scales: list[tuple[int, int]] = []
        self._turns: list[tuple[int, int]] = []
        for i, trait in enumerate(TRAITS, start=len(FACTORS)):
            for act in trait.acts:
                if isinstance(act, Scale):
                    self._keep(f"scale_{len(self._scales)}", _scale_field(act, cage))
                    self._keep(f"pivot_{len(self._scales)}", np.array([0.0, *act.pivot]))
                    self._scales.append((i, len(self._scales)))
                elif isinstance(act, Turn):
                    self._keep(f"turn_{len(self._turns)}", np.radians(act.degrees) * _patch(act.at, act.radii, cage))
                    self._keep(f"axis_{len(self._turns)}", np.array(act.pivot))
                    self._turns.append((i, len(self._turns)))
                else:
                    additive[i] += _displacement(act, cage)
        additive[-NUM_RESIDUALS:] = _residuals(cage)
        self._keep("rest", cage.rest)
        self._keep("additive", additive.reshape(NUM_IDENTITY, -1))

    def _keep(self, name: str, value: Array) -> None:
        self.register_buffer(name, torch.as_tensor(value), persistent=False)

    def forward(self, identity: Tensor) -> Tensor:
        """Control points (B, K, 3) in mm of people with codes (B, NUM_IDENTITY)."""
        bounded = soft_bound(identity)
        points = self.rest + (bounded @ self.additive).unflatten(1, self.rest.shape)
        for i, number in self._turns:
            points = self._turned(points, bounded[:, i], number)
        for i, number in self._scales:
            pivot, field = getattr(self, f"pivot_{number}"), getattr(self, f"scale_{number}")
            points = pivot + (points - pivot) * torch.exp(bounded[:, i, None, None] * field)
        return points

    def _turned(self, points: Tensor, amount: Tensor, number: int) -> Tensor:
        angle = amount[:, None] * getattr(self, f"turn_{number}")
        y0, z0 = getattr(self, f"axis_{number}")
        x, y, z = points[..., 0], points[..., 1] - y0, points[..., 2] - z0
        cos, sin = torch.cos(angle), torch.sin(angle)
        return torch.stack([x, cos * y + sin * z + y0, cos * z - sin * y + z0], dim=-1)


def soft_bound(code: Tensor, limit: float = 4.5) -> Tensor:
    """Nearly the identity for usual z-scores; no trait goes beyond +-4.5."""
    return limit * torch.tanh(code / limit)


def _mirror(cage: Cage, odd: bool) -> Array:
    """Sign (K, 3) that carries a left-side displacement to each control's side; midline x vanishes unless odd."""
    side = np.sign(cage.places[:, 0])
    ones = np.ones_like(side)
    if odd:
        return np.stack([ones, side, side], axis=1)
    return np.stack([side, ones, ones], axis=1)


def _patch(at: tuple[float, float], radii: tuple[float, float], cage: Cage, flat: bool = False) -> Array:
    """Share (K,) of each control: a Gaussian bump, or one with a flat top that falls between 1 and 1.9 radii."""
    folded = layout.fold(cage.places)
    if not flat:
        return layout.bump(folded, at, radii)
    reach = np.hypot(*((folded - np.array(at)) / np.array(radii)).T)
    return layout.smoothstep(reach, 1.9, 0.8)


def _displacement(act: Move | Ramp, cage: Cage) -> Array:
    folded = layout.fold(cage.places)
    if isinstance(act, Ramp):
        share = layout.smoothstep(folded[:, 1], act.start, act.stop) * layout.smoothstep(folded[:, 0], 140.0, 90.0)
    else:
        share = _patch(act.at, act.radii, cage, act.flat)
    return share[:, None] * np.array(act.vector) * _mirror(cage, act.odd)


def _scale_field(act: Scale, cage: Cage) -> Array:
    share = np.ones(len(cage)) if act.at is None else _patch(act.at, act.radii, cage, flat=True)
    return share[:, None] * np.array(act.factors)


def _residuals(cage: Cage) -> Array:
    """Fields (NUM_RESIDUALS, K, 3): products of cosines over the plane with fixed, spread-out directions."""
    s, t = cage.places[:, 0] / 85.0, (cage.places[:, 1] + 5.0) / 70.0
    fields = []
    for number in range(NUM_RESIDUALS):
        across, up = 0.6 + 0.45 * (number % 4), 0.6 + 0.45 * (number // 4)
        phase = 2.399963 * number
        wave = np.cos(np.pi * up * t + phase)
        odd = number % 4 == 3
        side = np.sin(np.pi * across * s) if odd else np.cos(np.pi * across * np.abs(s) + 0.7 * phase)
        tilt = np.cos(1.3 * phase), np.sin(1.7 * phase)
        direction = np.array([0.5 * tilt[0], 0.35 * tilt[1], 1.0])
        outward = np.ones((len(s), 3))
        if not odd:
            outward[:, 0] = np.tanh(cage.places[:, 0] / 12.0)
        fields.append(RESIDUAL_MM * (wave * side)[:, None] * direction * outward)
    return np.stack(fields)


def trait_table() -> tuple[Trait, ...]:
    """The named traits with units, standard deviations and loadings, for printing."""
    return TRAITS
