"""The three losses of RRL: whole face, regions, relations.

Song et al. (RRL), Equations (2), (3), (6) and (7). Names follow the paper: o is the online network, t the target
network, z a projection, q a prediction, g the whole face, k one of K action units (AUs). Gradients flow into the online
network alone; everything of the target network is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from facekit.rrl.transport import marginals, transport_plans

PLAN_TOLERANCE = 1e-5
"""Of the plans in Eq. (6), whose row sums may be off by this much.

A batch of 256 pairs of world faces with 12 AUs comes so near after about 400 of Sinkhorn's iterations; 1e-7 it does not
reach in 1000, which take more than twice the time.
"""


@dataclass(frozen=True)
class LossWeights:
    """The trade-off parameters alpha of Eq. (7)."""

    global_: float = 0.4
    local: float = 0.6
    relation: float = 1.0

    def by_term(self) -> dict[str, float]:
        """The weights by the names of the loss terms, as an update takes them; a term that weighs nothing is absent."""
        named = {"global": self.global_, "local": self.local, "relation": self.relation}
        return {name: weight for name, weight in named.items() if weight}


def global_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Eq. (2): minus the cosine of predictions q(z_1) (B, P) and target projections z_2 (B, P); mean of the batch."""
    return -F.cosine_similarity(prediction, target.detach(), dim=-1).mean()


def local_loss(
    local_predictions: Tensor,
    global_target: Tensor,
    global_prediction: Tensor,
    local_targets: Tensor,
    valid: Tensor | None = None,
) -> Tensor:
    """Eq. (3): every AU predicts the other view's whole face, and the whole face predicts its AUs.

    Args:
        local_predictions: (B, K, P), q(z^k_1) of the online network.
        global_target: (B, P), g(t_g) of the target network.
        global_prediction: (B, P), q(z^g_1).
        local_targets: (B, K, P), g(t_k).
        valid: (B, K) bool; AUs that are not on both pictures are left out of the mean.

    Returns:
        Mean of the samples; a sample without a valid AU adds 0.
    """
    to_face = F.cosine_similarity(local_predictions, global_target.detach()[:, None], dim=-1)
    to_regions = F.cosine_similarity(local_targets.detach(), global_prediction[:, None], dim=-1)
    return _mean_of_valid(-(to_face + to_regions) / 2, valid)


def relation_loss(
    online: Tensor,
    target: Tensor,
    online_global: Tensor,
    target_global: Tensor,
    cost: Tensor,
    regularisation: float = 0.1,
    valid: Tensor | None = None,
    plan: Tensor | None = None,
    differentiable_plan: bool = False,
) -> Tensor:
    """Eq. (6): minus the cosines of online and target AU features, weighted by the optimal transport plan.

    Args:
        online, target: o_i and t_j, (B, K, D).
        online_global, target_global: o_g and t_g, (B, D), for the marginals of Eq. (5).
        cost: C (K, K), Eq. (4).
        regularisation: of the transport.
        valid: (B, K) bool; invalid AUs carry no mass. A sample without a valid AU adds 0.
        plan: (B, K, K), to be used instead of the optimal one.
        differentiable_plan: let the gradient through Sinkhorn's iterations to a cost that is learnt; by default pi* is
            a constant.
    """
    target, target_global = target.detach(), target_global.detach()
    if plan is None:
        supply, demand = marginals(online, target_global, valid), marginals(target, online_global, valid)
        plan = transport_plans(
            cost, supply, demand, regularisation, tolerance=PLAN_TOLERANCE, differentiable=differentiable_plan
        )
    cosine = F.normalize(online, dim=-1) @ F.normalize(target, dim=-1).transpose(1, 2)
    moved = -(cosine * plan).sum(dim=(1, 2))
    return moved.mean() if valid is None else (moved * valid.any(dim=1)).mean()


def _mean_of_valid(values: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the samples of each one's mean over its valid AUs; (B, K) to a scalar."""
    if valid is None:
        return values.mean()
    weight = valid.to(values)
    return ((values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)).mean()
