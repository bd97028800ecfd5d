"""Samples rendered once and kept on disk, in arrays that are mapped into memory.

A folder holds one .npy file for each output, with a place for every row of the source's table, and a file of flags that
say which blocks of rows are finished.  A block's flag is set only after its data has reached the disk, so that a build
may be killed at any moment and goes on where it was; several processes that ask for the same build take turns.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from facekit.data.sources import DataError, DataSource, Sample, check_outputs

try:
    import fcntl
except ImportError:  # not on this system: two processes must not build the same folder there
    fcntl = None

_EIGHT_BITS = ("image",)
_HALF = ("depth", "normals", "albedo", "vertex_albedo")


class RenderCache(DataSource):
    """A source whose samples are read from a folder.

    Args:
        source: what is cached; its table becomes this source's.
        folder: where; made if need be.  One folder belongs to one source with one set of outputs.
        outputs: which entries of a sample are kept; all if None.
        block: rows that are rendered and finished together.

    Images are kept in 8 bits (exact for the face world), depth, normals and albedo in half precision.

    Raises:
        DataError: if the folder holds something else.
    """

    def __init__(
        self, source: DataSource, folder: str | Path, outputs: tuple[str, ...] | None = None, block: int = 128
    ):
        super().__init__(source.table, name=f"cache of {source.name}")
        if not source.table.index.is_unique:
            raise DataError(f"{source.name}: rows are kept by the labels of the table's index, which must differ")
        self.source, self.folder, self.block = source, Path(folder), int(block)
        self._places = source.table.index
        self._wanted = outputs
        self._maps: dict[str, np.ndarray] = {}
        self._check_folder()

    def build(self, progress: Callable[[int, int], None] | None = None) -> RenderCache:
        """Renders whatever is missing; `progress` is called with the rows done and the rows in all.  Returns itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock"):
            self._check_folder()  # again, for another process may have begun it since
            if not (self.folder / "meta.json").exists():
                self._allocate()
            maps = self._open("r+")
            total, done = len(self._places), maps["done"]
            for block in np.flatnonzero(~done):
                rows = np.arange(block * self.block, min(total, (block + 1) * self.block))
                sample = self.source.load(self.source.table.take(rows))
                for key in self._keys():
                    maps[key][rows] = _packed(key, sample[key].cpu().numpy())
                    maps[key].flush()
                done[block] = True
                done.flush()
                if progress is not None:
                    progress(min(total, int(done.sum()) * self.block), total)
        return self

    def put(self, rows: Sequence[int], sample: Sample) -> None:
        """Keeps the samples (n, ...) of rows, by their positions in the table, in the place of what is there."""
        with locked(self.folder / "lock"):
            maps = self._open("r+")
            for key in self._keys():
                maps[key][np.asarray(rows)] = _packed(key, sample[key].cpu().numpy())
                maps[key].flush()

    @property
    def is_complete(self) -> bool:
        return (self.folder / "meta.json").exists() and bool(self._open("r")["done"].all())

    def load(self, rows: pd.DataFrame) -> Sample:
        """The kept samples of some rows.

        Raises:
            DataError: if they have not been rendered yet, or are not in the table that the cache was made of.
        """
        if not self._maps:
            if not (self.folder / "meta.json").exists():
                raise DataError(f"{self.folder} holds nothing yet; call build() first")
            self._check_folder()
            self._maps = self._open("r")
        places = self._places.get_indexer(rows.index)
        if (places < 0).any():
            label = rows.index[int(np.argmin(places))]
            raise DataError(f"{self.folder}: row {label} is not in the table that this cache was made of")
        missing = np.flatnonzero(~self._maps["done"][places // self.block])
        if len(missing):
            raise DataError(f"{self.folder}: row {rows.index[missing[0]]} has not been rendered; call build() first")
        return {key: unpacked(key, kept[places]) for key, kept in self._maps.items() if key != "done"}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}}

    def _fingerprint(self) -> str:
        described = {"rows": table_hash(self.source.table), "source": self.source.describe(), "outputs": self._wanted}
        return hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()

    def _check_folder(self) -> None:
        meta = self.folder / "meta.json"
        if not meta.exists():
            if any(path.suffix not in (".npy", ".new", "") for path in _contents(self.folder)):
                raise DataError(f"{self.folder} is neither empty nor a cache; choose another folder")
            return
        try:
            stored = json.loads(meta.read_text())
        except ValueError as error:
            raise DataError(f"{meta} is damaged; delete the folder and build it again") from error
        if stored.get("fingerprint") != self._fingerprint():
            raise DataError(
                f"{self.folder} was built from another source, or with other settings or outputs; choose another folder"
            )
        self.block = int(stored["block"])

    def _allocate(self) -> None:
        """Makes the files at their full length, then the description that says that they are there."""
        sample = self.source.load(self.source.table.take(np.arange(1)))
        keys = list(sample) if self._wanted is None else list(self._wanted)
        check_outputs(self.source.name, keys, sample)
        first = {key: _packed(key, sample[key].cpu().numpy()) for key in keys}
        self._check_space(sum(value.nbytes for value in first.values()) * len(self._places))
        for key, value in first.items():
            _new_file(self.folder / f"{key}.npy", value.dtype, (len(self._places), *value.shape[1:]))
        _new_file(self.folder / "done.npy", np.dtype(bool), (-(-len(self._places) // self.block),))
        meta = {"fingerprint": self._fingerprint(), "outputs": keys, "rows": len(self._places), "block": self.block}
        write_atomically(self.folder / "meta.json", json.dumps(meta | {"source": self.source.describe()}, indent=1))

    def _check_space(self, needed: int) -> None:
        """A full disk would end the process without a word, as writing to mapped memory cannot raise an error."""
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DataError(
                f"{self.folder}: {len(self._places):,} samples need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
            )

    def _keys(self) -> list[str]:
        return json.loads((self.folder / "meta.json").read_text())["outputs"]

    def _open(self, mode: str) -> dict[str, np.ndarray]:
        names = [*self._keys(), "done"]
        return {name: np.load(self.folder / f"{name}.npy", mmap_mode=mode) for name in names}


def load_all(
    source: DataSource,
    outputs: Sequence[str] | None = None,
    block: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Sample:
    """All samples of a source in memory: the entries `outputs`, or all; images (N, 3, H, W) as 8-bit whole numbers.

    The samples are loaded `block` at a time; `progress` is called with the rows done and the rows in all.

    Raises:
        DataError: if the source is empty or lacks one of the outputs.
    """
    if len(source) == 0:
        raise DataError(f"{source.name}: there is no row to load")
    everything: Sample = {}
    for start in range(0, len(source), block):
        sample = source.batch(np.arange(start, min(start + block, len(source))))
        check_outputs(source.name, outputs, sample)
        for key in outputs or sample:
            value = to_bytes(sample[key]) if key in _EIGHT_BITS else sample[key]
            if not start:
                everything[key] = value.new_empty(len(source), *value.shape[1:])
            everything[key][start : start + len(value)] = value
        if progress is not None:
            progress(min(start + block, len(source)), len(source))
    return everything


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images in [0, 1] as whole numbers from 0 to 255, uint8."""
    return (images * 255.0).round().byte()


def table_hash(table: pd.DataFrame) -> str:
    """A text that differs between tables with other rows, labels, columns or index."""
    rows = pd.util.hash_pandas_object(table).to_numpy()
    columns = ",".join(str(name) for name in table.columns)
    return hashlib.blake2b(rows.tobytes() + columns.encode(), digest_size=16).hexdigest()


def _contents(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _packed(key: str, values: np.ndarray) -> np.ndarray:
    if key in _EIGHT_BITS:
        return np.rint(values * 255.0).astype(np.uint8)
    return values.astype(np.float16) if key in _HALF else values


def unpacked(key: str, values: np.ndarray) -> torch.Tensor:
    """Kept values as they were in the sample: images in [0, 1] float32, half precision as float32."""
    if key in _EIGHT_BITS:
        return torch.from_numpy(np.array(values)).float() / 255.0
    return torch.from_numpy(values.astype(np.float32) if key in _HALF else np.array(values))


def _new_file(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """A .npy file full of zeros; sparse where the file system allows it."""
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()


def write_atomically(path: Path, text: str) -> None:
    """Writes beside the file, flushes and renames, so that the file is there whole or not at all."""
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a file's lock, waiting for other processes; the system frees it when a process dies."""
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
