"""CelebA (Liu et al., 2015): 202,599 aligned photographs of 10,177 people.

`img_align_celeba/000001.jpg`, and lists beside it: the person, forty attributes, the split, five landmarks.  The lists
come as text in columns of blanks, some with a count and column names before the rows, or as .csv files with a header.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.readers import Inventory
from facekit.data.readers.photographs import PhotoSource, keep_subjects, photo_table, require_folder, usable, walk_files
from facekit.data.readers.pictures import Box
from facekit.data.readers.text_files import TextError, integer_in, number_in, reason_of, text_lines

LISTS = {
    "identity": ("identity_CelebA", 1),
    "split": ("list_eval_partition", 1),
    "attributes": ("list_attr_celeba", 40),
    "landmarks": ("list_landmarks_align_celeba", 10),
}
"""What a list says -> its file name without ending, and how many values follow the picture's name."""
SPLITS = ("train", "val", "test")
MOST_DAMAGED = 100
"""Damaged lines after which the rest of a list is left out."""


class CelebASource(PhotoSource):
    """CelebA with the five landmarks of each picture; they are points of the aligned pictures, counted from 0."""

    margin = 1.6

    def __init__(
        self, table: pd.DataFrame, root: Path, inventory: Inventory, points: dict[str, list[float]], **options
    ):
        super().__init__(table, root, inventory, name="CelebA", **options)
        self._points = points

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        points = self._points.get(Path(row.path).name.lower())
        return (None if points is None else torch.tensor(points).view(5, 2) + 0.5), None


def open_dataset(
    path: str | Path, image_size: int = 112, subjects: int | None = None, verify: str = "none", **options: Any
) -> CelebASource:
    """The aligned photographs below `path` with person, split, sex and glasses.

    A list that is not there leaves its labels missing; a picture that a list does not name has none from it.  `verify`
    is "none" by default, for there are 202,599 pictures.
    """
    root = require_folder(path, "CelebA")
    inventory = Inventory("celeba", root)
    pictures = {file.name.lower(): file for file in walk_files(root, (".jpg", ".png"))}
    lists = {what: _find_list(root, what, inventory) for what in LISTS}
    listed = dict.fromkeys(name for rows in (lists["identity"], lists["split"]) for name in rows)
    for name in (name for name in listed if name not in pictures):
        inventory.miss(name, "listed, but not there")
    kept = [name for name in sorted(pictures) if usable(pictures[name], verify, inventory)]
    table = keep_subjects(_table(root, {name: pictures[name] for name in kept}, lists), subjects)
    return CelebASource(table, root, inventory, lists["landmarks"], image_size=image_size, **options)


def _table(root: Path, pictures: dict[str, Path], lists: dict[str, dict[str, Any]]) -> pd.DataFrame:
    attributes = [lists["attributes"].get(name) for name in pictures]
    return photo_table({
        "path": [file.relative_to(root).as_posix() for file in pictures.values()],
        "subject": [lists["identity"].get(name) for name in pictures],
        "sex": [None if row is None else "FM"[row[0]] for row in attributes],
        "expression": "", "pitch": np.nan, "yaw": np.nan, "roll": np.nan,
        "split": [lists["split"].get(name) for name in pictures],
        "occluder": ["glasses" if row is not None and row[1] else "" for row in attributes],
    }, len(pictures))  # fmt: skip


def _find_list(root: Path, what: str, inventory: Inventory) -> dict[str, Any]:
    """Picture name in lower case -> values of a list; empty, with a note in the inventory, where there is none."""
    stem, _ = LISTS[what]
    found = [file for file in walk_files(root, (".txt", ".csv")) if file.stem.lower() == stem.lower()]
    if not found:
        inventory.miss(f"{stem}.txt", "there is no such list; its labels stay unknown")
        return {}
    entries: dict[str, Any] = {}
    damaged = 0
    try:
        for entry in _entries(found[0], what):
            if isinstance(entry, TextError):
                inventory.corrupt(found[0], reason_of(entry, found[0]))
                damaged += 1
                if damaged == MOST_DAMAGED:
                    raise TextError(f"{found[0]}: the rest is left out after {damaged} damaged lines")
            else:
                entries[entry[0]] = entry[1]
        if not entries and not damaged:
            raise TextError(f"{found[0]}: the list is empty; its labels stay unknown")
    except TextError as error:
        inventory.corrupt(found[0], reason_of(error, found[0]))
    return entries


def _entries(path: Path, what: str) -> Iterator[tuple[str, Any] | TextError]:
    """Picture name in lower case and label of each row, or what is wrong with the row."""
    announced, count, places = None, 0, (20, 15)
    for number, line in text_lines(path):
        tokens = line.replace(",", " ").split()
        where = f"{path}, line {number}"
        if number <= 2 and tokens and not tokens[0].lower().endswith((".jpg", ".png")):
            if len(tokens) == 1 and tokens[0].isdecimal():
                announced = int(tokens[0][:12])
            elif "Male" in tokens and "Eyeglasses" in tokens:
                first = len(tokens) - LISTS[what][1]  # some headers name the first column as well
                places = tokens.index("Male") - first, tokens.index("Eyeglasses") - first
            continue
        count += 1
        try:
            yield _entry(tokens, what, places, where)
        except TextError as error:
            yield error
    if announced is not None and announced != count:
        yield TextError(f"{path}, line 1: announces {announced:,} rows, but {count:,} follow")


def _entry(tokens: list[str], what: str, places: tuple[int, int], where: str) -> tuple[str, Any]:
    width = LISTS[what][1]
    if len(tokens) != 1 + width or not tokens[0].lower().endswith((".jpg", ".png")):
        raise TextError(f"{where}: expected the name of a picture and {width} values, found {' '.join(tokens)[:40]!r}")
    name, values = tokens[0].lower(), tokens[1:]
    if what == "identity":
        return name, str(integer_in(values[0], where, 1, 10**6))
    if what == "split":
        return name, SPLITS[integer_in(values[0], where, 0, 2)]
    if what == "attributes":
        return name, tuple(int(integer_in(values[place], where, -1, 1) == 1) for place in places)
    return name, [number_in(value, where) for value in values]
