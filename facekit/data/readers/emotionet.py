"""EmotioNet (Fabian Benitez-Quiroz et al., 2016): photographs from the web with action units, and many without.

`dataFile_0000.txt`: no header, tabs, the address of a picture twice, then AU1 to AU60 as 1, 0 or 999 (not annotated);
the same columns come as .csv.  The pictures themselves the user has fetched: they are found by the last part of the
address, anywhere below the folder.  Many addresses are dead.  Nobody is named; every picture is a group of its own.

The data set has no landmarks.  Those that a detector found may lie beside the pictures, `N_0000000001_00003.pts` or
`.txt` beside `N_0000000001_00003.jpg`: 68 lines `x y` in pixels.  Pictures in which it found no face have no such file.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
from torch import Tensor

from facekit.data.readers import Inventory
from facekit.data.readers.landmark_files import read_landmarks, stack_known, to_crop
from facekit.data.readers.photographs import PhotoSource, keep_subjects, photo_table, require_folder, usable, walk_files
from facekit.data.readers.pictures import Box
from facekit.data.readers.text_files import TextError, beside, integer_in, reason_of, text_lines
from facekit.data.sources import DataError, Sample

UNITS = 60
NOT_ANNOTATED = 999
POINTS = (".pts", ".txt")
"""Endings of files of landmarks."""
MOST_DAMAGED = 100
"""Damaged lines after which the rest of a list is left out."""

_LIST = re.compile(r"datafile|emotionet", re.IGNORECASE)


class EmotioNetSource(PhotoSource):
    """EmotioNet; if pictures have files of landmarks, a batch also holds `landmarks` (B, 68, 2) in pixels of the crop.

    They are NaN for a picture that has no such file.
    """

    def __init__(self, table: pd.DataFrame, root: Path, *rest: Any, has_landmarks: bool = False, **options: Any):
        super().__init__(table, root, *rest, name="EmotioNet", **options)
        self._has_landmarks = has_landmarks

    def describe(self) -> dict[str, object]:
        return super().describe() | ({"landmarks": True} if self._has_landmarks else {})

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        return self._landmarks(row.path), None

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> Sample:
        if not self._has_landmarks:
            return {}
        return {"landmarks": to_crop(stack_known(map(self._landmarks, rows["path"])), boxes, self.image_size)}

    def _landmarks(self, path: str) -> Tensor | None:
        file = _points_file(self.root / path)
        return None if file is None else read_landmarks(file)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    annotated_only: bool = False,
    **options: Any,
) -> EmotioNetSource:
    """The pictures below `path`, with action units where a list names them; `subjects` keeps so many pictures.

    `annotated_only` leaves out pictures that no list names.  Columns are made of the units that are annotated at all.
    """
    root = require_folder(path, "EmotioNet")
    inventory = Inventory("emotionet", root)
    if any(walk_files(root, (".xlsx", ".xls"))) and not any(walk_files(root, (".txt", ".csv"))):
        raise DataError(f"{root}: the lists are Excel files; save them as .csv beside the pictures")
    pictures = list(walk_files(root))
    marked = {_stem(file) for file in walk_files(root, POINTS)} & {_stem(file) for file in pictures}
    annotated = _annotations(root, marked, inventory)
    rows, units, named = [], [], set()
    for file in pictures:
        name = file.relative_to(root).as_posix()
        key = next((key for key in (name.lower(), file.name.lower()) if key in annotated), None)
        if key is not None and key in named:
            inventory.skip(file, "another picture has the same name")
        elif (key is not None or not annotated_only) and _usable(file, verify, inventory):
            rows.append((name, annotated[key][0] if key else _group(name)))
            units.append(annotated[key][1] if key else None)
            named |= {key} if key else set()
            if marked and _stem(file) not in marked:
                inventory.miss(file, "there are no landmarks beside the picture")
    for key in (key for key in annotated if key not in named):
        inventory.miss(key, "listed, but not there")
    table = _table(rows, units)
    table = keep_subjects(table, subjects)
    return EmotioNetSource(table, root, inventory, image_size, has_landmarks=bool(marked), **options)


def _stem(file: Path) -> str:
    return str(file.with_suffix("")).lower()


def _points_file(picture: Path) -> Path | None:
    return next((file for file in (beside(picture, ending) for ending in POINTS) if file.is_file()), None)


def _usable(file: Path, verify: str, inventory: Inventory) -> bool:
    """Whether the picture, and the landmarks beside it where they are looked at, can be used."""
    points = None if verify == "none" else _points_file(file)
    if points is not None:
        try:
            read_landmarks(points)
        except TextError as error:
            inventory.corrupt(points, str(error))
            return False
    return usable(file, verify, inventory)


def _table(rows: list[tuple[str, str]], units: list[np.ndarray | None]) -> pd.DataFrame:
    codes = np.full((len(rows), UNITS), NOT_ANNOTATED, dtype=np.int16)
    for place, values in enumerate(units):
        if values is not None:
            codes[place] = values
    used = [unit for unit in range(UNITS) if (codes[:, unit] != NOT_ANNOTATED).any()]
    columns = {f"AU{unit + 1}": np.where(codes[:, unit] == NOT_ANNOTATED, np.nan, codes[:, unit]) for unit in used}
    path, group = zip(*rows, strict=True) if rows else ((),) * 2
    return photo_table({
        "path": path, "subject": "", "group": group, "expression": "", "pitch": np.nan, "yaw": np.nan, "roll": np.nan,
        "split": "train",
    } | columns, len(rows))  # fmt: skip


def _annotations(root: Path, marked: set[str], inventory: Inventory) -> dict[str, tuple[str, np.ndarray]]:
    """Name of a picture in lower case -> its group and the codes of AU1 to AU60, from all lists below the folder.

    Files beside a picture that is `marked` hold its landmarks.
    """
    found: dict[str, tuple[str, np.ndarray]] = {}
    for path in walk_files(root, (".txt", ".csv")):
        damaged = 0
        if _stem(path) in marked:
            continue
        if _LIST.match(path.name) is None:
            inventory.ignore(path, "not a name of a list (dataFile_*.txt, emotionet*.csv)")
            continue
        try:
            for entry in _entries(path):
                if isinstance(entry, TextError):
                    inventory.corrupt(path, reason_of(entry, path))
                    damaged += 1
                    if damaged == MOST_DAMAGED:
                        raise TextError(f"{path}: the rest is left out after {damaged} damaged lines")
                else:
                    found.setdefault(entry[0], entry[1:])
        except TextError as error:
            inventory.corrupt(path, reason_of(error, path))
    return found


def _entries(path: Path) -> Iterator[tuple[str, str, np.ndarray] | TextError]:
    """Picture's name, group and codes of each row, or what is wrong with the row."""
    for number, line in text_lines(path):
        where = f"{path}, line {number}"
        try:
            cells = line.split("\t") if "\t" in line else next(csv.reader([line]))
        except csv.Error as error:
            yield TextError(f"{where}: is no row of separated values ({error})")
            continue
        cells = [cell.strip().strip("'\"") for cell in cells]
        if number == 1 and len(cells) > 2 and not cells[2].lstrip("-").isdecimal():
            continue  # a header, which some copies have
        try:
            if len(cells) != 2 + UNITS:
                raise TextError(f"{where}: {len(cells)} columns, expected {2 + UNITS}")
            codes = [integer_in(cell, f"{where}, AU{unit}", 0, 999) for unit, cell in enumerate(cells[2:], start=1)]
            wrong = [code for code in codes if code not in (0, 1, NOT_ANNOTATED)]
            if wrong:
                raise TextError(f"{where}: found the code {wrong[0]}, expected 0, 1 or {NOT_ANNOTATED}")
            yield _picture_name(cells[0], where), _group(cells[0]), np.array(codes, dtype=np.int16)
        except TextError as error:
            yield error


def _picture_name(address: str, where: str) -> str:
    """Last part of an address or, of a plain file name, the whole."""
    try:
        parts = urlsplit(address)
    except ValueError:
        raise TextError(f"{where}: {address[:60]!r} is not an address") from None
    name = unquote(parts.path).rsplit("/", 1)[-1] if parts.scheme else address.replace("\\", "/")
    if not name:
        raise TextError(f"{where}: {address[:60]!r} names no picture")
    return name.lower()


def _group(address: str) -> str:
    return hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
