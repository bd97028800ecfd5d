"""Losses of the networks that DML-Net is measured against: centre loss and island loss.

Wen et al. (2016), Eq. (2), and Cai et al. (2018), Eq. (5). The ordinary triplet network needs no code of its own: it is
``metric_losses`` with the pairs of ``expression`` alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class IslandLoss(nn.Module):
    """Embeddings near the centre of their class, and centres in different directions.

    ``1/2 mean_i ||e_i - c_{y_i}||^2 + spread * sum_{j != k} (1 + cos(c_j, c_k))``; with ``spread`` 0 the centre loss.
    The centres are parameters and follow the gradient; the papers move them by a rule of their own, which points the
    same way.

    Args:
        classes, dim: number of centres and their length.
        spread: weight of the second part, lambda_1 of the island loss.
    """

    def __init__(self, classes: int, dim: int, spread: float = 10.0) -> None:
        super().__init__()
        self.spread = spread
        self.centres = nn.Parameter(torch.randn(classes, dim) / dim**0.5)

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """The loss, a scalar, of embeddings (B, D) of the given classes (B,)."""
        near = 0.5 * (embeddings - self.centres[classes]).square().sum(dim=1).mean()
        directions = F.normalize(self.centres, dim=1)
        cosines = directions @ directions.T
        others = ~torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
        return near + self.spread * (1.0 + cosines[others]).sum()
