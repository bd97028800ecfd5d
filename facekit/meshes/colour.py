"""Linear light and the sRGB values that pictures store (IEC 61966-2-1)."""

import torch
from torch import Tensor


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Linear values in [0, 1] to sRGB in [0, 1], elementwise; differentiable everywhere, also at zero."""
    curve = 1.055 * linear.clamp(min=0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """sRGB in [0, 1] to linear values in [0, 1], elementwise: the inverse of :func:`linear_to_srgb`."""
    curve = ((srgb.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4)
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)
