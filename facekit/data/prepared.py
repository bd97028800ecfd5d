"""Prepared data: a licensed data set decoded, cut out and labelled once, in a folder that opens in an instant.

FOLDER/samples/       arrays of a `RenderCache`, a place for every row of the source's table
FOLDER/damaged.json   places whose files turned out to be damaged, and why
FOLDER/manifest.csv   the labels of the good rows and their places
FOLDER/prepared.json  what it was made of; written last, so a folder without it is not finished
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from facekit.data.cache import unpacked
from facekit.data.manifest import MANIFEST_COLUMNS
from facekit.data.sources import DataError, DataSource, Sample

PLACE = "place"
"""Column of manifest.csv beside the labels: where in the arrays the row's sample lies."""


class PreparedSource(DataSource):
    """A source whose samples lie in a prepared folder, mapped into memory; pictures are made smaller where asked."""

    def __init__(
        self,
        folder: Path,
        table: pd.DataFrame,
        places: np.ndarray,
        about: dict[str, Any],
        outputs: list[str],
        image_size: int,
    ):
        super().__init__(table, name=f"prepared {about['name']}")
        self.folder, self.about, self.outputs, self.image_size = folder, about, outputs, image_size
        self._places = places
        self._maps: dict[str, np.ndarray] = {}

    def load(self, rows: pd.DataFrame) -> Sample:
        """The kept samples of some rows of the table.

        Raises:
            DataError: if an array is missing, cut off or shorter than the manifest says.
        """
        if not self._maps:
            self._maps = {name: self._array(name) for name in self.outputs}
        places = self._places[rows.index.to_numpy()]
        sample = {name: unpacked(name, self._maps[name][places]) for name in self.outputs}
        if self.image_size != self.about["image_size"]:
            sample = _smaller(sample, self.about["image_size"], self.image_size)
        if "row" in sample:  # the label of the row in this table, not in the one that was prepared
            sample["row"] = torch.from_numpy(rows.index.to_numpy(dtype=np.int64, copy=True))
        return sample

    def _array(self, name: str) -> np.ndarray:
        path = self.folder / "samples" / f"{name}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: is damaged ({error}); prepare the data set again") from error
        if len(self._places) and not 0 <= self._places.min() <= self._places.max() < len(array):
            raise DataError(f"{path}: holds {len(array)} samples, the manifest has place {self._places.max()}")
        return array

    def describe(self) -> dict[str, object]:
        sizes = {"image_size": self.image_size}
        return {"name": self.name, "source": self.about["source"], "outputs": self.outputs} | sizes

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}}


def _smaller(sample: Sample, prepared: int, asked: int) -> Sample:
    """A batch as if its pictures had been cut out with `asked` instead of `prepared` pixels."""
    share = asked / prepared
    found = dict(sample)
    for name, value in sample.items():
        if value.shape[-2:] == (prepared, prepared) and value.ndim == 4:
            resized = torch.nn.functional.interpolate(value.float(), (asked, asked), mode="bilinear", antialias=True)
            found[name] = resized > 0.5 if value.dtype == torch.bool else resized.to(value.dtype)
    if "landmarks" in sample:
        found["landmarks"] = sample["landmarks"] * share
    if "pose" in sample:  # three angles, then scale and place in pixels
        found["pose"] = torch.cat([sample["pose"][:, :3], sample["pose"][:, 3:] * share], dim=1)
    return found


def open_prepared(
    folder: str | Path,
    image_size: int | None = None,
    subjects: int | None = None,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
) -> PreparedSource:
    """A folder that `prepare` finished; `subjects` keeps the first so many people, `outputs` some of the entries.

    `image_size` may be smaller than that of the prepared pictures: they are then resized as they are loaded.  `name` is
    the data set that it must have been prepared from.

    Raises:
        DataError: if the folder is not finished or damaged, holds another data set, has smaller pictures, or lacks an
            output.
    """
    folder = Path(folder)
    if not (folder / "prepared.json").exists():
        raise DataError(f"{folder}: is not finished; the `data prepare` that began it goes on when it is repeated")
    try:
        about = json.loads((folder / "prepared.json").read_text())
        table = _read_table(folder / "manifest.csv")
        places = table.pop(PLACE).to_numpy(dtype=np.int64)
        kept = [name for name in about["outputs"] if str(name).isidentifier()]
        size = int(about["image_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: is no finished prepared folder ({error}); prepare the data set again") from error
    if name is not None and about["name"] != name:
        raise DataError(
            f"{folder}: was prepared from {about['name']}, not from {name}; name it {about['name']}={folder}"
        )
    if image_size is not None and image_size > size:
        raise DataError(
            f"{folder} was prepared with pictures of {size} pixels, asked for {image_size}; prepare the data set again "
            f"into another folder with --image_size {image_size}"
        )
    absent = [output for output in outputs or () if output not in kept]
    if absent:
        raise DataError(f"{folder} was prepared without the output {absent[0]!r}; it has {', '.join(kept)}")
    kept = kept if outputs is None else list(outputs)
    source = PreparedSource(folder, table, places, about, kept, image_size or size)
    return source if subjects is None else source.select(_of_first(table, subjects))


def _of_first(table: pd.DataFrame, count: int) -> np.ndarray:
    """True (N,) for the rows of the first `count` people, or of the first groups where nobody is named."""
    unit = table["subject"] if "subject" in table and (table["subject"] != "").any() else table["group"]
    return unit.isin(sorted({str(name) for name in unit.unique()})[:count]).to_numpy()


def _read_table(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    kinds = {name: MANIFEST_COLUMNS[name].kind if name in MANIFEST_COLUMNS else "number" for name in columns}
    kinds[PLACE] = "integer"
    types = {"text": str, "integer": np.int64, "number": np.float32, "flag": bool}
    blanks = {name: [""] for name, kind in kinds.items() if kind == "number"}
    return pd.read_csv(
        path, dtype={name: types[kind] for name, kind in kinds.items()}, keep_default_na=False, na_values=blanks
    )
