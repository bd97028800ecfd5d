"""The reader's own scans in the place of a data set: what MiFaR asks of a manifest, and the scans of its rows.

A row names a scan (OBJ, PLY or GLB), the person and the expression; rows of a recording also name it (``sequence``) and
their place in it (``frame``). Scans stand upright, look along +z and are in millimetres.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from facekit.data import DataError, DataSource
from facekit.data.readers.own import MAX_SCAN_BYTES, SCAN_ENDINGS, OwnSource
from facekit.data.scans import Scan
from facekit.meshes import MeshError, load_mesh
from facekit.mifar.scans import ScanError

HEIGHTS = (80.0, 1000.0)
"""Millimetres between which the height of a scan of a head lies."""


class OwnScans(DataSource):
    """Rows of a manifest of one's own, with the scans themselves.

    Args:
        source: the manifest as the reader opened it.
        recorded: rows are frames of recordings.

    Raises:
        DataError: a row is no scan, or lacks what MiFaR has to know; the message names the first such row. Or a
            recording is none, see ``check_recordings``.
    """

    def __init__(self, source: OwnSource, recorded: bool) -> None:
        super().__init__(source.table, name=source.name)
        self.root = source.root
        endings = self.table["path"].map(lambda path: Path(path).suffix.lower())
        self._refuse(~endings.isin(SCAN_ENDINGS), f"MiFaR needs scans ({', '.join(SCAN_ENDINGS)})")
        for column in ("subject", "expression", *(("sequence",) if recorded else ())):
            self._refuse(self._empty(column), f"MiFaR needs a column {column!r} that is filled in every row")
        if recorded:
            frames = self.table.get("frame", default=-1) + np.zeros(len(self))
            self._refuse(frames < 0, "MiFaR needs a column 'frame' that is filled in every row")
            check_recordings(self.table, self.name)

    def scan(self, row: int) -> Scan:
        """The scan of a row, by its position in the table.

        Raises:
            ScanError: it cannot be read, or has not the height of a head in millimetres.
        """
        path = self.files(row)[0]
        try:
            if path.stat().st_size > MAX_SCAN_BYTES:
                raise ScanError(f"{path}: more than {MAX_SCAN_BYTES >> 20} MiB")
            mesh = load_mesh(path)
        except (OSError, MeshError) as error:
            raise ScanError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
        check_height(mesh.vertices, path)
        return Scan(mesh.vertices, mesh.faces, colours=mesh.albedo, name=str(path))

    def files(self, row: int) -> list[Path]:
        """The file of a row's scan."""
        return [self.root / str(self.table["path"].iloc[row])]

    def _empty(self, column: str) -> np.ndarray:
        if column not in self.table:
            return np.ones(len(self), dtype=bool)
        return (self.table[column].astype(str) == "").to_numpy()

    def _refuse(self, wrong: np.ndarray, expected: str) -> None:
        rows = np.flatnonzero(wrong)
        if len(rows):
            first = self.table["path"].iloc[rows[0]]
            raise DataError(f"{self.name}: {expected}; {len(rows)} of {len(self)} rows do not, the first is {first}")


def check_recordings(table: pd.DataFrame, name: str) -> None:
    """Raise DataError unless each recording shows one person with one expression, and no frame twice."""
    told = table[["sequence", "subject", "expression"]].astype(str)
    for column in ("subject", "expression"):
        several = told.groupby("sequence", sort=False)[column].unique()
        several = several[several.map(len) > 1]
        if len(several):
            raise DataError(
                f"{name}: recording {several.index[0]!r} has {len(several.iloc[0])} {column}s "
                f"({', '.join(several.iloc[0][:3])}), expected one; give every recording a name of its own"
            )
    twice = table[table.duplicated(["sequence", "frame"])]
    if len(twice):
        sequence, frame, path = twice.iloc[0][["sequence", "frame", "path"]]
        raise DataError(f"{name}: recording {sequence!r} has frame {frame} twice, the second time in {path}")


def check_height(vertices: Tensor, path: Path) -> None:
    """Raise ScanError unless vertices (V, 3) are as high as a scan of a head in millimetres."""
    y = vertices[:, 1]
    height = float(y.max() - y.min()) if len(y) else 0.0
    if not HEIGHTS[0] <= height <= HEIGHTS[1]:
        raise ScanError(
            f"{path}: {height:.3g} units high, expected {HEIGHTS[0]:g} to {HEIGHTS[1]:g}: millimetres, y upwards"
        )
