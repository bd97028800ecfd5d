"""What a model file may leave out, worked out from its mesh: orientation, mirror partners, UV."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def orient_outwards(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces (F, 3) with the winding that is counter-clockwise seen from outside.

    A face, open or closed, bulges away from its centroid: the flux of (position - centroid) through it is positive
    exactly when its normals point outwards.
    """
    corners = vertices[faces] - vertices[np.unique(faces)].mean(axis=0)
    flux = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return faces if flux >= 0 else faces[:, [0, 2, 1]]


def mirror_partners(vertices: np.ndarray) -> np.ndarray:
    """For every vertex (V, 3) the vertex nearest to its mirror image about x = 0: (V,) int64."""
    _, partner = cKDTree(vertices).query(vertices * np.array([-1.0, 1.0, 1.0]))
    return partner.astype(np.int64)


def cylindrical_uv(vertices: np.ndarray) -> np.ndarray:
    """Texture coordinates (V, 2) in [0, 1] for models without any: angle about the vertical axis, and height.

    The seam lies at the back of the head. Not one-to-one where the surface overlaps itself as seen from the axis
    (behind the ears, inside the mouth).
    """
    angle = np.arctan2(vertices[:, 0], vertices[:, 2])
    height = vertices[:, 1]
    span = max(float(height.max() - height.min()), 1e-9)
    return np.stack([0.5 + angle / (2 * np.pi), (height - height.min()) / span], axis=1)
