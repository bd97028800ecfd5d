"""Flattening a face onto the unit square: harmonic and mean-value maps with a fixed outer boundary.

A mesh with one outer boundary (and any number of inner ones: eyes, mouth) is spread over the square as an elastic net
would be: the outer boundary is nailed to the four sides, and every other vertex rests at the weighted mean of its
neighbours, which is one sparse linear system. The decoupled GAN computes its geometry images on such a map
(Section 5.1, "harmonic parameterization, setting the outer boundary face vertices to a unit square").
"""

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from torch import Tensor

from facekit.meshes.checks import MeshError
from facekit.meshes.laplacian import corner_cotangents
from facekit.meshes.topology import boundary_loops, connected_components

WEIGHTS = ("cotangent", "mean_value", "uniform")
SQUARE = np.array([(0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])


def harmonic_uv(vertices: Tensor, faces: Tensor, weights: str = "cotangent", symmetry: Tensor | None = None) -> Tensor:
    """Map a surface with a boundary onto the unit square: `(V, 2)`, v = 1 on the forehead side, u along x.

    The outer boundary is spread over the four sides by arc length; inner boundaries are free. For a face whose left and
    right halves mirror each other in shape and triangles, u and 1 - u mirror each other too.

    Args:
        vertices: `(V, 3)`, y up and z out of the face.
        faces: `(F, 3)`, one connected piece.
        weights: `"cotangent"`: the harmonic map, least distorted, but obtuse triangles have negative weights, which
            may turn some over (see `flipped_triangles`). `"mean_value"`: Floater's weights, always positive; nothing
            turns over unless parts of the surface hang together at a single vertex. `"uniform"`: Tutte's, blind to
            shape.
        symmetry: `(V,)` id of each vertex's mirror image; if given, the map and its mirror image are averaged, which
            makes it symmetric even where the diagonals of quads are not.

    Raises:
        MeshError: if the mesh has no boundary, falls into several pieces, or has vertices that no triangle uses.
        ValueError: for unknown weights.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, found {weights!r}")
    points, triangles = vertices.detach().double().cpu(), faces.cpu()
    fixed = _outer_boundary(points, triangles).numpy()
    free = np.setdiff1d(np.arange(len(points)), fixed)
    uv = np.zeros((len(points), 2))
    uv[fixed] = square_boundary(points[fixed]).numpy()
    pull = _weight_matrix(points, triangles, weights)[free]
    system = diags(np.asarray(pull.sum(1)).ravel()) - pull[:, free]
    if len(free):
        uv[free] = splu(system.tocsc()).solve(pull[:, fixed] @ uv[fixed])
    if symmetry is not None:
        uv = (uv + [[1, 0]] + uv[symmetry.cpu().numpy()] * [[-1, 1]]) / 2
    return torch.from_numpy(uv).clamp(0, 1).to(vertices)


def flipped_triangles(uv: Tensor, faces: Tensor) -> Tensor:
    """Ids of the triangles that lie face down in a flattening `(V, 2)`: their signed area is negative beyond rounding.

    Triangles squeezed to no area, such as one with all three corners on the same side of the square, are not counted.
    """
    first, second = uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]
    double_area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    reach = torch.maximum(first.norm(dim=1), second.norm(dim=1))
    return (double_area < -8 * torch.finfo(uv.dtype).eps * reach).nonzero().flatten()


def check_uv(uv: Tensor, faces: Tensor, name: str = "uv map") -> None:
    """Raise if a flattening `(V, 2)` leaves the unit square, is not finite, or turns triangles over.

    Raises:
        MeshError: with the number of offenders and the first.
    """
    if uv.dim() != 2 or uv.shape[1] != 2 or not uv.is_floating_point():
        raise MeshError(f"{name}: uv is {tuple(uv.shape)} {uv.dtype}, expected (V, 2) floating point")
    outside = (~((uv >= -1e-6) & (uv <= 1 + 1e-6)).all(1)).nonzero().flatten()
    if outside.numel():
        found = uv[outside[0]].tolist()
        raise MeshError(f"{name}: {outside.numel()} uv outside [0, 1], first that of vertex {int(outside[0])}: {found}")
    flipped = flipped_triangles(uv, faces)
    if flipped.numel():
        raise MeshError(
            f"{name}: {flipped.numel()} of {faces.shape[0]} triangles are turned over in the uv map, first face "
            f"{int(flipped[0])}; harmonic_uv(..., weights='mean_value') gives a map without"
        )


def square_boundary(loop: Tensor) -> Tensor:
    """Places for a closed chain of boundary points `(N, 3)`, N >= 4, on the sides of the unit square: `(N, 2)`.

    The walk starts where the chain crosses the mid-sagittal plane at its highest and hindmost point and is measured by
    arc length. The vertices nearest to 1/8, 3/8, 5/8 and 7/8 of it become the corners, so that the square is filled;
    between corners the spacing follows arc length. Left and right are treated alike, each measured from the top.

    Raises:
        ValueError: if there are fewer than four points, or they do not go round anything.
    """
    points = loop.detach().double().cpu().numpy()
    lengths = np.linalg.norm(np.roll(points, -1, 0) - points, axis=1)
    total = lengths.sum()
    if len(points) < 4 or not 0 < total < np.inf:
        raise ValueError(f"expected a closed chain of four points or more, found {len(points)} of length {total:g}")
    walked = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    walked = (walked - _top_of_chain(points, walked, lengths)) % total / total
    corners = _corner_vertices(walked)
    order = np.argsort((walked - walked[corners[0]]) % 1, kind="stable")
    turn = (walked[order] - walked[corners[0]]) % 1
    stops = np.append((walked[corners] - walked[corners[0]]) % 1, 1.0)
    places = np.empty((len(points), 2))
    closed = np.vstack([SQUARE, SQUARE[:1]])
    for axis in range(2):
        places[order, axis] = np.interp(turn, stops, closed[:, axis])
    return torch.from_numpy(places)


def _top_of_chain(points: np.ndarray, walked: np.ndarray, lengths: np.ndarray) -> float:
    """Arc length at which the chain crosses its middle plane in x, at the crossing with the largest y - z."""
    aside = points[:, 0] - (points[:, 0].min() + points[:, 0].max()) / 2
    following = np.roll(aside, -1)
    crossing = np.flatnonzero((aside * following <= 0) & (aside != following))
    if len(crossing) == 0:
        return float(walked[np.argmax(points[:, 1] - points[:, 2])])
    fraction = aside[crossing] / (aside[crossing] - following[crossing])
    height = points[:, 1] - points[:, 2]
    heights = height[crossing] + fraction * (np.roll(height, -1)[crossing] - height[crossing])
    best = np.argmax(heights)
    return float(walked[crossing[best]] + fraction[best] * lengths[crossing[best]])


def _corner_vertices(walked: np.ndarray) -> np.ndarray:
    """Ids of the four corners in walking order; ties between two vertices are settled alike on the left and right."""
    backwards = (1 - walked) % 1
    corners = np.array(
        [_nearest(walked, 1 / 8), _nearest(walked, 3 / 8), _nearest(backwards, 3 / 8), _nearest(backwards, 1 / 8)]
    )
    if len(set(corners)) == 4 and (np.diff(walked[corners]) > 0).all():
        return corners
    return np.argsort(walked, kind="stable")[np.arange(4) * len(walked) // 4]


def _nearest(walked: np.ndarray, target: float) -> int:
    distance = np.round(np.abs(walked - target), 9)
    return int(np.lexsort((walked, distance))[0])


def _outer_boundary(points: Tensor, faces: Tensor) -> Tensor:
    if not len(points):
        raise MeshError("expected one connected surface to flatten, found no vertex")
    pieces = connected_components(faces, len(points))
    if int(pieces.max()) > 0:
        unused = len(points) - faces.unique().numel()
        raise MeshError(
            f"expected one connected surface to flatten, found {int(pieces.max()) + 1} pieces "
            f"({unused} of them vertices without a triangle)"
        )
    loops = boundary_loops(faces, points)
    if not loops or len(loops[0]) < 4:
        raise MeshError("the mesh has no boundary of at least four vertices to fix on the unit square")
    return loops[0]


def _weight_matrix(points: Tensor, faces: Tensor, weights: str) -> csr_matrix:
    """Pull of each neighbour on each vertex, `(V, V)`, summed over triangles."""
    a, b = faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]
    if weights == "cotangent":
        half = corner_cotangents(points, faces) / 2
        rows, columns, values = torch.cat([a, b]), torch.cat([b, a]), torch.cat([half, half])
    else:
        ahead, behind = points[a] - points[faces], points[b] - points[faces]
        pull = torch.ones_like(ahead[..., 0]) if weights == "uniform" else _half_angle_tangent(ahead, behind)
        lengths = (1.0, 1.0) if weights == "uniform" else (ahead.norm(dim=-1), behind.norm(dim=-1))
        rows, columns = torch.cat([faces, faces]), torch.cat([a, b])
        values = torch.cat([pull / lengths[0], pull / lengths[1]])
    triplets = (values.flatten().numpy(), (rows.flatten().numpy(), columns.flatten().numpy()))
    return coo_matrix(triplets, shape=(len(points),) * 2).tocsr()


def _half_angle_tangent(ahead: Tensor, behind: Tensor) -> Tensor:
    """tan(angle / 2) between two edges, = (|p||q| - p.q) / |p x q|, kept positive for triangles with no area."""
    product = ahead.norm(dim=-1) * behind.norm(dim=-1)
    sine = torch.linalg.cross(ahead, behind).norm(dim=-1)
    floor = 1e-9 * product
    return ((product - (ahead * behind).sum(-1)).clamp(min=0) + floor) / (sine + floor)
