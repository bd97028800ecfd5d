"""DML-Net: three channels for face, eyes and mouth, their fusion, an embedding, and two branches that classify it.

Liu et al. (2021), Sections 3.2.1 and 3.2.2, Algorithm 2 and Figure 4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facekit.data import normalize
from facekit.dmlnet.data import DMLDataError, bands
from facekit.nn import Encoder

SOFTMAX_STD, DENSE_STD = 1.0 / 512.0, 0.04
"""Table 1: standard deviation of the initial weights of layers before a softmax, and of the other dense layers."""


class Recognition(NamedTuple):
    """What the network says about B faces."""

    embedding: Tensor
    """e(x) (B, D), of length one."""
    expression: Tensor
    """Scores (B, E)."""
    pose: Tensor | None
    """Scores (B, P); None for a network without a pose branch."""


class DMLNet(nn.Module):
    """Faces (B, 3, S, S) in [0, 1] to embeddings and scores.

    Args:
        expressions, poses: number of classes E and P; P = 0 leaves the pose branch out.
        encoder: backbone of the channels, see ``facekit.nn.Encoder``; the paper takes ``resnet50``.
        channels: 3 for face, eyes and mouth (MFE in the paper), or 1 for the face alone.
        fused: width of both fusion layers, Algorithm 2.
        embedding: D.
        hidden: width of the dense layer in each branch.
        weights: of the backbone: ``random``, ``cached`` or ``imagenet``.
        dense_std, softmax_std: of the initial weights, see Table 1; narrow networks need larger ones.

    Attributes:
        pose_branch: what the freezing schedule holds still (the paper's PC branch); None without it.
    """

    def __init__(
        self,
        expressions: int,
        poses: int = 0,
        encoder: str = "resnet50",
        channels: int = 3,
        fused: int = 512,
        embedding: int = 128,
        hidden: int = 256,
        weights: str = "random",
        dense_std: float = DENSE_STD,
        softmax_std: float = SOFTMAX_STD,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels is {channels}, expected 3 (face, eyes, mouth) or 1 (face)")
        self.face = Encoder(encoder, weights=weights)
        self.parts = ParallelEncoders(encoder, 2, weights) if channels == 3 else None
        dim = self.face.dim
        self.fuse_parts = _dense(2 * dim, fused, dense_std) if channels == 3 else None
        self.fuse = _dense(dim + (fused if channels == 3 else 0), fused, dense_std)
        self.embed = _linear(fused, embedding, dense_std)
        self.expression_branch = _branch(embedding, hidden, expressions, dense_std, softmax_std)
        self.pose_branch = _branch(fused, hidden, poses, dense_std, softmax_std) if poses else None

    def fusion(self, faces: Tensor) -> Tensor:
        """f^2 of Algorithm 2, (B, fused): the whole face joined with what eyes and mouth say together.

        Raises:
            DMLDataError: the faces are no images (B, 3, S, S).
        """
        if faces.dim() != 4 or faces.shape[1] != 3 or faces.shape[2] != faces.shape[3]:
            raise DMLDataError(f"faces are {tuple(faces.shape)}, expected (B, 3, S, S)")
        faces = normalize(faces)
        features = self.face(faces)
        if self.parts is not None:
            regions = torch.cat(bands(faces), dim=1)
            features = torch.cat([features, self.fuse_parts(self.parts(regions))], dim=1)
        return self.fuse(features)

    def forward(self, faces: Tensor) -> Recognition:
        fused = self.fusion(faces)
        embedding = self.embed(fused)
        pose = self.pose_branch(fused) if self.pose_branch is not None else None
        unit = nn.functional.normalize(embedding.float(), dim=1)
        return Recognition(unit, self.expression_branch(embedding), pose)


class ParallelEncoders(nn.Module):
    """Several encoders of one kind with weights of their own, run as one network with grouped convolutions.

    Regions (B, n * 3, h, w) of n channels side by side, to their vectors (B, n * dim) side by side: Connect(v_2, v_3)
    of Algorithm 2 comes out as it is.

    Args:
        name: a residual network of ``facekit.nn.ENCODERS``.
        count: n.
        weights: of each encoder.
    """

    def __init__(self, name: str, count: int, weights: str = "random") -> None:
        super().__init__()
        if not name.startswith("resnet"):
            raise ValueError(f"encoder {name!r} cannot be run in parallel, expected a residual network")
        encoders = [Encoder(name, weights=weights) for _ in range(count)]
        self.count, self.dim = count, count * encoders[0].dim
        self.net = encoders[0]
        for path, module in list(self.net.named_modules()):
            siblings = [encoder.get_submodule(path) for encoder in encoders]
            if isinstance(module, nn.Conv2d):
                self.net.set_submodule(path, _grouped_convolution(siblings))
            elif isinstance(module, _BatchNorm):
                self.net.set_submodule(path, _wide_batch_norm(siblings))

    def forward(self, regions: Tensor) -> Tensor:
        return self.net(regions)


@torch.no_grad()
def _grouped_convolution(siblings: list[nn.Conv2d]) -> nn.Conv2d:
    one, count = siblings[0], len(siblings)
    joined = nn.Conv2d(
        count * one.in_channels, count * one.out_channels, one.kernel_size, one.stride, one.padding, one.dilation,
        groups=count * one.groups, bias=one.bias is not None,
    )  # fmt: skip
    joined.weight.copy_(torch.cat([sibling.weight for sibling in siblings]))
    if one.bias is not None:
        joined.bias.copy_(torch.cat([sibling.bias for sibling in siblings]))
    return joined


@torch.no_grad()
def _wide_batch_norm(siblings: list[nn.BatchNorm2d]) -> nn.BatchNorm2d:
    one = siblings[0]
    joined = nn.BatchNorm2d(len(siblings) * one.num_features, one.eps, one.momentum)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(joined, name).copy_(torch.cat([getattr(sibling, name) for sibling in siblings]))
    return joined


def _linear(width: int, following: int, std: float) -> nn.Linear:
    """A dense layer whose weights are drawn from a zero-centred normal distribution, Table 1."""
    layer = nn.Linear(width, following)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


def _dense(width: int, following: int, std: float) -> nn.Sequential:
    return nn.Sequential(_linear(width, following, std), nn.ReLU())


def _branch(width: int, hidden: int, classes: int, std: float, softmax_std: float) -> nn.Sequential:
    """A dense layer for features and one before the softmax, as both branches have."""
    return nn.Sequential(*_dense(width, hidden, std), _linear(hidden, classes, softmax_std))
