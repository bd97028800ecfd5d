"""Maps of an encoder at several strides: a brow wants a finer map than a whole face.

Song et al. (RRL), Section 2.2 and Fig. 1: the regions are read from maps of 14 x 14 cells, which is stride 16 for
pictures of 224 pixels. Smaller pictures reach that number of cells at a finer stride.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from facekit.nn import Encoder

STRIDES = (4, 8, 16)
"""The strides at which every encoder of ``facekit.nn`` has a map."""


def stage_maps(encoder: Encoder, images: Tensor) -> tuple[dict[int, Tensor], Tensor]:
    """The last map of an encoder at each stride, and its vector.

    Args:
        encoder: one of ``facekit.nn.Encoder``.
        images: (B, 3, H, W), normalised as the encoder expects.

    Returns:
        Stride 4, 8 and 16 -> (B, C, H / stride, W / stride), and (B, D), both as ``encoder.features`` has them.
    """
    layers = list(encoder.early)
    axes_last = isinstance(layers[-1], torchvision.ops.Permute)  # Swin's maps are (B, H, W, C) until then
    current, maps = images.contiguous(), {}
    for layer in layers:
        current = layer(current)
        inside = axes_last and layer is not layers[-1]
        seen = current.permute(0, 3, 1, 2) if inside else current
        maps[2 ** round(math.log2(images.shape[2] / seen.shape[2]))] = seen
    return {stride: maps[stride] for stride in STRIDES}, encoder.late(current)


def stage_channels(encoder: Encoder) -> dict[int, int]:
    """Channels of each map of ``stage_maps``."""
    training = encoder.training
    device = next(encoder.parameters()).device
    with torch.no_grad():
        maps, _ = stage_maps(encoder.eval(), torch.zeros(1, 3, 64, 64, device=device))
    encoder.train(training)
    return {stride: made.shape[1] for stride, made in maps.items()}


def pool_regions(maps: Tensor, attention: Tensor) -> Tensor:
    """Mean of feature maps (B, C, H, W) over each AU's region: (B, K, C), zero where a region is empty.

    The attention (B, K, S, S) is resampled to the feature map by averaging, so that any size of picture will do; at
    the paper's 224 pixels both have 14 x 14 cells.
    """
    weight = F.adaptive_avg_pool2d(attention.to(maps), maps.shape[-2:])
    pooled = torch.einsum("bkhw,bchw->bkc", weight, maps)
    return pooled / weight.sum(dim=(2, 3)).clamp(min=1e-6)[..., None]


def pool_stages(maps: dict[int, Tensor], attention: Tensor, strides: Sequence[int] = STRIDES) -> Tensor:
    """``pool_regions`` of the maps at some strides, side by side: (B, K, C_1 + C_2 + ...)."""
    return torch.cat([pool_regions(maps[stride], attention) for stride in strides], dim=2)
