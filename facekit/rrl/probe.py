"""The evaluation: a linear classifier for every AU on a frozen encoder.

Song et al. (RRL), Section 3.1: batch norm, then a linear layer without a bias; cross-entropy for each AU; F1. The paper
says neither how it treats rare AUs nor where it sets the threshold. Here a positive of an AU with rate r weighs
((1 - r) / r) ** balance, rates counted on the training people, and an AU is called present from probability 0.5 on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.data import normalize
from facekit.metrics import unit_f1
from facekit.nn import Encoder
from facekit.rrl.data import LabelledFaces, RowsOnDemand, to_unit_range
from facekit.rrl.stages import pool_stages
from facekit.training import gather, own_share, world_size


@dataclass(frozen=True)
class ProbeSettings:
    """How the classifier is trained."""

    steps: int = 600
    batch_size: int = 512
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    balance: float = 1.0
    """0 lets frequent labels count for more, 1 makes positives and negatives of each AU count the same."""
    threshold: float = 0.5


class Scores(NamedTuple):
    """F1 in percent: ``by_unit (K,)``, a mean over the folds, and ``mean`` over the AUs."""

    by_unit: Tensor
    mean: float


class LinearProbe(nn.Module):
    """Batch norm and a linear layer without bias, from one feature (B, D) to K logits, or from a feature of each AU
    (B, K, D) to that AU's logit.

    The batch norm has a learnt shift, which the linear layer turns into an offset for each AU.
    """

    def __init__(self, shape: Sequence[int], num_units: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.norm = nn.BatchNorm1d(int(torch.tensor(self.shape).prod()))
        self.weight = nn.Parameter(torch.zeros(num_units, self.shape[-1]))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K)."""
        features = self.norm(features.flatten(1)).unflatten(1, self.shape)
        return features @ self.weight.T if features.dim() == 2 else (features * self.weight).sum(dim=2)


def positive_weights(present: Tensor, coded: Tensor, balance: float) -> Tensor:
    """Weight (K,) of each AU's positives; 1 for an AU that never occurs, or always does."""
    positives = (present & coded).sum(dim=0).float()
    negatives = (~present & coded).sum(dim=0).float()
    weight = (negatives / positives.clamp(min=1.0)) ** balance
    return torch.where((positives > 0) & (negatives > 0), weight, torch.ones_like(weight))


def unit_cross_entropy(logits: Tensor, present: Tensor, coded: Tensor, weights: Tensor) -> Tensor:
    """Mean binary cross-entropy of the coded labels, positives weighed by ``weights (K,)``."""
    losses = F.binary_cross_entropy_with_logits(logits, present.float(), reduction="none", pos_weight=weights)
    return (losses * coded).sum() / coded.sum().clamp(min=1)


def fit_probe(
    features: Tensor, present: Tensor, coded: Tensor, settings: ProbeSettings = ProbeSettings(), seed: int = 0
) -> LinearProbe:
    """Train a probe on features (N, D) or (N, K, D) and labels (N, K)."""
    probe = LinearProbe(features.shape[1:], present.shape[1]).to(features.device)
    weights = positive_weights(present, coded, settings.balance)
    optimizer = torch.optim.AdamW(probe.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    random = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in range(settings.steps):
            rows = torch.randperm(len(features), generator=random)[: settings.batch_size]
            loss = unit_cross_entropy(probe(features[rows]), present[rows], coded[rows], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return probe.eval()


@torch.no_grad()
def encode(
    encoder: Encoder,
    images: Tensor | RowsOnDemand,
    attention: Tensor | None = None,
    strides: Sequence[int] = (16,),
    batch_size: int = 256,
    shared: bool = False,
) -> Tensor:
    """Frozen features of images (N, 3, H, W): (N, D); or with attention (N, K, S, S) one for each AU, (N, K, D + C).

    The features of an AU are the whole face's, followed by the means over the AU's region of the encoder's maps at
    these strides, see ``Encoder.stages``; C is the sum of their channels.

    With ``shared`` each process of a run encodes a part of the images, and all of them, which must all call this, get
    the features of all images.
    """
    training = encoder.training
    encoder.eval()
    device, parts, mine = next(encoder.parameters()).device, [], torch.arange(len(images))
    shared = shared and len(mine) >= world_size()
    if shared:
        mine = own_share(mine)
    for rows in mine.split(batch_size):
        maps, face = encoder.stages(normalize(to_unit_range(images[rows].to(device))))
        if attention is not None:
            regions = pool_stages(maps, attention[rows].to(device), strides)
            face = torch.cat([face[:, None].expand(-1, regions.shape[1], -1), regions], dim=2)
        parts.append(face.cpu())
    encoder.train(training)
    return gather(torch.cat(parts)) if shared else torch.cat(parts)


def cross_validated(faces: LabelledFaces, predict: Callable[[Tensor, Tensor], Tensor]) -> Scores:
    """F1 over the folds; ``predict(train, test)`` gets row numbers and returns (len(test), K) bool."""
    scores = []
    for train, test in faces.folds:
        train, test = torch.as_tensor(train), torch.as_tensor(test)
        scores.append(unit_f1(predict(train, test).cpu(), faces.present[test], faces.coded[test]))
    by_unit = 100 * torch.stack(scores).mean(dim=0)
    return Scores(by_unit, float(by_unit.mean()))


def probe_scores(
    features: Tensor, faces: LabelledFaces, settings: ProbeSettings = ProbeSettings(), seed: int = 0
) -> Scores:
    """F1 of a linear probe on features (N, D) or (N, K, D) of the labelled faces, over their folds."""

    def predict(train: Tensor, test: Tensor) -> Tensor:
        probe = fit_probe(features[train], faces.present[train], faces.coded[train], settings, seed)
        with torch.no_grad():
            return probe(features[test]).sigmoid() >= settings.threshold

    return cross_validated(faces, predict)


def always_present(faces: LabelledFaces) -> Scores:
    """F1 of saying yes to every AU on every face: the floor that any published number should be held against."""
    return cross_validated(faces, lambda train, test: torch.ones(len(test), faces.present.shape[1], dtype=torch.bool))
