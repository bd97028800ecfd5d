"""Normals and areas of triangles and vertices, for one mesh `(V, 3)` or a batch `(B, V, 3)`, all differentiable.

Everything starts from the two edges that leave a triangle's first corner. They are differences of vertices, so they
come from one sparse product, and so do the sums over the triangles around a vertex: both run as fast backwards as
forwards, where indexing scatters its gradient entry by entry.
"""

import torch
from torch import Tensor

from facekit.meshes.checks import MeshError
from facekit.meshes.kept import Kept
from facekit.meshes.sparse import SparseOperator, sparse_matrix


def area_vectors(vertices: Tensor, faces: Tensor) -> Tensor:
    """Half the cross product of two edges, `(..., F, 3)`: along the outward normal, as long as the triangle's area.

    Raises:
        MeshError: here and in what follows, if `faces` hold ids of no vertex.
    """
    edges_of, _ = _operators(faces, vertices.shape[-2])
    first, second = edges_of(vertices).chunk(2, dim=-2)
    return torch.linalg.cross(first, second) / 2


def face_areas(vertices: Tensor, faces: Tensor) -> Tensor:
    """Area of each triangle `(..., F)` in the square of the vertices' unit."""
    return area_vectors(vertices, faces).norm(dim=-1)


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normal of each triangle `(..., F, 3)`, outwards; zero for a triangle without area."""
    return _unit(area_vectors(vertices, faces))


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normal of each vertex `(..., V, 3)`: the mean of its triangles' normals weighted by area.

    Zero where no triangle with area touches the vertex.
    """
    _, corner_sums = _operators(faces, vertices.shape[-2])
    return _unit(corner_sums(area_vectors(vertices, faces)))


def vertex_areas(vertices: Tensor, faces: Tensor) -> Tensor:
    """A third of the area of the triangles around each vertex `(..., V)`; they add up to the area of the mesh."""
    _, corner_sums = _operators(faces, vertices.shape[-2])
    return corner_sums(face_areas(vertices, faces)[..., None])[..., 0] / 3


def _unit(vectors: Tensor) -> Tensor:
    """Divide by the length; vectors of no length stay zero, with zero gradient instead of NaN."""
    squared = vectors.square().sum(-1, keepdim=True)
    positive = squared > torch.finfo(vectors.dtype).tiny
    return torch.where(positive, vectors * torch.where(positive, squared, 1).rsqrt(), 0)


def _build_operators(faces: Tensor, num_vertices: int) -> tuple[SparseOperator, SparseOperator]:
    """Vertices to edges `(2F, V)`, first all b - a, then all c - a; triangles to the sums at their corners `(V, F)`."""
    if faces.numel() and not 0 <= int(faces.min()) <= int(faces.max()) < num_vertices:
        found = f"{int(faces.min())} to {int(faces.max())}"
        raise MeshError(f"faces hold the vertex ids {found}, expected 0 to {num_vertices - 1}")
    return _edges_operator(faces, num_vertices), _corner_sums_operator(faces, num_vertices)


_operators = Kept(_build_operators)


def _edges_operator(faces: Tensor, num_vertices: int) -> SparseOperator:
    rows = torch.arange(2 * faces.shape[0], device=faces.device)
    heads, tails = torch.cat([faces[:, 1], faces[:, 2]]), torch.cat([faces[:, 0], faces[:, 0]])
    ones = torch.ones(rows.shape[0], device=faces.device)
    shape = (rows.shape[0], num_vertices)
    return SparseOperator(sparse_matrix(rows.repeat(2), torch.cat([heads, tails]), torch.cat([ones, -ones]), shape))


def _corner_sums_operator(faces: Tensor, num_vertices: int) -> SparseOperator:
    triangles = torch.arange(faces.shape[0], device=faces.device).repeat_interleave(3)
    ones = torch.ones(triangles.shape[0], device=faces.device)
    return SparseOperator(sparse_matrix(faces.flatten(), triangles, ones, (num_vertices, faces.shape[0])))
