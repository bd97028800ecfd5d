"""A data source: a manifest and a function that loads rows of it.

The face world, its protocol twins, a cache and a licensed data set are all a `DataSource`, so that an experiment
does not know which one it runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.manifest import check_manifest

Sample = dict[str, Tensor]


class DataError(ValueError):
    """A data source that cannot be opened as asked; the message says what was found and what was expected."""


class OutputError(DataError):
    """An output was asked for that the samples of a source do not have; no sample is damaged by that."""


def check_outputs(name: str, asked: Iterable[str] | None, found: Iterable[str]) -> None:
    """Raises OutputError, with the source's `name`, if an output that is asked for is not among those found."""
    found = list(found)
    absent = [key for key in asked or () if key not in found]
    if absent:
        raise OutputError(f"{name} has no output {absent[0]!r}; it has {', '.join(found)}")


class DataSource:
    """A manifest `table` and `load`, a function from some of its rows to a batch.

    `load` takes a part of the table (n rows) and returns tensors whose first axis has length n.  Indexing with an
    integer gives one sample without that axis; indexing with a sequence or a slice gives a batch, so that
    `DataLoader(source, sampler=BatchSampler(...), batch_size=None)` loads whole batches at once.
    """

    def __init__(self, table: pd.DataFrame, load: Callable[[pd.DataFrame], Sample] | None = None, name: str = "data"):
        self.table = check_manifest(table, name)
        self.name = name
        self._load = load

    def load(self, rows: pd.DataFrame) -> Sample:
        """The samples of some rows of the table; sources that make their samples override this."""
        if self._load is None:
            raise DataError(f"{self.name} has a table but no function that loads its rows")
        return self._load(rows)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: int | slice | Sequence[int] | np.ndarray) -> Sample:
        if isinstance(rows, (int, np.integer)):
            return {key: value[0] for key, value in self.batch([rows]).items()}
        return self.batch(np.arange(len(self))[rows] if isinstance(rows, slice) else rows)

    def batch(self, rows: Sequence[int] | np.ndarray | Tensor) -> Sample:
        """The samples at these positions (negative ones count from the end) or of a boolean mask's rows, stacked.

        Raises:
            IndexError: if a position lies outside the table, or a mask has another length than the table.
        """
        return self.load(self.table.take(self._positions(rows)))

    def _positions(self, rows: Sequence[int] | np.ndarray | pd.Series | Tensor) -> np.ndarray:
        """Positions (n,) int64 of rows that are given as positions or as a boolean mask over the table."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise IndexError(f"{self.name}: found a mask of shape {rows.shape} for the table of {len(self)} rows")
            return np.flatnonzero(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise IndexError(f"{self.name}: found rows of type {rows.dtype}, expected positions or a boolean mask")
        positions = rows.astype(np.int64).reshape(-1)
        outside = positions[(positions >= len(self)) | (positions < -len(self))]
        if len(outside):
            raise IndexError(f"{self.name}: row {outside[0]} is outside the table of {len(self)} rows")
        return positions

    def describe(self) -> dict[str, object]:
        """What, beside the table, the samples depend on, in values that JSON takes."""
        return {"name": self.name}

    def select(self, rows: np.ndarray | pd.Series | Sequence[int]) -> DataSource:
        """The same source with some of its rows: a boolean mask over the table or positions in it.

        Raises:
            IndexError: as `batch`.
        """
        positions = self._positions(rows)
        chosen = object.__new__(type(self))
        chosen.__dict__.update(self.__dict__)
        chosen.table = self.table.take(positions)
        return chosen

    def split(self, name: str) -> DataSource:
        """The rows of a published split: train, val or test."""
        if "split" not in self.table or not (self.table["split"] == name).any():
            raise DataError(f"{self.name} has no split named {name!r}")
        return self.select((self.table["split"] == name).to_numpy())

    def __repr__(self) -> str:
        people = self.table["subject"].nunique() if "subject" in self.table else 0
        return f"{type(self).__name__}({self.name!r}, {len(self)} rows, {people} subjects)"


def load_each(load_row: Callable[[pd.Series], Sample]) -> Callable[[pd.DataFrame], Sample]:
    """Turns a function that loads one row into one that loads and stacks several."""

    def load(rows: pd.DataFrame) -> Sample:
        samples = [load_row(row) for _, row in rows.iterrows()]
        return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}

    return load
