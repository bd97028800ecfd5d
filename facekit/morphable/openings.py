"""Fill the openings of a face mask: eye surfaces between the lids, a pocket between the lips.

Scan-registered faces are often a mask with holes at eyes and mouth (with eyeballs and teeth as separate parts).
Filling the holes makes the mask a topological disc, which a harmonic map can spread over the unit square and which
renders with eyes. Every added vertex is a fixed affine combination of the rim's vertices, so a linear model stays
linear, and the filling closes with the lids and opens with the lips.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch

from facekit.meshes.topology import boundary_loops

EYE_RINGS, MOUTH_RINGS = 10, 5
EYEBALL_RADIUS = 12.0  # mm, an adult's eye
EYE_FLATTENING = 0.8
POCKET_DEPTH = 14.0  # mm behind the rim of the lips


def close_openings(
    vertices: np.ndarray,
    faces: np.ndarray,
    landmarks: np.ndarray,
) -> tuple[np.ndarray, dict[str, np.ndarray], Callable[..., np.ndarray]]:
    """Fill both eye openings and the mouth opening of a mask with concentric rings.

    Args:
        vertices (V, 3): the neutral face in millimetres. faces (F, 3). landmarks (68,): iBUG landmark vertices; an
            opening is an eye or the mouth when its rim surrounds the mean of those landmarks.

    Returns:
        faces of the closed mesh; region masks "eyes" and "mouth_interior" over its vertices; and `fill(points,
        offset=False)`, which appends the added vertices to (..., V, 3) positions or, with `offset`, displacements.
    """
    rims = {
        name: _rim_around(vertices, faces, vertices[landmarks[points]].mean(axis=0))
        for name, points in {"right": slice(36, 42), "left": slice(42, 48), "mouth": slice(60, 68)}.items()
    }
    weights, bulges, fans, owner = [], [], [], []
    count = len(vertices)
    for name, rim in rims.items():
        rings = MOUTH_RINGS if name == "mouth" else EYE_RINGS
        weight = _ring_weights(len(rim), rings)
        flat = weight @ vertices[rim]
        bulge = np.zeros_like(flat)
        bulge[:, 2] = _pocket(rings, len(rim)) if name == "mouth" else _eyeball(flat, vertices[rim])
        fans.append(_ring_faces(rim, rings, count))
        weights.append((rim, weight))
        bulges.append(bulge)
        owner += [name == "mouth"] * len(flat)
        count += len(flat)
    bulge = np.concatenate(bulges)

    def fill(points: np.ndarray, offset: bool = False) -> np.ndarray:
        added = np.concatenate([np.matmul(weight, points[..., rim, :]) for rim, weight in weights], axis=-2)
        added = added if offset else added + bulge
        return np.concatenate([points, added], axis=-2).astype(points.dtype)

    outside, mouth = np.zeros(len(vertices), dtype=bool), np.array(owner)
    regions = {"eyes": np.concatenate([outside, ~mouth]), "mouth_interior": np.concatenate([outside, mouth])}
    return np.concatenate([faces, *fans]), regions, fill


def _rim_around(vertices: np.ndarray, faces: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The boundary loop nearest to `centre`, walked with the opening on its left."""
    loops = [loop.numpy() for loop in boundary_loops(torch.from_numpy(faces))]
    rim = min(loops, key=lambda loop: np.linalg.norm(vertices[loop].mean(axis=0) - centre))
    return rim[::-1].copy()


def _ring_weights(size: int, rings: int) -> np.ndarray:
    """Weights (rings * size - size + 1, size) of the rim: rings shrinking to the rim's mean, the mean itself last."""
    shrink = np.arange(1, rings)[:, None, None] / rings
    inner = (1 - shrink) * np.eye(size) + shrink / size
    return np.concatenate([inner.reshape(-1, size), np.full((1, size), 1.0 / size)])


def _ring_faces(rim: np.ndarray, rings: int, first: int) -> np.ndarray:
    size = len(rim)
    layers = [rim, *(first + ring * size + np.arange(size) for ring in range(rings - 1))]
    strips = []
    for outer, inner in itertools.pairwise(layers):
        following, behind = np.roll(outer, -1), np.roll(inner, -1)
        strips += [np.stack([outer, following, behind], 1), np.stack([outer, behind, inner], 1)]
    centre = np.full(size, first + (rings - 1) * size)
    return np.concatenate([*strips, np.stack([layers[-1], np.roll(layers[-1], -1), centre], 1)])


def _eyeball(flat: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """How far forward (mm) each filling point moves: towards the eye's sphere, flattened to stay behind shut lids."""
    centre = rim.mean(axis=0)
    rim_reach = ((rim - centre)[:, :2] ** 2).sum(axis=1)
    radius = max(EYEBALL_RADIUS, 1.02 * float(np.sqrt(rim_reach.max())))
    sphere = np.sqrt(np.clip(radius**2 - ((flat - centre)[:, :2] ** 2).sum(axis=1), 0.0, None))
    return EYE_FLATTENING * (sphere - np.sqrt(radius**2 - rim_reach).mean())


def _pocket(rings: int, size: int) -> np.ndarray:
    depth = np.append(np.repeat(np.arange(1, rings), size), rings) / rings
    return -POCKET_DEPTH * np.sqrt(depth)
