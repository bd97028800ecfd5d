"""Where the 68 landmarks and the named regions lie in the canonical plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facekit.morphable.procedural import layout

Array = NDArray[np.float64]

#: Landmarks on the subject's left and on the midline, canonical places; the others are their mirror images.
JAW_LINE = [(95, 34), (95, 14), (93, -6), (88, -25), (78, -44), (61, -61), (43, -70), (22, -77.5), (0, -80)]
BROW = [(11.5, 53.5), (19.5, 57.5), (28, 60), (38, 60.5), (50, 53)]
NOSE_RIDGE = [(0, 41), (0, 28), (0, 16), (0, 4)]
NOSE_BASE = [(0, -11.5), (4.2, -11.2), (10.2, -12.2)]


def landmark_places() -> Array:
    """Canonical places (68, 2) in the Multi-PIE / iBUG order, from image left to image right."""

    def right(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(-s, t) for s, t in points]

    eye = _eye_places()
    outer, inner = _mouth_places()
    places = [
        *right(JAW_LINE[:-1]),
        *JAW_LINE[::-1],
        *right(BROW)[::-1],
        *BROW,
        *NOSE_RIDGE,
        *right(NOSE_BASE)[:0:-1],
        *NOSE_BASE,
        *[(-eye[i][0], eye[i][1]) for i in (3, 2, 1, 0, 5, 4)],
        *eye,
        *outer,
        *inner,
    ]
    return np.array(places, dtype=float)


def _eye_places() -> list[tuple[float, float]]:
    """Left eye: inner corner, upper lid inner and outer, outer corner, lower lid outer and inner."""

    def on(name: str, s: float) -> tuple[float, float]:
        return s, float(layout.height_on(name, np.array([s]))[0])

    return [
        (16.5, 33.0),
        on("upper_lid", 26.0),
        on("upper_lid", 36.5),
        (45.0, 35.0),
        on("lower_lid", 36.5),
        on("lower_lid", 26.0),
    ]


def _mouth_places() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Outer border (12) and inner margin (8) of the lips, clockwise as seen, from the image-left corner."""

    def on(name: str, s: float) -> tuple[float, float]:
        return s, float(layout.height_on(name, np.array([s]))[0])

    upper, lower = "upper_lip_border", "lower_lip_border"
    outer = [
        (-26.6, -35.0),
        *[on(upper, s) for s in (-17.0, -5.2, 0.0, 5.2, 17.0)],
        (26.6, -35.0),
        *[on(lower, s) for s in (17.5, 9.0, 0.0, -9.0, -17.5)],
    ]
    upper, lower = "upper_lip_margin", "lower_lip_margin"
    inner = [
        (-24.0, float(layout.height_on(upper, np.array([24.0]))[0])),
        *[on(upper, s) for s in (-9.5, 0.0, 9.5)],
        (24.0, float(layout.height_on(upper, np.array([24.0]))[0])),
        *[on(lower, s) for s in (9.5, 0.0, -9.5)],
    ]
    return outer, inner


def landmark_vertices(plane: Array) -> NDArray[np.int64]:
    """Vertices (68,) nearest to the landmarks among canonical places (V, 2)."""
    places = landmark_places()
    return ((places[:, None] - plane) ** 2).sum(axis=-1).argmin(axis=1)


def region_masks(plane: Array) -> dict[str, NDArray[np.bool_]]:
    """Named vertex masks (V,) of canonical places (V, 2)."""
    margins = {
        name: layout.distance(name, plane)
        for name in ("upper_lid", "lower_lid", "upper_lip_margin", "lower_lip_margin")
    }
    on_lid = np.minimum(margins["upper_lid"], margins["lower_lid"]) < 1e-3
    on_lip = np.minimum(margins["upper_lip_margin"], margins["lower_lip_margin"]) < 1e-3
    eyes = layout.inside("eye", plane) & ~on_lid
    mouth = layout.inside("mouth", plane) & ~on_lip
    lips = (layout.inside("lips", plane) | on_lip) & ~mouth
    s, t = layout.fold(plane).T
    nose = (t > -12.5) & (t < 42.0) & (s < np.interp(t, [-12.5, -4.0, 4.0, 14.0, 30.0, 42.0], [16, 24, 23, 18, 10, 8]))
    brow_width = np.interp(s, [11.0, 20.0, 40.0, 52.0], [4.2, 4.6, 3.6, 2.0])
    brows = layout.distance("brow", plane) < brow_width
    return {"skin": ~(eyes | mouth), "eyes": eyes, "mouth_interior": mouth, "lips": lips, "nose": nose, "brows": brows}
