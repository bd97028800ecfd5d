"""Freckles, moles, blemishes and unevenness that belong to the person.

There is one fixed population of places where a spot may be; each person shows some of them. Which ones follows smoothly
from the pattern dimensions of the texture code: spot c is on when w_c . pattern exceeds a threshold, w_c being a fixed
random direction. The same code always gives the same skin, and codes that lie near each other give similar skins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from facekit.morphable.procedural import layout
from facekit.morphable.procedural.layout import Array, bump
from facekit.morphable.procedural.skin_code import NUM_PATTERNS


class SpotKind(NamedTuple):
    """A population of candidate spots: how many, their radius in mm (smallest, largest), and its random seed."""

    count: int
    radius: tuple[float, float]
    seed: int


KINDS = {
    "freckles": SpotKind(700, (0.5, 1.3), 11),
    "moles": SpotKind(70, (0.9, 2.0), 12),
    "blemishes": SpotKind(80, (1.4, 3.0), 13),
}


def spots(kind: str, points: Array, spacing: Array) -> tuple[coo_matrix, Array]:
    """The spots of a kind at canonical points (N, 2) that lie `spacing` (N,) mm apart.

    Returns:
        A sparse matrix (N, C) of each candidate's darkness at each point; a spot smaller than the spacing is spread out
        with its total kept. And the directions (C, P) whose product with the pattern tells whether it is on.
    """
    count, radius, seed = KINDS[kind]
    rng = np.random.default_rng(seed)
    places = _places(kind, count, rng)
    radii = rng.uniform(*radius, size=count)
    directions = rng.normal(size=(count, NUM_PATTERNS))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = 2.5 * np.hypot(radius[1], 0.8 * spacing.max())
    pairs = cKDTree(points).sparse_distance_matrix(cKDTree(places), reach, output_type="coo_matrix")
    own, blurred = radii[pairs.col], np.hypot(radii[pairs.col], 0.8 * spacing[pairs.row])
    darkness = np.exp(-((pairs.data / blurred) ** 2)) * (own / blurred) ** 2
    keep = darkness > 0.01
    return coo_matrix((darkness[keep], (pairs.row[keep], pairs.col[keep])), shape=pairs.shape), directions


def _places(kind: str, count: int, rng: np.random.Generator) -> Array:
    """Canonical places (count, 2), drawn where spots of this kind are common, off lips, eyes and scalp."""
    candidates = rng.uniform((-112.0, -100.0), (112.0, 100.0), size=(60 * count, 2))
    folded = layout.fold(candidates)
    common = {
        "freckles": bump(folded, (26.0, 6.0), (24.0, 12.0))
        + 0.8 * bump(folded, (0.0, 20.0), (9.0, 14.0))
        + 0.12 * bump(folded, (0.0, 40.0), (70.0, 60.0)),
        "moles": bump(folded, (45.0, -15.0), (45.0, 55.0)) + 0.2,
        "blemishes": bump(folded, (48.0, -25.0), (22.0, 25.0))
        + 0.7 * bump(folded, (0.0, 72.0), (40.0, 16.0))
        + 0.7 * bump(folded, (8.0, -64.0), (16.0, 10.0))
        + 0.03,
    }[kind]
    free = layout.points_in_polygon(folded, layout.polygon("face"))
    for region in ("lips", "eye", "nostril", "ear"):
        free &= ~layout.inside(region, candidates)
    free &= layout.distance("hairline", candidates) > 4.0
    keep = free & (rng.uniform(size=len(candidates)) < common / common.max())
    return candidates[keep][:count]
