"""Left, front and right images of scans, in texture and geometry.

Behzad and Zhao (2021), Section II-A: "2D images in multi-views", at theta = 20, 0 and -20 degrees. Scans are turned,
seen by an orthographic camera and repaired in the image: spikes go, small holes and missing texture are filled from
their surroundings. Everything runs on whole batches.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.mifar.scans import PointCloud, ScanError, Surface, grid_normals, without_spikes
from facekit.render import interpolate, rasterize, rotation_matrix

ANGLES = (20.0, 0.0, -20.0)
"""Yaw of the left, the front and the right view in degrees."""
EXTENT = 190.0
"""Width of the data sets' images in millimetres."""
CHANNELS = {"texture": 3, "depth": 1, "normals": 3}
"""Kinds of channels and how many each has."""
DEPTH_RANGE = 100.0
"""Millimetres before and behind the centre that the depth channel spans."""
SPIKE = 15.0
"""Millimetres by which a point stands out when it is taken for a spike."""


def view_images(
    scans: Surface | PointCloud,
    size: int,
    channels: Sequence[str] = ("texture", "depth", "normals"),
    angles: Sequence[float] = ANGLES,
    extent: float = 210.0,
    centre: Tensor | None = None,
    turned: Tensor | None = None,
    fill: int = 3,
) -> Tensor:
    """Images (B, views, C, size, size) in [0, 1] of a batch of scans.

    Texture is sRGB; depth is 1 at 100 mm before the centre and 0 at 100 mm behind it; normals are (n + 1) / 2 in the
    camera's frame. The background is 0 in all of them.

    Args:
        scans: B surfaces or clouds of points.
        size: side of the images in pixels.
        channels: names of ``CHANNELS``, in the order wanted.
        angles: yaw of each view in degrees; positive turns the face to the image's right.
        extent: millimetres that the image is wide.
        centre: (B, 3) or (3,) point at the centre of the images; the median of each scan's points if None.
        turned: (B, 3) pitch, yaw and roll in degrees by which the scans are not upright; none if None.
        fill: holes up to about twice so many pixels across are filled.

    Raises:
        ScanError: a view shows no surface (its sample and angle are named), or a channel is not known.
    """
    count_channels(channels)
    if isinstance(scans, Surface):
        scans = without_spikes(scans, SPIKE)
    points = scans.vertices if isinstance(scans, Surface) else scans.points
    batch, views = len(points), len(angles)
    if centre is None:
        centre = points.nanmedian(dim=1).values
    turned = points.new_zeros(batch, 3) if turned is None else turned.to(points)
    pose = turned[:, None] + points.new_tensor([[0.0, angle, 0.0] for angle in angles])
    rotation = rotation_matrix(pose.flatten(0, 1))
    centred = (points - centre.expand(batch, 3)[:, None]).repeat_interleave(views, 0) @ rotation.mT
    screen = centred.new_tensor([1.0, -1.0, -1.0]) * centred
    screen = torch.cat([screen[..., :2] * (size / extent) + size / 2, screen[..., 2:]], -1)
    draw = _draw_surface if isinstance(scans, Surface) else _draw_points
    layers = repaired(draw(scans, screen, rotation, size), fill, extent / size)
    seen = ~layers[:, 0].isnan()
    if not bool(seen.flatten(1).any(1).all()):
        sample, view = divmod(int((~seen.flatten(1).any(1)).nonzero()[0]), views)
        raise ScanError(f"sample {sample} shows no surface at {angles[view]:g} degrees; expected a scan in millimetres")
    return _channels(layers, channels).unflatten(0, (batch, views))


def count_channels(channels: Sequence[str]) -> int:
    """Channels of an image that shows these kinds.

    Raises:
        ScanError: there is none, or one of them is not known.
    """
    if not channels or set(channels) - set(CHANNELS):
        raise ScanError(f"channels are {list(channels)}, expected some of {', '.join(CHANNELS)}")
    return sum(CHANNELS[name] for name in channels)


def _draw_surface(scans: Surface, screen: Tensor, rotation: Tensor, size: int) -> Tensor:
    """Layers (B * views, 7, H, W): depth, normals, colours; NaN where nothing is seen."""
    views = len(screen) // len(scans.vertices)
    normals = scans.normals.repeat_interleave(views, 0) @ rotation.mT
    fragments = rasterize(screen, scans.faces, size)
    values = torch.cat([normals, scans.colours.repeat_interleave(views, 0)], -1)
    values = interpolate(fragments, scans.faces, values)
    depth = fragments.to_image(fragments.depths, background=torch.nan)
    return torch.cat([depth[:, None], torch.where(fragments.mask[:, None], values, torch.nan)], 1)


def _draw_points(scans: PointCloud, screen: Tensor, _: Tensor, size: int) -> Tensor:
    """As ``_draw_surface``: the nearest point of each pixel, unless its neighbours show a nearer surface before it."""
    views = len(screen) // len(scans.points)
    count, pixels = len(screen), size * size
    x, y, depth = screen.unbind(-1)
    inside = screen.isfinite().all(-1) & (x >= 0) & (x < size) & (y >= 0) & (y < size)
    sample, point = inside.nonzero().unbind(1)
    place = sample * pixels + y[inside].long() * size + x[inside].long()
    ranks = torch.empty_like(place)
    order = depth[inside].argsort()
    ranks[order] = torch.arange(len(order), device=order.device)
    nearest = torch.full((count * pixels,), len(place), device=place.device).scatter_reduce(0, place, ranks, "amin")
    found = nearest < len(place)
    winners = order[nearest[found]]
    layers = screen.new_full((4, count * pixels), torch.nan)
    layers[0, found] = depth[inside][winners]
    colours = scans.colours.repeat_interleave(views, 0)[sample, point]
    layers[1:, found] = colours[winners].T
    layers = layers.unflatten(1, (count, size, size)).transpose(0, 1)
    front = -F.max_pool2d(-layers[:, :1].nan_to_num(nan=torch.inf), 3, 1, 1)
    layers = torch.where(layers[:, :1] - front > SPIKE, torch.nan, layers)
    return torch.cat([layers[:, :1], layers.new_full((count, 3, size, size), torch.nan), layers[:, 1:]], 1)


def repaired(layers: Tensor, fill: int, spacing: float) -> Tensor:
    """Layers (M, 7, H, W) without spikes of one pixel, their small holes filled, normals from the depth where
    none are (``spacing`` is the width of a pixel in millimetres).

    What is missing inside the outline takes the mean of the neighbours that are known, ring by ring.
    """
    depth = layers[:, :1]
    around = F.unfold(F.pad(depth, (1, 1, 1, 1), value=torch.nan), 3)[:, [0, 1, 2, 3, 5, 6, 7, 8]]
    around = around.unflatten(2, depth.shape[2:])
    nearest = around.nan_to_num(nan=torch.inf).amin(1, keepdim=True)
    farthest = around.nan_to_num(nan=-torch.inf).amax(1, keepdim=True)
    layers = layers.masked_fill((depth < nearest - SPIKE) | (depth > farthest + SPIKE), torch.nan)
    inside = _closed(~layers[:, :1].isnan(), fill)
    layers = _filled(layers, inside, max(layers.shape[-2:]) // 4)
    slopes = grid_normals(-layers[:, 0], spacing).movedim(-1, 1)
    normals = torch.where(layers[:, 1:4].isnan(), slopes, layers[:, 1:4])
    return torch.cat([layers[:, :1], F.normalize(normals, dim=1), layers[:, 4:]], 1)


def _closed(seen: Tensor, radius: int) -> Tensor:
    """Morphological closing of (M, 1, H, W) bool: gaps narrower than 2 radius + 1 pixels belong to the surface."""
    side = 2 * radius + 1
    grown = F.max_pool2d(F.pad(seen.float(), [radius] * 4), side, 1, radius)
    return -F.max_pool2d(-grown, side, 1) > 0.5


def _filled(layers: Tensor, inside: Tensor, rounds: int) -> Tensor:
    """Missing values inside (M, 1, H, W) filled, at most ``rounds`` rings; everything outside is NaN."""
    unknown = layers[:, 1:4].isnan().flatten(1).all(1)[:, None, None, None]
    wanted = inside.repeat(1, layers.shape[1], 1, 1)
    wanted[:, 1:4] &= ~unknown
    for _ in range(rounds):
        missing = layers.isnan()
        if not bool((missing & wanted).any()):
            break
        total = F.avg_pool2d(layers.nan_to_num(nan=0.0), 3, 1, 1)
        known = F.avg_pool2d((~missing).to(layers), 3, 1, 1)
        layers = torch.where(missing & wanted, total / known, layers)
    return layers.masked_fill(~inside, torch.nan)


def _channels(layers: Tensor, channels: Sequence[str]) -> Tensor:
    """The channels asked for, in [0, 1], background 0."""
    seen = ~layers[:, :1].isnan()
    kinds = {
        "texture": layers[:, 4:],
        "depth": 0.5 - layers[:, :1] / (2 * DEPTH_RANGE),
        "normals": (layers[:, 1:4] + 1) / 2,
    }
    chosen = torch.cat([kinds[name] for name in channels], 1)
    return torch.where(seen, chosen.nan_to_num(nan=0.0), 0.0).clamp(0, 1)
