"""Attention maps: where on a picture each action unit (AU) shows, from 68 landmarks.

Song et al. (RRL), Section 2.2: ellipses about landmarks, smoothed by a Gaussian with sigma = 3, give K maps of 14 x 14.
The centres follow the table of EAC-Net: most stand a fraction of the distance between the inner eye corners above or
below a landmark. A map covers both sides of the face, so the mirror image of a face has the mirror image of its maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from facekit.data import LANDMARK_MIRROR

MAP_SIZE = 14
SIGMA = 3.0
CELLS = 4  # pixels of the source grid along a cell of the map

EYES, MOUTH = tuple(range(36, 48)), tuple(range(48, 68))
EYE_TO_MOUTH = 0.47
"""Distance between the inner eye corners over the distance from eyes to mouth, in an average face seen from ahead."""


class Region(NamedTuple):
    """Where an AU shows on the subject's right; its left side is the mirror image.

    ``landmarks`` are averaged; the centre lies ``up`` above them. The ellipse has half axes ``across`` and ``along``
    (across the face, and from mouth to eyes). Lengths are in distances between the inner eye corners.
    """

    landmarks: tuple[int, ...]
    up: float
    across: float
    along: float


REGIONS: dict[int, Region] = {
    1: Region((21,), 0.50, 0.40, 0.35),
    2: Region((17, 18), 0.33, 0.45, 0.35),
    4: Region((19, 20), -0.33, 0.55, 0.35),
    6: Region((40, 41), -1.00, 0.55, 0.40),
    7: Region((36, 37, 38, 39, 40, 41), 0.0, 0.50, 0.30),
    9: Region((31, 39), 0.0, 0.35, 0.45),
    10: Region((50, 51), 0.0, 0.45, 0.30),
    12: Region((48,), 0.0, 0.40, 0.40),
    14: Region((48,), 0.0, 0.45, 0.30),
    15: Region((48,), -0.15, 0.35, 0.45),
    17: Region((57, 58), -0.50, 0.50, 0.35),
    23: Region((50, 51, 57, 58), 0.0, 0.50, 0.30),
    24: Region((61, 62, 66, 67), 0.0, 0.50, 0.25),
    25: Region((61, 62, 66, 67), 0.0, 0.50, 0.40),
    26: Region((57, 58), -0.40, 0.60, 0.50),
}
"""AU -> where it shows; the AUs of BP4D's and DISFA's protocols."""


class Attention(NamedTuple):
    """``maps (B, K, S, S)`` in [0, 1], each with maximum 1, and ``valid (B, K)`` bool; an invalid map is all zero."""

    maps: Tensor
    valid: Tensor


class FaceFrame(NamedTuple):
    """``up (B, 2)``, the unit vector from mouth to eyes; ``scale (B,)`` in pixels; ``found (B,)`` bool."""

    up: Tensor
    scale: Tensor
    found: Tensor


def face_frame(landmarks: Tensor) -> FaceFrame:
    """Upright direction and size of faces (B, 68, 2); landmarks that are NaN are missing.

    The size is the distance between the inner eye corners, as EAC-Net has it, but no less than 0.47 of the distance
    from eyes to mouth, which a turned head does not shorten, and that alone where a corner is missing. A face without
    a single landmark of the eyes, or of the mouth, is not found.
    """
    rise = torch.nanmean(landmarks[:, EYES], dim=1) - torch.nanmean(landmarks[:, MOUTH], dim=1)
    height = rise.norm(dim=1)
    found = height > 0  # False for NaN
    height = torch.where(found, height, torch.ones_like(height))
    inner = (landmarks[:, 39] - landmarks[:, 42]).norm(dim=1)
    scale = torch.fmax(inner, EYE_TO_MOUTH * height)
    up = torch.where(found[:, None], rise / height[:, None], rise.new_tensor([0.0, -1.0]))
    return FaceFrame(up, scale, found)


def region_centres(landmarks: Tensor, units: Sequence[int]) -> Tensor:
    """Centres (B, K, 2, 2) in pixels of the AUs' regions; the third axis is the subject's right and left.

    NaN where none of a region's landmarks is known, or the face is not found.

    Raises:
        ValueError: an AU has no region.
    """
    frame = face_frame(landmarks)
    lift = frame.up * torch.where(frame.found, frame.scale, torch.nan)[:, None]
    centres = []
    for unit in units:
        right = torch.tensor(_region(unit).landmarks)
        sides = [torch.nanmean(landmarks[:, side], dim=1) for side in (right, LANDMARK_MIRROR[right])]
        centres.append(torch.stack(sides, dim=1) + _region(unit).up * lift[:, None])
    return torch.stack(centres, dim=1)


def attention_maps(
    landmarks: Tensor,
    image_size: int,
    units: Sequence[int],
    visible: Tensor | None = None,
    size: int = MAP_SIZE,
    sigma: float = SIGMA,
) -> Attention:
    """Attention maps of a whole batch.

    Args:
        landmarks: (B, 68, 2) in pixels, on the picture or beyond its border; NaN where a landmark was not found.
        image_size: width of the square pictures in pixels.
        units: K numbers of AUs, of ``REGIONS``.
        visible: (B, 68) bool, False for landmarks to be treated as missing; all count if None.
        size: cells along a side of the maps.
        sigma: of the Gaussian, in pixels of the source grid, which has 4 x 4 pixels to a cell.

    Returns:
        The maps. A side of the face of which no landmark is known, or which lies outside the picture, adds nothing to
        its map; where nothing is left of a map, it is zero and ``valid`` is False. A picture without a face (all
        landmarks NaN) has K such maps. Nothing returned is ever NaN.

    Raises:
        ValueError: landmarks of another shape, or an AU without a region.
    """
    if landmarks.dim() != 3 or landmarks.shape[1:] != (68, 2):
        raise ValueError(f"landmarks are {tuple(landmarks.shape)}, expected (B, 68, 2)")
    landmarks = torch.where(landmarks.isfinite().all(dim=2, keepdim=True), landmarks, torch.nan)
    if visible is not None:
        landmarks = torch.where(visible[..., None], landmarks, torch.nan)
    grid = size * CELLS
    centres = region_centres(landmarks, units) * (grid / image_size)
    frame = face_frame(landmarks)
    inside = _ellipses(centres, frame.up, frame.scale * (grid / image_size), units, grid)
    smooth = _smoothing(size, sigma).to(inside)
    maps = smooth @ inside @ smooth.T
    peak = maps.amax(dim=(2, 3), keepdim=True)
    valid = peak > 1e-3  # less than that is the tail of an ellipse beyond the border
    return Attention(torch.where(valid, maps / peak.clamp(min=1e-3), torch.zeros_like(maps)), valid[..., 0, 0])


def _ellipses(centres: Tensor, up: Tensor, scale: Tensor, units: Sequence[int], grid: int) -> Tensor:
    """Which pixels (B, K, grid, grid) of the source grid lie in an ellipse of either side, as 0.0 or 1.0."""
    axes = torch.tensor([[_region(unit).across, _region(unit).along] for unit in units]).to(centres)
    half = axes * torch.nan_to_num(scale, nan=1.0).clamp(min=1e-6)[:, None, None]
    turned = torch.stack([torch.stack([-up[:, 1], up[:, 0]], dim=1), up], dim=1)[:, None] / half[..., None]
    place = torch.arange(grid, device=centres.device, dtype=centres.dtype) + 0.5
    start = torch.einsum("bkij,bksj->bksi", turned, torch.nan_to_num(centres, nan=0.0))
    x, y = (turned[..., i, None] * place for i in (0, 1))  # (B, K, 2, grid) each
    inside = torch.zeros(*centres.shape[:2], grid, grid, dtype=torch.bool, device=centres.device)
    for side in (0, 1):
        down = y - start[:, :, side, :, None]
        across, along = (x[:, :, i, None, :] + down[:, :, i, :, None] for i in (0, 1))
        known = centres[:, :, side].isfinite().all(dim=2)
        inside |= (across.square_().add_(along.square_()) <= 1.0) & known[:, :, None, None]
    return inside.to(centres)


def _smoothing(size: int, sigma: float) -> Tensor:
    """Matrix (size, grid) that smooths along one axis by a Gaussian and averages the pixels of each cell."""
    place = torch.arange(size * CELLS, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((place[:, None] - place) / max(sigma, 1e-6)).square())
    weight = weight / torch.exp(-0.5 * (torch.arange(-200, 201, dtype=torch.float64) / max(sigma, 1e-6)) ** 2).sum()
    weight = torch.where(weight > 1e-7, weight, torch.zeros_like(weight))  # denormal numbers are slow
    return weight.unflatten(0, (size, CELLS)).mean(dim=1)


def _region(unit: int) -> Region:
    if unit not in REGIONS:
        raise ValueError(f"AU {unit} has no region; those known are {', '.join(map(str, REGIONS))}")
    return REGIONS[unit]
