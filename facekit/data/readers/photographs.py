"""What the readers of photographs share: a manifest from columns, and a source of face crops with their labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from facekit.data.encodings import sample_labels
from facekit.data.manifest import MANIFEST_COLUMNS
from facekit.data.readers import Inventory, nothing_usable
from facekit.data.readers.pictures import (
    PICTURE_ENDINGS,
    Box,
    PictureError,
    centred_square,
    read_picture,
    square,
    verify_picture,
)
from facekit.data.readers.text_files import reason_of
from facekit.data.sources import DataError, DataSource, Sample, check_outputs
from facekit.data.transforms import landmark_boxes
from facekit.data.world.tables import holds_out, split_names

Detector = Callable[[np.ndarray], Box | None]
"""A face detector of the user's: an RGB picture (H, W, 3) uint8 to left edge, top edge and side of the face in pixels,
or None where it finds none."""

VERIFY = ("none", "ends", "pixels")


class PhotoSource(DataSource):
    """Photographs of faces on disk, cut out, resized and labelled.

    Args:
        table: a manifest with a `path` below `root` in every row; its index must not repeat.
        root: the data set's folder.
        inventory: what was found, missing and skipped when the table was made.
        image_size: width and height of the crops in pixels.
        detector: finds the face; without one the box of the landmarks is taken where there are landmarks, and the
            largest centred square elsewhere.
        outputs: which entries of a sample a batch holds; all if None.

    A batch holds `image` (B, 3, S, S) float32 in [0, 1] (8-bit values) and the labels of `sample_labels`; data sets
    with more (landmarks, poses) override `face` and `more`.
    """

    margin = 0.35
    """How much wider the crop is than the landmarks, as a share of their extent."""

    def __init__(
        self,
        table: pd.DataFrame,
        root: str | Path,
        inventory: Inventory,
        image_size: int = 112,
        detector: Detector | None = None,
        outputs: Sequence[str] | None = None,
        name: str = "photographs",
    ):
        if image_size < 8:
            raise DataError(f"{name}: image_size must be at least 8 pixels, found {image_size}")
        if not len(table):
            raise DataError(nothing_usable(name, inventory))
        super().__init__(table, name=name)
        self.root, self.inventory, self.image_size = Path(root), inventory, int(image_size)
        self.detector, self.outputs = detector, None if outputs is None else tuple(outputs)
        self.people = sorted({str(name) for name in table["subject"].unique()} - {""}) if "subject" in table else []

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        """Landmarks (L, 2) in pixels of the picture and the box around the face, each None where it is not known."""
        return None, None

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> Sample:
        """Further entries of the batch; `boxes` (B, 3) are what was cut out, in pixels of the picture."""
        return {}

    def picture(self, row: Any) -> tuple[Image.Image, float]:
        """The picture of a row, and the share of its full size that it was decoded at."""
        return read_picture(self.root / row.path, least_size=2 * self.image_size)

    def load(self, rows: pd.DataFrame) -> Sample:
        """The samples of some rows.

        Raises:
            DataError: if a picture cannot be read; the message names it.
            OutputError: if an output does not exist.
        """
        crops, boxes = zip(*(self.crop(row) for row in rows.itertuples()), strict=True)
        images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255.0
        sample = {"image": images, **sample_labels(rows, self.people), **self.more(rows, np.array(boxes))}
        if self.outputs is None:
            return sample
        check_outputs(self.name, self.outputs, sample)
        return {key: sample[key] for key in self.outputs}

    def describe(self) -> dict[str, object]:
        """The settings that the samples depend on beside the table."""
        return {"name": self.name, "image_size": self.image_size, "outputs": self.outputs,
                "detector": getattr(self.detector, "__name__", None), "margin": self.margin}  # fmt: skip

    def crop(self, row: Any) -> tuple[np.ndarray, Box]:
        """What a row shows, (S, S, 3) uint8, and the box that it was cut out of."""
        image, share = self.picture(row)
        box = self._box(row, image, share)
        try:
            return square(image, tuple(share * value for value in box), self.image_size), box
        except PictureError as error:
            raise PictureError(f"{self.root / row.path}: {error}") from None

    def _box(self, row: Any, image: Image.Image, share: float) -> Box:
        """The box in pixels of the picture at its full size."""
        if self.detector is not None:
            found = self.detector(np.asarray(image))
            if found is not None:
                return tuple(float(value) / share for value in found)
        landmarks, box = self.face(row)
        if box is not None:
            return box
        if landmarks is not None:
            return tuple(landmark_boxes(landmarks[None].float(), self.margin)[0].tolist())
        return tuple(value / share for value in centred_square(*image.size))


def photo_table(columns: Mapping[str, Any], length: int) -> pd.DataFrame:
    """A manifest from columns, in the order of MANIFEST_COLUMNS, action units last; single values fill their column.

    Text becomes categories where it repeats, numbers take the smallest usual type, None becomes the missing value.
    """
    order = [name for name in MANIFEST_COLUMNS if name in columns]
    order += [name for name in columns if name not in MANIFEST_COLUMNS]
    return pd.DataFrame({name: _column(name, columns[name], length) for name in order}, index=pd.RangeIndex(length))


def _column(name: str, values: Any, length: int) -> Any:
    column = MANIFEST_COLUMNS.get(name)
    kind = column.kind if column else "number"
    if isinstance(values, (pd.Categorical, pd.Series)) and kind == "text":
        return pd.Series(values).reset_index(drop=True).astype("category" if name != "path" else object)
    if isinstance(values, (str, int, float)):
        values = [values] * length
    if kind == "text":
        texts = pd.Series(["" if value is None else value for value in values], dtype=object)
        return texts if name == "path" else texts.astype("category")
    missing = column.missing if column else np.nan
    dtype = {"integer": np.int32, "number": np.float32, "flag": np.bool_}[kind]
    return np.array([missing if value is None else value for value in values], dtype=dtype)


def split_people(table: pd.DataFrame, share: float) -> pd.DataFrame:
    """The table with a column `split` that tests on a share of the people, one at least where there are two.

    A published split stays, and so does a table in which somebody is not named.
    """
    people, names = pd.factorize(table["subject"].astype(object), sort=True)
    if "split" in table or len(names) < 2 or "" in names:
        return table
    split = split_names(holds_out(people, 0, max(share, 1 / len(names))))
    order = [name for name in MANIFEST_COLUMNS if name in table or name == "split"]
    return table.assign(split=split)[order + [name for name in table if name not in MANIFEST_COLUMNS]]


def walk_files(root: Path, endings: Sequence[str] = PICTURE_ENDINGS) -> Iterator[Path]:
    """Files below a folder with these endings (in any case), folder by folder in the order of their names.

    Hidden files and folders, and folders that systems leave behind in archives, are passed over; links to folders are
    not followed.
    """
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            if name.lower().endswith(tuple(endings)) and not name.startswith("."):
                yield Path(folder, name)


def usable(path: Path, verify: str, inventory: Inventory) -> bool:
    """Whether a picture can be used, as closely as `verify` asks; if not, the inventory says why."""
    if verify not in VERIFY:
        raise DataError(f"verify must be one of {', '.join(VERIFY)}, found {verify!r}")
    if verify == "none":
        return True
    try:
        verify_picture(path, verify)
    except PictureError as error:
        inventory.corrupt(path, reason_of(error, path))
        return False
    return True


def require_folder(path: str | Path, what: str) -> Path:
    """The folder as a path.  Raises DataError if there is none."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing"
        raise DataError(f"{folder}: found {found} there, expected the folder of {what}")
    return folder


def keep_subjects(table: pd.DataFrame, count: int | None) -> pd.DataFrame:
    """The rows of the first `count` persons (groups where persons are unknown) by name; all rows if None."""
    if count is None:
        return table
    if count < 1:
        raise DataError(f"subjects must be positive, found {count}")
    unit = "subject" if (table["subject"] != "").any() else "group"
    kept = sorted({str(name) for name in table[unit].unique()})[:count]
    return table[table[unit].isin(kept)]
