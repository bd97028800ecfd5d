"""Losses of DML-Net: hardest triplets for pose and for identity, and weights that follow the losses.

Liu et al. (2021), Section 3.2.3, Eq. (1)-(6), and Section 3.2.4, Eq. (7) and (8). ``ProgressWeights`` goes beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from facekit.training import gather, gather_with_gradient, reduce_with_gradient


class TripletLoss(NamedTuple):
    """A loss over a batch and what is known about its anchors."""

    loss: Tensor
    """Scalar; zero where no anchor has both a positive and a negative sample."""
    anchors: Tensor
    """Number of anchors that have both, the M of Eq. (4)."""
    unused: Tensor
    """Number of anchors that lack one of them and contribute nothing."""
    active: Tensor
    """Share of the anchors whose term is above zero."""


class BatchLabels(NamedTuple):
    """Class numbers (B,) of the samples of a batch."""

    expression: Tensor
    pose: Tensor
    subject: Tensor


def squared_distances(embeddings: Tensor) -> Tensor:
    """D(e(x_i), e(x_j)), Eq. (1): squared Euclidean distances (B, B) of embeddings (B, D), in float32 or wider."""
    with torch.autocast(embeddings.device.type, enabled=False):
        points = embeddings.float() if embeddings.dtype in (torch.float16, torch.bfloat16) else embeddings
        norms = points.square().sum(dim=1)
        return (norms[:, None] + norms[None] - 2.0 * points @ points.T).clamp(min=0.0)


def pose_pairs(labels: BatchLabels) -> tuple[Tensor, Tensor]:
    """Pose-based positive and negative pairs (B, B): same expression in another pose; another expression in the same.

    A sample is no pair with itself, as it has its own pose and expression.
    """
    same_expression, same_pose = _same(labels.expression), _same(labels.pose)
    return same_expression & ~same_pose, ~same_expression & same_pose


def identity_pairs(labels: BatchLabels) -> tuple[Tensor, Tensor]:
    """Identity-based pairs (B, B): same expression of another subject; another expression of the same subject."""
    same_expression, same_subject = _same(labels.expression), _same(labels.subject)
    return same_expression & ~same_subject, ~same_expression & same_subject


def expression_pairs(labels: BatchLabels) -> tuple[Tensor, Tensor]:
    """Pairs (B, B) of an ordinary triplet network: same expression in any other sample; another expression."""
    same = _same(labels.expression)
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device), ~same


PAIRS = {"pose": pose_pairs, "identity": identity_pairs, "expression": expression_pairs}
"""Kind of triplets to the function that says which samples are positive and negative for which."""


def hardest_triplets(
    distances: Tensor, positive: Tensor, negative: Tensor, margin: float, hinge: bool = True, reduction: str = "mean"
) -> TripletLoss:
    """Eq. (2)-(5): of each anchor the farthest positive against the nearest negative sample of the batch.

    ``L = sum_i [ m + max_p D(x_i, x_p) - min_n D(x_i, x_n) ]_+``, without the bracket for ``hinge=False``.

    Args:
        distances: (B, B), see :func:`squared_distances`.
        positive, negative: (B, B) bool; row i marks the samples that are a positive or negative one for anchor i.
        margin: m, in units of squared distance.
        hinge: whether terms below zero count as zero; the printed equations have no hinge and no lower bound.
        reduction: ``sum`` over the anchors, as printed, or their ``mean``.

    Raises:
        ValueError: another reduction, or masks that do not fit.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}, expected mean or sum")
    if positive.shape != distances.shape or negative.shape != distances.shape:
        raise ValueError(f"distances are {tuple(distances.shape)}, the masks {positive.shape} and {negative.shape}")
    usable = positive.any(dim=1) & negative.any(dim=1)
    farthest = distances.masked_fill(~positive, 0.0).amax(dim=1)
    nearest = distances.masked_fill(~negative, torch.inf).amin(dim=1)
    terms = torch.where(usable, margin + farthest - torch.where(usable, nearest, 0.0), 0.0)
    terms = terms.relu() if hinge else terms
    anchors = usable.sum()
    count = anchors.clamp(min=1)
    loss = terms.sum() / count if reduction == "mean" else terms.sum()
    return TripletLoss(loss, anchors, len(usable) - anchors, (terms > 0).sum() / count)


def metric_losses(
    embeddings: Tensor,
    labels: BatchLabels,
    kinds: Sequence[str],
    margin: float,
    hinge: bool = True,
    reduction: str = "mean",
) -> dict[str, TripletLoss]:
    """The triplet losses ``kinds`` (of ``PAIRS``) over the batch of all processes.

    L^triplet of Eq. (6) is the sum of ``pose`` and ``identity``. Every process returns the same global values.

    Args:
        embeddings: e(x) (B, D) of this process's part of the batch.
        labels: of the same samples.
    """
    everyone = BatchLabels(*(gather(part) for part in labels))
    distances = squared_distances(gather_with_gradient(embeddings))
    return {kind: hardest_triplets(distances, *PAIRS[kind](everyone), margin, hinge, reduction) for kind in kinds}


class DynamicWeights:
    """lambda_k of Eq. (8): a task whose loss falls more slowly than the others' gets a larger weight.

    ``lambda_k(t) = K exp(w_k(t-1) / T) / sum_i exp(w_i(t-1) / T)`` with ``w_k(t-1) = L_k(t-1) / L_k(t-2)``, where L(t)
    is the mean loss of window t of ``window`` mini-batches. All weights are K / n during the first two windows.

    Args:
        tasks: names of the n losses.
        total: K, the sum of the weights; the paper takes 2.
        temperature: T; the larger, the more equal the weights.
        window: mini-batches that a loss is averaged over.
    """

    def __init__(self, tasks: Sequence[str], total: float = 2.0, temperature: float = 2.0, window: int = 5) -> None:
        if total <= 0 or temperature <= 0 or window < 1:
            raise ValueError(f"total {total}, temperature {temperature} and window {window} must be positive")
        self.tasks = tuple(tasks)
        self.total, self.temperature, self.window = total, temperature, window
        self._seen = 0
        self._sum = torch.zeros(len(self.tasks), dtype=torch.float64)
        self._means: list[Tensor] = []

    @property
    def weights(self) -> dict[str, float]:
        """The present weights by task."""
        if len(self._means) < 2:
            return dict.fromkeys(self.tasks, self.total / len(self.tasks))
        before, last = self._means
        rates = torch.where(before > 0, last / before.clamp(min=1e-12), 1.0)  # of a loss that is gone: it stands still
        shares = torch.softmax(rates / self.temperature, dim=0) * self.total
        return dict(zip(self.tasks, shares.tolist(), strict=True))

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        """Take in the losses of one mini-batch, means over the processes of what each of them holds."""
        values = torch.stack([losses[task].detach().double() for task in self.tasks])
        self._sum += reduce_with_gradient(values, "mean").cpu()
        self._seen += 1
        if self._seen == self.window:
            self._means = [*self._means[-1:], self._sum / self.window]
            self._seen, self._sum = 0, torch.zeros_like(self._sum)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"seen": self._seen, "sum": self._sum.clone(), "means": list(self._means)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        self._seen, self._sum, self._means = state["seen"], state["sum"].clone(), list(state["means"])


class ProgressWeights:
    """Beyond the paper: weights that follow what the network knows already, in place of Eq. (8).

    ``lambda_expression = 1``, ``lambda_pose = 1 - k_pose`` and ``lambda_metric = k_expression^2``, with ``k = exp(-L)``
    of a cross-entropy L: the (geometric) mean probability of the right class, 1 where all is known. The pose counts
    less the better it is known. The metric term waits until expressions are: k^2 is how likely both faces of a pair
    are recognised, and to push them about before that only draws all of them together.

    Args:
        tasks: names of the losses, of ``expression``, ``pose`` and ``metric``.
        memory: k is a running mean over mini-batches, which keeps this share of its value. It begins with 0.
    """

    def __init__(self, tasks: Sequence[str], memory: float = 0.9) -> None:
        if "expression" not in tasks or not 0.0 <= memory < 1.0:
            raise ValueError(f"tasks are {', '.join(tasks)} and memory is {memory}, expected an expression and [0, 1)")
        self.tasks, self.memory = tuple(tasks), memory
        self._known = dict.fromkeys([task for task in tasks if task != "metric"], 0.0)

    @property
    def weights(self) -> dict[str, float]:
        """The present weights by task."""
        expression, pose = self._known["expression"], self._known.get("pose", 0.0)
        weights = {"expression": 1.0, "pose": 1.0 - pose, "metric": expression**2}
        return {task: weights[task] for task in self.tasks}

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        """Take in the losses of one mini-batch, means over the processes of what each of them holds."""
        values = torch.stack([losses[task].detach().double() for task in self._known])
        known = torch.exp(-reduce_with_gradient(values, "mean")).tolist()
        for task, value in zip(self._known, known, strict=True):
            self._known[task] = self.memory * self._known[task] + (1.0 - self.memory) * value

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return dict(self._known)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        self._known = dict(state)


def _same(labels: Tensor) -> Tensor:
    return labels[:, None] == labels[None]
