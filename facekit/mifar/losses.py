"""The loss of MiFaR: views agree with themselves, and their weighted correlation too.

Behzad and Zhao (2021), Section II-B:

    L_MiFaR = L_w + L_theta                                                                   (1)
    L_w     = sum_a (1 - C^w_aa)^2 + mu_w sum_a sum_{b != a} (C^w_ab)^2
    L_theta = sum_theta [ sum_a (1 - C^theta_aa)^2 + mu_theta sum_a sum_{b != a} (C^theta_ab)^2 ], theta = 20, 0, -20
    C_w     = l C_l + f C_f + r C_r

C_ab is the correlation, along the global batch, of dimension a of the embeddings of one distorted version with
dimension b of those of the other. The paper's displays are lost in print; these are restored from its prose and from
Barlow Twins (Zbontar et al., 2021), on which it builds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.mifar.correlation import cross_products, standardize
from facekit.training import gather_with_gradient, rank, world_size


@dataclass(frozen=True)
class LossWeights:
    """The constants of Eq. (1), none of which the paper gives."""

    views: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)
    """l, f and r; they sum to one, so that the diagonal of C_w can reach one."""
    mu_w: float = 5e-3
    """Weight of the redundancy of C_w (Barlow Twins' value)."""
    mu_theta: float = 5e-3
    """Weight of the redundancy of each view's matrix."""
    weighted: float = 1.0
    """Factor of L_w; 0 leaves L_theta alone, the ablation of Figure 3."""
    view: float = 1.0
    """Factor of L_theta."""


def mifar_terms(
    first: Tensor, second: Tensor, views: Sequence[float] = LossWeights.views, form: str = "auto"
) -> dict[str, Tensor]:
    """The four sums of Eq. (1), before mu.

    Args:
        first, second: embeddings (V, n, D) of the two distorted versions, this process's n of the global batch; any
            floating point type, computed in float32 or better.
        views: V weights, l, f and r.
        form: ``gram`` (products of samples, for batches smaller than the embedding), ``textbook`` (the D x D
            matrices), or ``auto`` for the cheaper one, see ``cheaper_form``. The value is the same.

    Returns:
        ``weighted_invariance`` and ``weighted_redundancy`` of C_w; ``view_invariance`` and ``view_redundancy``, summed
        over the views. A dimension that is constant along the batch has correlation 0 with every other: it adds 1 to an
        invariance and nothing to a redundancy, and gets no gradient.

    Raises:
        ValueError: shapes that do not fit, or a global batch of one, which has no correlation.
    """
    _check(first, second, views)
    with torch.autocast(first.device.type, enabled=False):
        first, second = (standardize(x if x.dtype == torch.float64 else x.float()) for x in (first, second))
        diagonals, products = cross_products(first, second, form)
        share = torch.as_tensor(views, dtype=diagonals.dtype, device=diagonals.device)
        return {
            "weighted_invariance": (1 - share @ diagonals).square().sum(),
            "weighted_redundancy": share @ products @ share,
            "view_invariance": (1 - diagonals).square().sum(),
            "view_redundancy": products.trace(),
        }


def mifar_loss(
    first: Tensor, second: Tensor, weights: LossWeights | None = None, form: str = "auto"
) -> dict[str, Tensor]:
    """L_w and L_theta of Eq. (1) as ``weighted`` and ``view``, times their factors; arguments as ``mifar_terms``."""
    weights = weights or LossWeights()
    terms = mifar_terms(first, second, weights.views, form)
    weighted = terms["weighted_invariance"] + weights.mu_w * terms["weighted_redundancy"]
    view = terms["view_invariance"] + weights.mu_theta * terms["view_redundancy"]
    return {"weighted": weights.weighted * weighted, "view": weights.view * view}


def barlow_loss(first: Tensor, second: Tensor, mu: float = 5e-3, form: str = "auto") -> Tensor:
    """The loss of Barlow Twins for one view, (n, D) each: L_theta with a single angle."""
    terms = mifar_terms(first[None], second[None], (1.0,), form)
    return terms["view_invariance"] + mu * terms["view_redundancy"]


def contrastive_loss(first: Tensor, second: Tensor, temperature: float = 0.2) -> Tensor:
    """SimCLR's NT-Xent (Chen et al., 2020) over the global batch, embeddings (n, D) each.

    Every embedding is to recognise its partner among the other 2N - 1 by the cosine of their angle. Each process
    answers for its own rows, so that the mean over the processes is the loss of one process.
    """
    with torch.autocast(first.device.type, enabled=False):
        ours = F.normalize(torch.stack([first, second]).float(), dim=-1)
        everyone = gather_with_gradient(ours.transpose(0, 1)).transpose(0, 1)
        count, start = everyone.shape[1], rank() * first.shape[0]
        own = torch.arange(start, start + first.shape[0], device=first.device)
        places = torch.cat([own, own + count])
        scores = ours.flatten(0, 1) @ everyone.flatten(0, 1).T / temperature
        scores = scores.scatter(1, places[:, None], float("-inf"))
        return F.cross_entropy(scores, (places + count) % (2 * count))


def _check(first: Tensor, second: Tensor, views: Sequence[float]) -> None:
    if first.dim() != 3 or first.shape != second.shape:
        raise ValueError(
            f"embeddings are {tuple(first.shape)} and {tuple(second.shape)}, expected (V, N, D) twice: views, samples, "
            "dimensions"
        )
    if len(views) != first.shape[0]:
        raise ValueError(f"{len(views)} weights for {first.shape[0]} views, expected one for each")
    if first.shape[1] * world_size() < 2:
        raise ValueError("a batch of one has no correlation along the batch; expected two samples or more")
