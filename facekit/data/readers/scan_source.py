"""What the readers of 3D scans share: a source of rendered views and labels that also gives the raw scans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from facekit.data.encodings import sample_labels
from facekit.data.formats import FormatError, Surface, check_ends
from facekit.data.readers import Inventory, nothing_usable
from facekit.data.readers.photographs import VERIFY
from facekit.data.scans import VIEW_OUTPUTS, Scan, ScanCache, read_obj_or_ply, render_scan
from facekit.data.sources import DataError, DataSource, Sample, check_outputs
from facekit.data.world.tables import holds_out, split_names

ScanReader = Callable[[Path], Scan]
"""Reads the scan of a file, with its landmarks.  Raises FormatError."""


class ScanSource(DataSource):
    """3D scans on disk: views of them, their labels, and the scans themselves.

    Args:
        table: a manifest with a `path` below `root` in every row; rows of the same path are views of one scan.
        root: the data set's folder.
        inventory: what was found, missing and skipped when the table was made.
        read: reads one scan.
        parts: gives the files that the scan of a path is made of, for the cache.  As `read`, a function that can be
            pickled, so that a `DataLoader` may hand the source to its workers.
        image_size: width and height of the views in pixels.
        outputs: which entries of a sample a batch holds; all if None.
        cache: folder in which parsed scans are kept; without one they are parsed whenever they are used.
        mesh: whose triangles all scans share, if they do; `faces` (F, 3) are these, and a batch also holds `vertices`
            (B, V, 3).

    A batch holds `VIEW_OUTPUTS` of each row's pitch and yaw (frontal where they are not known), and the labels of
    `sample_labels`.  Meshes of different topologies do not fit into one tensor: `scan` gives them one by one.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        root: str | Path,
        inventory: Inventory,
        read: ScanReader,
        parts: Callable[[Path], list[Path]],
        image_size: int = 112,
        outputs: Sequence[str] | None = None,
        cache: str | Path | None = None,
        mesh: Surface | None = None,
        name: str = "scans",
    ):
        if image_size < 8:
            raise DataError(f"{name}: image_size must be at least 8 pixels, found {image_size}")
        if not len(table):
            raise DataError(nothing_usable(name, inventory))
        super().__init__(table, name=name)
        self.root, self.inventory, self.image_size = Path(root), inventory, int(image_size)
        self.outputs = None if outputs is None else tuple(outputs)
        self.cache = None if cache is None else ScanCache(cache)
        self.faces = None if mesh is None else torch.from_numpy(mesh.faces)
        self._num_vertices = 0 if mesh is None else len(mesh.vertices)
        self.people = sorted({str(name) for name in table["subject"].unique()} - {""})
        self._read, self._parts = read, parts
        self._check_outputs()

    def scan(self, row: int) -> Scan:
        """The raw scan of a row, by its position in the table.

        Raises:
            FormatError: if a file of the scan is damaged; the message names it.
        """
        return self.read(self.root / str(self.table["path"].iloc[row]))

    def files(self, row: int) -> list[Path]:
        """The files that the scan of a row is made of, by its position in the table; some may not be there."""
        return self._parts(self.root / str(self.table["path"].iloc[row]))

    def read(self, path: Path) -> Scan:
        """The scan of a file, from the cache where it is kept."""
        if self.cache is None:
            return self._read(path)
        return self.cache.get(f"{self.name} {path}", self._parts(path), lambda: self._read(path))

    def load(self, rows: pd.DataFrame) -> Sample:
        """The samples of some rows; each scan is read once for all its rows.

        Raises:
            FormatError: if a scan is damaged; the message names the file.
        """
        sample = sample_labels(rows, self.people)
        views = [key for key in VIEW_OUTPUTS if self.outputs is None or key in self.outputs]
        with_vertices = self.faces is not None and (self.outputs is None or "vertices" in self.outputs)
        if views or with_vertices:
            sample |= self._views(rows, views, with_vertices)
        return sample if self.outputs is None else {key: sample[key] for key in self.outputs}

    def describe(self) -> dict[str, object]:
        """The settings that the samples depend on beside the table."""
        given = getattr(self._read, "keywords", {}).items()  # such as the scans' unit
        options = {key: value for key, value in given if isinstance(value, (bool, int, float, str))}
        return {"name": self.name, "image_size": self.image_size, "outputs": self.outputs, "read": options}

    def _views(self, rows: pd.DataFrame, keys: list[str], with_vertices: bool) -> Sample:
        angles = [rows[name].fillna(0.0).to_numpy() if name in rows else np.zeros(len(rows)) for name in _ANGLES]
        paths = rows["path"].to_numpy()
        places, parts = [], []
        for path in dict.fromkeys(paths):
            mine = np.flatnonzero(paths == path)
            scan = self.read(self.root / str(path))
            part = render_scan(scan, self.image_size, angles[1][mine], angles[0][mine]) if keys else {}
            part = {key: part[key] for key in keys}
            if with_vertices:
                part["vertices"] = self._shared(scan).expand(len(mine), -1, -1)
            places.append(mine)
            parts.append(part)
        order = torch.from_numpy(np.argsort(np.concatenate(places), kind="stable"))
        return {key: torch.cat([part[key] for part in parts])[order] for key in parts[0]}

    def _shared(self, scan: Scan) -> torch.Tensor:
        if len(scan.vertices) != self._num_vertices:
            raise FormatError(
                f"{scan.name}: found {len(scan.vertices)} vertices, the data set's mesh has {self._num_vertices}"
            )
        return scan.vertices

    def _check_outputs(self) -> None:
        known = (*VIEW_OUTPUTS, "expression", "intensity", "occluder", "person", "row")
        known += ("vertices",) if self.faces is not None else ()
        check_outputs(self.name, self.outputs, known)


_ANGLES = ("pitch", "yaw")


def only_itself(file: Path) -> list[Path]:
    """The parts of a scan that is in one file."""
    return [file]


def read_in(file: Path, unit: float) -> Scan:
    """The scan of an OBJ or PLY file whose unit is `unit` millimetres."""
    return Scan.of(read_obj_or_ply(file), file, unit)


class FileIndex:
    """The files below a folder by their place in lower case, as data sets come with either."""

    def __init__(self, files: Sequence[Path]):
        self._files = {str(file).lower(): file for file in files}

    def find(self, path: Path) -> Path | None:
        """The file at this place, in upper or lower case; None if there is none."""
        return self._files.get(str(path).lower())

    def beside(self, path: Path, *endings: str) -> Path | None:
        """The first file that has the stem of `path` and one of these endings."""
        found = (self.find(path.with_name(path.stem + ending)) for ending in endings)
        return next((file for file in found if file is not None), None)


def usable_scan(path: Path, read: ScanReader, verify: str, inventory: Inventory) -> bool:
    """Whether a scan can be used, as closely as `verify` asks; if not, the inventory says why.

    "none" looks at nothing, "ends" at the file's head and end, "pixels" reads the scan and its texture.
    """
    if verify not in VERIFY:
        raise DataError(f"verify must be one of {', '.join(VERIFY)}, found {verify!r}")
    try:
        if verify == "ends":
            check_ends(path)
        if verify == "pixels":
            read(path).texture_image()
    except FormatError as error:
        inventory.corrupt(path, str(error).removeprefix(f"{path}: "))
        return False
    return True


def shared_mesh(files: Iterable[Path], inventory: Inventory) -> Surface | None:
    """The first OBJ or PLY that can be read; None if there is none."""
    for file in files:
        try:
            return read_obj_or_ply(file)
        except FormatError as error:
            inventory.corrupt(file, str(error))
    return None


def repeat_views(columns: dict[str, Any], yaws: Sequence[float]) -> tuple[dict[str, Any], int]:
    """Columns of scans as columns of views, each scan once for every yaw, and how many views there are."""
    count = len(columns["path"])
    views = {
        name: values if isinstance(values, (str, int, float)) else np.repeat(np.asarray(values, object), len(yaws))
        for name, values in columns.items()
    }
    return views | {"pitch": 0.0, "yaw": np.tile(np.asarray(yaws, float), count), "roll": 0.0}, count * len(yaws)


def book_split(subjects: Sequence[str], share: float) -> pd.Categorical:
    """The book's own split, as in the twins: a share of the people is tested on."""
    return split_names(holds_out(pd.factorize(pd.Series(subjects, dtype=object), sort=True)[0], 0, share))


def every(frames: Sequence[int], count: int | None) -> list[int]:
    """`count` of these frame numbers, spread evenly, the first and the last included; all if None."""
    if count is None or count >= len(frames):
        return list(frames)
    if count < 1:
        raise DataError(f"frames must be positive, found {count}")
    return [frames[place] for place in np.round(np.linspace(0, len(frames) - 1, count)).astype(int)]
