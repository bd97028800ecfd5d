"""Means over regions of an encoder's maps at strides 4, 8 and 16."""

import pytest
import torch

from facekit.nn import STRIDES, Encoder
from facekit.rrl import RegionRelation, encode, pool_regions, pool_stages


def test_fine_maps_tell_neighbours_apart_that_coarse_ones_mix():
    fine = torch.zeros(1, 1, 12, 12)
    fine[..., :6] = 1.0
    left, right = torch.zeros(2, 1, 1, 14, 14)
    left[..., 4:6], right[..., 8:10] = 1.0, 1.0
    attention = torch.cat([left, right], dim=1)
    maps = {4: fine, 8: torch.nn.functional.avg_pool2d(fine, 2), 16: torch.nn.functional.avg_pool2d(fine, 4)}
    pooled = pool_stages(maps, attention)
    torch.testing.assert_close(pooled[..., :1], pool_regions(fine, attention))
    contrast = (pooled[0, 0] - pooled[0, 1]).tolist()
    assert contrast[0] > 0.95 and contrast[2] < contrast[0]


def test_a_probe_can_see_every_stage():
    encoder, images = Encoder("resnet_tiny"), torch.rand(3, 3, 48, 48)
    attention = torch.rand(3, 2, 14, 14)
    features = encode(encoder, images, attention, STRIDES)
    channels = encoder.stage_channels
    assert features.shape == (3, 2, encoder.dim + sum(channels.values()))
    torch.testing.assert_close(encode(encoder, images, attention), torch.cat(
        [features[..., : encoder.dim], features[..., -channels[16] :]], dim=2
    ))  # fmt: skip


def test_a_stride_without_a_map_is_named():
    with pytest.raises(ValueError, match=r"is 32, expected one of \(4, 8, 16\)"):
        RegionRelation("resnet_tiny", hidden=32, projection=16, map_stride=32)
