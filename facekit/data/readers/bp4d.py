"""BP4D-Spontaneous (Zhang et al., 2014): 41 people in eight tasks, pictures and scans with coded action units.

`Sequences(2D+3D)/F001/T1/0000.jpg` and `.obj`, frames counted from 0; `AUCoding/AU_OCC/F001_T1.csv`, frames counted
from 1, so that row f belongs to picture f - 1; `AUCoding/AU_INT/.../F001_T1_AU12.csv` with levels 0 to 5;
`2DFeatures/F001_T1.mat` with 49 points of each picture, `3DFeatures/F001/T1/0000.tbnd` with 83 of each scan.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from facekit.data.folds import PUBLISHED_FOLDS
from facekit.data.formats import FormatError, read_mat, read_tbnd
from facekit.data.readers import Inventory
from facekit.data.readers.bp4d_codes import read_levels_of, read_occurrence
from facekit.data.readers.landmark_files import stack_known, to_crop
from facekit.data.readers.photographs import PhotoSource, photo_table, require_folder, usable, walk_files
from facekit.data.readers.pictures import Box
from facekit.data.readers.scan_source import FileIndex, every
from facekit.data.readers.text_files import file_stamp
from facekit.data.scans import BP4D_TO_BU, Scan, ScanCache, landmarks_from_83, read_obj_or_ply
from facekit.data.sources import DataError, Sample
from facekit.data.world.spontaneous import BP4D_RATES, BP4D_TASKS

LEVEL_UNITS = (6, 10, 12, 14, 17)
"""Action units with levels 0 to 5."""
INNER_49 = tuple(place for place in range(17, 68) if place not in (60, 64))
"""The place among the 68 landmarks of each of BP4D's 49: no jaw line, no inner corners of the mouth."""

_PLACE = re.compile(r"([FM]\d{3})/T([1-8])/(\d{1,6})\.(jpg|obj|tbnd)", re.IGNORECASE)
_CODES = re.compile(r"([FM]\d{3})_T([1-8])\.csv", re.IGNORECASE)
_LEVELS = re.compile(r"([FM]\d{3})_T([1-8])_AU(\d{1,2})\.csv", re.IGNORECASE)
_POINTS = re.compile(r"([FM]\d{3})_T([1-8])\.mat", re.IGNORECASE)

Recording = tuple[str, int]


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    frames: int | None = None,
    labels: str = "occurrence",
    units: Sequence[int] | None = None,
    frame_offset: int = -1,
    cache: str | Path | None = None,
    **options: Any,
) -> BP4DSource:
    """The coded frames below `path`.

    Args:
        verify: how closely pictures are looked at; with "pixels", so are the files of points.
        frames: so many of each recording, spread evenly; all if None.
        labels: "occurrence" (0 or 1) or "intensity" (0 to 5).
        units: action units of the table; the twelve of the papers, or the five with levels, if None.
        frame_offset: number of a row's picture minus the row's number: -1 as the data set's guide says; 0 for copies
            in which pictures have the codes' numbers, as in the lists that JAA-Net's readers share.
        cache: folder in which parsed scans are kept.
    """
    if subjects is not None and subjects < 1:
        raise DataError(f"subjects must be positive, found {subjects}")
    if labels not in ("occurrence", "intensity"):
        raise DataError(f"BP4D has the labels occurrence and intensity, asked for {labels!r}")
    units = tuple(units or (LEVEL_UNITS if labels == "intensity" else tuple(BP4D_RATES)))
    root = require_folder(path, "BP4D-Spontaneous")
    inventory = Inventory("bp4d", root)
    codes = _occurrence(root, units, inventory) if labels == "occurrence" else _levels(root, units, inventory)
    pictures = _pictures(root)
    people = sorted({subject for subject, _ in codes})[:subjects]
    parts = []
    for recording in sorted(key for key in codes if key[0] in people):
        shown = _shown(recording, codes[recording], pictures.get(recording, {}), frame_offset, inventory)
        kept = [row for row in every(sorted(shown), frames) if usable(shown[row], verify, inventory)]
        parts.append((recording, [(row + frame_offset, shown[row]) for row in kept], codes[recording].loc[kept]))
    points = _point_files(root)
    points = _readable(points, inventory) if verify == "pixels" else points
    source = BP4DSource(_table(root, parts, units), root, inventory, points, image_size=image_size, **options)
    source.scans = None if cache is None else ScanCache(cache)
    return source


class BP4DSource(PhotoSource):
    """Frames of BP4D, cut out by their 49 points where there are any; `scan` gives the scans of the same moments.

    If every recording has points, a batch also holds `landmarks` (B, 68, 2) in pixels of the crop and
    `landmarks_visible` (B, 68) bool, which is False for the jaw line, the inner corners of the mouth (which the data
    set does not mark) and frames in which tracking failed.
    """

    scans: ScanCache | None = None

    def __init__(
        self, table: pd.DataFrame, root: Path, inventory: Inventory, points: dict[Recording, Path], **options: Any
    ):
        super().__init__(table, root, inventory, name="BP4D-Spontaneous", **options)
        self._points = points
        named = {(str(name).split("/")[0], int(str(name)[-1])) for name in table["sequence"].unique()}
        self._has_points = named <= set(self._points)
        for subject, task in sorted(named - set(self._points)):
            inventory.miss(f"2DFeatures/{subject}_T{task}.mat", "the recording has no landmarks")
        matches = ((_PLACE.fullmatch("/".join(file.parts[-3:])), file) for file in walk_files(root, (".tbnd",)))
        self._marks = {(*_recording(match), int(match.group(3))): file for match, file in matches if match}

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        points = self._own_points(row)
        return (points[list(INNER_49)] if points is not None else None), None

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> Sample:
        if not self._has_points:
            return {}
        points = stack_known(map(self._own_points, rows.itertuples()))
        known = points.isfinite().all(-1)
        return {
            "landmarks": to_crop(points, boxes, self.image_size).nan_to_num(),
            "landmarks_visible": known,
        }

    def scan(self, row: int) -> Scan:
        """The raw scan of a row's moment, with its picture as texture and its landmarks.

        Raises:
            FormatError: if there is no mesh beside the picture, or a file is damaged.
        """
        mesh, picture, *marks = self.files(row)
        if not mesh.is_file():
            raise FormatError(f"{mesh}: there is no such file")

        def read() -> Scan:
            return _read_scan(mesh, picture, marks[0] if marks else None)

        return read() if self.scans is None else self.scans.get(f"{self.name} {mesh}", [mesh, picture, *marks], read)

    def files(self, row: int) -> list[Path]:
        """The mesh of a row, its picture and, if there are any, its landmarks; the mesh may not be there."""
        entry = self.table.iloc[row]
        picture = self.root / str(entry["path"])
        index = FileIndex([file for file in picture.parent.iterdir() if file.stem == picture.stem])
        marks = self._marks.get((str(entry["subject"]), int(entry["task"]), int(picture.stem)))
        return [index.beside(picture, ".obj") or picture.with_suffix(".obj"), picture, *([marks] if marks else [])]

    def _own_points(self, row: Any) -> Tensor | None:
        file = self._points.get((str(row.subject), int(row.task)))
        found = None if file is None else _read_points(file, file_stamp(file))
        if found is None or not 0 <= int(row.frame) < len(found) or not np.isfinite(found[int(row.frame)]).all():
            return None
        points = torch.full((68, 2), torch.nan)
        points[list(INNER_49)] = torch.from_numpy(found[int(row.frame)])
        return points


def _point_files(root: Path) -> dict[Recording, Path]:
    matches = ((_POINTS.fullmatch(file.name), file) for file in walk_files(root, (".mat",)))
    return {_recording(match): file for match, file in matches if match}


def _readable(points: dict[Recording, Path], inventory: Inventory) -> dict[Recording, Path]:
    """The files of points that can be read; the inventory says what is wrong with the others."""
    found = {}
    for recording, file in points.items():
        try:
            _read_points(file, file_stamp(file))
        except FormatError as error:
            inventory.corrupt(file, str(error))
        else:
            found[recording] = file
    return found


@lru_cache(maxsize=64)
def _read_points(file: Path, _stamp: tuple[int, int]) -> np.ndarray:
    """Points (N, 49, 2) float32 of all frames of a recording, NaN in frames in which tracking failed."""
    fit = read_mat(file).get("fit")
    if not isinstance(fit, np.ndarray) or "pred" not in (fit.dtype.names or ()):
        raise FormatError(f"{file}: holds no structure 'fit' with the field 'pred'")
    points = np.full((fit.size, 49, 2), np.nan, dtype=np.float32)
    for number, found in enumerate(fit["pred"].ravel()):
        if not isinstance(found, np.ndarray) or found.shape not in ((49, 2), (0, 0), (0, 2), (1, 0)):
            raise FormatError(f"{file}: frame {number} has points {np.shape(found)}, expected (49, 2) or none")
        if found.size and found.dtype.kind in "fiu" and np.isfinite(found).all() and np.abs(found).max() < 1e6:
            points[number] = found
    return points


def _read_scan(mesh: Path, picture: Path, marks: Path | None) -> Scan:
    scan = replace(Scan.of(read_obj_or_ply(mesh), mesh), texture=picture)
    if marks is None:
        return scan
    points = _right_handed(read_tbnd(marks).points[list(BP4D_TO_BU)], scan.vertices.numpy())
    found = landmarks_from_83(points.astype("f8"), scan.vertices.numpy().astype("f8"))
    return replace(scan, landmarks=torch.from_numpy(found), own_landmarks=torch.from_numpy(points))


def _right_handed(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The landmarks in the mesh's frame: the guide calls theirs left-handed, so one axis may have the other sign.

    Of the four possibilities that one is taken whose points lie nearest to the mesh.
    """
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return points
    tree = cKDTree(vertices)
    signs = np.float32([[1, 1, 1], [1, 1, -1], [-1, 1, 1], [1, -1, 1]])
    distances = [tree.query(points[known] * sign)[0].mean() for sign in signs]
    return points * signs[int(np.argmin(distances))]


def _recording(match: re.Match[str]) -> Recording:
    return match.group(1).upper(), int(match.group(2))


def _occurrence(root: Path, units: tuple[int, ...], inventory: Inventory) -> dict[Recording, pd.DataFrame]:
    codes = {}
    for file in walk_files(root, (".csv",)):
        match = _CODES.fullmatch(file.name)
        table = read_occurrence(file, units, inventory) if match else None
        if table is not None:
            codes[_recording(match)] = table
    return codes


def _levels(root: Path, units: tuple[int, ...], inventory: Inventory) -> dict[Recording, pd.DataFrame]:
    columns: dict[Recording, dict[str, pd.Series]] = {}
    for file in walk_files(root, (".csv",)):
        match = _LEVELS.fullmatch(file.name)
        levels = read_levels_of(file, inventory) if match and int(match.group(3)) in units else None
        if levels is not None:
            columns.setdefault(_recording(match), {})[f"AU{int(match.group(3))}"] = levels
    return {key: pd.DataFrame(found).reindex(columns=[f"AU{unit}" for unit in units]) for key, found in columns.items()}


def _pictures(root: Path) -> dict[Recording, dict[int, Path]]:
    pictures: dict[Recording, dict[int, Path]] = {}
    for file in walk_files(root, (".jpg",)):
        match = _PLACE.fullmatch("/".join(file.parts[-3:]))
        if match:
            pictures.setdefault(_recording(match), {})[int(match.group(3))] = file
    return pictures


def _shown(
    recording: Recording, codes: pd.DataFrame, pictures: dict[int, Path], offset: int, inventory: Inventory
) -> dict[int, Path]:
    """Row of the codes -> picture; the inventory counts rows without one."""
    name = f"{recording[0]}/T{recording[1]}"
    if not pictures:
        inventory.miss(name, "there are action units, but no pictures")
        return {}
    shown = {row: pictures[row + offset] for row in codes.index if row + offset in pictures}
    if len(shown) < len(codes):
        first = next(row for row in codes.index if row not in shown)
        inventory.miss(name, f"{len(codes) - len(shown)} coded frames have no picture, the first is row {first}")
    return shown


def _table(root: Path, parts: list[tuple[Recording, list[tuple[int, Path]], pd.DataFrame]], units: tuple[int, ...]):
    fold = {name: number for number, part in enumerate(PUBLISHED_FOLDS["bp4d"], start=1) for name in part}
    rows = [(subject, task, frame, file) for (subject, task), shown, _ in parts for frame, file in shown]
    subject, task, frame, file = zip(*rows, strict=True) if rows else ((),) * 4
    columns = {
        "path": [picture.relative_to(root).as_posix() for picture in file], "subject": subject,
        "sex": [name[0] for name in subject], "expression": [BP4D_TASKS[number - 1] for number in task],
        "pitch": np.nan, "yaw": np.nan, "roll": np.nan, "fold": [fold.get(name, -1) for name in subject],
        "task": task, "sequence": [f"{name}/T{number}" for name, number in zip(subject, task, strict=True)],
        "frame": frame,
    }  # fmt: skip
    codes = pd.concat([part for _, _, part in parts]) if rows else pd.DataFrame({f"AU{unit}": [] for unit in units})
    return photo_table(columns | {name: codes[name].to_numpy() for name in codes}, len(rows))
