"""Codes that start as coefficients of the 3DMM: heads of the encoder from a ridge regression, in closed form.

Not the paper's. A 3DMM regressor gains by it, and so does a shape decoder that adds to faces of the 3DMM.
"""

import torch
from torch import Tensor

from facekit.data import normalize
from facekit.reconstruction.data import Photos
from facekit.reconstruction.model import FaceEncoder

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the ridge regression, in variances of a feature; the one that does best on every fifth person is taken."""
CHUNK = 64


@torch.no_grad()
def start_codes(encoder: FaceEncoder, photos: Photos) -> float:
    """Set the identity and expression heads so that their first outputs are the coefficients of labelled photographs.

    Where there are more coefficients than outputs, these are the first coefficients.

    Returns:
        The share of the coefficients' variance that the regression explains for people it was not fitted to.

    Raises:
        ValueError: the photographs show nobody beside, or nobody of, the people that choose the penalty.
    """
    held = photos.identity % 5 == 0
    if held.all() or not held.any():
        count = len(photos.identity.unique())
        raise ValueError(f"every fifth person chooses the penalty, found {count} in all; expected some of either kind")
    features, wanted = _examples(encoder, photos)
    targets = torch.cat(wanted, dim=1)
    errors = [_error(ridge(features[~held], targets[~held], one), features[held], targets[held]) for one in PENALTIES]
    best = min(range(len(PENALTIES)), key=errors.__getitem__)
    weight, bias = ridge(features, targets, PENALTIES[best])
    for name, rows, offset in zip(
        ("identity", "expression"), weight.split([w.shape[1] for w in wanted]),
        bias.split([w.shape[1] for w in wanted]), strict=True,
    ):  # fmt: skip
        head = encoder.heads[name]
        kept = min(len(rows), head.out_features)
        head.weight[:kept], head.bias[:kept] = rows[:kept].to(head.weight), offset[:kept].to(head.bias)
    variance = float((targets[held] - targets[~held].mean(dim=0)).square().mean())
    return 1 - errors[best] / variance if variance else 0.0


def ridge(features: Tensor, targets: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Weight (K, D) and bias (K,) of the ridge regression from features (N, D) to targets (N, K)."""
    middle, level = features.mean(dim=0), targets.mean(dim=0)
    centred = features - middle
    gram = centred.T @ centred / len(features)
    scale = gram.diagonal().mean().clamp(min=1e-12)  # features that never change predict the mean
    gram = gram + penalty * scale * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, centred.T @ (targets - level) / len(features)).T
    return weight, level - weight @ middle


def _examples(encoder: FaceEncoder, photos: Photos) -> tuple[Tensor, list[Tensor]]:
    """Features (N, D) of the labelled photographs, float64, and their identity and expression coefficients."""
    training, device = encoder.training, next(encoder.parameters()).device
    encoder.eval()
    features, identity, expression = [], [], []
    for rows in torch.arange(len(photos)).split(CHUNK):
        batch = photos.batch(rows)
        features.append(encoder.backbone(normalize(batch["image"].to(device))).double().cpu())
        identity.append(batch["shape_code"].double())
        expression.append(batch["expression_code"].double())
    encoder.train(training)
    return torch.cat(features), [torch.cat(identity), torch.cat(expression)]


def _error(fit: tuple[Tensor, Tensor], features: Tensor, targets: Tensor) -> float:
    return float((features @ fit[0].T + fit[1] - targets).square().mean())
