"""The anatomical parameters of a person: what each one moves, how much people differ in it, and what goes with what.

Every trait is a z-score, standard normal in the population. `sd` is one standard deviation in the trait's unit, after
the pooled within-sex tables of Farkas (Anthropometry of the Head and Face, 1994) where such a measurement exists, and
set by eye for fat and soft tissue. `sex`, `age` and `fat` are the loadings on the three factors that many traits share
(sex > 0 male, age > 0 older, fat > 0 heavier): the correlation of two traits is the sum of the products of their
loadings, and one on the diagonal.

A trait acts by `moves`: each a displacement in mm per standard deviation (outwards to the side, up, forward), spread
over a patch of the canonical plane (`at`, `radii`; flat-topped for `flat`), by `ramps`: a displacement that grows from
none at t = `start` to full at t = `stop`, by `scales` about a pivot, or by a `turn` about a side-to-side axis.
"""

from __future__ import annotations

from typing import NamedTuple

Vector = tuple[float, float, float]
Place = tuple[float, float]


class Move(NamedTuple):
    vector: Vector
    at: Place
    radii: Place
    flat: bool = False
    odd: bool = False  # the same direction of x on both sides, or opposite y: an asymmetry


class Ramp(NamedTuple):
    vector: Vector
    start: float
    stop: float
    odd: bool = False


class Scale(NamedTuple):
    """Factors per SD along x, y, z about a pivot (0, y, z), where the patch says (None: everywhere)."""

    factors: Vector
    pivot: Place
    at: Place | None = None
    radii: Place = (1.0, 1.0)


class Turn(NamedTuple):
    """Degrees per SD about a side-to-side axis through (y, z); positive lifts what lies in front of it."""

    degrees: float
    pivot: Place
    at: Place
    radii: Place


class Trait(NamedTuple):
    name: str
    unit: str
    sd: float
    acts: tuple[Move | Ramp | Scale | Turn, ...]
    sex: float = 0.0
    age: float = 0.0
    fat: float = 0.0


#: Factors that are traits of their own: they come first in the identity code and load on the others.
FACTORS = ("sex", "age", "fat")

EYE = ((31.0, 35.0), (25.0, 17.0))

# fmt: off
TRAITS: tuple[Trait, ...] = (
    # Skull.
    Trait("head_size", "%", 2.8, (Scale((0.028, 0.028, 0.028), (0.0, 0.0)),), sex=0.65),
    Trait("face_length", "mm", 5.5, (Scale((0.0, 0.040, 0.0), (35.0, 0.0)),), sex=0.25),
    Trait("face_breadth", "mm", 5.3, (Scale((0.036, 0.0, 0.0), (0.0, 0.0)),), sex=0.2, fat=0.35),
    Trait("face_depth", "mm", 5.0, (Scale((0.0, 0.0, 0.034), (0.0, 0.0)),)),
    Trait("cheekbone_breadth", "mm", 4.0, (Move((1.9, 0, 0), (76, 10), (34, 22), True),), sex=0.2),
    Trait("forehead_breadth", "mm", 4.0, (Move((1.9, 0, 0), (66, 72), (38, 34), True),)),
    Trait("forehead_height", "mm", 5.5, (Ramp((0, 4.5, 0), 58, 112),), sex=0.1, age=0.2),
    Trait("forehead_slope", "degrees", 4.5, (Ramp((0, 0, -5.0), 58, 125),), sex=0.45),
    Trait("forehead_boss", "mm", 1.6, (Move((0, 0, 1.5), (24, 82), (20, 15)),), sex=-0.35),
    Trait("brow_ridge", "mm", 1.7, (Move((0.2, 0, 1.6), (22, 57), (24, 8)), Move((0.4, 0, 0.6), (50, 51), (9, 9))),
          sex=0.7),
    Trait("glabella", "mm", 1.1, (Move((0, 0, 1.2), (0, 54), (10, 8)),), sex=0.45),
    Trait("temple_hollow", "mm", 2.2, (Move((-2.0, 0, -0.7), (68, 50), (13, 15)),), age=0.35, fat=-0.4),
    Trait("midface_projection", "mm", 2.6, (Move((0, 0, 2.4), (0, -12), (44, 26), True),)),
    Trait("bite", "mm", 2.2, (Move((0, 0, 2.0), (0, -31), (26, 13), True),)),
    # Brows and eyes.
    Trait("brow_height", "mm", 2.1, (Move((0, 2.0, 0), (30, 55), (30, 9)),), sex=-0.4, age=-0.15),
    Trait("brow_tilt", "mm", 1.9, (Move((0, 1.9, 0), (47, 54), (13, 8)), Move((0, -0.9, 0), (12, 52), (10, 7))),
          sex=-0.25, age=-0.3),
    Trait("eye_height", "mm", 1.7, (Move((0, 1.5, 0), *EYE, True),)),
    Trait("eye_spacing", "mm", 2.6, (Move((1.35, 0, -0.15), *EYE, True),)),
    Trait("eye_depth", "mm", 1.7, (Move((0, 0, -1.5), *EYE, True),), sex=0.3),
    Trait("fissure_length", "mm", 1.5, (Move((0.9, 0, -0.4), (47, 35), (9, 9)), Move((-0.55, 0, 0), (15.5, 33),
          (5, 6))),
          sex=0.2),
    Trait("fissure_height", "mm", 1.15, (Move((0, 0.85, 0), (30, 43), (14, 3.6)), Move((0, -0.5, 0), (32, 26.5),
          (14, 3.6))),
          sex=-0.15, age=-0.35),
    Trait("canthal_tilt", "degrees", 2.2, (Move((0, 1.1, 0), (46, 36), (9, 9)), Move((0, -0.35, 0), (17, 33), (6, 6))),
          age=-0.3),
    Trait("lid_crease", "mm", 1.3, (Move((0, 0.9, -0.9), (31, 46), (15, 3.0)),), age=-0.2),
    Trait("lid_fullness", "mm", 1.7, (Move((0, -0.8, 1.7), (32, 49.5), (17, 4.5)),), age=0.25, fat=0.3),
    Trait("epicanthus", "mm", 1.2, (Move((0.6, -0.7, 1.5), (17.5, 35), (3.5, 4.5)), Move((0, 0, 0.8), (30, 46),
          (16, 4))),),
    Trait("eye_bags", "mm", 1.3, (Move((0, -0.4, 1.2), (30, 24), (14, 3.6)), Move((0, 0, -0.7), (29, 18), (15, 3.5))),
          age=0.6, fat=0.1),
    Trait("tear_trough", "mm", 1.1, (Move((0, 0, -1.2), (22, 19), (8, 6)),), age=0.45, fat=-0.3),
    # Nose.
    Trait("nose_length", "mm", 3.3, (Move((0, -2.6, 0), (0, -2), (26, 12), True), Move((0, -1.0, 0), (0, -30),
          (36, 13), True)),
          sex=0.3, age=0.25),
    Trait("nose_projection", "mm", 2.1, (Move((0, 0, 2.2), (0, 3), (11, 13)),), sex=0.3),
    Trait("nose_width", "mm", 2.7, (Move((1.5, 0, -0.2), (20, -3), (7.5, 10)), Move((0.4, 0, 0), (9, -5), (5, 6))),
          sex=0.3, fat=0.15),
    Trait("nose_root_height", "mm", 2.1, (Move((0, 0, 2.1), (0, 37), (8, 11)),), sex=0.2),
    Trait("nose_bridge_width", "mm", 1.2, (Move((0.9, 0, 0.5), (9, 28), (6, 14)),), sex=0.2),
    Trait("nose_hump", "mm", 1.4, (Move((0, 0, 1.6), (0, 24), (6, 7)),), sex=0.25, age=0.1),
    Trait("nose_tip_rotation", "degrees", 5.5, (Turn(4.5, (6.0, 104.0), (0, -1), (15, 9)),), sex=-0.25, age=-0.3),
    Trait("nose_tip_width", "mm", 1.2, (Move((1.0, 0, 0.3), (7, 3.5), (5, 5)), Move((0, 0, -0.5), (0, 4), (4, 5))),
          sex=0.15, fat=0.15),
    Trait("ala_height", "mm", 1.2, (Move((0, 1.0, 0), (18, -5), (7, 5)),)),
    Trait("columella_show", "mm", 1.1, (Move((0, -1.0, 0.3), (0, -7), (4, 4)),)),
    # Cheeks.
    Trait("cheekbone_projection", "mm", 2.0, (Move((0.9, 0, 1.7), (50, 14), (16, 13)),), sex=-0.1),
    Trait("cheek_fullness", "mm", 3.0, (Move((1.4, 0, 1.8), (45, -18), (19, 20)), Move((0.9, 0, 0.2), (68, -22),
          (20, 20))),
          fat=0.75, age=-0.25),
    Trait("apple", "mm", 1.6, (Move((0.2, 0.3, 1.6), (34, -1), (11, 11)),), fat=0.3, age=-0.3, sex=-0.2),
    Trait("buccal_hollow", "mm", 1.8, (Move((-0.9, 0, -1.2), (48, -28), (11, 13)),), fat=-0.45, sex=0.1),
    Trait("nasolabial_depth", "mm", 1.0, (Move((0.2, 0, -1.2), (31, -16), (4, 13)), Move((0.3, -0.4, 1.0), (38, -12),
          (7, 12))),
          age=0.65, fat=0.2),
    Trait("jowls", "mm", 2.2, (Move((0.8, -2.2, 0.6), (40, -62), (13, 12)),), age=0.6, fat=0.35),
    # Mouth.
    Trait("mouth_width", "mm", 3.4, (Move((1.7, 0, -0.7), (27, -35), (9, 9)), Move((0.9, 0, -0.2), (15, -35), (6, 9))),
          sex=0.25, age=0.2),
    Trait("upper_lip_height", "mm", 1.4, (Move((0, 1.15, 0.5), (6, -22.5), (12, 3.8)), Move((0, 0.2, 0.8), (6, -27),
          (12, 3))),
          age=-0.5),
    Trait("lower_lip_height", "mm", 1.5, (Move((0, -1.2, 0.5), (6, -48), (12, 4)), Move((0, -0.3, 0.9), (6, -43),
          (12, 3.2))),
          age=-0.35),
    Trait("lip_eversion", "mm", 1.3, (Move((0, 0, 1.3), (4, -35), (18, 11)),), age=-0.2),
    Trait("cupids_bow", "mm", 0.7, (Move((0, 0.7, 0.25), (5.2, -22.3), (3, 3)), Move((0, -0.5, 0), (0, -23.5), (2, 3))),
          sex=-0.2, age=-0.25),
    Trait("philtrum_length", "mm", 2.2, (Ramp((0, -1.6, 0), -10, -22),), sex=0.25, age=0.4),
    Trait("philtrum_depth", "mm", 0.5, (Move((0, 0, -0.7), (0, -17), (2.4, 5)), Move((0, 0, 0.4), (4.5, -18),
          (2, 5))),),
    Trait("mouth_corner_tilt", "mm", 1.2, (Move((0, 1.2, 0), (26, -35), (7, 6)),), age=-0.45),
    # Chin, jaw, neck.
    Trait("chin_projection", "mm", 3.0, (Move((0, 0, 2.9), (0, -72), (26, 16)),), sex=0.25),
    Trait("chin_height", "mm", 2.9, (Ramp((0, -2.7, 0), -46, -76),), sex=0.35),
    Trait("chin_breadth", "mm", 3.0, (Move((2.0, 0, 0.6), (19, -72), (12, 13)),), sex=0.5),
    Trait("chin_cleft", "mm", 0.6, (Move((0, 0, -0.8), (0, -70), (2.5, 8)),), sex=0.2),
    Trait("labiomental_depth", "mm", 1.2, (Move((0, 0, -1.3), (0, -56), (15, 5)),)),
    Trait("jaw_breadth", "mm", 4.2, (Move((2.0, 0, 0), (82, -48), (36, 24), True),), sex=0.5, fat=0.3),
    Trait("jaw_angle", "degrees", 5.0, (Move((0.6, -3.2, 0), (88, -54), (26, 16)), Move((0, 1.0, 0), (45, -72),
          (18, 12))),
          sex=0.35),
    Trait("masseter", "mm", 1.3, (Move((1.2, 0, 0.5), (84, -30), (18, 18)),), sex=0.3),
    Trait("submental_fat", "mm", 4.0, (Move((0, -3.6, 1.2), (14, -104), (40, 17)),), fat=0.7, age=0.35),
    Trait("neck_breadth", "mm", 4.0, (Move((2.8, 0, 0.8), (80, -112), (55, 34), True),), sex=0.6, fat=0.35),
    # Ears.
    Trait("ear_size", "mm", 3.0, (Scale((0.0, 0.055, 0.055), (9.0, 0.0), (132, 13), (24, 36)),), sex=0.3, age=0.35),
    Trait("ear_protrusion", "mm", 2.6, (Move((2.2, 0, 0.6), (144, 16), (10, 24)),)),
    # Left and right are never the same.
    Trait("chin_deviation", "mm", 1.5, (Move((1.4, 0, 0), (0, -72), (40, 24), True, True),)),
    Trait("nose_deviation", "mm", 1.1, (Move((1.1, 0, 0), (0, 2), (18, 14), False, True),)),
    Trait("mouth_cant", "mm", 0.8, (Move((0, 0.8, 0), (24, -35), (14, 12), False, True),)),
    Trait("eye_cant", "mm", 0.6, (Move((0, 0.55, 0), *EYE, True, True),)),
    Trait("brow_cant", "mm", 0.8, (Move((0, 0.8, 0), (30, 55), (26, 8), False, True),)),
    Trait("cheek_asymmetry", "mm", 1.2, (Move((0.9, 0, 0.9), (48, -8), (24, 26), False, True),)),
)
# fmt: on

#: Smooth residual shape that the named traits leave over: cosines over the plane, in mm.
NUM_RESIDUALS = 16
RESIDUAL_MM = 0.85
