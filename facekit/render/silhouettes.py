"""Outlines: analytic antialiasing, which gives pixels at an outline a gradient to the vertices that draw it.

After rasterization a pixel belongs wholly to what its centre sees, so moving an outline by less than a pixel changes
nothing, and its gradient is zero. Here every outline edge is followed over the image. Where it passes between the
centres of two neighbouring pixels, at the distance d in [0, 1] from the centre of the pixel that it bounds, the nearer
surface reaches d - 1/2 beyond the border between the two pixels. The farther pixel takes on max(d - 1/2, 0) of the
nearer one's value, or the nearer takes max(1/2 - d, 0) of the farther one's: both are functions of the edge's two ends.
The idea is that of Laine et al., *Modular Primitives for High-Performance Differentiable Rendering* (SIGGRAPH Asia
2020), section 3.5; there the edges are those of the triangles seen in the two pixels, here all outline edges are drawn,
so triangles much smaller than a pixel are served as well.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from facekit.meshes.kept import Kept
from facekit.render.checks import RenderError
from facekit.render.fragments import Fragments
from facekit.render.interpolation import gather_columns
from facekit.render.zbuffer import EMPTY, sort_keys


@dataclass(frozen=True)
class MeshEdges:
    """Edges with the triangles beside them.

    Attributes:
        corners: (3, E) the two ends, and the third corner of the first triangle.
        triangles: (2, E) the two triangles beside the edge; the second is -1 on a border, and where more than two meet.
    """

    corners: Tensor
    triangles: Tensor


@dataclass(frozen=True)
class _Crossings:
    """Places where an outline passes between two pixel centres.

    Attributes:
        near: (S,) flat index of the pixel on the side that the outline bounds.
        far: (S,) flat index of its neighbour, which looks past the outline.
        reach: (S,) distance of the outline from the centre of ``near``, in [0, 1] pixels; carries gradients.
    """

    near: Tensor
    far: Tensor
    reach: Tensor


def mesh_edges(faces: Tensor) -> MeshEdges:
    """Edges of triangles (F, 3), kept for as long as ``faces`` lives, since sorting them costs more than an image."""
    return _edges(faces)


def _build_edges(faces: Tensor) -> MeshEdges:
    half_edges = torch.stack([faces, faces.roll(-1, 1), faces.roll(-2, 1)]).flatten(1)
    low, high = half_edges[:2].amin(0), half_edges[:2].amax(0)
    order = torch.argsort(low * (faces.max() + 1) + high, stable=True)
    low, high = low[order], high[order]
    starts = torch.ones_like(low, dtype=torch.bool)
    starts[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first = starts.nonzero().squeeze(1)
    count = torch.diff(first, append=first.new_tensor([len(low)]))
    owner = torch.div(order, 3, rounding_mode="floor")
    second = torch.where(count == 2, owner[(first + 1).clamp(max=len(low) - 1)], -1)
    return MeshEdges(half_edges[:, order[first]], torch.stack([owner[first], second]))


_edges = Kept(_build_edges)


def antialias(image: Tensor, fragments: Fragments, screen: Tensor, faces: Tensor) -> Tensor:
    """Blend the pixels on both sides of every visible outline by how far the nearer surface reaches.

    Args:
        image: (B, C, H, W) anything that was drawn from ``fragments``: colours over a background, a mask, depth.
        fragments: of the rasterized batch.
        screen: (B, V, 3) that was rasterized.
        faces: (F, 3) int64.

    Returns:
        (B, C, H, W), changed in the pixels next to an outline alone; gradients reach the image and the vertices.

    Raises:
        RenderError: if the image is of another size or batch than the fragments, or holds no floating point numbers.
    """
    batch, height, width = fragments.shape
    if image.dim() != 4 or (image.shape[0], *image.shape[2:]) != fragments.shape or not image.is_floating_point():
        raise RenderError(
            f"image must be floating point ({batch}, C, {height}, {width}) as the fragments, "
            f"found {image.dtype} {tuple(image.shape)}."
        )
    if not (len(image) and len(faces)):
        return image
    channels = image.shape[1]
    crossings = _visible_crossings(fragments, screen, mesh_edges(faces), faces)
    columns = image.transpose(0, 1).reshape(channels, -1)
    near = gather_columns(columns, crossings.near)
    far = gather_columns(columns, crossings.far)
    beyond = (crossings.reach - 0.5).to(image.dtype)
    columns = columns.scatter_add(1, crossings.near.expand(channels, -1), (-beyond).clamp(min=0) * (far - near))
    columns = columns.scatter_add(1, crossings.far.expand(channels, -1), beyond.clamp(min=0) * (near - far))
    return columns.view(channels, batch, height, width).transpose(0, 1)


def _visible_crossings(fragments: Fragments, screen: Tensor, edges: MeshEdges, faces: Tensor) -> _Crossings:
    batch, num_vertices, _ = screen.shape
    columns = screen.permute(2, 0, 1).flatten(1)
    sample, edge = _outline_edges(columns.detach().view(3, batch, -1), edges, faces)
    corners = edges.corners.index_select(1, edge) + sample * num_vertices
    ends = gather_columns(columns, corners[:2].reshape(-1)).view(3, 2, -1)
    third = columns.detach().index_select(1, corners[2])
    crossings, depth = _pixel_crossings(ends, third, sample, fragments.shape)
    with torch.no_grad():
        seen = _in_front(crossings, depth, fragments)
    return _Crossings(crossings.near[seen], crossings.far[seen], crossings.reach[seen])


def _outline_edges(columns: Tensor, edges: MeshEdges, faces: Tensor) -> tuple[Tensor, Tensor]:
    """(S,) sample and (S,) edge of borders, and of edges between a triangle that faces us and one that does not."""
    x, y = columns[:2].index_select(2, faces.T.reshape(-1)).unflatten(2, (3, -1)).unbind(0)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    front = area < 0
    first, second = edges.triangles
    outline = (front.index_select(1, first) != front.index_select(1, second.clamp(min=0))) | (second < 0)
    return outline.nonzero().unbind(1)


def _pixel_crossings(
    ends: Tensor, third: Tensor, sample: Tensor, shape: tuple[int, int, int]
) -> tuple[_Crossings, Tensor]:
    """Follow edges with ``ends`` (3, 2, N) along the axis on which they are longer, one crossing per row or column.

    An edge nearer to the vertical is met once per pixel row that it spans, the others once per column, so that what
    the outline sweeps over when it moves is counted once.
    """
    _, height, width = shape
    delta = ends[:, 1] - ends[:, 0]
    steep = delta[1].abs() >= delta[0].abs()
    along = torch.where(steep, ends[1], ends[0])
    across = torch.where(steep, ends[0], ends[1])
    lines = torch.where(steep, height, width)
    with torch.no_grad():
        start = (along.amin(0) - 0.5).ceil().clamp(min=0)
        stop = torch.minimum((along.amax(0) - 0.5).ceil(), lines)
        count = torch.nan_to_num(stop - start, nan=0.0).clamp(min=0).long()
        owner = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
        offset = torch.arange(len(owner), device=count.device) - (count.cumsum(0) - count).index_select(0, owner)
        line = start.nan_to_num(0).long().index_select(0, owner) + offset
    position = (line + 0.5 - along[0, owner]) / (along[1, owner] - along[0, owner])
    crossing = across[0, owner] + position * (across[1, owner] - across[0, owner])
    depth = ends[2, 0, owner] + position * delta[2, owner]
    with torch.no_grad():
        lower = (crossing - 0.5).floor()
        valid = (lower >= 0) & (lower < torch.where(steep, width, height)[owner] - 1)
        turn = delta[0] * (third[1] - ends[1, 0]) - delta[1] * (third[0] - ends[0, 0])
        inside_above = (turn * torch.where(steep, -delta[1], delta[0]) > 0)[owner]
        step = torch.where(steep, 1, width)[owner]
        stride = torch.where(steep, width, 1)[owner]
        pixel = (sample * height * width)[owner] + line * stride + lower.nan_to_num(0).long() * step
    fraction = crossing - 0.5 - lower
    near = torch.where(inside_above, pixel + step, pixel)
    far = torch.where(inside_above, pixel, pixel + step)
    reach = torch.where(inside_above, 1 - fraction, fraction)
    return _Crossings(near[valid], far[valid], reach[valid]), depth[valid]


def _in_front(crossings: _Crossings, depth: Tensor, fragments: Fragments) -> Tensor:
    """(S',) the crossings that lie before what the far pixel sees; of several between two pixels, the nearest."""
    depths = fragments.depth.detach().flatten()
    near, far = depths.index_select(0, crossings.near), depths.index_select(0, crossings.far)
    seen = ((near < far) & (depth < far)).nonzero().squeeze(1)
    first, second = crossings.near.index_select(0, seen), crossings.far.index_select(0, seen)
    vertical = (first - second).abs() > 1
    pair = torch.minimum(first, second) + vertical * depths.numel()
    nearest = torch.full((2 * depths.numel(),), EMPTY, dtype=torch.int64, device=depths.device)
    nearest.scatter_reduce_(0, pair, sort_keys(depth.index_select(0, seen), seen), "amin")
    return nearest[nearest != EMPTY] & 0xFFFFFFFF
