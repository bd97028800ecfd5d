"""The face unrolled into a plane, with every feature in a fixed place for everyone.

The canonical plane has coordinates (s, t) in millimetres. t runs up along the face, s runs sideways from the
mid-sagittal line, s > 0 on the subject's left (image right). In front s and t are close to x and y of the average face;
towards the sides s is arc length around the head, under the chin t is arc length along the throat. The mouth slit is
opened to a lens, the nose and the lips have more room than their frontal projection would give them.

Whatever belongs to a place on the skin (a freckle, the lip border, the pull of a muscle) is written in this plane;
identity and expression move the skin in space and leave the plane alone. Curves are given for s >= 0; the other side
is the mirror image.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

# fmt: off
#: Knots of smooth curves on the subject's left. Each is interpolated by a cubic spline over chord length.
KNOTS: dict[str, list[tuple[float, float]]] = {
    # Lid margins, from the inner to the outer corner of the eye.
    "upper_lid": [(16.5, 33.0), (19.5, 36.2), (24.0, 39.0), (29.0, 40.4), (34.0, 40.2), (39.0, 38.6), (42.6, 36.8),
                  (45.0, 35.0)],
    "lower_lid": [(16.5, 33.0), (19.5, 31.6), (24.0, 30.2), (29.0, 29.4), (34.0, 29.3), (39.0, 30.6), (42.6, 32.7),
                  (45.0, 35.0)],
    "lid_crease": [(17.6, 37.2), (21.5, 41.6), (26.0, 44.4), (31.0, 45.4), (37.0, 44.4), (43.0, 41.4), (48.5, 37.0)],
    "lower_lid_fold": [(16.5, 29.0), (21.5, 25.6), (28.0, 23.6), (34.0, 23.4), (40.0, 25.2), (46.0, 29.2)],
    # Middle line of the brow, from the head beside the nose to the tail.
    "brow": [(11.5, 51.5), (18.0, 54.0), (27.0, 56.6), (35.5, 58.0), (43.0, 56.6), (51.0, 51.5)],
    # Mouth: margins where the lips touch, and the border between lip and skin, from the middle to the corner.
    "upper_lip_margin": [(0.0, -30.0), (7.0, -30.2), (14.0, -31.4), (20.5, -33.2), (26.0, -35.0)],
    "lower_lip_margin": [(0.0, -38.6), (7.0, -38.4), (14.0, -37.7), (20.5, -36.6), (26.0, -35.0)],
    "upper_lip_ridge": [(0.0, -26.9), (7.0, -26.6), (14.0, -28.2), (20.5, -31.1), (24.6, -33.6)],
    "lower_lip_ridge": [(0.0, -43.0), (7.0, -42.8), (14.0, -41.5), (20.5, -39.1), (24.6, -36.6)],
    "upper_lip_border": [(0.0, -23.5), (2.6, -23.0), (5.2, -22.3), (8.0, -22.9), (13.0, -25.2), (19.5, -29.4),
                         (24.5, -33.0), (27.4, -35.0)],
    "lower_lip_border": [(0.0, -47.6), (7.0, -47.1), (14.0, -45.0), (20.5, -41.0), (24.5, -37.5), (27.4, -35.0)],
    # Rows of the mouth pocket, a fifth of the opening apart, from the middle towards the corner.
    "pocket_1": [(0.0, -36.88), (7.0, -36.76), (14.0, -36.44), (20.5, -35.92)],
    "pocket_2": [(0.0, -35.16), (7.0, -35.12), (14.0, -35.18), (20.5, -35.24)],
    "pocket_3": [(0.0, -33.44), (7.0, -33.48), (14.0, -33.92), (20.5, -34.56)],
    "pocket_4": [(0.0, -31.72), (7.0, -31.84), (14.0, -32.66), (20.5, -33.88)],
    # Nose.
    "nose_ridge": [(0.0, 41.0), (0.0, 33.0), (0.0, 25.0), (0.0, 13.0), (0.0, 4.0)],
    "alar_crease": [(16.8, 9.0), (20.6, 6.4), (23.6, 1.5), (24.2, -3.5), (22.4, -8.6), (18.2, -11.8)],
    "nostril": [(6.6, -2.6), (9.6, -3.2), (12.3, -5.4), (12.4, -8.2), (10.0, -9.6), (7.2, -8.4), (5.4, -6.0),
                (5.5, -3.7), (6.6, -2.6)],
    # Folds.
    "nasolabial_fold": [(24.5, 3.0), (28.5, -6.0), (32.0, -16.0), (34.5, -26.0), (36.0, -36.0), (35.5, -46.0)],
    "labiomental_fold": [(0.0, -56.5), (9.0, -55.5), (17.0, -51.0)],
    "philtrum_ridge": [(3.6, -12.5), (4.2, -17.0), (5.2, -22.3)],
    # Jaw line from the chin to the ear lobe, hairline from the middle of the forehead to the front of the ear.
    "jaw": [(0.0, -80.0), (14.0, -78.5), (28.0, -75.0), (42.0, -71.0), (58.0, -65.5), (76.0, -58.0), (94.0, -46.0),
            (106.0, -28.0), (112.0, -12.0)],
    "hairline": [(0.0, 104.0), (16.0, 105.5), (32.0, 103.0), (46.0, 95.0), (54.0, 83.0), (58.0, 70.0), (67.0, 61.0),
                 (78.0, 55.0), (92.0, 44.0), (100.0, 30.0), (104.0, 16.0)],
    # The rim of the ear, and the line along which it grows out of the head.
    "ear_rim": [(119.0, 25.0), (121.5, 35.0), (128.5, 41.5), (137.0, 42.0), (144.5, 36.0), (148.0, 25.0),
                (147.0, 12.0), (142.0, 0.0), (135.0, -10.0), (127.5, -15.5), (120.5, -15.0), (116.5, -9.0)],
    "ear_root": [(112.0, 26.0), (115.5, 40.0), (126.0, 50.5), (140.0, 51.5), (152.0, 43.0), (157.5, 27.0),
                 (156.0, 9.0), (149.0, -7.0), (140.0, -18.5), (128.0, -25.0), (116.0, -23.5), (111.0, -12.0)],
    # Border of the modelled surface from the crown down to the neck.
    "outline": [(0.0, 152.0), (30.0, 150.5), (60.0, 142.5), (88.0, 126.0), (112.0, 105.0), (132.0, 85.0),
                (151.0, 66.0), (164.0, 45.0), (168.0, 22.0), (164.0, -2.0), (154.0, -24.0), (141.0, -46.0),
                (128.0, -70.0), (114.0, -96.0), (94.0, -122.0), (62.0, -136.0), (30.0, -142.0), (0.0, -144.0)],
}
# fmt: on

#: The mouth pocket from the lower margin (v = 0) to the upper one (v = 1): where its parts begin and end. The teeth's
#: cutting edges lie on v = 0.3 and 0.7, their necks on 0.2 and 0.8, rows of vertices from level 1 on.
POCKET = {
    "lower_lip": (0.0, 0.12),
    "lower_teeth": (0.15, 0.34),
    "cavity": (0.34, 0.66),
    "upper_teeth": (0.66, 0.85),
    "upper_lip": (0.88, 1.0),
}

NOSTRIL_CENTRE = (8.9, -6.2)
EAR_CENTRE = (130.0, 12.0)


@cache
def spline(name: str) -> CubicSpline:
    """The named curve as a spline over [0, 1] (chord length); closed curves (nostril) are periodic."""
    if name not in KNOTS:
        raise ValueError(f"no curve '{name}' in the face layout; there are {', '.join(sorted(KNOTS))}")
    knots = np.array(KNOTS[name])
    closed = bool(np.all(knots[0] == knots[-1]))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    boundary = "periodic" if closed else "natural"
    if not closed and knots[0, 0] == 0.0:
        # A curve that crosses the midline must be smooth there: mirror symmetry makes it horizontal.
        boundary = _start_horizontal(knots, ends_on_midline=bool(knots[-1, 0] == 0.0))
    return CubicSpline(length / length[-1], knots, bc_type=boundary)


def _start_horizontal(knots: Array, ends_on_midline: bool) -> object:
    if np.all(knots[:, 0] == 0.0):
        return "natural"
    free = (2, np.zeros(2))
    speed = np.linalg.norm(np.diff(knots, axis=0), axis=1).sum()
    start = (1, np.array([speed, 0.0]))
    return (start, (1, np.array([-speed, 0.0]))) if ends_on_midline else (start, free)


@cache
def _dense(name: str) -> Array:
    points = spline(name)(np.linspace(0.0, 1.0, 400))
    points.setflags(write=False)
    return points


def curve(name: str, count: int = 400) -> Array:
    """`count` points (count, 2) along the named curve, equally spaced in arc length, s >= 0."""
    dense = _dense(name)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(at, length, dense[:, axis]) for axis in (0, 1)], axis=1)


def polygon(name: str) -> Array:
    """A closed region (N, 2) by name: "eye", "lips" (half), "mouth" (half, the opening), "nostril", "ear", "face"."""
    parts = {
        "eye": ("upper_lid", "lower_lid"),
        "mouth": ("upper_lip_margin", "lower_lip_margin"),
        "lips": ("upper_lip_border", "lower_lip_border"),
    }
    if name in parts:
        upper, lower = parts[name]
        return np.concatenate([curve(upper, 120), curve(lower, 120)[::-1]])
    single = {"nostril": "nostril", "ear": "ear_root", "face": "outline"}
    if name not in single:
        raise ValueError(f"no region '{name}' in the face layout; there are {', '.join([*parts, *single])}")
    return curve(single[name], 240)


def fold(points: Array) -> Array:
    """Points (N, 2) of both sides brought to the side s >= 0."""
    return np.stack([np.abs(points[:, 0]), points[:, 1]], axis=1)


def inside(name: str, points: Array) -> NDArray[np.bool_]:
    """Which of the points (N, 2), on either side, lie in the named region."""
    return points_in_polygon(fold(points), polygon(name))


def points_in_polygon(points: Array, corners: Array) -> NDArray[np.bool_]:
    """Even-odd rule for points (N, 2) and a polygon (M, 2) that is closed by its last edge."""
    near = np.flatnonzero(((points >= corners.min(axis=0)) & (points <= corners.max(axis=0))).all(axis=1))
    s, t = points[near, :1], points[near, 1:]
    first, second = corners, np.roll(corners, -1, axis=0)
    spans = (first[:, 1] > t) != (second[:, 1] > t)
    rise = np.where(second[:, 1] == first[:, 1], 1.0, second[:, 1] - first[:, 1])
    crossing = first[:, 0] + (t - first[:, 1]) * (second[:, 0] - first[:, 0]) / rise
    within = np.zeros(len(points), dtype=bool)
    within[near] = np.sum(spans & (s < crossing), axis=1) % 2 == 1
    return within


def project(points: Array, line: Array) -> tuple[Array, Array, Array]:
    """Nearest points of a finely divided polyline (M, 2) to points (N, 2).

    Looks at the two pieces that meet at the nearest corner. Returns the nearest points (N, 2), the distances (N,) in mm
    and the places along the line (N,) in [0, 1].
    """
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.linalg.norm(step, axis=1)
    corner = cKDTree(line).query(points)[1]
    piece = np.stack([np.maximum(corner - 1, 0), np.minimum(corner, len(step) - 1)], axis=1)
    offset = points[:, None] - start[piece]
    along = np.clip((offset * step[piece]).sum(-1) / np.maximum(length[piece] ** 2, 1e-12), 0.0, 1.0)
    nearest = start[piece] + along[..., None] * step[piece]
    gap = np.linalg.norm(points[:, None] - nearest, axis=-1)
    row, best = np.arange(len(points)), gap.argmin(axis=1)
    chosen = piece[row, best]
    before = np.concatenate([[0.0], np.cumsum(length)])[chosen]
    return nearest[row, best], gap[row, best], (before + along[row, best] * length[chosen]) / length.sum()


def distance(name: str, points: Array) -> Array:
    """Distance (N,) in mm from points (N, 2), on either side, to the named curve."""
    return project(fold(points), curve(name, 120))[1]


def height_on(name: str, s: Array) -> Array:
    """t of a curve that is a function of s (lid margins, lip margins and borders), at |s| (N,)."""
    dense = _dense(name)
    return np.interp(np.abs(s), dense[:, 0], dense[:, 1])


def opening_coordinates(name: str, points: Array) -> tuple[Array, Array]:
    """Coordinates of points (N, 2) in an opening, "eye" or "mouth".

    Returns:
        u (N,): from 0 at the inner corner (the middle of the mouth) to 1 at the outer corner.
        v (N,): from 0 at the lower margin to 1 at the upper one; not clipped, 0.5 where the margins meet.
    """
    upper, lower = ("upper_lid", "lower_lid") if name == "eye" else ("upper_lip_margin", "lower_lip_margin")
    ends = np.array(KNOTS[upper])[[0, -1], 0]
    s = np.abs(points[:, 0])
    top, bottom = height_on(upper, s), height_on(lower, s)
    gap = top - bottom
    v = np.where(gap > 1e-6, (points[:, 1] - bottom) / np.where(gap > 1e-6, gap, 1.0), 0.5)
    return (s - ends[0]) / (ends[1] - ends[0]), v


def bump(points: Array, centre: tuple[float, float], radius: tuple[float, float], tilt: float = 0.0) -> Array:
    """Gaussian bump (N,) of points (N, 2): 1 at the centre, 0.61 at the radii (mm), axes turned by `tilt` degrees."""
    angle = np.radians(tilt)
    offset = points - np.array(centre)
    along = offset @ np.array([np.cos(angle), np.sin(angle)]) / radius[0]
    across = offset @ np.array([-np.sin(angle), np.cos(angle)]) / radius[1]
    return np.exp(-0.5 * (along**2 + across**2))


def smoothstep(x: Array, start: float, stop: float) -> Array:
    """0 before `start`, 1 after `stop` (either order), a smooth cubic between."""
    x = np.clip((x - start) / (stop - start), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
