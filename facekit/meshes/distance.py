"""From points to surfaces: the exact closest point on a triangle mesh, and distances made from it.

Which triangle is closest is found without gradients, through a k-d tree of triangle centres, and is certain, not a
guess: candidates are added until no unseen triangle can be nearer. The closest point itself is then a weighted mean of
that triangle's corners, so distances have exact gradients with respect to both the points and the mesh.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from facekit.meshes.normals import vertex_normals

MOST_PIECES = 4**5
PAIRS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class ClosestPoints:
    """Result of `closest_points` for P points.

    Attributes:
        points: `(P, 3)` closest points on the surface.
        distance: `(P,)`, in the vertices' unit.
        face: `(P,)` int64 triangle on which they lie.
        barycentric: `(P, 3)` weights of the triangle's corners, non-negative, adding up to one; constants.
    """

    points: Tensor
    distance: Tensor
    face: Tensor
    barycentric: Tensor


def closest_points(points: Tensor, vertices: Tensor, faces: Tensor) -> ClosestPoints:
    """Closest point of a triangle mesh to each point, exact.

    Args:
        points: `(P, 3)`.
        vertices: `(V, 3)`.
        faces: `(F, 3)`.

    Raises:
        ValueError: if there are no triangles, shapes do not fit, or coordinates are not finite.
    """
    if points.dim() != 2 or points.shape[1] != 3 or vertices.dim() != 2 or vertices.shape[1] != 3:
        raise ValueError(
            f"expected points (P, 3) and vertices (V, 3), found {tuple(points.shape)}, {tuple(vertices.shape)}"
        )
    if faces.shape[0] == 0:
        raise ValueError("the mesh has no triangle to measure to")
    face, weights = _search(_array(points), _array(vertices, "vertices"), faces.cpu().numpy())
    face = torch.from_numpy(face).to(points.device)
    barycentric = torch.from_numpy(weights).to(points)
    nearest = (barycentric[..., None] * vertices.to(points)[faces.to(points.device)[face]]).sum(1)
    return ClosestPoints(nearest, _length(points - nearest), face, barycentric)


def point_to_triangle_distance(points: Tensor, vertices: Tensor, faces: Tensor) -> Tensor:
    """Unsigned distance `(P,)` from points `(P, 3)` to the surface; differentiable in points and vertices."""
    return closest_points(points, vertices, faces).distance


def point_to_plane_distance(points: Tensor, vertices: Tensor, faces: Tensor, normals: Tensor | None = None) -> Tensor:
    """Distance `(P,)` from each point to the tangent plane at its nearest vertex: the measure of the MICC protocol.

    Args:
        points: `(P, 3)`, for instance a reconstruction after alignment.
        vertices: `(V, 3)`, for instance a scan.
        faces: `(F, 3)`, for the scan's normals.
        normals: `(V, 3)` unit normals, if they are known already.
    """
    normals = vertex_normals(vertices, faces) if normals is None else normals
    nearest = nearest_vertices(points, vertices)
    return ((points - vertices[nearest]) * normals[nearest]).sum(-1).abs()


def nearest_vertices(points: Tensor, vertices: Tensor) -> Tensor:
    """Id of the nearest vertex `(P,)` to each point.

    Raises:
        ValueError: if there is no vertex, or coordinates are not finite.
    """
    if not len(vertices):
        raise ValueError("there is no vertex to be nearest")
    _, nearest = cKDTree(_array(vertices, "vertices")).query(_array(points))
    return torch.from_numpy(nearest.astype(np.int64)).to(points.device)


def _array(tensor: Tensor, name: str = "points") -> np.ndarray:
    array = tensor.detach().double().cpu().numpy()
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=-1))
    if len(wrong):
        raise ValueError(f"{len(wrong)} of {len(array)} {name} are not finite, the first is number {wrong[0]}")
    return array


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length with gradient zero, instead of NaN, for a vector of no length."""
    squared = vectors.square().sum(-1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


def _search(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closest triangle `(P,)` and barycentric coordinates `(P, 3)`.

    A point's distance to a piece of surface is at least its distance to the piece's centre less the piece's radius. So
    once the k nearest centres are tried, and the k-th centre less the largest radius is further than the best triangle
    so far, the best is final; the points left over try again with four times as many.
    """
    corners = vertices[faces]
    centres, radii, parent = _pieces(corners)
    tree = cKDTree(centres)
    face, weights = np.zeros(len(points), dtype=np.int64), np.zeros((len(points), 3))
    best, unsettled, tried, k = np.full(len(points), np.inf), np.arange(len(points)), 0, min(4, len(centres))
    while len(unsettled):
        left_over = []
        for ids in np.array_split(unsettled, max(1, len(unsettled) * k // PAIRS_AT_ONCE)):
            distance, piece = (array.reshape(len(ids), k) for array in tree.query(points[ids], k=k))
            promising = distance - radii[piece] < best[ids, None]
            promising[:, :tried] = False
            row, column = np.nonzero(promising)
            _improve(points, corners, ids[row], parent[piece[row, column]], best, face, weights)
            left_over.append(ids[distance[:, -1] - radii.max() < best[ids]])
        if k == len(centres):
            break
        unsettled, tried, k = np.concatenate(left_over), k, min(4 * k, len(centres))
    return face, weights


def _improve(points, corners, ids, candidates, best, face, weights) -> None:
    """Try pairs of a point and a triangle, `ids (N,)` ascending and `candidates (N,)`; keep the best of each point."""
    found = triangle_barycentric(points[ids], corners[candidates])
    offset = np.einsum("nc,ncx->nx", found, corners[candidates]) - points[ids]
    distance = np.sqrt(np.einsum("nx,nx->n", offset, offset))
    order = np.lexsort((candidates, distance, ids))
    leading = order[np.diff(ids[order], prepend=-1) > 0]
    better = leading[distance[leading] < best[ids[leading]]]
    best[ids[better]], face[ids[better]], weights[ids[better]] = distance[better], candidates[better], found[better]


def _pieces(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres of all triangles, their radii, and whose centre each is.

    One long triangle would spoil the bound for all, so triangles much larger than most are cut into four in thought,
    until the pieces are of like size or one triangle has given `MOST_PIECES`.
    """
    parent, level = np.arange(len(corners)), 0
    centres = corners.mean(1)
    radii = np.linalg.norm(corners - centres[:, None], axis=2).max(1)
    limit = 2 * np.median(radii)
    done: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while True:
        large = (radii > limit) & (4 ** (level + 1) <= MOST_PIECES)
        done.append((centres[~large], radii[~large], parent[~large]))
        if not large.any():
            break
        corners, parent, level = _quarter(corners[large]), np.tile(parent[large], 4), level + 1
        centres = corners.mean(1)
        radii = np.linalg.norm(corners - centres[:, None], axis=2).max(1)
    centres, radii, parent = (np.concatenate(column) for column in zip(*done, strict=True))
    return centres, radii, parent


def _quarter(corners: np.ndarray) -> np.ndarray:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])


def triangle_barycentric(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric coordinates `(N, 3)` of the point of each triangle `(N, 3, 3)` closest to each point `(N, 3)`.

    The closest point is the foot of the perpendicular if that lies inside, else the best of the three feet on the
    edges, each kept within its edge. Triangles that are a line or a point have only edges.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    edges, offset = np.stack([b - a, c - a]), points - a
    d11, d12, d22 = (np.einsum("nx,nx->n", edges[i], edges[j]) for i, j in ((0, 0), (0, 1), (1, 1)))
    d1, d2 = np.einsum("nx,nx->n", edges[0], offset), np.einsum("nx,nx->n", edges[1], offset)
    determinant = d11 * d22 - d12 * d12
    usable = determinant > 1e-18 * np.maximum(d11, d22) ** 2
    scale = 1 / np.where(usable, determinant, 1)
    second, third = (d22 * d1 - d12 * d2) * scale, (d11 * d2 - d12 * d1) * scale
    inside = usable & (second >= 0) & (third >= 0) & (second + third <= 1)
    weights = np.stack([1 - second - third, second, third], 1)
    outside = ~inside
    weights[outside] = _edge_barycentric(points[outside], corners[outside])
    return weights


def _edge_barycentric(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The same for the outline of each triangle: the nearest of the three edges."""
    rows = np.arange(len(points))
    options, distances = [], []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        edge = corners[:, end] - corners[:, start]
        squared = np.einsum("nx,nx->n", edge, edge)
        along = np.einsum("nx,nx->n", points - corners[:, start], edge) / np.where(squared > 0, squared, 1)
        along = np.clip(along, 0, 1)
        weights = np.zeros((len(points), 3))
        weights[rows, start], weights[rows, end] = 1 - along, along
        options.append(weights)
        distances.append(np.linalg.norm(corners[:, start] + along[:, None] * edge - points, axis=1))
    return np.stack(options)[np.argmin(distances, 0), rows]
