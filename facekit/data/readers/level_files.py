"""Files of action-unit levels: a line for each frame, `frame,level`, frames counted from 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from facekit.data.readers import Inventory
from facekit.data.readers.text_files import TextError, integer_in, read_text, reason_of, text_lines

HIGHEST_LEVEL = 5
MOST_FRAMES = 10_000_000
MOST_DAMAGED = 100
"""Damaged lines after which the rest of a file is left out."""


def read_levels(path: Path, inventory: Inventory) -> pd.Series:
    """Level of each frame, float32, by the frame's number counted from 0.

    Lines that are none are left out, and the inventory says which; so is a frame's second line.  A file that is no text
    gives an empty series.
    """
    try:
        pairs = [line.replace(",", " ").split() for line in read_text(path).split("\n") if line.strip()]
        levels = _all_at_once(pairs)
        if levels is None:
            levels = _line_by_line(path, inventory)
    except TextError as error:
        inventory.corrupt(path, reason_of(error, path))
        levels = {}
    return pd.Series(levels, dtype=np.float32)


def _all_at_once(pairs: list[list[str]]) -> dict[int, float] | None:
    """Frame -> level, or None if any line is not as it should be."""
    if not pairs or any(len(pair) != 2 for pair in pairs):
        return None
    try:
        table = np.array(pairs, dtype=np.float64)
    except ValueError:
        return None
    if not np.isfinite(table).all() or (table != np.round(table)).any():
        return None
    frames, levels = table.T
    sane = (frames >= 1) & (frames <= MOST_FRAMES) & (levels >= 0) & (levels <= HIGHEST_LEVEL)
    if not sane.all() or len(np.unique(frames)) != len(frames):
        return None
    return dict(zip((frames.astype(np.int64) - 1).tolist(), levels.tolist(), strict=True))


def _line_by_line(path: Path, inventory: Inventory) -> dict[int, float]:
    """The good lines of a damaged file."""
    levels: dict[int, float] = {}
    damaged = 0
    for number, line in text_lines(path):
        try:
            frame, level = _pair(line, f"line {number}")
            if frame in levels:
                raise TextError(f"line {number}: frame {frame + 1} has two levels")
            levels[frame] = level
        except TextError as error:
            inventory.corrupt(path, str(error))
            damaged += 1
            if damaged == MOST_DAMAGED:
                raise TextError(f"{path}: left out after {damaged} damaged lines") from None
    return levels


def _pair(line: str, where: str) -> tuple[int, float]:
    cells = line.replace(",", " ").split()
    if len(cells) != 2:
        raise TextError(f"{where}: expected a frame and a level, found {line[:40]!r}")
    return integer_in(cells[0], where, 1, MOST_FRAMES) - 1, float(integer_in(cells[1], where, 0, HIGHEST_LEVEL))
