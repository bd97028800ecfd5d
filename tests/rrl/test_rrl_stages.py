"""Maps of every encoder at strides 4, 8 and 16, and means over regions of them."""

import pytest
import torch

from facekit.nn import Encoder
from facekit.rrl import STRIDES, RegionRelation, encode, pool_regions, pool_stages, stage_channels, stage_maps


@pytest.mark.parametrize("name", ["resnet_tiny", "resnet18", "vgg16", "swin_t"])
def test_every_encoder_has_maps_at_the_three_strides(name):
    torch.manual_seed(0)
    encoder, images = Encoder(name).eval(), torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        maps, vector = stage_maps(encoder, images)
        last, expected = encoder.features(images)
    torch.testing.assert_close(maps[16], last)
    torch.testing.assert_close(vector, expected)
    assert {stride: tuple(made.shape[2:]) for stride, made in maps.items()} == {s: (96 // s, 96 // s) for s in STRIDES}
    assert stage_channels(encoder) == {stride: made.shape[1] for stride, made in maps.items()}


def test_sizes_that_do_not_divide_are_rounded_up():
    maps, _ = stage_maps(Encoder("resnet_tiny").eval(), torch.rand(1, 3, 36, 36))
    assert [made.shape[-1] for made in maps.values()] == [9, 5, 3]


def test_counting_channels_changes_nothing():
    encoder = Encoder("resnet_tiny").train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    stage_channels(encoder)
    assert encoder.training
    torch.testing.assert_close(encoder.state_dict(), before, rtol=0, atol=0)


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
    channels = stage_channels(encoder)
    assert features.shape == (3, 2, encoder.dim + sum(channels.values()))
    torch.testing.assert_close(encode(encoder, images, attention), torch.cat(
        [features[..., : encoder.dim], features[..., -channels[16] :]], dim=2
    ))  # fmt: skip


def test_a_stride_without_a_map_is_named():
    with pytest.raises(ValueError, match=r"is 32, expected one of \(4, 8, 16\)"):
        RegionRelation("resnet_tiny", hidden=32, projection=16, map_stride=32)
