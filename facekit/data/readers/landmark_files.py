"""Landmarks from files to the pixels of a crop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.data.readers.text_files import TextError, number_in, text_lines

_NOT_INNER_CORNERS = [place for place in range(68) if place not in (60, 64)]


def read_landmarks(path: Path) -> Tensor:
    """(68, 2) pixels from a text of 68 lines `x y`; the header and the braces of .pts files are passed over.

    Raises:
        TextError: if there are not 68 pairs of finite numbers.
    """
    pairs = []
    for number, line in text_lines(path):
        if line in "{}" or line.lower().startswith(("version", "n_points")):
            continue
        cells = line.replace(",", " ").split()
        if len(cells) != 2 or len(pairs) == 68:
            raise TextError(f"{path}, line {number}: expected 68 lines of two numbers, found {line[:40]!r}")
        pairs.append([number_in(cell, f"{path}, line {number}") for cell in cells])
    if len(pairs) != 68:
        raise TextError(f"{path}: expected 68 lines of two numbers, found {len(pairs)}")
    return torch.tensor(pairs)


def stack_known(points: Iterable[Tensor | None]) -> Tensor:
    """(B, 68, 2) of one's own landmarks; NaN where there are none."""
    return torch.stack([torch.full((68, 2), torch.nan) if found is None else found for found in points])


def to_crop(points: Tensor, boxes: np.ndarray, image_size: int) -> Tensor:
    """Points (B, L, 2) of pictures in pixels of the crops `boxes` (B, 3): left edge, top edge and side."""
    corner, side = torch.from_numpy(np.asarray(boxes)).float().split([2, 1], dim=1)
    return (points.float() - corner[:, None]) * (image_size / side)[:, None]


def from_66(points: np.ndarray) -> np.ndarray:
    """The 68 landmarks (68, 2) from 66 (66, 2), which lack the inner corners of the mouth.

    These lie between the outer corner and the middle of the lips' nearest inner points, a quarter of the way.
    """
    full = np.empty((68, 2))
    full[_NOT_INNER_CORNERS] = points
    for inner, outer, upper, lower in ((60, 48, 61, 67), (64, 54, 63, 65)):
        full[inner] = 0.75 * full[outer] + 0.125 * (full[upper] + full[lower])
    return full
