"""Image encoders: torchvision's backbones cut in two, at the map of stride 16 and at the feature vector.

Papers that look at single regions of a face work on the map (14 x 14 for 224-pixel images), the others on the vector.
``resnet_tiny`` is a narrow residual network for laptops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

TINY_WIDTHS = (16, 32, 64, 128)
WEIGHTS = ("random", "cached", "imagenet")


class EncoderError(ValueError):
    """An encoder that is not known, or weights that do not fit it."""


class Encoder(nn.Module):
    """Images (B, channels, H, W) to vectors (B, dim), through a map (B, map_channels, H/16, W/16).

    The images are normalised as the backbone expects, see ``facekit.data.normalize``. ``early`` makes the map and
    ``late`` the vector; ``pretrained`` tells whether ImageNet weights were loaded.

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
        parts = ENCODERS[name].split(backbone)
        self.early, self.late = parts
        self.map_channels, self.dim = ENCODERS[name].map_channels, ENCODERS[name].dim
        if channels != 3:
            _take_channels(self.early, channels)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The map (B, map_channels, H/16, W/16) and the vector (B, dim)."""
        maps = self.early(images.contiguous())  # torch 2.15's CPU convolutions may crash on channels-last images
        return maps, self.late(maps)

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images)[1]


@dataclass(frozen=True)
class _Backbone:
    """How a network of torchvision is made and cut."""

    split: Callable[[nn.Module], tuple[nn.Sequential, nn.Sequential]]
    map_channels: int
    dim: int


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
        stages.append(_block(width, following, stride=2))
        width = following
    return nn.Sequential(*stages, _block(width, width, stride=1))


def _block(width: int, following: int, stride: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(width, following, 1, stride, bias=False), nn.BatchNorm2d(following))
    return BasicBlock(width, following, stride, shortcut)


def _split_tiny(net: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    return net[:-1], nn.Sequential(net[-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


ENCODERS = {
    "resnet_tiny": _Backbone(_split_tiny, TINY_WIDTHS[-1], TINY_WIDTHS[-1]),
    "resnet18": _Backbone(_split_resnet, 256, 512),
    "resnet50": _Backbone(_split_resnet, 1024, 2048),
    "vgg16": _Backbone(_split_vgg, 512, 512),
    "swin_t": _Backbone(_split_swin, 384, 768),
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
