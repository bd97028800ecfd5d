"""MiFaR's networks: an encoder and a projector for each view, and a classifier that bypasses the projectors.

Behzad and Zhao (2021), Section II-A and Figure 1: "different encoders for each view"; Section III: "we bypass FC layers
of encoders in training, and finetune it for the downstream task".
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from facekit.nn import ENCODERS, Encoder, perceptron, residual_block

NUM_VIEWS = 3
FRONT = 1
"""Position of the front view."""
SMALL = "resnet_places"
ENCODER_NAMES = (SMALL, *ENCODERS)
"""What ``ViewEncoder`` takes: the small network of this room, or one of ``facekit.nn.ENCODERS``."""


class PlaceEncoder(nn.Module):
    """Images (B, channels, H, W) to vectors (B, 1024) that keep *where* something is: for laptops and small images.

    Three residual blocks, each halving the image, and the mean of each of 4 x 4 parts of it, where large networks take
    the mean over the whole image. A face that is always in the middle of its image tells its expression by places.
    """

    widths, cells = (16, 32, 64), 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        blocks = [residual_block(width, following, stride=2) for width, following in pairwise((channels, *self.widths))]
        self.blocks = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(self.cells), nn.Flatten())
        self.dim = self.widths[-1] * self.cells**2

    def forward(self, images: Tensor) -> Tensor:
        return self.blocks(images.contiguous())


class ViewEncoder(nn.Module):
    """Images (B, views, C, H, W) in [0, 1], or 8-bit, to vectors (B, views, dim).

    Args:
        name: of ``ENCODER_NAMES``.
        channels: C.
        views: number of views.
        shared: one encoder for all views (the paper's ablation "same encoder") instead of one each.
    """

    def __init__(self, name: str, channels: int, views: int = NUM_VIEWS, shared: bool = False) -> None:
        super().__init__()
        self.views = views
        make = (lambda: PlaceEncoder(channels)) if name == SMALL else (lambda: Encoder(name, channels))
        self.encoders = nn.ModuleList(make() for _ in range(1 if shared else views))
        self.dim = self.encoders[0].dim

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 5 or images.shape[1] != self.views:
            raise ValueError(f"images are {tuple(images.shape)}, expected (B, {self.views}, C, H, W)")
        centred = (as_float(images) - 0.5) / 0.25
        if len(self.encoders) == 1:
            return self.encoders[0](centred.flatten(0, 1)).unflatten(0, images.shape[:2])
        return torch.stack([encode(centred[:, view]) for view, encode in enumerate(self.encoders)], 1)


class MiFaR(nn.Module):
    """Encoders and projectors; embeddings (views, B, D) of images (B, views, C, H, W).

    Args:
        encoder: shared encoders bring a shared projector.
        widths: of the projector's layers; the last one is D.
    """

    def __init__(self, encoder: ViewEncoder, widths: Sequence[int] = (1024, 1024, 1024)) -> None:
        super().__init__()
        self.encoder = encoder
        self.projectors = nn.ModuleList(perceptron([encoder.dim, *widths]) for _ in encoder.encoders)

    def forward(self, images: Tensor) -> Tensor:
        features = self.encoder(images).transpose(0, 1)
        if len(self.projectors) == 1:
            return self.projectors[0](features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return torch.stack([project(x) for project, x in zip(self.projectors, features, strict=True)])


class Classifier(nn.Module):
    """Scores (B, classes) of images (B, views, C, H, W): the views' vectors side by side, then one linear layer."""

    def __init__(self, encoder: ViewEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.dim * encoder.views, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.encoder(images).flatten(1))


@torch.no_grad()
def view_features(encoder: ViewEncoder, images: Tensor, block: int = 256) -> Tensor:
    """Vectors (N, views, dim) of images (N, views, C, H, W), in evaluation mode, on the encoder's device."""
    device, training = next(encoder.parameters()).device, encoder.training
    encoder.eval()
    found = torch.cat([encoder(part.to(device)).cpu() for part in images.split(block)])
    encoder.train(training)
    return found


def as_float(images: Tensor) -> Tensor:
    """Images in [0, 1]; 8-bit ones are divided by 255."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
