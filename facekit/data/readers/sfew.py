"""SFEW 2.0, Static Facial Expressions in the Wild (Dhall et al., 2011, 2015): aligned faces from films.

`Train/Train_Aligned_Faces/Angry/<film>_<time>_<frame>.png`, the same for `Val` (whose folder has two names in use), and
`Test/Test_Aligned_Faces/*.png` without labels.  The film is the unit of the split: no film is in two of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from facekit.data.encodings import expression_name
from facekit.data.manifest import ManifestError
from facekit.data.readers import Inventory
from facekit.data.readers.photographs import PhotoSource, keep_subjects, photo_table, require_folder, usable, walk_files

SEVEN = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

_FILM = re.compile(r"(.+)_\d{9}_\d{8}")
_SPLIT = re.compile(r"(train|val|test)(_aligned_faces.*)?", re.IGNORECASE)


def open_dataset(
    path: str | Path, image_size: int = 112, subjects: int | None = None, verify: str = "ends", **options: Any
) -> PhotoSource:
    """The aligned faces below `path`; the crop is the whole picture's middle, for they are cut out already.

    `subjects` keeps the first so many films.
    """
    root = require_folder(path, "SFEW 2.0")
    inventory = Inventory("sfew", root)
    columns = {"path": [], "group": [], "expression": [], "split": []}
    for file in walk_files(root):
        labels = _labels(file.relative_to(root).parts)
        if isinstance(labels, str):
            inventory.ignore(file, labels)
        elif usable(file, verify, inventory):
            match = _FILM.fullmatch(file.stem)
            values = (file.relative_to(root).as_posix(), match.group(1) if match else file.stem, *labels)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    unknown = {"subject": "", "pitch": None, "yaw": None, "roll": None}
    unknown = {name: [value] * len(columns["path"]) for name, value in unknown.items()}
    table = keep_subjects(photo_table(columns | unknown, len(columns["path"])), subjects)
    return PhotoSource(table, root, inventory, image_size, name="SFEW 2.0", **options)


def _labels(parts: tuple[str, ...]) -> tuple[str, str] | str:
    """Expression and split of a file by its folders, or why it is not used."""
    splits = [match.group(1).lower() for match in map(_SPLIT.fullmatch, parts[:-1]) if match]
    if not splits:
        return "below neither Train, Val nor Test"
    if not any("aligned" in part.lower() for part in parts[:-1]):
        return "not among the aligned faces"
    try:
        expression = expression_name(parts[-2])
    except ManifestError:
        expression = ""
    if expression not in SEVEN and splits[-1] != "test":
        return f"{parts[-2]!r} is none of the seven expressions"
    return expression if expression in SEVEN else "", splits[-1]
