"""From whatever a caller has (tensors on any device, arrays, lists) to the small NumPy arrays a figure needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facekit.meshes import linear_to_srgb


def to_numpy(values: Any) -> NDArray[Any]:
    """Return ``values`` as a NumPy array on the CPU, without a gradient; bfloat16, which NumPy lacks, as float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
    return np.asarray(values)


def encode_srgb(linear: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 8-bit sRGB values of linear intensities in [0, 1] (any shape), values outside clipped."""
    encoded = linear_to_srgb(torch.as_tensor(linear, dtype=torch.float64).clamp(0.0, 1.0))
    return (encoded * 255).round().to(torch.uint8).numpy()


def hex_colours(rgb: NDArray[np.uint8]) -> list[str]:
    """Return ``#rrggbb`` strings of 8-bit colours ``(V, 3)``."""
    packed = rgb.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    return [f"#{value:06x}" for value in packed.tolist()]
