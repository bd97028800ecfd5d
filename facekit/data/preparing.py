"""Preparing data: every sample of a source is loaded once and kept in a folder, see `facekit.data.prepared`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from facekit.data.cache import RenderCache, locked, write_atomically
from facekit.data.prepared import PLACE
from facekit.data.sources import DataError, DataSource, OutputError, Sample, check_outputs


class _Tolerant(DataSource):
    """A source in which a row that cannot be loaded is noted, and leaves its place empty."""

    def __init__(self, source: DataSource, notes: Path):
        super().__init__(source.table, name=source.name)
        self.source, self.notes = source, notes
        self.damaged: dict[str, str] = json.loads(notes.read_text()) if notes.is_file() else {}
        self._empty: Sample = {}

    def load(self, rows: pd.DataFrame) -> Sample:
        try:
            return self.source.load(rows)
        except OutputError:
            raise
        except DataError:
            singles = [self._single(rows.iloc[[place]]) for place in range(len(rows))]
            self.note()
        empty = next((sample for sample in singles if sample is not None), None) or self._some_sample()
        filled = [{key: torch.zeros_like(value) for key, value in empty.items()} if s is None else s for s in singles]
        return {key: torch.cat([sample[key] for sample in filled]) for key in empty}

    def describe(self) -> dict[str, object]:
        return self.source.describe()

    def _single(self, row: pd.DataFrame) -> Sample | None:
        try:
            return self.source.load(row)
        except DataError as error:
            self.damaged[str(row.index[0])] = str(error)
            return None

    def note(self) -> None:
        """Writes down which rows are damaged, and why."""
        write_atomically(self.notes, json.dumps(self.damaged, indent=1))

    def _some_sample(self) -> Sample:
        """The first sample that can be loaded, for its shapes."""
        for place in range(len(self.table)):
            if not self._empty:
                self._empty = self._single(self.table.iloc[[place]]) or {}
        self.note()
        if not self._empty:
            raise self.nothing()
        return self._empty

    def nothing(self) -> DataError:
        """The error of a source without a single good row."""
        first = next(iter(self.damaged.values()))
        return DataError(f"{self.name}: none of the {len(self.table)} samples can be loaded; the first: {first}")


def prepare(
    source: DataSource,
    folder: str | Path,
    about: dict[str, Any],
    outputs: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Loads every sample of a source once and keeps it in a folder; goes on where an interrupted call stopped.

    `about` is kept with it and needs the entries `name` and `image_size`.  Returns the rows that turned out to be
    damaged, by their label, with the reasons; they are not in the prepared manifest.  A later call looks at them again,
    for their files may have been mended.  Of several processes that prepare one folder, each waits for the one before.

    Raises:
        DataError: if the folder holds something else, no sample can be loaded, or one of the outputs does not exist
            (then nothing is written).
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: found a file there, expected a folder or nothing")
    if folder.exists() and not (folder / "samples").is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} is neither empty nor prepared data; choose another folder")
    if not (folder / "samples" / "meta.json").exists():
        _try_outputs(source, outputs)
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    with locked(folder / "samples" / "preparing"):
        return _prepare_alone(source, folder, about, outputs, progress)


def _prepare_alone(
    source: DataSource,
    folder: Path,
    about: dict[str, Any],
    outputs: Sequence[str] | None,
    progress: Callable[[int, int], None] | None,
) -> dict[str, str]:
    tolerant = _Tolerant(source, folder / "damaged.json")
    cache = RenderCache(tolerant, folder / "samples", outputs=None if outputs is None else tuple(outputs))
    if progress is not None:
        progress(0, len(source))
    earlier = list(tolerant.damaged)
    cache.build(progress)
    _look_again(earlier, cache, tolerant)
    good = ~source.table.index.astype(str).isin(list(tolerant.damaged))
    if not good.any():
        raise tolerant.nothing()
    manifest = source.table[good].assign(**{PLACE: np.flatnonzero(good)})
    write_atomically(folder / "manifest.csv", manifest.to_csv(index=False, lineterminator="\n"))
    meta = json.loads((folder / "samples" / "meta.json").read_text())
    about = about | {"rows": len(manifest), "outputs": meta["outputs"], "source": meta["source"]}
    write_atomically(folder / "prepared.json", json.dumps(about, indent=1))
    return tolerant.damaged


def _try_outputs(source: DataSource, outputs: Sequence[str] | None) -> None:
    """Raises OutputError for an output that the samples do not have, before anything is written."""
    try:
        check_outputs(source.name, outputs, source.load(source.table.iloc[:1]))
    except OutputError:
        raise
    except DataError:
        return  # the first row is damaged, and will be noted


def _look_again(labels: Sequence[str], cache: RenderCache, tolerant: _Tolerant) -> None:
    """Loads rows once more, by their labels, which an earlier call found damaged."""
    places = pd.Index(tolerant.table.index.astype(str)).get_indexer(labels)
    for label, place in zip(labels, places, strict=True):
        try:
            sample = tolerant.source.load(tolerant.table.iloc[[place]])
        except DataError as error:
            tolerant.damaged[label] = str(error)
        else:
            cache.put([place], sample)
            tolerant.damaged.pop(label, None)
    if labels:
        tolerant.note()
