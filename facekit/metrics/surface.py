"""Errors between surfaces in correspondence; distances to a scan without correspondence are in ``facekit.meshes``."""

from __future__ import annotations

import torch
from torch import Tensor


def vertex_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the distance of each vertex from its target.

    Args:
        predicted: vertices ``(..., V, 3)``, mm.
        target: vertices ``(..., V, 3)`` in the same order, mm; leading dimensions broadcast.

    Returns:
        ``(..., V)``, mm.

    Raises:
        ValueError: if the vertex counts differ, which would mean that the two are not in correspondence.
    """
    if predicted.shape[-2:] != target.shape[-2:] or predicted.shape[-1] != 3:
        raise ValueError(
            f"expected two tensors (..., V, 3) of one V, found {tuple(predicted.shape)} and {tuple(target.shape)}"
        )
    return torch.linalg.vector_norm(predicted - target, dim=-1)


def error_summary(errors: Tensor) -> dict[str, float]:
    """Return ``mean``, ``std``, ``median``, ``p90`` and ``max`` over all entries of ``errors``, in their unit.

    Raises:
        ValueError: if there are no errors to summarise, or one of them is not finite.
    """
    flat = errors.detach().flatten().double()
    if not len(flat) or not torch.isfinite(flat).all():
        raise ValueError(
            f"expected finite errors, found {int((~torch.isfinite(flat)).sum())} of {len(flat)} not finite"
        )
    ordered = flat.sort().values
    return {
        "mean": float(flat.mean()),
        "std": float(flat.std(correction=0)),
        "median": float(_quantile(ordered, 0.5)),
        "p90": float(_quantile(ordered, 0.9)),
        "max": float(ordered[-1]),
    }


def cumulative_error(errors: Tensor, thresholds: Tensor) -> Tensor:
    """Return, for each of the ``thresholds (T,)``, the share of ``errors`` (any shape) that are at most that large."""
    ordered = errors.detach().flatten().sort().values
    return torch.searchsorted(ordered, thresholds.to(ordered), right=True).double() / len(ordered)


def _quantile(ordered: Tensor, share: float) -> Tensor:
    """Return a quantile of sorted values by linear interpolation; ``torch.quantile`` refuses more than 16 million."""
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return torch.lerp(ordered[low], ordered[high], position - low)
