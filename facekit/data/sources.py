"""A data source: a manifest and a function that loads rows of it.

The face world, its protocol twins, a cache and a licensed data set are all a `DataSource`, so that an experiment
does not know which one it runs on.  `parse_data` reads the `--data` option with which a user chooses.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.manifest import check_manifest

DATASETS: tuple[str, ...] = (
    "bu3dfe", "bosphorus", "bu4dfe", "bp4d", "disfa", "kdef", "multipie", "sfew",
    "celeba", "300wlp", "aflw2000", "micc", "emotionet", "fanelli",
)  # fmt: skip
"""Short names of the data sets that have a twin, as `--data` and `twin` take them."""

READERS: tuple[str, ...] = (*DATASETS, "coma", "facewarehouse", "own")
"""All names that `--data` takes with a path; `own` is a CSV file of the reader's own pictures or scans."""

Sample = dict[str, Tensor]


class DataError(ValueError):
    """A data source that cannot be opened as asked; the message says what was found and what was expected."""


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
        """The samples at these positions (negative ones count from the end), stacked.

        Raises
        ------
        IndexError
            if a position lies outside the table.
        """
        positions = np.asarray(rows, dtype=np.int64).reshape(-1)
        outside = positions[(positions >= len(self)) | (positions < -len(self))]
        if len(outside):
            raise IndexError(f"{self.name}: row {outside[0]} is outside the table of {len(self)} rows")
        return self.load(self.table.take(positions))

    def describe(self) -> dict[str, object]:
        """What, beside the table, the samples depend on, in values that JSON takes."""
        return {"name": self.name}

    def select(self, rows: np.ndarray | pd.Series | Sequence[int]) -> DataSource:
        """The same source with some of its rows: a boolean mask over the table or positions in it."""
        rows = np.asarray(rows)
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
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


@dataclass(frozen=True)
class DataChoice:
    """What `--data` asks for: the face world (on which face model), or folders of licensed data sets."""

    text: str
    model_path: Path | None = None
    folders: Mapping[str, Path] = field(default_factory=dict)

    @property
    def is_world(self) -> bool:
        return not self.folders

    @property
    def name(self) -> str:
        """For tables of results: "world:procedural", "world:ict" or the data sets' names."""
        if self.is_world:
            return "world:ict" if self.model_path else "world:procedural"
        return ",".join(self.folders)

    def open(self, dataset: str, **options: Any) -> DataSource:
        """The data set's protocol twin in the face world, or the reader's copy of the data set.

        `options` are those of `twin`; a licensed data set takes `image_size` and what its reader offers.  Whoever names
        `own` data gets them in the place of any data set, and a folder that `data prepare` wrote in the place of one.
        """
        if dataset not in READERS:
            raise DataError(f"{dataset!r} is not a data set; known are {', '.join(READERS)}")
        if self.is_world and dataset not in DATASETS:
            raise DataError(f"{dataset} has no twin in the face world; name a copy of it: --data {dataset}=PATH")
        if self.is_world:
            from facekit.data.world import twin

            return twin(dataset, model=self.load_model(), **options)
        name = dataset if dataset in self.folders else "own"
        if name not in self.folders:
            raise DataError(f"this needs {dataset}, but --data {self.text} names {', '.join(self.folders)}")
        return _reader(name, self.folders[name])(self.folders[name], **options)

    def load_model(self) -> Any:
        """The face model of the world: None for the procedural face (each world makes its own), or the loaded one."""
        if self.model_path is None:
            return None
        from facekit.morphable import load_ict

        return load_ict(self.model_path, region="closed")


def parse_data(text: str) -> DataChoice:
    """Reads "world", "world:ict=PATH" or "<data set>=<path>", several of these joined by commas.

    Raises
    ------
    DataError
        if the text has another form, names an unknown data set or a path that does not exist.
    """
    if text == "world":
        return DataChoice(text)
    if text.startswith("world:"):
        kind, _, path = text.removeprefix("world:").partition("=")
        if kind != "ict" or not path:
            raise DataError(f"--data {text}: the world takes a face model as world:ict=PATH")
        return DataChoice(text, model_path=_existing(path, text))
    folders = {}
    for part in text.split(","):
        name, separator, path = part.partition("=")
        if not separator or not path:
            raise DataError(f"--data {text}: expected world, world:ict=PATH or <data set>=<path>")
        if name not in READERS:
            raise DataError(f"--data {text}: {name!r} is not a data set; known are {', '.join(READERS)}")
        folders[name] = _existing(path, text)
    return DataChoice(text, folders=folders)


def _existing(path: str, text: str) -> Path:
    found = Path(path).expanduser()
    if not found.exists():
        raise DataError(f"--data {text}: there is nothing at {found}")
    return found


def _reader(dataset: str, folder: Path) -> Callable[..., DataSource]:
    """What opens a copy: the reader of its data set, or that of prepared folders."""
    if (folder / "prepared.json").is_file():
        from facekit.data.prepared import open_prepared

        return open_prepared
    module = f"facekit.data.readers.{'wlp300' if dataset == '300wlp' else dataset}"
    try:
        return importlib.import_module(module).open_dataset
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise DataError(f"facekit has no reader for {dataset}; use --data world for its protocol twin") from None
