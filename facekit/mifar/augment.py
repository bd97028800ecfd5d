"""Distorted versions of a view, from a distribution of its own.

Behzad and Zhao (2021), Section II-A: distortions come from "a set of distribution of data augmentations, T_l, T_f and
T_r [...] these augmentations are different for each view". Which they are the paper does not say; ``LEFT``, ``FRONT``
and ``RIGHT`` are ours. All numbers come from the caller, so that W processes distort as one would.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 11
"""Uniform numbers that a distortion of one image takes."""


@dataclass(frozen=True)
class Distortion:
    """A distribution of distortions; every amount is drawn uniformly between minus and plus its value."""

    turn: float = 3.0
    """Degrees in the image plane."""
    zoom: float = 0.04
    """Relative change of size."""
    shift: float = 0.02
    """Share of the image's width."""
    mirrored: float = 0.0
    """Share of images that are mirrored."""
    gain: float = 0.2
    """Relative change of contrast about the mean."""
    offset: float = 0.06
    """Change of brightness, or of the depth."""
    blurred: float = 0.2
    """Share of images that are blurred."""
    erased: float = 0.0
    """Share of images in which a square is erased."""
    erased_side: float = 0.3
    """Its side as a share of the image's."""


LEFT = Distortion(turn=4.0, zoom=0.06, blurred=0.4)
"""Distortions of the left view, which turns, zooms and blurs more than the others."""
FRONT = Distortion(mirrored=0.5, gain=0.3)
"""Distortions of the frontal view, half of the images mirrored."""
RIGHT = Distortion(shift=0.03, offset=0.08, erased=0.3)
"""Distortions of the right view, with a square erased from three images of ten."""


def distorted(images: Tensor, kind: Distortion, draws: Tensor) -> Tensor:
    """Distorted versions of images (B, C, H, W) in [0, 1]; ``draws`` (B, DRAWS) are uniform in [0, 1).

    All channels are pictures here: normals are moved and mirrored with their pixels, their directions are not turned.
    """
    both = 2 * draws - 1
    angle = torch.deg2rad(kind.turn * both[:, 0])
    zoom = 1 + kind.zoom * both[:, 1]
    side = torch.where(draws[:, 4] < kind.mirrored, -1.0, 1.0)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    rows = torch.stack([cos * side, -sin, 2 * kind.shift * both[:, 2], sin * side, cos, 2 * kind.shift * both[:, 3]], 1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    soft = F.avg_pool2d(F.pad(moved, [1] * 4, mode="replicate"), 3, 1)
    moved = torch.where(_each(draws[:, 5] < kind.blurred), soft, moved)
    mean = moved.mean((1, 2, 3), keepdim=True)
    moved = mean + (moved - mean) * _each(1 + kind.gain * both[:, 6]) + _each(kind.offset * both[:, 7])
    return _erased(moved.clamp(0, 1), kind, draws[:, 8:])


def _erased(images: Tensor, kind: Distortion, draws: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    y = (torch.arange(height, device=images.device) + 0.5) / height
    x = (torch.arange(width, device=images.device) + 0.5) / width
    near_y = (y - draws[:, 1, None]).abs() < kind.erased_side / 2
    near_x = (x - draws[:, 2, None]).abs() < kind.erased_side / 2
    square = near_y[:, None, :, None] & near_x[:, None, None, :] & _each(draws[:, 0] < kind.erased)
    return images.masked_fill(square, 0.0)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]
