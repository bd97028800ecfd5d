"""The block of small residual networks."""

from torch import nn
from torchvision.models.resnet import BasicBlock


def residual_block(channels: int, following: int, stride: int = 1) -> BasicBlock:
    """ResNet-18's two convolutions: maps (B, channels, H, W) to (B, following, H/stride, W/stride), rounded up.

    The shortcut is a 1 x 1 convolution with batch normalisation, also where the shape stays the same.
    """
    shortcut = nn.Sequential(nn.Conv2d(channels, following, 1, stride, bias=False), nn.BatchNorm2d(following))
    return BasicBlock(channels, following, stride, shortcut)
