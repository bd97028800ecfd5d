"""Rates for one label per sample (expressions, poses) and for many yes-or-no labels per sample (action units)."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion_counts(predicted: Tensor, actual: Tensor, num_classes: int) -> Tensor:
    """Count how often each class was taken for each other.

    Args:
        predicted: class ids ``(N,)``, or scores ``(N, C)`` whose greatest entry is the prediction.
        actual: class ids ``(N,)``.
        num_classes: C.

    Returns:
        Counts ``(C, C)`` int64, rows the actual class, columns the predicted one.

    Raises:
        ValueError: if the two differ in length, an id lies outside 0..C-1, or a score is NaN.
        TypeError: if ids are not whole numbers: one score per sample is no class.
    """
    if predicted.ndim == 2:
        if predicted.isnan().any():
            row = int(predicted.isnan().any(dim=1).nonzero()[0])
            raise ValueError(f"predicted: row {row} holds NaN, expected scores {tuple(predicted.shape)}")
        predicted = predicted.argmax(dim=1)
    if predicted.ndim != 1 or predicted.shape != actual.shape:
        raise ValueError(
            f"expected predicted (N,) or (N, C) and actual (N,), found {tuple(predicted.shape)} and "
            f"{tuple(actual.shape)}"
        )
    for name, ids in (("predicted", predicted), ("actual", actual)):
        if ids.is_floating_point():
            raise TypeError(f"{name}: expected class ids as whole numbers, found {ids.dtype}")
        outside = (ids < 0) | (ids >= num_classes)
        if outside.any():
            row = int(outside.nonzero()[0])
            raise ValueError(f"{name}: row {row} is class {int(ids[row])}, expected 0 to {num_classes - 1}")
    cells = actual.long() * num_classes + predicted.long()
    return torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def accuracy(counts: Tensor) -> float:
    """Return the share of samples on the diagonal of ``counts (C, C)``; NaN without samples."""
    return float(counts.diagonal().sum() / counts.sum())


def mean_class_accuracy(counts: Tensor) -> float:
    """Return the mean, over the classes that occur, of each one's share of samples recognised; NaN without samples."""
    totals = counts.sum(dim=1)
    present = totals > 0
    return float((counts.diagonal()[present] / totals[present]).mean())


def class_scores(counts: Tensor) -> dict[str, Tensor]:
    """Return ``precision``, ``recall`` and ``f1``, each ``(C,)`` float64, from a confusion matrix ``(C, C)``.

    A score whose denominator is zero (a class never predicted, or never seen) is zero.
    """
    hits = counts.diagonal().double()
    predicted, actual = counts.sum(dim=0).double(), counts.sum(dim=1).double()
    return {
        "precision": _ratio(hits, predicted),
        "recall": _ratio(hits, actual),
        "f1": _ratio(2 * hits, predicted + actual),
    }


def unit_f1(predicted: Tensor, actual: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return F1 = 2 TP / (2 TP + FP + FN) per action unit, ``(A,)`` float64; their mean is the papers' average.

    A unit that is neither present nor predicted anywhere scores zero.

    Args:
        predicted: ``(N, A)`` bool.
        actual: ``(N, A)`` bool.
        valid: ``(N, A)`` bool, False where a unit was not annotated; such entries are left out.

    Raises:
        ValueError: if the shapes differ.
        TypeError: if an argument is not boolean, so that nobody passes scores without a threshold.
    """
    valid = torch.ones_like(actual) if valid is None else valid
    for name, labels in (("predicted", predicted), ("actual", actual), ("valid", valid)):
        if labels.dtype != torch.bool:
            raise TypeError(f"{name}: expected a boolean tensor, found {labels.dtype}")
        if labels.ndim != 2 or labels.shape != actual.shape:
            raise ValueError(f"{name}: expected shape {tuple(actual.shape)} (N, A), found {tuple(labels.shape)}")
    hits = (predicted & actual & valid).sum(dim=0).double()
    wrong = ((predicted ^ actual) & valid).sum(dim=0).double()
    return _ratio(2 * hits, 2 * hits + wrong)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, and zero where the whole is zero."""
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.zeros_like(part))
