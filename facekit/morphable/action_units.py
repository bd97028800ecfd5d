"""The facial action units of the Facial Action Coding System that the face models perform.

P. Ekman, W. V. Friesen, J. C. Hager, Facial Action Coding System, 2002. An action unit (AU) is what one muscle or a few
that act together do to the face. Intensities are in [0, 1] and belong to a side of the face; arrays of them are
`action_units (B, A, 2)` in the order of `ACTION_UNITS`, the last axis being the subject's right (image left) and left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

RIGHT, LEFT = 0, 1


class ActionUnit(NamedTuple):
    """Number, name and muscles of an action unit."""

    number: int
    name: str
    muscle: str


TABLE: tuple[ActionUnit, ...] = (
    ActionUnit(1, "inner brow raiser", "frontalis, medial part"),
    ActionUnit(2, "outer brow raiser", "frontalis, lateral part"),
    ActionUnit(4, "brow lowerer", "corrugator supercilii, depressor supercilii"),
    ActionUnit(5, "upper lid raiser", "levator palpebrae superioris"),
    ActionUnit(6, "cheek raiser", "orbicularis oculi, orbital part"),
    ActionUnit(7, "lid tightener", "orbicularis oculi, palpebral part"),
    ActionUnit(9, "nose wrinkler", "levator labii superioris alaeque nasi"),
    ActionUnit(10, "upper lip raiser", "levator labii superioris"),
    ActionUnit(12, "lip corner puller", "zygomaticus major"),
    ActionUnit(14, "dimpler", "buccinator"),
    ActionUnit(15, "lip corner depressor", "depressor anguli oris"),
    ActionUnit(16, "lower lip depressor", "depressor labii inferioris"),
    ActionUnit(17, "chin raiser", "mentalis"),
    ActionUnit(18, "lip pucker", "incisivi labii, orbicularis oris"),
    ActionUnit(20, "lip stretcher", "risorius, platysma"),
    ActionUnit(22, "lip funneler", "orbicularis oris"),
    ActionUnit(23, "lip tightener", "orbicularis oris"),
    ActionUnit(24, "lip pressor", "orbicularis oris"),
    ActionUnit(25, "lips part", "relaxed mentalis, depressor labii inferioris"),
    ActionUnit(26, "jaw drop", "relaxed masseter"),
    ActionUnit(27, "mouth stretch", "pterygoids, digastric"),
    ActionUnit(43, "eyes closed", "relaxed levator palpebrae superioris"),
)
"""The action units that the face models perform, in the order of their numbers."""

ACTION_UNITS: tuple[int, ...] = tuple(unit.number for unit in TABLE)
"""Numbers of the action units, in the order of every axis of action units."""
NUM_ACTION_UNITS = len(ACTION_UNITS)
"""How many there are, the A of shapes."""
_POSITION = {number: i for i, number in enumerate(ACTION_UNITS)}


def action_unit_index(number: int) -> int:
    """Place of an action unit in `ACTION_UNITS`.

    Raises:
        ValueError: for a number that the models do not perform.
    """
    if number not in _POSITION:
        raise ValueError(f"action unit {number} is not performed; there are {', '.join(map(str, ACTION_UNITS))}")
    return _POSITION[number]


def action_unit_vector(intensities: Mapping[int, float | tuple[float, float]]) -> Tensor:
    """Intensities by action unit number, one for both sides or a (right, left) pair, as an array (A, 2).

    >>> action_unit_vector({12: 0.8, 14: (0.0, 1.0)}).shape
    torch.Size([22, 2])

    Raises:
        ValueError: for an unknown action unit or an intensity outside [0, 1].
    """
    vector = torch.zeros(NUM_ACTION_UNITS, 2)
    for number, intensity in intensities.items():
        both = torch.as_tensor(intensity, dtype=torch.float32)
        if not bool(((both >= 0) & (both <= 1)).all()):
            raise ValueError(f"action unit {number} has intensity {intensity}, expected [0, 1]")
        vector[action_unit_index(number)] = both
    return vector
