"""Image encoders: torchvision's backbones cut in two, at the map of stride 16 and at the feature vector.

Papers that look at single regions of a face work on the map (14 x 14 for 224-pixel images), or on the finer ones of the
stages before it; the others work on the vector. ``resnet_tiny`` is a narrow residual network for laptops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlparse

import torch
import torchvision
from torch import Tensor, nn

from facekit.nn.residual_block import residual_block

STRIDES = (4, 8, 16)
"""The strides of an encoder's stages: pixels of the image from one cell of the map to the next."""
TINY_WIDTHS = (16, 32, 64, 128)
WEIGHTS = ("random", "cached", "imagenet")


class EncoderError(ValueError):
    """An encoder that is not known, or weights that do not fit it."""


class Encoder(nn.Module):
    """Images (B, channels, H, W) to vectors (B, dim), through a map (B, map_channels, H/16, W/16).

    The images are normalised as the backbone expects, see ``facekit.data.normalize``. ``early`` makes the map and
    ``late`` the vector; ``pretrained`` tells whether ImageNet weights were loaded; ``stage_channels`` says how many
    channels the map of each stage has.

    Args:
        name: one of ``ENCODERS``.
        channels: of the images; with other than 3, the first convolution is drawn anew.
        weights: ``random``; ``imagenet`` for torchvision's weights, which are downloaded where they are missing; or
            ``cached`` for these weights where torch's cache folder has them, and random ones otherwise.

    Raises:
        EncoderError: the name or the kind of weights is not known, or the tiny network is asked for ImageNet weights.
    """

    def __init__(self, name: str, channels: int = 3, weights: str = "random") -> None:
        super().__init__()
        if name not in ENCODERS:
            raise EncoderError(f"encoder {name!r} is not known; expected one of {', '.join(ENCODERS)}")
        if weights not in WEIGHTS:
            raise EncoderError(f"weights are {weights!r}; expected one of {', '.join(WEIGHTS)}")
        self.name = name
        backbone, self.pretrained = _backbone(name, weights)
        self.early, self.late = ENCODERS[name].split(backbone)
        self.stage_channels = dict(zip(STRIDES, ENCODERS[name].channels, strict=True))
        self.map_channels, self.dim = ENCODERS[name].channels[-1], ENCODERS[name].dim
        if channels != 3:
            _take_channels(self.early, channels)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The map (B, map_channels, H/16, W/16) and the vector (B, dim)."""
        maps = self.early(images.contiguous())  # torch 2.15's CPU convolutions may crash on channels-last images
        return maps, self.late(maps)

    def stages(self, images: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """The last map at each of ``STRIDES``, by stride, and the vector (B, dim); in one pass.

        A map is (B, stage_channels[stride], H/stride, W/stride), rounded up or down as the backbone does it. That of
        stride 16 and the vector are what ``features`` returns.
        """
        backbone, current, maps = ENCODERS[self.name], images.contiguous(), {}
        for stride, (start, end) in zip(STRIDES, pairwise((0, *backbone.ends)), strict=True):
            current = self.early[start:end](current)
            turned = backbone.channels_last and end < len(self.early)
            maps[stride] = current.permute(0, 3, 1, 2) if turned else current
        return maps, self.late(current)

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images)[1]


@dataclass(frozen=True)
class _Backbone:
    """How a network is cut, and what it gives.

    Attributes:
        split: the network into its layers up to the map, and those up to the vector.
        ends: how many layers lead to the last map at each of ``STRIDES``.
        channels: of these maps.
        dim: of the vector.
        channels_last: whether the maps before the last one are (B, H, W, C).
    """

    split: Callable[[nn.Module], tuple[nn.Sequential, nn.Sequential]]
    ends: tuple[int, int, int]
    channels: tuple[int, int, int]
    dim: int
    channels_last: bool = False


def _split_resnet(net: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    early = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3)
    return early, nn.Sequential(net.layer4, net.avgpool, nn.Flatten())


def _split_vgg(net: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    return net.features[:-1], nn.Sequential(net.features[-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _split_swin(net: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    early = nn.Sequential(*net.features[:6], torchvision.ops.Permute([0, 3, 1, 2]))
    to_last = torchvision.ops.Permute([0, 2, 3, 1])
    return early, nn.Sequential(to_last, *net.features[6:], net.norm, net.permute, net.avgpool, nn.Flatten())


def _tiny() -> nn.Module:
    """Four residual blocks, each halving the image, and one more on the map."""
    stages, width = [], 3
    for following in TINY_WIDTHS:
        stages.append(residual_block(width, following, stride=2))
        width = following
    return nn.Sequential(*stages, residual_block(width, width))


def _split_tiny(net: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    return net[:-1], nn.Sequential(net[-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


ENCODERS = {
    "resnet_tiny": _Backbone(_split_tiny, (2, 3, 4), TINY_WIDTHS[1:], TINY_WIDTHS[-1]),
    "resnet18": _Backbone(_split_resnet, (5, 6, 7), (64, 128, 256), 512),
    "resnet50": _Backbone(_split_resnet, (5, 6, 7), (256, 512, 1024), 2048),
    "vgg16": _Backbone(_split_vgg, (16, 23, 30), (256, 512, 512), 512),
    "swin_t": _Backbone(_split_swin, (2, 4, 7), (96, 192, 384), 768, channels_last=True),
}
"""The encoders by name."""


def _backbone(name: str, weights: str) -> tuple[nn.Module, bool]:
    """The uncut network and whether it has ImageNet weights."""
    if name == "resnet_tiny":
        if weights == "imagenet":
            raise EncoderError("resnet_tiny has no ImageNet weights; use weights='random'")
        return _tiny(), False
    make = getattr(torchvision.models, name)
    published = torchvision.models.get_model_weights(name).DEFAULT
    if weights == "imagenet":
        return make(weights=published), True
    network = make(weights=None)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(published.url).path).name
    if weights == "cached" and file.exists():
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return network, True
    return network, False


def _take_channels(early: nn.Module, channels: int) -> None:
    """Every convolution that reads the image gets new weights for another number of channels."""
    for module in early.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and child.in_channels == 3:
                fresh = nn.Conv2d(
                    channels, child.out_channels, child.kernel_size, child.stride, child.padding,
                    bias=child.bias is not None,
                )  # fmt: skip
                setattr(module, name, fresh)
