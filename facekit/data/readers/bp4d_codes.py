"""The tables of action units of BP4D-Spontaneous: occurrence, and intensity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from facekit.data.formats import FormatError, read_whole
from facekit.data.formats.numbers import parse_integers
from facekit.data.readers import Inventory

MOST_FRAMES = 1_000_000
NOT_CODED = 9
MAX_CODE_BYTES = 64 * 2**20


def read_occurrence(path: Path, units: tuple[int, ...], inventory: Inventory) -> pd.DataFrame | None:
    """Frame, counted from 1 -> 1, 0 or NaN (not coded) of each action unit.

    The first line of the file numbers its columns; the first column is the frame.  None, with a note in the inventory,
    for a damaged file.
    """
    try:
        values = _matrix(path)
        header, rows = values[0], values[1:]
        absent = [unit for unit in units if unit not in header[1:]]
        if header[0] != 0 or absent:
            raise FormatError(f"{path}: its header has no column for action unit {(absent or [0])[0]}")
        if len(np.unique(header)) != len(header):
            raise FormatError(f"{path}: its header repeats a column")
        codes = rows[:, [int(np.flatnonzero(header == unit)[0]) for unit in units]]
        _check(path, rows[:, 0], codes, (0, 1, NOT_CODED))
    except FormatError as error:
        inventory.corrupt(path, str(error))
        return None
    codes = np.where(codes == NOT_CODED, np.nan, codes)
    return pd.DataFrame(codes, index=rows[:, 0], columns=[f"AU{unit}" for unit in units])


def read_levels_of(path: Path, inventory: Inventory) -> pd.Series | None:
    """Frame, counted from 1 -> level 0 to 5 or NaN (not coded) of one action unit; None for a damaged file."""
    try:
        rows = _matrix(path)
        if rows.shape[1] != 2:
            raise FormatError(f"{path}: found {rows.shape[1]} columns, expected frame and level")
        _check(path, rows[:, 0], rows[:, 1], (0, 1, 2, 3, 4, 5, NOT_CODED))
    except FormatError as error:
        inventory.corrupt(path, str(error))
        return None
    return pd.Series(np.where(rows[:, 1] == NOT_CODED, np.nan, rows[:, 1]), index=rows[:, 0])


def _matrix(path: Path) -> np.ndarray:
    """The whole numbers (rows, columns) of a table separated by commas."""
    content = read_whole(path, MAX_CODE_BYTES)
    lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    width = lines[0].count(b",") + 1 if lines else 0
    if len(lines) < 2 or any(line.count(b",") + 1 != width for line in lines):
        raise FormatError(f"{path}: found {len(lines)} lines of different lengths, expected a table")
    values = parse_integers(b"\n".join(lines), str(path), "codes")
    if len(values) != len(lines) * width:
        raise FormatError(f"{path}: found {len(values)} numbers in a table of {len(lines)} x {width}")
    return values.reshape(len(lines), width)


def _check(path: Path, frames: np.ndarray, codes: np.ndarray, allowed: tuple[int, ...]) -> None:
    if frames.min() < 0 or frames.max() > MOST_FRAMES or len(np.unique(frames)) != len(frames):
        raise FormatError(f"{path}: its frames are repeated, or not within 0 to {MOST_FRAMES:,}")
    strange = codes[~np.isin(codes, allowed)]
    if len(strange):
        raise FormatError(f"{path}: holds the code {strange[0]}, expected one of {allowed}")
