"""300W-LP (Zhu et al., 2016): 3,837 photographs turned step by step towards the profile, and their mirror images.

`AFW/AFW_134212_1_2.jpg` with `.mat` beside it, and the same name in `AFW_Flip`.  The last number is the view; what is
left of it is the source photograph, the only identity there is, which views and mirror images share.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from facekit.data.readers import Inventory
from facekit.data.readers.fitted import FittedSource, fitted_angles
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, usable, walk_files

PARTS = ("AFW", "HELEN", "IBUG", "LFPW")

_NAME = re.compile(r"(.+)_(\d{1,4})")


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    mirrored: bool = True,
    **options: Any,
) -> FittedSource:
    """The pictures below `path` with their poses, landmarks and model coefficients (see `FittedSource`).

    `subjects` keeps the first so many source photographs; `mirrored=False` leaves the `_Flip` folders out.  Every .mat
    file is read once to learn the poses, a minute for all; `python -m facekit data prepare` keeps what it finds.
    """
    root = require_folder(path, "300W-LP")
    inventory = Inventory("300wlp", root)
    rows = []
    for file in walk_files(root, (".jpg",)):
        labels = _labels(file.parent.name, file.stem)
        if labels is None:
            inventory.ignore(file, "not a name of 300W-LP")
        elif (mirrored or not labels[-1]) and usable(file, verify, inventory):
            angles = fitted_angles(file, inventory)
            if angles is not None:
                rows.append((file.relative_to(root).as_posix(), *labels, angles[0]))
    path, subject, group, frame, flipped, poses = zip(*rows, strict=True) if rows else ((),) * 6
    pitch, yaw, roll = np.array(poses).reshape(-1, 3).T
    table = photo_table({
        "path": path, "subject": subject, "group": group, "expression": "", "pitch": pitch, "yaw": yaw, "roll": roll,
        "split": "train", "frame": frame, "mirrored": flipped,
    }, len(rows))  # fmt: skip
    return FittedSource(keep_subjects(table, subjects), root, inventory, image_size, name="300W-LP", **options)


def _labels(folder: str, stem: str) -> tuple[str, str, int, bool] | None:
    """Subject, part, view and whether it is a mirror image; None for a file of another kind."""
    part, flip, _ = folder.upper().partition("_FLIP")
    match = _NAME.fullmatch(stem)
    if part not in PARTS or match is None:
        return None
    return f"{part}/{match.group(1)}", part, int(match.group(2)), bool(flip)
