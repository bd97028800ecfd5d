"""The 68 landmarks of the book from the 83 of Binghamton's data sets and the 22 of Bosphorus.

Where a data set marks the same spot, its point is taken.  Where it marks a curve with another number of points (the
outline, the lids, the brows), the curve is walked in equal steps.  What it does not mark at all stays NaN, or comes
from the surface: the tip of the nose is its farthest point, and the ridge runs from the root to the tip.

    68 landmarks (from 0)      BU-3DFE, BU-4DFE (from 1)       Bosphorus
    0-16 jaw, 8 the chin       69-83 walked, 76 the chin       Chin middle (8)
    17-21, 22-26 brows         17-26, 27-36 mid-line           three of each brow, walked
    27-30 ridge of the nose    37 and 48; tip from the surface Nose saddles; Nose tip
    31-35 base of the nose     41, 42, 42-43, 43, 44           Nose peaks (31, 35)
    36-41, 42-47 eyes          1-8, 9-16 lids walked           corners
    48-59 outer lip            49-60                           corners, outer middles
    60-67 inner lip            61-68                           inner middles
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

BP4D_TO_BU: tuple[int, ...] = (*range(20, 36), *range(20), *range(36, 83))
"""Place in BP4D's own order of 83 of each landmark in the order of BU-3DFE and BU-4DFE (both from 0)."""

BOSPHORUS_LABELS: tuple[str, ...] = (
    "Outer left eyebrow", "Middle left eyebrow", "Inner left eyebrow", "Inner right eyebrow", "Middle right eyebrow",
    "Outer right eyebrow", "Outer left eye corner", "Inner left eye corner", "Inner right eye corner",
    "Outer right eye corner", "Nose saddle left", "Nose saddle right", "Left nose peak", "Nose tip", "Right nose peak",
    "Left mouth corner", "Upper lip outer middle", "Right mouth corner", "Upper lip inner middle",
    "Lower lip inner middle", "Lower lip outer middle", "Chin middle", "Right ear lobe", "Left ear lobe",
)  # fmt: skip
"""Labels of Bosphorus; left and right are those of the image.  The ear lobes are marked in few files."""

_BOSPHORUS_DIRECT = {
    8: "Chin middle", 30: "Nose tip", 31: "Left nose peak", 35: "Right nose peak", 36: "Outer left eye corner",
    39: "Inner left eye corner", 42: "Inner right eye corner", 45: "Outer right eye corner", 48: "Left mouth corner",
    51: "Upper lip outer middle", 54: "Right mouth corner", 57: "Lower lip outer middle",
    62: "Upper lip inner middle", 66: "Lower lip inner middle",
}  # fmt: skip


def landmarks_from_83(points: np.ndarray, surface: np.ndarray | None = None) -> np.ndarray:
    """The 68 landmarks (68, 3) from points (83, 3) in BU-3DFE's order, y up and z to the viewer.

    Args:
        points: NaN where a point is missing; what depends on it becomes NaN.
        surface: (V, 3) vertices of the scan, for the ridge of the nose, which stays NaN without.
    """
    found = np.full((68, 3), np.nan)
    chin = points[68:83]
    found[:9], found[8:17] = walked(chin[:8], 9), walked(chin[7:], 9)
    found[17:22], found[22:27] = _mid_line(points[16:26]), _mid_line(points[26:36])
    found[27] = points[[36, 47]].mean(axis=0)
    found[31:36] = points[40], points[41], points[[41, 42]].mean(axis=0), points[42], points[43]
    upper, lower = _lids(points[:8])
    found[36:40], found[40:42] = upper[::-1], lower[1:3]
    upper, lower = _lids(points[8:16])
    found[42:46], found[46:48] = upper, lower[::-1][1:3]
    found[48:60], found[60:68] = points[48:60], _inner_lip(points[60:68])
    if surface is not None:
        found[28:31] = _ridge(found[27], points[39], points[44], found[33], surface)
    return found.astype(np.float32)


def landmarks_from_bosphorus(points: Mapping[str, np.ndarray], surface: np.ndarray | None = None) -> np.ndarray:
    """The 68 landmarks (68, 3) from points (3,) by label; NaN for those that Bosphorus does not mark."""
    found = np.full((68, 3), np.nan)
    for place, label in _BOSPHORUS_DIRECT.items():
        found[place] = points.get(label, np.nan)
    for first, side in ((17, "left"), (22, "right")):
        order = ("Outer", "Middle", "Inner") if side == "left" else ("Inner", "Middle", "Outer")
        brow = [points.get(f"{part} {side} eyebrow") for part in order]
        if all(point is not None for point in brow):
            found[first : first + 5] = walked(np.stack(brow), 5)
    saddles = [points.get(f"Nose saddle {side}") for side in ("left", "right")]
    if all(point is not None for point in saddles):
        found[27] = np.mean(saddles, axis=0)
    if surface is not None and np.isfinite(found[[27, 30]]).all():
        found[28:30] = _between(found[27], found[30], surface)
    return found.astype(np.float32)


def walked(curve: np.ndarray, count: int) -> np.ndarray:
    """`count` points (count, 3) in equal steps along a curve of straight pieces (N, 3), its ends included."""
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)))
    if not np.isfinite(length[-1]) or length[-1] == 0.0:
        return np.full((count, 3), np.nan) if not np.isfinite(length[-1]) else np.repeat(curve[:1], count, axis=0)
    places = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(places, length, curve[:, axis]) for axis in range(3)], axis=1)


def _lids(eye: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lid, each four points (4, 3) from the inner to the outer corner, of eight around an eye."""
    one, other = eye[:5], np.concatenate([eye[:1], eye[:3:-1]])
    upper, lower = (one, other) if one[1:4, 1].mean() >= other[1:4, 1].mean() else (other, one)
    return walked(upper, 4), walked(lower, 4)


def _mid_line(brow: np.ndarray) -> np.ndarray:
    """Five points from image left to right between the upper and lower edge of a brow, ten points around it."""
    if not np.isfinite(brow).all():
        return np.full((5, 3), np.nan)
    around = np.roll(brow, -int(brow[:, 0].argmin()), axis=0)
    end = int(around[:, 0].argmax())
    x = np.linspace(around[0, 0], around[end, 0], 5)
    edges = []
    for edge in (around[: end + 1], np.concatenate([around[:1], around[end:]])):
        edge = edge[edge[:, 0].argsort(kind="stable")]
        edges.append(np.stack([np.interp(x, edge[:, 0], edge[:, axis]) for axis in range(3)], axis=1))
    return (edges[0] + edges[1]) / 2.0


def _inner_lip(lip: np.ndarray) -> np.ndarray:
    """The eight points as 60 to 67: from the image-left corner over the upper lip; where the mouth is closed, in the
    file's own sense."""
    ring = np.roll(lip, -int(np.nan_to_num(lip[:, 0], nan=np.inf).argmin()), axis=0)
    down = ring[5:8, 1].mean() - ring[1:4, 1].mean() > 0.5
    return np.concatenate([ring[:1], ring[:0:-1]]) if down else ring


def _ridge(root: np.ndarray, left: np.ndarray, right: np.ndarray, base: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Landmarks 28 to 30: the farthest point between the alae, and two on the ridge between it and the root."""
    low, high = np.minimum(left, right), np.maximum(left, right)
    inside = (surface[:, 0] > low[0]) & (surface[:, 0] < high[0])
    inside &= (surface[:, 1] > base[1] - 5.0) & (surface[:, 1] < root[1])
    if not inside.any():
        return np.full((3, 3), np.nan)
    tip = surface[inside][surface[inside, 2].argmax()]
    return np.concatenate([_between(root, tip, surface), tip[None]])


def _between(root: np.ndarray, tip: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Two vertices (2, 3) of the surface near the thirds of a line."""
    thirds = root + (tip - root) * np.array([[1.0], [2.0]]) / 3.0
    return surface[cKDTree(surface).query(thirds)[1]]
