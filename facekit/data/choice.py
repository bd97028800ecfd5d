"""The choice of the data: the `--data` option, which names the face world or copies of licensed data sets."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
"""All names that `--data` takes with a path; `own` is a CSV file of the reader's own pictures or scans."""


@dataclass(frozen=True)
class DataChoice:
    """What `--data` asks for: the face world (on which face model), or folders of licensed data sets."""

    text: str
    model_path: Path | None = None
    folders: Mapping[str, Path] = field(default_factory=dict)

    @property
    def is_world(self) -> bool:
        return not self.folders

    @property
    def name(self) -> str:
        """For tables of results: "world:procedural", "world:ict" or the data sets' names."""
        if self.is_world:
            return "world:ict" if self.model_path else "world:procedural"
        return ",".join(self.folders)

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
        name = dataset if dataset in self.folders else "own"
        if name not in self.folders:
            raise DataError(f"this needs {dataset}, but --data {self.text} names {', '.join(self.folders)}")
        return _reader(name, self.folders[name])(self.folders[name], **options)

    def load_model(self) -> Any:
        """The face model of the world: None for the procedural face (each world makes its own), or the loaded one."""
        if self.model_path is None:
            return None
        return load_ict(self.model_path, region="closed")


def parse_data(text: str) -> DataChoice:
    """Reads "world", "world:ict=PATH" or "<data set>=<path>", several of these joined by commas.

    Raises
    ------
    DataError
        if the text has another form, names an unknown data set or a path that does not exist.
    """
    if text == "world":
        return DataChoice(text)
    if text.startswith("world:"):
        kind, _, path = text.removeprefix("world:").partition("=")
        if kind != "ict" or not path:
            raise DataError(f"--data {text}: the world takes a face model as world:ict=PATH")
        return DataChoice(text, model_path=_existing(path, text))
    folders = {}
    for part in text.split(","):
        name, separator, path = part.partition("=")
        if not separator or not path:
            raise DataError(f"--data {text}: expected world, world:ict=PATH or <data set>=<path>")
        if name not in READERS:
            raise DataError(f"--data {text}: {name!r} is not a data set; known are {', '.join(READERS)}")
        folders[name] = _existing(path, text)
    return DataChoice(text, folders=folders)


def _existing(path: str, text: str) -> Path:
    found = Path(path).expanduser()
    if not found.exists():
        raise DataError(f"--data {text}: there is nothing at {found}")
    return found


def _reader(dataset: str, folder: Path) -> Callable[..., DataSource]:
    """What opens a copy: the reader of its data set, or that of prepared folders."""
    if (folder / "prepared.json").is_file():
        return open_prepared
    module = f"facekit.data.readers.{'wlp300' if dataset == '300wlp' else dataset}"
    try:
        return importlib.import_module(module).open_dataset
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise DataError(f"facekit has no reader for {dataset}; use --data world for its protocol twin") from None
