"""Optimal transport between the AU features of two views, for a whole batch at once.

Song et al. (RRL), Section 2.3: AUs of the online network supply, AUs of the target network demand, and the cost of a
pair is low where the two AUs occur together, Eq. (4). The plans pi* of Eq. (6) are found by Sinkhorn's iterations, all
of them in one call of POT (``ot.solve_batch``).
"""

from __future__ import annotations

import ot
import torch
from torch import Tensor

SMALL_REGULARISATION = 0.05
"""Below this share of the largest cost the iterations run in the log domain: exp(-C / reg) would lose its digits."""
TINY = 1e-12


def relation_matrix(present: Tensor, coded: Tensor | None = None) -> Tensor:
    """Relation M (K, K) float64 of AUs: phi coefficients of their labels, clipped to [0, 1]; the diagonal is 1.

    phi is Pearson's correlation of two yes-or-no labels. An AU that never occurs, or always does, has no correlation
    with anything: its row and column are 0 off the diagonal.

    Args:
        present: (N, K) bool or 0/1.
        coded: (N, K) bool, False where a label is missing; a pair counts the samples where both are coded.

    Raises:
        ValueError: no sample, or the shapes differ.
    """
    coded = torch.ones_like(present, dtype=torch.bool) if coded is None else coded
    if present.dim() != 2 or len(present) == 0 or coded.shape != present.shape:
        raise ValueError(f"labels {tuple(present.shape)} and coded {tuple(coded.shape)}: expected (N, K) twice, N > 0")
    known = coded.double()
    yes = present.double() * known
    count = known.T @ known
    both, first = yes.T @ yes, yes.T @ known  # first[i, j]: i occurs, j is coded
    covariance = count * both - first * first.T
    variance = first * (count - first)
    spread = (variance * variance.T).sqrt()
    phi = torch.where(spread > 0, covariance / spread.clamp(min=TINY), torch.zeros_like(spread))
    relation = phi.clamp(0.0, 1.0)
    return relation.fill_diagonal_(1.0)


def transport_cost(relation: Tensor) -> Tensor:
    """Cost C = 1 - M of moving one AU's mass to another, Eq. (4)."""
    return 1.0 - relation


def marginals(local: Tensor, other_global: Tensor, valid: Tensor | None = None) -> Tensor:
    """Weights (B, K) of AUs, Eq. (5): max(o_i . t_g, 0), made to sum to one; no gradient.

    Args:
        local: features (B, K, D) of one network's AUs.
        other_global: global features (B, D) of the other network.
        valid: (B, K) bool; an invalid AU weighs nothing.

    Returns:
        The weights. Where all of a sample's products are negative, its valid AUs weigh the same; where it has no valid
        AU either, all do.
    """
    valid = torch.ones(local.shape[:2], dtype=torch.bool, device=local.device) if valid is None else valid
    weight = torch.einsum("bkd,bd->bk", local.detach(), other_global.detach()).clamp(min=0.0) * valid
    total = weight.sum(dim=1, keepdim=True)
    even = torch.where(valid.any(dim=1, keepdim=True), valid, torch.ones_like(valid)).to(weight)
    even = even / even.sum(dim=1, keepdim=True)
    return torch.where(total > TINY, weight / total.clamp(min=TINY), even)


def transport_plans(
    cost: Tensor,
    supply: Tensor,
    demand: Tensor,
    regularisation: float = 0.1,
    iterations: int = 1000,
    tolerance: float = 1e-7,
    differentiable: bool = False,
) -> Tensor:
    """Plans pi* (B, K, K) with row sums ``supply`` and column sums ``demand``, of least regularised cost.

    Args:
        cost: (K, K), or (B, K, K).
        supply, demand: (B, K), each row summing to one; zeros are allowed, and give rows and columns of zeros.
        regularisation: weight of the entropy; small is nearer to true optimal transport and slower.
        iterations, tolerance: of Sinkhorn's algorithm, which stops when the row sums of no sample are off by more than
            ``tolerance`` (Euclidean norm).
        differentiable: let gradients flow through the iterations; Eq. (6) treats the plan as a constant.

    Returns:
        The plans, in the dtype of ``supply``; they are computed in float64.

    Raises:
        ValueError: the regularisation is not positive, or the shapes do not fit.
    """
    if regularisation <= 0:
        raise ValueError(f"the regularisation is {regularisation}, expected a positive number")
    size = supply.shape[-1]
    if supply.dim() != 2 or demand.shape != supply.shape or cost.shape[-2:] != (size, size):
        raise ValueError(
            f"supply {tuple(supply.shape)}, demand {tuple(demand.shape)}, cost {tuple(cost.shape)}: "
            "expected (B, K), (B, K) and (K, K)"
        )
    precise = [x.double() if differentiable else x.detach().double() for x in (cost, supply, demand)]
    costs, a, b = precise[0].expand(len(supply), size, size), *(_positive(x) for x in precise[1:])
    # POT starts the plain iterations from ones on the CPU, which do not go with a cost on a GPU.
    in_logs = cost.is_cuda or regularisation < SMALL_REGULARISATION * float(cost.detach().amax())
    found = ot.solve_batch(
        costs, reg=regularisation, a=a, b=b, max_iter=iterations, tol=tolerance,
        method="log_sinkhorn" if in_logs else "sinkhorn", grad="autodiff" if differentiable else "detach",
    )  # fmt: skip
    return found.plan.to(supply.dtype)


def _positive(weights: Tensor) -> Tensor:
    """Zeros become so small that they do not matter, because the iterations take logarithms and divide."""
    weights = weights.clamp(min=TINY)
    return weights / weights.sum(dim=-1, keepdim=True)
