"""Which triangle each pixel sees: bounding boxes to fragments, fragments to a z-buffer. No gradients here.

Work is cut into blocks of whole samples, and blocks into runs of fragments. On a CPU the blocks are small, since
arrays that stay in its cache are several times faster than arrays that go through memory; on a GPU they are large,
since there every step has a cost of its own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

EMPTY = torch.iinfo(torch.int64).max
_FLOAT32_COUNTS = 1 << 22  # up to here, whole numbers plus one half divide exactly enough in float32


@dataclass(frozen=True)
class _Boxes:
    """Triangles that may be seen, K of them, and the pixel centres in their bounding boxes.

    Attributes:
        triangles: (K,) int64 index in [0, F).
        corners: (9, K) x of the three corners in pixels, then y, then a rank that grows away from the camera and is
            linear in the image.
        grid: (3, K) width, left column and top row of the box in pixels.
        origin: (K,) int64 index of the box's first pixel in the flattened (B, H, W).
        starts, ends: (K,) int64 running totals of the pixels in the boxes before each box, and up to its end.
    """

    triangles: Tensor
    corners: Tensor
    grid: Tensor
    origin: Tensor
    starts: Tensor
    ends: Tensor


def visible_triangles(
    screen: Tensor,
    faces: Tensor,
    size: tuple[int, int],
    perspective: bool,
    cull_backfaces: bool,
    near: float,
    max_fragments: int | None,
) -> tuple[Tensor, Tensor]:
    """Covered pixels (P,) ascending in the flattened (B, H, W), and the triangle in [0, F) that each of them sees."""
    if max_fragments is None:
        max_fragments = 1 << 24 if screen.is_cuda else (1 << 15) * max(torch.get_num_threads(), 2)
    samples = max(1, max_fragments // max(len(faces), 1))
    corners = faces.T.reshape(-1)
    pixels, triangles = [], []
    for first in range(0, max(len(screen), 1), samples):
        block = screen[first : first + samples]
        boxes = _bounding_boxes(block, corners, size, perspective, cull_backfaces, near)
        zbuffer = _fill(boxes, len(block) * size[0] * size[1], size[1], max_fragments)
        covered = (zbuffer != EMPTY).nonzero().squeeze(1)
        winners = zbuffer.index_select(0, covered) & 0xFFFFFFFF
        pixels.append(covered + first * size[0] * size[1])
        triangles.append(boxes.triangles.index_select(0, winners))
    return torch.cat(pixels), torch.cat(triangles)


def _bounding_boxes(
    screen: Tensor, corners: Tensor, size: tuple[int, int], perspective: bool, cull_backfaces: bool, near: float
) -> _Boxes:
    (height, width), (batch, num_vertices, _) = size, screen.shape
    columns = screen.permute(2, 0, 1).reshape(3 * batch, num_vertices).index_select(1, corners)
    x, y, depth = columns.view(3, batch, 3, len(corners) // 3).unbind(0)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    rank = -depth.reciprocal() if perspective else depth
    usable = torch.isfinite(area + depth.sum(1)) & (area < 0 if cull_backfaces else area != 0)
    if perspective:
        usable &= depth.amin(1) > near
    left, columns = _pixel_range(x, width)
    top, rows = _pixel_range(y, height)
    kept = (usable & (columns > 0) & (rows > 0)).flatten().nonzero().squeeze(1)
    sample = torch.div(kept, max(area.shape[1], 1), rounding_mode="floor")
    left, columns, top, rows = (part.flatten().index_select(0, kept) for part in (left, columns, top, rows))
    origin = (sample * height + top.long()) * width + left.long()
    table = torch.stack([part[:, k].flatten().index_select(0, kept) for part in (x, y, rank) for k in range(3)])
    counts = (columns * rows).long()
    ends = counts.cumsum(0)
    grid = torch.stack([columns, left + 0.5, top + 0.5])
    if height * width > _FLOAT32_COUNTS:
        grid = grid.double()
    return _Boxes(kept - sample * area.shape[1], table, grid, origin, ends - counts, ends)


def _pixel_range(coordinates: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel, and number of pixels, with centres between the least and the greatest of (B, 3, F) coordinates."""
    one, two, three = coordinates.unbind(1)
    low = torch.minimum(torch.minimum(one, two), three)
    high = torch.maximum(torch.maximum(one, two), three)
    first = low.sub_(0.5).ceil_().clamp_(min=0)
    return first, high.sub_(0.5).floor_().clamp_(max=size - 1).sub_(first).add_(1)


def _fill(boxes: _Boxes, num_pixels: int, width: int, max_fragments: int) -> Tensor:
    """(num_pixels,) int64 keys of the nearest fragment, ``EMPTY`` where there is none."""
    zbuffer = torch.full((num_pixels,), EMPTY, dtype=torch.int64, device=boxes.ends.device)
    total = int(boxes.ends[-1]) if boxes.ends.numel() else 0
    if total <= max_fragments:
        _draw(zbuffer, boxes, slice(0, len(boxes.ends)), 0, total, width)
        return zbuffer
    runs = torch.arange(0, total, max_fragments, device=boxes.ends.device)
    bounds = torch.searchsorted(boxes.ends, runs, right=True).tolist()
    for start, first, last in zip(runs.tolist(), bounds, [*bounds[1:], len(boxes.ends) - 1], strict=True):
        _draw(zbuffer, boxes, slice(first, last + 1), start, min(start + max_fragments, total), width)
    return zbuffer


def _draw(zbuffer: Tensor, boxes: _Boxes, part: slice, start: int, stop: int, width: int) -> None:
    """Draw the fragments [start, stop), which come from the boxes in ``part``, into ``zbuffer``, in place."""
    ends = boxes.ends[part]
    inner = ends.clamp(max=stop)
    counts = torch.diff(inner, prepend=inner.new_tensor([start]))
    owner = torch.repeat_interleave(torch.arange(len(ends), device=ends.device), counts, output_size=stop - start)
    within = torch.arange(start, stop, device=ends.device) - boxes.starts[part].index_select(0, owner)
    within = within.to(boxes.grid.dtype)
    columns, left, top = boxes.grid[:, part].index_select(1, owner)
    row = torch.floor((within + 0.5) / columns)
    column = within - row * columns
    edges = _edge_functions(boxes.corners[:6, part].index_select(1, owner), left + column, top + row)
    low = torch.minimum(torch.minimum(edges[0], edges[1]), edges[2])
    high = torch.maximum(torch.maximum(edges[0], edges[1]), edges[2])
    hits = ((low >= 0) | (high <= 0)).nonzero().squeeze(1)
    owner, edges = owner.index_select(0, hits), edges.index_select(1, hits)
    rank = (edges * boxes.corners[6:, part].index_select(1, owner)).sum(0) / edges.sum(0)
    pixel = (row * width + column).index_select(0, hits).long() + boxes.origin[part].index_select(0, owner)
    zbuffer.scatter_reduce_(0, pixel, sort_keys(rank, owner + part.start), "amin")


def _edge_functions(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(3, N): twice the signed areas between the centre (x, y) of a pixel and the sides of a triangle.

    Two triangles that share a side get exact negatives of each other, since coordinates relative to the pixel round
    alike in both, and so do their products. An incremental evaluation would not keep this.
    """
    x1, x2, x3 = corners[:3] - x
    y1, y2, y3 = corners[3:] - y
    edges = corners.new_empty(3, len(x))
    torch.sub(x2 * y3, x3 * y2, out=edges[0])
    torch.sub(x3 * y1, x1 * y3, out=edges[1])
    torch.sub(x1 * y2, x2 * y1, out=edges[2])
    return edges


def sort_keys(rank: Tensor, owner: Tensor) -> Tensor:
    """int64 keys that sort as (rank in float32, owner): the bits of a float sort as integers up to the sign."""
    bits = rank.float().view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (bits.long() << 32) | owner
