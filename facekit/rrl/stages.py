"""Regions of an encoder's maps, at one stride or several: a brow wants a finer map than a whole face.

Song et al. (RRL), Section 2.2 and Fig. 1: the regions are read from maps of 14 x 14 cells, which is stride 16 for
pictures of 224 pixels. Smaller pictures reach that number of cells at a finer stride.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.nn import STRIDES


def pool_regions(maps: Tensor, attention: Tensor) -> Tensor:
    """Mean of feature maps (B, C, H, W) over each AU's region: (B, K, C), zero where a region is empty.

    The attention (B, K, S, S) is resampled to the feature map by averaging, so that any size of picture will do; at
    the paper's 224 pixels both have 14 x 14 cells.
    """
    weight = F.adaptive_avg_pool2d(attention.to(maps), maps.shape[-2:])
    pooled = torch.einsum("bkhw,bchw->bkc", weight, maps)
    return pooled / weight.sum(dim=(2, 3)).clamp(min=1e-6)[..., None]


def pool_stages(maps: dict[int, Tensor], attention: Tensor, strides: Sequence[int] = STRIDES) -> Tensor:
    """``pool_regions`` of an encoder's maps at some strides, side by side: (B, K, C_1 + C_2 + ...)."""
    return torch.cat([pool_regions(maps[stride], attention) for stride in strides], dim=2)
