"""Principal components of more faces than fit into memory at once."""

from __future__ import annotations

import torch
from torch import Tensor


class StreamingPCA:
    """Principal components of rows that arrive in batches.

    Keeps a mean and at most `rank` directions with their strengths; each batch is merged by a small singular value
    decomposition of [directions kept; batch; shift of the mean] (Levy and Lindenbaum, 2000; with the mean's update of
    Ross et al., 2008). Exact as long as no more than `rank` rows have been seen, and close to it when the variance that
    `rank` directions leave out is small. Memory is (rank + batch) times the row length, whatever the number of rows.
    """

    def __init__(self, rank: int, *, centred: bool = True) -> None:
        """With `centred=False` the rows' mean counts as variation, so that the zero row stays representable as 0."""
        self.rank = rank
        self.centred = centred
        self.count = 0
        self._mean: Tensor | None = None
        self._directions: Tensor | None = None  # (r, D), scaled: rows times singular values

    def update(self, rows: Tensor) -> None:
        """Add rows (N, D)."""
        mean = rows.mean(dim=0) if self.centred else torch.zeros_like(rows[0])
        stack = [rows - mean]
        if self._mean is not None and self._directions is not None:
            total = self.count + len(rows)
            step = mean - self._mean
            stack += [self._directions, ((self.count * len(rows) / total) ** 0.5 * step)[None]]
            mean = self._mean + step * (len(rows) / total)
        self._mean = mean
        self.count += len(rows)
        self._directions = _strongest(torch.cat(stack), self.rank)

    @property
    def mean(self) -> Tensor:
        """Mean row (D,); zero unless centred."""
        if self._mean is None:
            raise ValueError("no rows have been added yet")
        return self._mean

    def components(self, count: int | None = None) -> Tensor:
        """Unit principal directions times their standard deviations, strongest first: (K, D).

        Codes of the rows in these components are uncorrelated with unit variance.
        """
        if self._directions is None:
            raise ValueError("no rows have been added yet")
        freedom = max(self.count - 1, 1) if self.centred else self.count
        return self._directions[:count] / freedom**0.5


def _strongest(rows: Tensor, rank: int) -> Tensor:
    """The `rank` strongest right singular vectors of rows (N, D), each times its singular value.

    By the eigenvectors of the small Gram matrix (N, N) in float64; directions below its noise are dropped. The sign is
    fixed so that each direction's largest entry is positive.
    """
    gram = rows.double() @ rows.double().T
    strength, vectors = torch.linalg.eigh(gram)
    strength, vectors = strength.flip(0), vectors.flip(1)
    keep = min(rank, int((strength > strength[0].clamp_min(1e-300) * 1e-10).sum()))
    directions = vectors[:, :keep].to(rows.dtype).T @ rows
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    return directions * largest.sign()
