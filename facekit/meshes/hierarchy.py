"""Coarser and coarser versions of one mesh, with the matrices that carry signals down and up between them.

Convolutional mesh autoencoders pool and unpool on such a hierarchy (Ranjan et al., "Generating 3D faces using
convolutional mesh autoencoders", Section 3). Each step removes edges by quadric error until the asked number of
vertices is left. Going down keeps a subset of the vertices; going up puts every vertex at the barycentric coordinates
of its closest point on the coarse mesh.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import fast_simplification
import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from facekit.meshes.checks import MeshError
from facekit.meshes.distance import closest_points, triangle_barycentric
from facekit.meshes.sparse import apply_sparse, sparse_matrix
from facekit.meshes.topology import connected_components


@dataclass(frozen=True)
class MeshLevel:
    """One mesh of the hierarchy: `vertices (V, 3)` and `faces (F, 3)`."""

    vertices: Tensor
    faces: Tensor

    @property
    def num_vertices(self) -> int:
        return self.vertices.shape[0]


@dataclass(frozen=True)
class MeshHierarchy:
    """A mesh and its coarser versions.

    Attributes:
        levels: N + 1 meshes, finest first; the vertices of each are a subset of those before, in the same order.
        down: N sparse matrices; `down[i]` `(V_{i+1}, V_i)` picks the kept vertices, one 1 in each row.
        up: N sparse matrices; `up[i]` `(V_i, V_{i+1})` interpolates, at most three non-negative entries in each row,
            adding up to one. `down[i] @ up[i]` is the identity.
    """

    levels: tuple[MeshLevel, ...]
    down: tuple[Tensor, ...]
    up: tuple[Tensor, ...]

    @classmethod
    def build(cls, vertices: Tensor, faces: Tensor, factors: Sequence[float] = (4, 4, 4, 4)) -> "MeshHierarchy":
        """Decimate step by step; deterministic.

        Level i + 1 has `ceil(V_i / factors[i])` vertices, or a few more where a collapse takes several vertices at once
        (loose small pieces). Asked for fewer than 8, it has up to 8, where no edge of so small a mesh can collapse.

        Args:
            vertices: `(V, 3)`, the reference mesh.
            faces: `(F, 3)`.
            factors: by how much each step divides the number of vertices.

        Raises:
            MeshError: if some vertices belong to no triangle, or the mesh cannot be made as coarse as asked.
            ValueError: if a factor is not above 1.
        """
        levels, down, up = [MeshLevel(vertices.detach(), faces)], [], []
        for factor in factors:
            if factor <= 1:
                raise ValueError(f"each factor must be above 1, found {factor}")
            coarse, kept, cluster = _decimate(levels[-1], ceil(levels[-1].num_vertices / factor))
            down.append(_selection(kept, levels[-1]))
            up.append(_interpolation(levels[-1], coarse, cluster))
            levels.append(coarse)
        return cls(tuple(levels), tuple(down), tuple(up))

    def pool(self, x: Tensor, level: int) -> Tensor:
        """Signals `(B, V_level, C)` to the next coarser level `(B, V_{level+1}, C)`."""
        return apply_sparse(self.down[level], x)

    def unpool(self, x: Tensor, level: int) -> Tensor:
        """Signals `(B, V_{level+1}, C)` back to level `level`, `(B, V_level, C)`."""
        return apply_sparse(self.up[level], x)

    def to(self, *args, **kwargs) -> "MeshHierarchy":
        """The same hierarchy on another device or with another floating-point type, as `Tensor.to`."""
        levels = tuple(
            MeshLevel(level.vertices.to(*args, **kwargs), level.faces.to(level.vertices.to(*args, **kwargs).device))
            for level in self.levels
        )
        matrices = (tuple(matrix.to(*args, **kwargs) for matrix in group) for group in (self.down, self.up))
        return MeshHierarchy(levels, *matrices)

    def __len__(self) -> int:
        return len(self.levels)


_NEVER_TOO_MANY = 8


def _decimate(fine: MeshLevel, count: int) -> tuple[MeshLevel, np.ndarray, np.ndarray]:
    """The coarse mesh, the fine id of each coarse vertex, and the coarse vertex that each fine vertex went into.

    Decimation moves vertices to new places; each is set back to the nearest of the fine vertices that went into it, so
    that the coarse vertices are a subset of the fine ones.
    """
    points, faces = fine.vertices.double().cpu().numpy(), fine.faces.cpu().numpy().astype(np.int32)
    unused = len(points) - len(np.unique(faces))
    if unused:
        raise MeshError(
            f"{unused} of {len(points)} vertices belong to no triangle, so they have no place on a coarser mesh"
        )
    moved, coarse_faces, cluster = _collapse_edges(points, faces, count)
    shift = np.linalg.norm(points - moved[cluster], axis=1)
    order = np.lexsort((np.arange(len(points)), shift, cluster))
    leading = np.diff(cluster[order], prepend=-1) > 0
    kept = order[leading]
    rank = np.argsort(np.argsort(kept))
    coarse_faces = torch.from_numpy(rank[coarse_faces].astype(np.int64)).to(fine.faces.device)
    kept = np.sort(kept)
    return (
        MeshLevel(fine.vertices[torch.from_numpy(kept)], coarse_faces),
        kept,
        _own_piece(fine, kept, np.where(cluster >= 0, rank[cluster], -1)),
    )


def _own_piece(fine: MeshLevel, kept: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Clusters, with -1 for vertices of a loose piece that has vanished, which decimation assigns at random."""
    piece = connected_components(fine.faces, fine.num_vertices).cpu().numpy()
    return np.where((cluster >= 0) & (piece == piece[kept[cluster]]), cluster, -1)


def _collapse_edges(points: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces, and where each old vertex went, after just so many collapses that `count` vertices are left.

    A collapse mostly takes one vertex and two faces, but a vertex whose last face goes is taken along. So the mesh is
    decimated a little too far, and the recorded collapses are replayed up to the right one.
    """
    target = len(faces) - 2 * (len(points) - count)
    while True:
        *_, history = fast_simplification.simplify(points, faces, target_count=max(target, 1), return_collapses=True)
        moved, *rest = _replay(points, faces, history)
        if len(moved) <= count or target <= 1:
            break
        target = target * 3 // 4
    if count < 4 or len(moved) > max(count, _NEVER_TOO_MANY):
        raise MeshError(f"a mesh of {len(points)} vertices cannot be decimated to {count}, only to {len(moved)}")
    collapses = len(history)
    while len(moved) < count:
        collapses -= count - len(moved)
        moved, *rest = _replay(points, faces, history[:collapses])
    return moved, *rest


def _replay(points: np.ndarray, faces: np.ndarray, history: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices and faces after the recorded collapses, and where each old vertex went; -1 if nothing is left there."""
    moved, coarse_faces, cluster = fast_simplification.replay_simplification(points, faces, history)
    used = np.unique(coarse_faces)
    renumber = np.full(max(len(moved), 1), -1)
    renumber[used] = np.arange(len(used))
    return moved[used], renumber[coarse_faces], renumber[cluster]


def _selection(kept: np.ndarray, fine: MeshLevel) -> Tensor:
    columns = torch.from_numpy(kept).to(fine.vertices.device)
    rows = torch.arange(len(kept), device=columns.device)
    ones = torch.ones(len(kept), dtype=fine.vertices.dtype, device=columns.device)
    return sparse_matrix(rows, columns, ones, (len(kept), fine.num_vertices))


def _interpolation(fine: MeshLevel, coarse: MeshLevel, cluster: np.ndarray) -> Tensor:
    """Barycentric coordinates of each fine vertex at its closest point among the coarse triangles near its cluster.

    Looking near the cluster alone keeps an upper lip from being hung on a lower lip that it happens to touch. Vertices
    of a loose piece that has vanished look everywhere.
    """
    faces = coarse.faces.cpu().numpy()
    triangle, weights = _project_nearby(fine, coarse, cluster)
    corners = torch.from_numpy(faces[triangle])
    weights = torch.from_numpy(weights)
    rows = torch.arange(fine.num_vertices)[:, None].expand(-1, 3)
    used = (weights > 1e-9).flatten()
    weights = torch.where(weights > 1e-9, weights, 0)
    weights = (weights / weights.sum(1, keepdim=True)).to(fine.vertices.dtype)
    matrix = sparse_matrix(
        rows.flatten()[used], corners.flatten()[used], weights.flatten()[used], (fine.num_vertices, coarse.num_vertices)
    )
    return matrix.to(fine.vertices.device)


def _project_nearby(fine: MeshLevel, coarse: MeshLevel, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangle `(V,)` and barycentric coordinates `(V, 3)` among the triangles within two steps of its cluster."""
    points, faces = fine.vertices.double().cpu().numpy(), coarse.faces.cpu().numpy()
    corners = coarse.vertices.double().cpu().numpy()[faces]
    placed = np.flatnonzero(cluster >= 0)
    nearby = _triangles_nearby(faces, coarse.num_vertices)[cluster[placed]]
    vertex = np.repeat(placed, np.diff(nearby.indptr))
    weights = triangle_barycentric(points[vertex], corners[nearby.indices])
    distance = np.linalg.norm(np.einsum("nc,ncx->nx", weights, corners[nearby.indices]) - points[vertex], axis=1)
    order = np.lexsort((nearby.indices, distance, vertex))
    best = order[np.r_[True, np.diff(vertex[order]) > 0]]
    triangle, chosen = np.zeros(len(points), dtype=np.int64), np.zeros((len(points), 3))
    triangle[vertex[best]], chosen[vertex[best]] = nearby.indices[best], weights[best]
    lost = np.setdiff1d(np.arange(len(points)), vertex)
    if len(lost):
        found = closest_points(fine.vertices[torch.from_numpy(lost)].double(), coarse.vertices.double(), coarse.faces)
        triangle[lost], chosen[lost] = found.face.cpu().numpy(), found.barycentric.cpu().numpy()
    return triangle, chosen


def _triangles_nearby(faces: np.ndarray, num_vertices: int) -> csr_matrix:
    """`(V, F)`, non-zero where a triangle touches the vertex or one of its neighbours."""
    triangles = np.repeat(np.arange(len(faces)), 3)
    touching = csr_matrix(
        (np.ones(3 * len(faces), dtype=np.int32), (faces.ravel(), triangles)), shape=(num_vertices, len(faces))
    )
    return (touching @ touching.T @ touching).tocsr()
