"""From a data set to the batches of one process.

A :class:`Stream` joins a source, a sampler and a seed. Batch number ``draw`` of a stream is the same whatever the
number of processes, passes or workers: the sampler names the rows of the global batch, and each process loads its part
of them.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from facekit.training.errors import ConfigError
from facekit.training.sampler import EpochSampler, Sampler
from facekit.training.seeds import derive_seeds, isolated_random_state


class Stream:
    """An endless sequence of batches.

    Args:
        source: a map-style data set (``len(source)``, ``source[i]``; in memory or memory-mapped; samples are
            collated), an object with ``batch(rows)``, or a function of ``rows``. ``rows`` is an int64 tensor. A
            function that also takes ``seeds`` gets one seed per row, for augmentation that depends on neither
            processes nor workers.
        batch_size: rows of a global batch; a multiple of processes times accumulated passes.
        size: number of rows of the source; found from ``len(source)`` where that exists.
        seed: order of the rows and the seeds of augmentation.
        sampler: names the rows of batch ``draw``; by default an :class:`EpochSampler`.
    """

    def __init__(
        self, source: Any, batch_size: int, *, size: int | None = None, seed: int = 0, sampler: Sampler | None = None
    ) -> None:
        if size is None and sampler is None:
            if not hasattr(source, "__len__"):
                raise ConfigError(f"the size of {source!r} is not known; give Stream(size=...) or a sampler")
            size = len(source)
        self.batch_size = batch_size
        self.seed = seed
        self.sampler = sampler if sampler is not None else EpochSampler(size, batch_size, seed)
        self._load = _loader_of(source)

    def load(self, draw: int, part: int = 0, parts: int = 1) -> Any:
        """Part ``part`` of ``parts`` equal parts of batch ``draw``, as the source gives it (on the CPU)."""
        rows = torch.as_tensor(self.sampler.rows(draw), dtype=torch.int64)
        if len(rows) != self.batch_size:
            raise ConfigError(f"the sampler gave {len(rows)} rows for batch {draw}, expected {self.batch_size}")
        share = len(rows) // parts
        mine = slice(part * share, (part + 1) * share)
        seeds = derive_seeds(len(rows), self.seed, "augment", draw)
        return self._load(rows[mine], seeds[mine])

    def batches(self, requests: Iterable[tuple[int, int, int]], workers: int, pin_memory: bool) -> Iterator[Any]:
        """The parts that ``requests`` (draw, part, parts) ask for, in order, loaded ahead by ``workers`` processes."""
        if workers == 0:
            return (self.load(*request) for request in requests)
        loader = DataLoader(
            _Requests(self),
            sampler=requests,
            batch_size=None,
            num_workers=workers,
            pin_memory=pin_memory,
            multiprocessing_context="fork" if sys.platform == "linux" else None,
            generator=torch.Generator(),  # else it would draw from the global one, whose state belongs to the model
        )
        return iter(loader)


class TensorSource:
    """Tensors or arrays (memory-mapped ones too) with equal numbers of rows, as a source of dictionaries."""

    def __init__(self, **arrays: Any) -> None:
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) != 1:
            raise ConfigError(f"the arrays have {counts} rows, expected the same number in each")
        self._arrays = arrays
        self._count = next(iter(counts.values()))

    def __len__(self) -> int:
        return self._count

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Rows ``rows (B,)`` of every array."""
        return {
            name: array[rows] if isinstance(array, Tensor) else torch.from_numpy(array[rows.numpy()])
            for name, array in self._arrays.items()
        }


class _Requests(Dataset):
    """A stream as a map-style data set whose keys are requests: what a DataLoader shares out to its workers."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __getitem__(self, request: tuple[int, int, int]) -> Any:
        return self.stream.load(*request)


def _loader_of(source: Any) -> Callable[[Tensor, Tensor], Any]:
    """``(rows, seeds) -> batch`` for any kind of source."""
    function = source if inspect.isroutine(source) else getattr(source, "batch", None)
    if function is None and hasattr(source, "__getitem__"):
        return lambda rows, seeds: default_collate(
            [_sample(source, row, seed) for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True)]
        )
    if function is None:
        if not callable(source):
            raise ConfigError(f"{type(source).__name__} is no data source: expected a function, .batch or [i]")
        function = source
    takes_seeds = "seeds" in inspect.signature(function).parameters

    def load(rows: Tensor, seeds: Tensor) -> Any:
        with isolated_random_state(int(seeds[0])):
            return function(rows, seeds=seeds) if takes_seeds else function(rows)

    return load


def _sample(source: Any, row: int, seed: int) -> Any:
    with isolated_random_state(seed):
        return source[row]


def to_device(batch: Any, device: torch.device) -> Any:
    """Every tensor inside nested dictionaries, lists and tuples, moved to ``device``; the rest as it is."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    return batch
