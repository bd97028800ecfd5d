"""Discrete Laplacians of a triangle mesh, and smoothing with them.

One sign convention throughout: `L = D - W` with weights `w_ij` on edges and their row sums in D. L is symmetric and
positive semi-definite, constant signals are in its kernel, and `(L x)_i = sum_j w_ij (x_i - x_j)` points from the
neighbours' weighted mean towards vertex i. (Much of geometry writes the Laplace-Beltrami operator with the other sign.)
"""

import torch
from torch import Tensor

from facekit.meshes.normals import face_areas, vertex_areas
from facekit.meshes.sparse import apply_sparse, sparse_matrix
from facekit.meshes.topology import unique_edges


def adjacency(faces: Tensor, num_vertices: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sparse symmetric `(V, V)` with 1 for every edge."""
    edges = unique_edges(faces)
    rows, columns = torch.cat([edges, edges.flip(1)]).T
    return sparse_matrix(rows, columns, torch.ones(rows.shape, dtype=dtype, device=faces.device), (num_vertices,) * 2)


def uniform_laplacian(
    faces: Tensor, num_vertices: int, normalization: str = "none", dtype: torch.dtype = torch.float32
) -> Tensor:
    """Graph Laplacian `(V, V)`, sparse and coalesced: every edge weighs 1.

    Args:
        faces: `(F, 3)`.
        num_vertices: V; vertices that no triangle uses get an empty row.
        normalization: `"none"`: D - A. `"random_walk"`: I - D^-1 A, vertex minus mean of its neighbours.
            `"symmetric"`: I - D^-1/2 A D^-1/2, eigenvalues in [0, 2], the one that Chebyshev convolutions use.
        dtype: of the values.
    """
    edges = unique_edges(faces)
    weights = torch.ones(edges.shape[0], dtype=dtype, device=faces.device)
    return _laplacian(edges, weights, num_vertices, normalization)


def _laplacian(edges: Tensor, weights: Tensor, num_vertices: int, normalization: str) -> Tensor:
    rows, columns = torch.cat([edges, edges.flip(1)]).T
    weights = torch.cat([weights, weights])
    degree = weights.new_zeros(num_vertices).index_add_(0, rows, weights)
    inverse = torch.where(degree > 0, 1 / degree, torch.zeros_like(degree))
    if normalization == "none":
        diagonal, off = degree, weights
    elif normalization == "random_walk":
        diagonal, off = degree * inverse, weights * inverse[rows]
    elif normalization == "symmetric":
        diagonal, off = degree * inverse, weights * (inverse[rows] * inverse[columns]).sqrt()
    else:
        raise ValueError(f"normalization must be 'none', 'random_walk' or 'symmetric', found {normalization!r}")
    used = degree.nonzero().flatten()
    return sparse_matrix(
        torch.cat([used, rows]), torch.cat([used, columns]), torch.cat([diagonal[used], -off]), (num_vertices,) * 2
    )


def chebyshev_laplacian(faces: Tensor, num_vertices: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The symmetric normalised graph Laplacian moved to eigenvalues in [-1, 1], `2 L / 2 - I = -D^-1/2 A D^-1/2`: the
    matrix whose Chebyshev polynomials a Chebyshev convolution mixes (largest eigenvalue taken as its bound, 2)."""
    laplacian = uniform_laplacian(faces, num_vertices, "symmetric", dtype)
    identity = torch.arange(num_vertices, device=faces.device)
    ones = torch.ones(num_vertices, dtype=dtype, device=faces.device)
    moved = (laplacian - sparse_matrix(identity, identity, ones, (num_vertices,) * 2)).coalesce()
    kept = moved.values() != 0
    return sparse_matrix(*moved.indices()[:, kept], moved.values()[kept], (num_vertices,) * 2)


def corner_cotangents(vertices: Tensor, faces: Tensor) -> Tensor:
    """Cotangent of the angle at each corner of each triangle: `(..., F, 3)` for vertices `(..., V, 3)`.

    Differentiable. A triangle without area has no angles: its cotangents are 0, so it adds nothing to a Laplacian.
    """
    a, b, c = vertices[..., faces, :].unbind(-2)
    double_area = 2 * face_areas(vertices, faces)
    usable = double_area > 10 * torch.finfo(vertices.dtype).eps * _longest_squared(a, b, c)
    inverse = torch.where(usable, 1 / torch.where(usable, double_area, 1), 0)
    dots = [((b - a) * (c - a)).sum(-1), ((c - b) * (a - b)).sum(-1), ((a - c) * (b - c)).sum(-1)]
    return torch.stack(dots, -1) * inverse[..., None]


def _longest_squared(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.stack([(b - a).square().sum(-1), (c - b).square().sum(-1), (a - c).square().sum(-1)]).amax(0)


def cotangent_laplacian(vertices: Tensor, faces: Tensor, normalization: str = "none") -> Tensor:
    """Cotangent discretisation of the Laplace-Beltrami operator `(V, V)`, sparse and coalesced.

    `w_ij = (cot alpha + cot beta) / 2`, the angles opposite edge ij (one on a boundary edge). It is the L of the
    decoupled GAN's regulariser, Eq. (12). The values are constants: no gradient flows to `vertices`.

    Args:
        vertices: `(V, 3)`, one reference mesh.
        faces: `(F, 3)`.
        normalization: `"none"`: symmetric, unit-free, `x^T L x` is the Dirichlet energy. `"mass"`: each row divided by
            the vertex's area (a third of the triangles around it), in 1/mm^2, so `L x` approximates a mean-curvature
            vector; not symmetric.
    """
    if normalization not in ("none", "mass"):
        raise ValueError(f"normalization must be 'none' or 'mass', found {normalization!r}")
    vertices = vertices.detach()
    half = corner_cotangents(vertices, faces).flatten() / 2
    rows, columns = faces[:, [1, 2, 0]].flatten(), faces[:, [2, 0, 1]].flatten()
    laplacian = sparse_matrix(
        torch.cat([rows, columns, rows, columns]),
        torch.cat([columns, rows, rows, columns]),
        torch.cat([-half, -half, half, half]),
        (vertices.shape[0],) * 2,
    )
    if normalization == "none":
        return laplacian
    areas = vertex_areas(vertices, faces)
    inverse = torch.where(areas > 0, 1 / areas, torch.zeros_like(areas))
    row_of_entry = laplacian.indices()[0]
    return sparse_matrix(*laplacian.indices(), laplacian.values() * inverse[row_of_entry], laplacian.shape)


def smooth(vertices: Tensor, laplacian: Tensor, steps: int = 10, rate: float = 0.5, shrinkage: float = 0.0) -> Tensor:
    """Explicit Laplacian smoothing: `steps` times `x <- x - rate * L x`.

    Args:
        vertices: `(B, V, 3)` or `(V, 3)`.
        laplacian: `(V, V)`; the random-walk form is stable for rates up to 1.
        steps: how often.
        rate: step length.
        shrinkage: Taubin's second, inflating step of `-shrinkage` after each; slightly above `rate` (0.53 after 0.5)
            keeps the volume. 0 leaves it out.
    """
    for _ in range(steps):
        vertices = vertices - rate * apply_sparse(laplacian, vertices)
        if shrinkage:
            vertices = vertices + shrinkage * apply_sparse(laplacian, vertices)
    return vertices
