"""The CSV file with which readers of the book describe their own pictures and scans."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facekit.data.encodings import expression_name
from facekit.data.manifest import MANIFEST_COLUMNS, OCCLUDERS, SYNTHETIC_COLUMNS, ManifestError
from facekit.data.readers import Inventory
from facekit.data.readers.text_files import TextError, inside_path, integer_in, number_in, read_text
from facekit.data.sources import DataError

BOX_COLUMNS = ("left", "top", "side")
"""A square around the face in pixels of the picture; all three or none."""
FILE_COLUMNS = ("path", "landmarks")
OWN_COLUMNS: tuple[str, ...] = (
    *(name for name in MANIFEST_COLUMNS if name not in SYNTHETIC_COLUMNS), *BOX_COLUMNS, "landmarks",
)  # fmt: skip
"""Columns that a file of one's own may have, beside AU1 to AU99; only `path` must be there."""

MAX_MANIFEST_BYTES = 64 * 2**20
MAX_ROWS = 1_000_000
MOST_DAMAGED = 1_000
"""Damaged rows after which the file is refused."""

_UNIT = re.compile(r"AU0?([1-9]\d?)", re.IGNORECASE)
_SEXES = {"f": "F", "female": "F", "woman": "F", "m": "M", "male": "M", "man": "M"}
_SPLITS = {"train": "train", "training": "train", "val": "val", "validation": "val", "test": "test", "testing": "test"}
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

Row = dict[str, Any]


def read_manifest(path: Path, inventory: Inventory) -> list[Row]:
    """The good rows of the file, each a value (or None for an empty cell) by column, with its `line`.

    Columns are separated by commas, semicolons or tabs, whichever the header has most of; with semicolons, numbers may
    have decimal commas.  A row that is wrong is left out and noted in the inventory.

    Raises:
        DataError: if there is no header with a `path`, a column's name is misspelt or repeated, or the file is too
            large, is no text or has more than MOST_DAMAGED wrong rows.
    """
    text = read_text(path, MAX_MANIFEST_BYTES)
    lines = text.split("\n")
    separator = max(",;\t", key=lines[0].count)
    reader = csv.reader(iter(lines), delimiter=separator, strict=True)
    rows: list[Row] = []
    damaged = 0
    try:
        columns = _header(next(reader, []), path, inventory)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                rows.append(_row(cells, columns, reader.line_num, separator == ";"))
            except (TextError, ManifestError) as error:
                inventory.corrupt(path, str(error))
                damaged += 1
            if damaged > MOST_DAMAGED or len(rows) > MAX_ROWS:
                too_many = f"{damaged:,} wrong" if damaged > MOST_DAMAGED else f"more than {MAX_ROWS:,}"
                raise DataError(f"{path}, line {reader.line_num}: {too_many} rows; the rest is not read")
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is not a table of separated values ({error})") from None
    return rows


def _header(cells: list[str], path: Path, inventory: Inventory) -> list[str | None]:
    """Our name of each column, None for one that is passed over."""
    columns: list[str | None] = []
    for cell in cells:
        name = cell.strip()
        unit = _UNIT.fullmatch(name)
        known = f"AU{int(unit.group(1))}" if unit else name.lower()
        if unit is None and known not in OWN_COLUMNS:
            close = difflib.get_close_matches(known, OWN_COLUMNS, 1, cutoff=0.75)
            if close:
                raise DataError(f"{path}, line 1: column {name[:40]!r} is not known; did you mean {close[0]!r}?")
            inventory.ignore(f"column {name[:40]}", "not a column that the book uses")
            known = None
        if known is not None and known in columns:
            raise DataError(f"{path}, line 1: column {name[:40]!r} is there twice")
        columns.append(known)
    if "path" not in columns:
        raise DataError(f"{path}, line 1: expected a header with a column 'path', found {', '.join(cells)[:80]!r}")
    if 0 < len(set(BOX_COLUMNS) & set(columns)) < 3:
        raise DataError(f"{path}, line 1: a face box needs the columns {', '.join(BOX_COLUMNS)}, all three")
    return columns


def _row(cells: list[str], columns: list[str | None], line: int, decimal_commas: bool) -> Row:
    if len(cells) != len(columns):
        raise TextError(f"line {line}: {len(cells)} cells, the header has {len(columns)}")
    row: Row = {"line": line}
    for name, cell in zip(columns, cells, strict=True):
        if name is None:
            continue
        cell = cell.strip()
        if not cell and name == "path":
            raise TextError(f"line {line}: the path is empty")
        row[name] = _value(name, cell, f"line {line}, {name}", decimal_commas) if cell else None
    box = [row.get(name) for name in BOX_COLUMNS]
    if any(value is None for value in box) and any(value is not None for value in box):
        raise TextError(f"line {line}: a face box needs {', '.join(BOX_COLUMNS)}, all three")
    if box[2] is not None and box[2] < 1:
        raise TextError(f"line {line}: the face box has a side of {box[2]:g} pixels")
    return row


def _value(name: str, cell: str, where: str, decimal_commas: bool) -> Any:
    if name in FILE_COLUMNS:
        return inside_path(cell, where)
    words: dict[str, Callable[[str], Any]] = {"sex": _SEXES.get, "split": _SPLITS.get, "mirrored": _FLAGS.get}
    if name in words:
        value = words[name](cell.lower())
        if value is None:
            raise TextError(f"{where}: found {cell[:40]!r}")
        return value
    if name == "expression":
        try:
            return expression_name(cell)
        except ManifestError as error:
            raise TextError(f"{where}: {error}") from None
    if name == "occluder" and cell not in OCCLUDERS:
        raise TextError(f"{where}: {cell[:40]!r} is none of {', '.join(OCCLUDERS)}")
    kind = MANIFEST_COLUMNS[name].kind if name in MANIFEST_COLUMNS else "number"
    if kind == "text":
        return cell[:200]
    if kind == "integer":
        return integer_in(cell, where, 0, 4 if name == "intensity" else 2**31 - 1)
    value = number_in(cell.replace(",", ".") if decimal_commas else cell, where)
    low, high = {"pitch": (-180, 180), "yaw": (-180, 180), "roll": (-180, 180)}.get(
        name, (0, 5) if name.startswith("AU") else (-1e6, 1e6)
    )
    if not low <= value <= high:
        raise TextError(f"{where}: {value:g} lies outside {low:g} to {high:g}")
    return value
