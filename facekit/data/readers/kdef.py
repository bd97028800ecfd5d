"""KDEF, the Karolinska Directed Emotional Faces (Lundqvist, Flykt & Öhman, 1998).

`KDEF/AF01/AF01ANFL.JPG`: session (A, B), sex (F, M), person (01 to 35), expression and camera.  The two sessions show
the same seventy people, so the person is sex and number, never the folder.  Two pictures of the release are misnamed,
some were taken without light, two have another format.  AKDEF, averages of many people, is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from facekit.data.readers import Inventory
from facekit.data.readers.photographs import (
    PhotoSource,
    keep_subjects,
    photo_table,
    require_folder,
    split_people,
    usable,
    walk_files,
)
from facekit.data.readers.pictures import PictureError, is_black, read_picture
from facekit.data.world.static_twins import KDEF_CAMERAS, KDEF_YAWS

EXPRESSIONS = {
    "AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip
YAWS = dict(zip(KDEF_CAMERAS, KDEF_YAWS, strict=True))
MISNAMED = {"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"}
"""File names of the release that are cut short, and what they should be."""
BLACK = frozenset(
    "AF01SUFR AF10AFFR AF11NEHL AF20DIHL AM20DIHL AM25DIFL AM34DIFR BF13NEHR BM21DIFL BM22DIHL BM24DIFL".split()
)
"""Pictures that users found black; where their lists differ, both names.  Each is looked at before it is left out."""

_NAME = re.compile(r"([AB])([FM])(\d{2})(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)")


def open_dataset(
    path: str | Path, image_size: int = 112, subjects: int | None = None, verify: str = "ends", **options: Any
) -> PhotoSource:
    """The pictures below `path` with expression, pose, person and session.

    `subjects` keeps the first so many people; `verify` ("none", "ends", "pixels") says how closely the pictures are
    looked at; `options` are those of `PhotoSource`.  The split is the book's own: a fifth of the people are tested on,
    as in the twin.
    """
    root = require_folder(path, "KDEF")
    inventory = Inventory("kdef", root)
    rows = []
    for file in walk_files(root):
        labels = _labels(file.stem.upper())
        if labels is None:
            inventory.ignore(file, "not a name of KDEF")
        elif _shows_something(file, inventory) and usable(file, verify, inventory):
            rows.append((file.relative_to(root).as_posix(), *labels))
    table = _table(rows)
    return PhotoSource(
        split_people(keep_subjects(table, subjects), 0.20), root, inventory, image_size, name="KDEF", **options
    )


def _labels(stem: str) -> tuple[str, str, str, int, str] | None:
    """Subject, sex, expression, session and camera, or None if the name is none of KDEF's."""
    match = _NAME.fullmatch(MISNAMED.get(stem, stem))
    if match is None:
        return None
    session, sex, number, expression, camera = match.groups()
    return f"{sex}{number}", sex, EXPRESSIONS[expression], "AB".index(session) + 1, camera


def _shows_something(file: Path, inventory: Inventory) -> bool:
    if file.stem.upper() not in BLACK:
        return True
    try:
        black = is_black(read_picture(file, least_size=64)[0])
    except PictureError:
        return True  # `usable` says what is wrong with it
    if black:
        inventory.skip(file, "the picture is black")
    return not black


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    path, subject, sex, expression, session, camera = zip(*rows, strict=True) if rows else ((),) * 6
    return photo_table({
        "path": path, "subject": subject, "sex": sex, "expression": expression, "pitch": 0.0,
        "yaw": [YAWS[name] for name in camera], "roll": 0.0, "session": session, "camera": camera,
    }, len(rows))  # fmt: skip
