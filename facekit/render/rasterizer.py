"""Rasterization with a z-buffer, in plain tensor operations.

Every triangle's bounding box is expanded into fragments, one for each pixel centre in the box. The fragments that lie
in their triangle compete for their pixel in one scatter operation over packed keys (depth, triangle). There is no loop
over triangles or pixels; a bound on the number of fragments alive at once keeps the memory in check, however large the
triangles are. The barycentric coordinates of the winners are then written as functions of the vertices, so gradients
flow to the vertices; which triangle wins has no gradient (``facekit.render.silhouettes`` adds that of the outlines).

Decisions, held by tests:

- A pixel belongs to a triangle if its centre lies inside or on the border. The edge functions of two triangles that
  share an edge are exact negatives of each other in floating point, so there are no cracks between neighbours.
- The smaller depth wins; at equal depth, the smaller triangle index. Depths are compared in float32.
- Both sides of a triangle are drawn unless ``cull_backfaces`` is set.
- A triangle with zero area or with a coordinate that is not finite is not drawn. With ``perspective``, neither is one
  with a vertex nearer than ``near``; an orthographic camera has no near plane.
"""

import torch
from torch import Tensor

from facekit.render.checks import RenderError, check_screen, image_shape
from facekit.render.fragments import Fragments
from facekit.render.interpolation import gather_columns
from facekit.render.zbuffer import visible_triangles

BACKENDS = ("torch", "pytorch3d")


def rasterize(
    screen: Tensor,
    faces: Tensor,
    image_size: int | tuple[int, int],
    backend: str = "torch",
    perspective: bool = False,
    cull_backfaces: bool = False,
    near: float = 1.0,
    max_fragments: int | None = None,
) -> Fragments:
    """Find the visible triangle and the point on it for every pixel.

    Args:
        screen: (B, V, 3) x and y in pixels, depth in millimetres (smaller is nearer), as a camera gives it.
        faces: (F, 3) int64, counter-clockwise seen from outside (with y up).
        image_size: side of a square image, or (height, width).
        backend: "torch" (this module) or "pytorch3d".
        perspective: whether ``screen`` comes from a full-perspective camera; barycentric coordinates and depths are
            then those of the triangle in space (perspective-correct), not of its image.
        cull_backfaces: leave out triangles that show their inside.
        near: with ``perspective``, triangles with a vertex nearer than this (millimetres) are left out.
        max_fragments: bound on the fragments that are alive at once (about 150 bytes each); chosen by device if None.

    Returns:
        Fragments, differentiable with respect to ``screen``.

    Raises:
        RenderError: if an argument does not fit.
    """
    check_screen(screen, faces)
    height, width = image_shape(image_size)
    if backend not in BACKENDS:
        raise RenderError(f"backend must be one of {', '.join(BACKENDS)}, found {backend!r}.")
    if perspective and near <= 0:
        raise RenderError(f"near must be positive with a perspective camera, found {near}.")
    if max_fragments is not None and max_fragments < 1:
        raise RenderError(f"max_fragments must be positive, found {max_fragments}.")
    size = (height, width)
    if backend == "pytorch3d":
        from facekit.render.pytorch3d_backend import rasterize_pytorch3d

        return rasterize_pytorch3d(screen, faces, size, perspective, cull_backfaces, near)
    with torch.no_grad():
        pixels, triangles = visible_triangles(
            screen.detach(), faces, size, perspective, cull_backfaces, near, max_fragments
        )
    return surface_points(screen, faces, pixels, triangles, size, perspective)


def surface_points(
    screen: Tensor, faces: Tensor, pixels: Tensor, triangles: Tensor, size: tuple[int, int], perspective: bool
) -> Fragments:
    """Barycentric coordinates and depths at given pixels of given triangles, as functions of the vertices.

    With the edge functions e_k (twice the areas that the pixel centre p spans with the sides of the triangle) the
    weights are w_k = e_k / sum_j e_j; seen in perspective, e_k is divided by the depth of corner k first.

    Args:
        screen: (B, V, 3).
        faces: (F, 3) int64.
        pixels: (P,) int64 index into the flattened (B, H, W), ascending.
        triangles: (P,) int64 in [0, F).
        size: (H, W).
        perspective: as in :func:`rasterize`.
    """
    (batch, num_vertices, _), (height, width) = screen.shape, size
    fragments = Fragments(pixels, triangles, None, None, (batch, height, width))
    corners = fragments.corners(faces, num_vertices).T.reshape(-1)
    x, y, depth = gather_columns(screen.permute(2, 0, 1).flatten(1), corners).view(3, 3, -1)
    x = x - (pixels % width + 0.5)
    y = y - (torch.div(pixels, width, rounding_mode="floor") % height + 0.5)
    edges = x.roll(-1, 0) * y.roll(-2, 0) - x.roll(-2, 0) * y.roll(-1, 0)
    if perspective:
        edges = edges / depth
    weights = edges / edges.sum(0)
    return Fragments(pixels, triangles, weights.T, (weights * depth).sum(0), fragments.shape)
