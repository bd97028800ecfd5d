"""The choice of the data: the `--data` option, which names the face world or copies of licensed data sets.

Beside either stands a face model where one is needed: the world's (`world:ict=PATH`), or the one that the labels of a
data set belong to (`300wlp=PATH,bfm=PATH`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from facekit.data.prepared import open_prepared
from facekit.data.sources import DataError, DataSource
from facekit.data.world import twin
from facekit.morphable import load_ict

DATASETS: tuple[str, ...] = (
    "bu3dfe", "bosphorus", "bu4dfe", "bp4d", "disfa", "kdef", "multipie", "sfew",
    "celeba", "300wlp", "aflw2000", "micc", "emotionet", "fanelli",
)  # fmt: skip
"""Short names of the data sets that have a twin, as `--data` and `twin` take them."""

READERS: tuple[str, ...] = (*DATASETS, "coma", "facewarehouse", "own")
"""All data sets that `--data` takes with a path; `own` is a CSV file of the reader's own pictures or scans."""

FACE_MODELS: tuple[str, ...] = ("bfm",)
"""Face models that `--data` takes with a path beside data sets; `bfm` is the folder of the Basel Face Model 2009."""


@dataclass(frozen=True)
class DataChoice:
    """What `--data` asks for: the face world, or copies of data sets; and the face models beside either.

    Attributes:
        text: the option as it was given.
        folders: paths of the copies by the names of their data sets, see `READERS`; empty for the face world.
        models: paths of face models: of the face world `ict` or none, beside copies those of `FACE_MODELS`.
    """

    text: str
    folders: Mapping[str, Path] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)

    @property
    def is_world(self) -> bool:
        return not self.folders

    def require(self, *datasets: str) -> None:
        """Check that the choice is the face world, which has twins, or names a copy of each of these data sets.

        Raises:
            DataError: if some are not named; it says which, and what to add.
        """
        absent = [] if self.is_world else [name for name in datasets if name not in self.folders]
        if absent:
            raise DataError(
                f"this needs {' and '.join(absent)}, but --data {self.text} names {', '.join(self.folders)}; add "
                f"{','.join(f'{name}=PATH' for name in absent)} after a comma"
            )

    def open(self, dataset: str, **options: Any) -> DataSource:
        """The data set's protocol twin in the face world, or the reader's copy of the data set.

        `options` are those of `twin`; a licensed data set takes `image_size` and what its reader offers.  Whoever names
        `own` data gets them in the place of any data set, and a folder that `data prepare` wrote in the place of one.
        """
        if dataset not in READERS:
            raise DataError(f"{dataset!r} is not a data set; known are {', '.join(READERS)}")
        if self.is_world and dataset not in DATASETS:
            raise DataError(f"{dataset} has no twin in the face world; name a copy of it: --data {dataset}=PATH")
        if self.is_world:
            return twin(dataset, model=self.load_model(), **options)
        name = "own" if "own" in self.folders and dataset not in self.folders else dataset
        self.require(name)
        return _reader(name, self.folders[name])(self.folders[name], **options)

    def load_model(self, region: str = "closed") -> Any:
        """The face model of the world: None for the procedural face (each world makes its own), or the loaded one.

        `region` is the part of the ICT model, see `facekit.morphable.load_ict`.
        """
        return load_ict(self.models["ict"], region=region) if "ict" in self.models else None


def parse_data(text: str) -> DataChoice:
    """Reads "world", "world:ict=PATH" or "<data set>=<path>", several joined by commas, also with "bfm=<path>".

    Raises:
        DataError: if the text has another form, names an unknown data set, a face model alone or a path that does not
            exist.
    """
    if text == "world":
        return DataChoice(text)
    if text.startswith("world:"):
        kind, _, path = text.removeprefix("world:").partition("=")
        if kind != "ict" or not path:
            raise DataError(f"--data {text}: the world takes a face model as world:ict=PATH")
        return DataChoice(text, models={kind: _existing(path, text)})
    folders, models = {}, {}
    for part in text.split(","):
        name, separator, path = part.partition("=")
        if not separator or not path:
            expected = "expected world, world:ict=PATH or <data set>=<path>, several joined by commas"
            raise DataError(f"--data {text}: found {part!r}, {expected} (no path may hold one)")
        if name not in (*READERS, *FACE_MODELS):
            known = f"{', '.join(READERS)}; and beside these the face model {', '.join(FACE_MODELS)}"
            raise DataError(f"--data {text}: {name!r} is not a data set; known are {known}")
        (models if name in FACE_MODELS else folders)[name] = _existing(path, text)
    if not folders:
        raise DataError(f"--data {text}: a face model belongs to a data set; add <data set>=<path> after a comma")
    return DataChoice(text, folders, models)


def _existing(path: str, text: str) -> Path:
    found = Path(path).expanduser()
    if not found.exists():
        raise DataError(f"--data {text}: there is nothing at {found}")
    return found


def _reader(dataset: str, folder: Path) -> Callable[..., DataSource]:
    """What opens a copy: the reader of its data set, or that of prepared folders, finished or not."""
    if (folder / "prepared.json").is_file() or (folder / "samples" / "meta.json").is_file():
        return partial(open_prepared, name=dataset)
    module = f"facekit.data.readers.{'wlp300' if dataset == '300wlp' else dataset}"
    try:
        return importlib.import_module(module).open_dataset
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise DataError(f"facekit has no reader for {dataset}; use --data world for its protocol twin") from None
