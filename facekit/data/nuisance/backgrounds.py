"""Backgrounds: out-of-focus rooms and gardens, or a wall.  They depend on the take alone, never on a label."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from facekit.data.randomness import row_normal, row_uniform

_OCTAVES = ((3, 0.20), (7, 0.10), (15, 0.04))
"""Cells across the image, and the standard deviation of their brightness, at full clutter."""
_BOXES = 5


def random_backgrounds(takes: ArrayLike, clutter: ArrayLike, size: int) -> Tensor:
    """Images (N, 3, size, size) in [0, 1], float32.

    A colour with a gradient across it; soft-edged boxes (a window, a shelf, somebody else's shoulder out of focus);
    and cloudy brightness at three scales.  `clutter` (N,) from 0 (a plain wall) to 1 scales all but the first.
    """
    takes, clutter = np.asarray(takes, dtype=np.int64), np.asarray(clutter, dtype=np.float64)
    draw = row_uniform(takes, "background", 5)
    spread = np.minimum(0.25 + clutter, 0.7)
    base = (0.45 + spread * (draw[:, 0] - 0.5))[:, None] * _near_grey(0.3 * (draw[:, 1:3] - 0.5))
    angle, slope = 2.0 * np.pi * draw[:, 3], 0.7 * spread * (draw[:, 4] - 0.5)
    axis = (np.arange(size) + 0.5) / size - 0.5
    ramp = (slope * np.cos(angle))[:, None, None] * axis + (slope * np.sin(angle))[:, None, None] * axis[:, None]
    image = torch.from_numpy(base[:, :, None, None] + ramp[:, None]).float()
    amount = torch.from_numpy(clutter).float().view(-1, 1, 1, 1)
    pattern = _boxes(takes, axis)
    for cells, weight in _OCTAVES:
        pattern += weight * _clouds(takes, cells, size)
    return (image + amount * pattern).clamp_(0.0, 1.0)


def _boxes(takes: np.ndarray, axis: np.ndarray) -> Tensor:
    """Sum of soft rectangles (N, 3, size, size), each with a colour near grey."""
    draw = row_uniform(takes, "boxes", 6 * _BOXES).reshape(-1, _BOXES, 6)
    softness = 0.008 + 0.04 * draw[..., 5:] ** 2
    sides = []
    for centre, extent in ((draw[..., 0:1], draw[..., 2:3]), (draw[..., 1:2], draw[..., 3:4])):
        near, half = np.abs(axis - 1.2 * (centre - 0.5)), 0.05 + 0.3 * extent
        sides.append(1.0 / (1.0 + np.exp(np.clip((near - half) / softness, -30, 30))))
    shade = 0.7 * (draw[..., 4:5] - 0.5)
    colour = shade * _near_grey(0.25 * row_normal(takes, "box colours", 2 * _BOXES).reshape(-1, _BOXES, 2))
    across, down = (torch.from_numpy(side).float() for side in sides)
    return torch.einsum("nkc,nky,nkx->ncyx", torch.from_numpy(colour).float(), down, across)


def _clouds(takes: np.ndarray, cells: int, size: int) -> Tensor:
    """Smooth random brightness (N, 3, size, size), about standard normal, with a little colour."""
    noise = row_normal(takes, f"clouds {cells}", 3 * cells * cells).reshape(-1, cells, cells, 3)
    grid = noise[..., :1] + _near_grey(0.10 * noise[..., 1:]) - 1.0
    enlarge = _enlarging(cells, size)
    return enlarge @ torch.from_numpy(grid).float().permute(0, 3, 1, 2) @ enlarge.T


def _near_grey(tint: np.ndarray) -> np.ndarray:
    """RGB factors (..., 3) about one from tints (..., 2): from cool to warm, and a third as much towards green."""
    warm, green = tint[..., :1], tint[..., 1:] / 3.0
    return np.concatenate([1.0 + warm, 1.0 + green, 1.0 - warm], axis=-1)


@cache
def _enlarging(cells: int, size: int) -> Tensor:
    """Matrix (size, cells) that enlarges a row of cells to a row of pixels by bicubic interpolation."""
    rows = F.interpolate(torch.eye(cells)[:, None, None], size=(1, size), mode="bicubic")
    return rows[:, 0, 0].T.contiguous()
