"""What a camera adds: blur, sensor noise and JPEG compression, in whole batches, with numbers that belong to rows."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from facekit.data.nuisance.settings import RowSettings
from facekit.data.randomness import row_normal, row_uniform


def camera_faults(images: Tensor, seeds: ArrayLike, settings: RowSettings) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] as the camera stores them: blurred, noisy, perhaps compressed, in 8 bits."""
    draw = row_uniform(seeds, "camera", 4)
    pixel = images.shape[-1] / 112.0
    images = blur(images, _between(settings["blur"], draw[:, 0]) * pixel)
    images = images + sensor_noise(seeds, images.shape[-2:], _between(settings["noise"], draw[:, 1])).to(images)
    squeezed = np.flatnonzero(draw[:, 2] < settings["compressed"])
    if len(squeezed):
        quality = _between(settings["quality"], draw[:, 3])[squeezed]
        images[squeezed] = compress(images[squeezed].clamp(0.0, 1.0), quality)
    return (images.clamp(0.0, 1.0) * 255.0).round() / 255.0


def _between(limits: np.ndarray, share: np.ndarray) -> np.ndarray:
    return limits[:, 0] + (limits[:, 1] - limits[:, 0]) * share


def blur(images: Tensor, sigma: ArrayLike) -> Tensor:
    """Gaussian blur of images (N, C, H, W), standard deviations (N,) in pixels; the border is repeated."""
    sigma = torch.as_tensor(np.asarray(sigma), dtype=images.dtype, device=images.device).clamp(min=1e-3)
    radius = max(1, math.ceil(3.0 * float(sigma.max())))
    offset = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offset / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(images.shape[1], dim=0)
    flat = F.pad(images, (radius,) * 4, mode="replicate").flatten(0, 1)[None]
    groups = flat.shape[1]
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=groups)
    return F.conv2d(flat, kernel[:, None, :, None], groups=groups).view_as(images)


_SHEET = 512


@cache
def _noise_sheet() -> Tensor:
    """Normal numbers (3, _SHEET, _SHEET), the same for everybody."""
    return torch.from_numpy(row_normal(np.arange(3), "sensor", _SHEET * _SHEET)).float().view(3, _SHEET, _SHEET)


def sensor_noise(seeds: ArrayLike, size: tuple[int, int], scale: ArrayLike) -> Tensor:
    """Noise (N, 3, H, W), float32, normal with a standard deviation (N,) for each image.

    Each image cuts its piece out of one large sheet of normal numbers (repeated to all sides), at a place of its own.
    """
    height, width = size
    corner = (row_uniform(seeds, "noise corner", 2) * _SHEET).astype(np.int64)
    y = torch.from_numpy((corner[:, :1] + np.arange(height)) % _SHEET)
    x = torch.from_numpy((corner[:, 1:] + np.arange(width)) % _SHEET)
    piece = _noise_sheet().flatten(1)[:, y[:, :, None] * _SHEET + x[:, None, :]].transpose(0, 1)
    return piece * torch.as_tensor(np.asarray(scale), dtype=torch.float32)[:, None, None, None]


# Quantisation tables of the JPEG standard, Annex K: steps for each frequency at quality 50.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32,
)  # fmt: skip
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


@cache
def _cosines() -> Tensor:
    """The orthonormal cosine transform of a block of 8 x 8, row by row, as a matrix (64, 64)."""
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    matrix = 0.5 * torch.cos((2 * n + 1) * k * math.pi / 16)
    matrix[0] /= math.sqrt(2.0)
    return torch.kron(matrix, matrix)


def compress(images: Tensor, quality: ArrayLike) -> Tensor:
    """What is left of images (N, 3, H, W) in [0, 1] after JPEG at a quality (N,) from 1 to 100.

    Luminance and colour differences in blocks of 8 x 8, cosine transform, quantisation with the standard's tables
    scaled as libjpeg does, and back.  Colour is not subsampled.
    """
    quality = torch.as_tensor(np.asarray(quality), dtype=images.dtype, device=images.device).clamp(1.0, 100.0)
    factor = torch.where(quality < 50.0, 5000.0 / quality, 200.0 - 2.0 * quality) / 100.0
    tables = torch.tensor((_LUMINANCE, _CHROMINANCE, _CHROMINANCE), dtype=images.dtype, device=images.device)
    steps = (tables.view(1, 3, 1, 1, 64) * factor.view(-1, 1, 1, 1, 1)).round().clamp(1.0, 255.0)
    height, width = images.shape[-2:]
    to_ycc = torch.tensor(_TO_YCC, dtype=images.dtype, device=images.device)
    grey = torch.tensor((128.0, 0.0, 0.0), dtype=images.dtype, device=images.device).view(3, 1, 1)
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, images) * 255.0 - grey
    padded = F.pad(ycc, (0, -width % 8, 0, -height % 8), mode="replicate")
    blocks = padded.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
    cosines = _cosines().to(images)
    coefficients = blocks.flatten(-2) @ cosines.T
    blocks = (((coefficients / steps).round() * steps) @ cosines).unflatten(-1, (8, 8))
    ycc = blocks.transpose(-3, -2).flatten(-2, -1).flatten(-3, -2)[..., :height, :width]
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_ycc), (ycc + grey) / 255.0).clamp(0.0, 1.0)
