"""AFLW2000-3D (Zhu et al., 2016): 2,000 photographs in every pose, with poses and landmarks to be found.

`AFLW2000/image00002.jpg` with `.mat` beside it; the folder `Code` of the release holds other .mat files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from facekit.data.readers import Inventory
from facekit.data.readers.fitted import FittedSource, fitted_angles
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, usable, walk_files

_NAME = re.compile(r"image\d{5}", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "ends",
    max_angle: float | None = None,
    **options: Any,
) -> FittedSource:
    """The pictures below `path` with their poses, landmarks and model coefficients (see `FittedSource`).

    `max_angle=99` keeps those whose stored angles all lie within 99 degrees, as papers on head pose do.
    """
    root = require_folder(path, "AFLW2000-3D")
    inventory = Inventory("aflw2000", root)
    rows = []
    for file in walk_files(root, (".jpg",)):
        if _NAME.fullmatch(file.stem) is None:
            inventory.ignore(file, "not a name of AFLW2000-3D")
        elif usable(file, verify, inventory):
            angles = fitted_angles(file, inventory)
            if angles is not None and max_angle is not None and np.abs(angles[1]).max() > max_angle:
                inventory.skip(file, f"an angle beyond {max_angle:g} degrees")
            elif angles is not None:
                rows.append((file.relative_to(root).as_posix(), file.stem, angles[0]))
    path, subject, poses = zip(*rows, strict=True) if rows else ((),) * 3
    pitch, yaw, roll = np.array(poses).reshape(-1, 3).T
    table = photo_table({
        "path": path, "subject": subject, "expression": "", "pitch": pitch, "yaw": yaw, "roll": roll, "split": "test",
    }, len(rows))  # fmt: skip
    return FittedSource(keep_subjects(table, subjects), root, inventory, image_size, name="AFLW2000-3D", **options)
