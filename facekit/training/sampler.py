"""Which rows are in batch number ``draw``? A function of the seed and the number, and of nothing else.

Because the sampler has no state, its position is the number of the next batch: a resumed run goes on where the killed
one stopped, and any number of processes cut the same global batch into parts.
"""

from typing import Protocol

import torch
from torch import Tensor

from facekit.training.errors import ConfigError
from facekit.training.seeds import derive_generator


class Sampler(Protocol):
    """What can name the rows of a :class:`facekit.training.Stream`: class-balanced, tuples, pairs."""

    def rows(self, draw: int) -> Tensor:
        """Row numbers (B,) int64 of the global batch number ``draw`` (0, 1, ...), the same in every process."""
        ...


class EpochSampler:
    """Every epoch visits the rows in a fresh order, without replacement; rows that fill no batch wait for the next one.

    Raises:
        ConfigError: if ``size`` rows do not fill one batch.
    """

    def __init__(self, size: int, batch_size: int, seed: int = 0) -> None:
        if size < batch_size or batch_size < 1:
            raise ConfigError(f"the data has {size} rows, which do not fill one batch of batch_size {batch_size}")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in one pass over the rows."""
        return self.size // self.batch_size

    def rows(self, draw: int) -> Tensor:
        """Row numbers (B,) int64 of batch ``draw``."""
        epoch, place = divmod(draw, self.batches_per_epoch)
        if epoch != self._epoch:
            self._order = torch.randperm(self.size, generator=derive_generator(self.seed, "epoch", epoch))
            self._epoch = epoch
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]
