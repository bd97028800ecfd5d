"""CMU Multi-PIE (Gross et al., 2010).

`session01/multiview/001/01/05_1/001_01_01_051_07.png`: person, session, recording, camera and flash.  What a recording
shows follows from the session; the camera gives the nominal yaw.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from facekit.data.sources import DataError
from facekit.data.world.static_twins import MULTIPIE_CAMERAS, MULTIPIE_RECORDINGS
from facekit.data.world.tables import evenly

EXPRESSIONS = {(session, recording): name for session, recording, name in MULTIPIE_RECORDINGS}
YAWS: dict[str, float | None] = {
    "24_0": 90.0, "01_0": 75.0, "20_0": 60.0, "19_0": 45.0, "04_1": 30.0, "05_0": 15.0, "05_1": 0.0, "14_0": -15.0,
    "13_0": -30.0, "08_0": -45.0, "09_0": -60.0, "12_0": -75.0, "11_0": -90.0, "19_1": None, "08_1": None,
}  # fmt: skip
"""Camera -> nominal yaw in degrees, positive where the nose points to the image's right; None for the two cameras
that look down from above, whose angles are not published."""

_NAME = re.compile(r"(\d{3})_(\d{2})_(\d{2})_(\d{2})(\d)_(\d{2})")


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    cameras: Sequence[str] | None = MULTIPIE_CAMERAS,
    lights: Sequence[int] | int | None = None,
    **options: Any,
) -> PhotoSource:
    """The `multiview` pictures below `path`; the high-resolution ones have other names and are left out.

    `cameras` keeps some, by default the five within 30 degrees of the front as in the twin; all if None.  `lights` are
    numbers from 0 to 19, or how many of them, spread evenly (1: the room's own light); all if None.  `verify` is "none"
    by default, for there are 750,000 files.  The split is the book's own: 44 of 337 people are tested on, as in the
    twin.
    """
    if isinstance(lights, int):
        if not 1 <= lights <= 20:
            raise DataError(f"Multi-PIE has 20 lights, asked for {lights}")
        lights = evenly(20, lights).tolist()
    unknown = [name for name in cameras or () if name not in YAWS]
    if unknown:
        raise DataError(f"Multi-PIE has no camera {unknown[0]!r}; it has {', '.join(YAWS)}")
    root = require_folder(path, "Multi-PIE")
    inventory = Inventory("multipie", root)
    rows = []
    for file in walk_files(root):
        labels = _labels(file.stem)
        if isinstance(labels, str):
            inventory.ignore(file, labels)
        elif (cameras is None or labels[3] in cameras) and (lights is None or labels[4] in lights):
            if usable(file, verify, inventory):
                rows.append((file.relative_to(root).as_posix(), *labels))
    table = split_people(keep_subjects(_table(rows), subjects), 44 / 337)
    return PhotoSource(table, root, inventory, image_size, name="CMU Multi-PIE", **options)


def _labels(stem: str) -> tuple[str, int, int, str, int] | str:
    """Subject, session, recording, camera and light of a file name, or why it is not used."""
    match = _NAME.fullmatch(stem)
    if match is None:
        return "not a name of a multiview picture"
    subject, session, recording, camera, position, light = match.groups()
    camera = f"{camera}_{position}"
    if (int(session), int(recording)) not in EXPRESSIONS:
        return f"session {int(session)} has no recording {int(recording)}"
    if camera not in YAWS:
        return f"there is no camera {camera}"
    if int(light) > 19:
        return f"there is no light {light}"
    return subject, int(session), int(recording), camera, int(light)


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    path, subject, session, recording, camera, light = zip(*rows, strict=True) if rows else ((),) * 6
    yaws = [YAWS[name] for name in camera]
    return photo_table({
        "path": path, "subject": subject,
        "expression": [EXPRESSIONS[take] for take in zip(session, recording, strict=True)],
        "pitch": [None if yaw is None else 0.0 for yaw in yaws], "yaw": yaws, "roll": 0.0,
        "session": session, "recording": recording, "camera": camera, "lighting": light,
    }, len(rows))  # fmt: skip
