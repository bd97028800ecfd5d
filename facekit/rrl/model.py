"""The networks of RRL: encoder, local branch, projector and predictor, and the slow copy that they learn from.

Song et al. (RRL), Section 2 and Fig. 1. The online network has all parts; the target network has no predictor, and its
weights follow the online network's, Eq. (1). After training everything but the encoder is thrown away.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from facekit.data import normalize
from facekit.nn import STRIDES, Encoder, perceptron
from facekit.rrl.stages import pool_regions


class Features(NamedTuple):
    """What a network sees on a picture: the whole face (B, D), and each AU (B, K, D)."""

    face: Tensor
    units: Tensor


class LocalBranch(nn.Module):
    """AU features from the encoder's map and the feature of the whole face, Section 2.2.

    A 1 x 1 convolution with batch norm and ReLU refines the map; each attention map picks out its AU's part; a linear
    layer joins it with the whole face. The paper multiplies the map by each attention map first and convolves after;
    weighting after a convolution that does not look sideways picks the same regions for a K-th of the work.
    """

    def __init__(self, map_channels: int, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.refine = nn.Sequential(nn.Conv2d(map_channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU())
        self.join = nn.Linear(hidden + dim, dim)

    def forward(self, maps: Tensor, attention: Tensor, face: Tensor) -> Tensor:
        """Maps (B, C, H, W), attention (B, K, S, S) and the face's feature (B, D) to AU features (B, K, D)."""
        regions = pool_regions(self.refine(maps), attention)
        whole = face[:, None].expand(-1, regions.shape[1], -1)
        return self.join(torch.cat([regions, whole], dim=2))


class Branch(nn.Module):
    """One of the two networks: encoder, local branch and projector g, without the predictor.

    Args:
        encoder: a name that ``facekit.nn.Encoder`` knows; its images are normalised here.
        hidden: width of the projector's hidden layer and of the local branch.
        projection: width P of the projections.
        weights: of the encoder, ``random``, ``imagenet`` or ``cached``.
        map_stride: of the encoder's map that the regions are read from, one of ``facekit.nn.STRIDES``.

    Raises:
        ValueError: the encoder has no map at this stride.
    """

    def __init__(
        self, encoder: str, hidden: int, projection: int, weights: str = "random", map_stride: int = 16
    ) -> None:
        super().__init__()
        if map_stride not in STRIDES:
            raise ValueError(f"the stride of the regions' map is {map_stride}, expected one of {STRIDES}")
        self.encoder, self.map_stride = Encoder(encoder, weights=weights), map_stride
        self.local = LocalBranch(self.encoder.stage_channels[map_stride], self.encoder.dim, hidden // 4)
        self.projector = perceptron((self.encoder.dim, hidden, projection))

    def forward(self, images: Tensor, attention: Tensor) -> Features:
        """Images (B, 3, H, W) in [0, 1] and attention maps (B, K, S, S) to features."""
        maps, face = self.encoder.stages(normalize(images))
        return Features(face, self.local(maps[self.map_stride], attention, face))

    def project(self, features: Tensor) -> Tensor:
        """Projections (..., P) of features (..., D)."""
        return apply_to_rows(self.projector, features)


class RegionRelation(nn.Module):
    """RRL: the online network with its predictor q, and the target network.

    Args:
        encoder, weights, map_stride: see ``Branch``.
        hidden: width of the hidden layers of projector and predictor (BYOL's 4096).
        projection: width of projections and predictions (BYOL's 256).
    """

    def __init__(
        self,
        encoder: str = "swin_t",
        hidden: int = 4096,
        projection: int = 256,
        weights: str = "random",
        map_stride: int = 16,
    ) -> None:
        super().__init__()
        self.online = Branch(encoder, hidden, projection, weights, map_stride)
        self.predictor = perceptron((projection, hidden, projection))
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def predict(self, features: Tensor) -> Tensor:
        """Predictions q(g(features)), (..., P), of the online network's features (..., D)."""
        return apply_to_rows(self.predictor, self.online.project(features))

    def trainable(self) -> list[nn.Parameter]:
        """The weights that an optimiser moves: the online network and the predictor."""
        return [*self.online.parameters(), *self.predictor.parameters()]

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """One step of Eq. (1): xi = m xi + (1 - m) theta; running statistics of batch norms are copied."""
        weights = [p.detach() for p in self.online.parameters()]
        torch._foreach_lerp_(list(self.target.parameters()), weights, 1.0 - momentum)
        for own, other in zip(self.target.buffers(), self.online.buffers(), strict=True):
            own.copy_(other)


def apply_to_rows(layers: nn.Module, rows: Tensor) -> Tensor:
    """A network for (N, D) applied to (..., D): its batch norms take all the leading axes as one batch."""
    return layers(rows.flatten(0, -2)).unflatten(0, rows.shape[:-1])


def parameter_groups(parameters: Sequence[nn.Parameter]) -> list[dict[str, object]]:
    """Groups for AdamW: weight matrices and kernels decay; biases and norms (one axis) do not."""
    matrices = [p for p in parameters if p.dim() > 1]
    vectors = [p for p in parameters if p.dim() <= 1]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0, "weight_decay_scale": 0.0}]
