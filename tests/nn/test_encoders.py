"""Backbones cut in two give torchvision's own features; projectors have the layers that their widths name."""

import pytest
import torch
import torchvision
from torch import nn

from facekit.nn import ENCODERS, STRIDES, Encoder, EncoderError, perceptron, residual_block


@pytest.mark.parametrize("name", ENCODERS)
def test_shapes_are_those_announced(name):
    encoder = Encoder(name).eval()
    with torch.no_grad():
        maps, vectors = encoder.features(torch.rand(2, 3, 64, 64))
    assert maps.shape == (2, encoder.map_channels, 4, 4)
    assert vectors.shape == (2, encoder.dim)


@pytest.mark.parametrize("name", ENCODERS)
def test_stages_are_the_last_maps_at_their_strides(name):
    encoder, images, seen = Encoder(name).eval(), torch.rand(2, 3, 96, 96), {}

    def keep(layer, args, made):
        made = made.permute(0, 3, 1, 2) if made.shape[1] == made.shape[2] else made  # (B, H, W, C) inside Swin
        seen[96 // made.shape[2]] = made

    for layer in encoder.early:
        layer.register_forward_hook(keep)
    with torch.no_grad():
        last, expected = encoder.features(images)
        by_layer = dict(seen)
        maps, vectors = encoder.stages(images)
    assert torch.equal(maps[16], last) and torch.equal(vectors, expected)
    for stride in STRIDES:
        assert maps[stride].shape == (2, encoder.stage_channels[stride], 96 // stride, 96 // stride)
        assert torch.equal(maps[stride], by_layer[stride])
    assert tuple(maps) == STRIDES and encoder.stage_channels[16] == encoder.map_channels


def test_stages_of_sizes_that_do_not_divide_are_rounded():
    maps, _ = Encoder("resnet_tiny").eval().stages(torch.rand(1, 3, 17, 36))
    assert [tuple(made.shape[2:]) for made in maps.values()] == [(5, 9), (3, 5), (2, 3)]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "swin_t"])
def test_vectors_are_what_torchvision_classifies(name, monkeypatch):
    torch.manual_seed(0)
    whole = torchvision.models.get_model(name).eval()
    monkeypatch.setattr(torchvision.models, name, lambda weights: whole)
    encoder = Encoder(name).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        classify = whole.head if name == "swin_t" else whole.fc
        torch.testing.assert_close(classify(encoder(images)), whole(images))


@pytest.mark.parametrize("name", ENCODERS)
def test_other_channels_change_the_first_convolution_alone(name):
    encoder = Encoder(name, channels=4).eval()
    with torch.no_grad():
        assert encoder(torch.rand(1, 4, 64, 64)).shape == (1, encoder.dim)
    changed = sum(p.numel() for p in encoder.parameters()) - sum(p.numel() for p in Encoder(name).parameters())
    readers = [m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 4]
    assert changed == sum(m.weight.numel() // 4 for m in readers) > 0


def test_cached_weights_are_used_where_the_file_is(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert not Encoder("resnet18", weights="cached").pretrained
    stored = torchvision.models.resnet18()
    (tmp_path / "checkpoints").mkdir()
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    torch.save(stored.state_dict(), tmp_path / "checkpoints" / url.rsplit("/", 1)[-1])
    encoder = Encoder("resnet18", weights="cached")
    assert encoder.pretrained
    torch.testing.assert_close(encoder.early[0].weight, stored.conv1.weight, rtol=0, atol=0)


def test_unknown_names_are_refused():
    with pytest.raises(EncoderError, match="expected one of resnet_tiny, resnet18"):
        Encoder("resnet19")
    with pytest.raises(EncoderError, match="expected one of random, cached, imagenet"):
        Encoder("resnet18", weights="faces")
    with pytest.raises(EncoderError, match="no ImageNet weights"):
        Encoder("resnet_tiny", weights="imagenet")


def test_perceptron_has_a_layer_for_each_width():
    head = perceptron([8, 16, 16, 4])
    assert [m.out_features for m in head if isinstance(m, nn.Linear)] == [16, 16, 4]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in head) == 2
    assert head(torch.rand(5, 8)).shape == (5, 4)
    assert [m.bias is None for m in head if isinstance(m, nn.Linear)] == [True, True, False]
    assert not any(isinstance(m, nn.BatchNorm1d) for m in perceptron([8, 16, 4], batch_norm=False))
    with pytest.raises(ValueError, match="input and an output"):
        perceptron([8])


@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_block_adds_a_convolution_of_its_input(stride):
    block = residual_block(3, 5, stride).eval()
    maps = torch.rand(2, 3, 7, 10)
    half = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(maps)))))
    made = block(maps)
    torch.testing.assert_close(made, torch.relu(half + block.downsample(maps)))
    assert made.shape == (2, 5, -(-7 // stride), 10 // stride)


def test_images_may_lie_in_memory_channels_last():
    """torch's convolutions are not asked to handle them: on a CPU their backward pass may write out of bounds."""
    encoder, seen = Encoder("resnet_tiny"), []
    encoder.early.register_forward_pre_hook(lambda module, args: seen.append(args[0].is_contiguous()))
    images = torch.rand(3, 40, 40, 3).permute(0, 3, 1, 2)
    encoder(images)
    encoder.features(images)
    encoder.early[0].register_forward_pre_hook(lambda module, args: seen.append(args[0].is_contiguous()))
    encoder.stages(images)
    assert seen == [True, True, True]
