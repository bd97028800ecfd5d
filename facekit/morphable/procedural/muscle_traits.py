"""How people's facial muscles differ: strength, course and balance, part of the identity code.

Two people who contract the same muscle equally do not move equally. Muscles vary in strength and course, some are often
weak or absent (the risorius), and families of patterns have been described: smiles led by the corner of the mouth or by
the canine (L. R. Rubin, 1974), brows drawn together or down, foreheads raised in the middle or at the sides. Each trait
is a z-score; the sizes are set by eye, so that the movement of one unit differs between people by a fifth to a third.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from facekit.morphable.action_units import ACTION_UNITS
from facekit.morphable.procedural.pulls import Pull


class MuscleTrait(NamedTuple):
    """What one standard deviation does to the pulls of some action units.

    `gains` holds (unit, logarithm of the factor on the way), `turns` (unit, degrees by which the direction turns
    upwards, seen from the front). `lip` keeps to the pulls of one lip. With `odd` the subject's left changes one way
    and the right the other.
    """

    name: str
    gains: tuple[tuple[int, float], ...] = ()
    turns: tuple[tuple[int, float], ...] = ()
    lip: str = ""
    odd: bool = False


MUSCLE_TRAITS: tuple[MuscleTrait, ...] = (
    MuscleTrait("muscle_strength", gains=tuple((unit, 0.10) for unit in ACTION_UNITS)),
    MuscleTrait("muscle_asymmetry", gains=tuple((unit, 0.07) for unit in ACTION_UNITS), odd=True),
    MuscleTrait("frontalis_balance", gains=((1, 0.22), (2, -0.22))),
    MuscleTrait("frontalis_course", turns=((1, 9.0), (2, 11.0))),
    MuscleTrait("corrugator_strength", gains=((4, 0.22), (9, 0.08))),
    MuscleTrait("corrugator_course", turns=((4, 14.0),)),
    MuscleTrait("orbicularis_oculi_strength", gains=((6, 0.22), (7, 0.18))),
    MuscleTrait("orbicularis_oculi_course", turns=((6, 12.0),)),
    MuscleTrait("levator_labii_strength", gains=((9, 0.18), (10, 0.22))),
    MuscleTrait("levator_labii_course", turns=((9, 9.0), (10, 12.0))),
    MuscleTrait("zygomaticus_strength", gains=((12, 0.18),)),
    MuscleTrait("zygomaticus_course", turns=((12, 12.0),)),
    MuscleTrait("canine_smile", gains=((12, 0.45), (10, 0.12)), lip="upper"),
    MuscleTrait("risorius_strength", gains=((20, 0.28), (14, 0.25))),
    MuscleTrait("risorius_course", turns=((20, 12.0), (14, 12.0))),
    MuscleTrait("depressor_anguli_strength", gains=((15, 0.25),)),
    MuscleTrait("depressor_anguli_course", turns=((15, 12.0),)),
    MuscleTrait("depressor_labii_strength", gains=((16, 0.25), (25, 0.15))),
    MuscleTrait("mentalis_strength", gains=((17, 0.25),)),
    MuscleTrait("mentalis_course", turns=((17, 10.0),)),
    MuscleTrait("orbicularis_oris_strength", gains=((18, 0.18), (22, 0.22), (23, 0.25), (24, 0.25))),
    MuscleTrait("orbicularis_oris_course", turns=((18, 9.0), (22, 12.0), (23, 12.0), (24, 12.0))),
)


def effects(pull: Pull, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Effects of the traits on one side's pull: log gains (T,) and turns about the z axis (T,) in radians per SD."""
    gains, turns = np.zeros(len(MUSCLE_TRAITS)), np.zeros(len(MUSCLE_TRAITS))
    for i, trait in enumerate(MUSCLE_TRAITS):
        if trait.lip and trait.lip != pull.lip:
            continue
        gains[i] = dict(trait.gains).get(pull.unit, 0.0) * (-1.0 if trait.odd and not left else 1.0)
        turns[i] = np.radians(dict(trait.turns).get(pull.unit, 0.0)) * (1.0 if left else -1.0)
    return gains, turns
