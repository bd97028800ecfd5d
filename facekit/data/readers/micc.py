"""MICC Florence (Bagdanov et al., 2011): scans of 53 people and videos of rising difficulty.

`subject_01/Model/frontal1/obj/110920150452.obj` with its texture; the file's name is a time stamp.  `frontal2`, `sidel`
and `sider` hold further scans, `Video` the recordings, of which frames are read with OpenCV.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from facekit.data.formats import FormatError, read_vrml
from facekit.data.readers import Inventory
from facekit.data.readers.photographs import PhotoSource, keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import FileIndex, ScanSource, only_itself, usable_scan
from facekit.data.readers.videos import VIDEO_ENDINGS, count_frames, has_opencv, read_frame
from facekit.data.scans import Scan, read_obj_or_ply
from facekit.data.sources import DataError

SCANS = ("frontal1", "frontal2", "sidel", "sider")

_SUBJECT = re.compile(r"subject_(\d{1,3})", re.IGNORECASE)
_CONDITIONS = (("outdoor", "outdoor"), ("cooperative", "cooperative"), ("indoor", "indoor"))


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "ends",
    what: str = "scans",
    scans: Sequence[str] = ("frontal1", "frontal2"),
    unit: float = 1.0,
    frames: int = 30,
    **options: Any,
) -> ScanSource | PhotoSource:
    """The scans below `path`, or frames of the videos.

    Args:
        what: "scans": one of each person, the first folder of `scans` that holds one, in that order; or "videos":
            `frames` pictures of each video, spread evenly, whose crops are the videos' middle unless the options name a
            `detector`.
        unit: millimetres of the scans' unit.

    The protocol compares reconstructions with the part of a scan that lies within 95 mm of the tip of the nose; as
    the data set marks no tip, see `facekit.meshes.crop_sphere`.
    """
    if what not in ("scans", "videos"):
        raise DataError(f"MICC has scans and videos, asked for {what!r}")
    unknown = [name for name in scans if name not in SCANS]
    if unknown or not scans:
        raise DataError(f"MICC has the scans {', '.join(SCANS)}, asked for {unknown or 'none'}")
    root = require_folder(path, "MICC Florence")
    inventory = Inventory("micc", root)
    if what == "videos":
        return _open_videos(root, image_size, subjects, frames, inventory, options)

    read = partial(_read, unit=unit)
    rows = []
    for subject, found in _scans(root).items():
        file = next((found[name] for name in scans if name in found), None)
        if file is None:
            inventory.miss(subject, f"has no scan {' or '.join(scans)}, only {', '.join(found) or 'none'}")
        elif usable_scan(file, read, verify, inventory):
            rows.append((file.relative_to(root).as_posix(), subject))
    names = [place for place, _ in rows]
    columns = {"path": names, "subject": [subject for _, subject in rows], "expression": "neutral", "pitch": 0.0,
               "yaw": 0.0, "roll": 0.0, "condition": "scan", "split": "test", "frame": 0}  # fmt: skip
    columns["sequence"] = [f"{subject}/scan" for _, subject in rows]
    table = keep_subjects(photo_table(columns, len(rows)), subjects)
    return ScanSource(table, root, inventory, read, only_itself, image_size, name="MICC Florence", **options)


class VideoSource(PhotoSource):
    """Frames of the videos of MICC."""

    def picture(self, row: Any) -> tuple[Any, float]:
        from PIL import Image

        return Image.fromarray(read_frame(self.root / row.path, int(row.frame))), 1.0


def _read(file: Path, unit: float) -> Scan:
    if file.suffix.lower() == ".wrl":
        return Scan.of(read_vrml(file), file, unit)
    beside = FileIndex(list(file.parent.iterdir())).beside(file, ".bmp", ".jpg", ".png")
    return Scan.of(read_obj_or_ply(file, beside.name if beside else ""), file, unit)


def _scans(root: Path) -> dict[str, dict[str, Path]]:
    """Subject -> name of the scan -> its file, an OBJ where there is one; every subject has an entry."""
    found: dict[str, dict[str, Path]] = {}
    for file in walk_files(root, (".obj", ".wrl", *VIDEO_ENDINGS)):
        parts = [part.lower() for part in file.relative_to(root.parent).parts]
        people = [match for match in map(_SUBJECT.fullmatch, parts) if match]
        if not people:
            continue
        mine = found.setdefault(f"subject_{int(people[-1].group(1)):02d}", {})
        for name in set(SCANS) & set(parts):
            if file.suffix.lower() == ".obj" or (file.suffix.lower() == ".wrl" and name not in mine):
                mine[name] = file
    return dict(sorted(found.items()))


def _open_videos(
    root: Path, image_size: int, subjects: int | None, frames: int, inventory: Inventory, options: dict[str, Any]
) -> VideoSource:
    if not has_opencv():
        raise FormatError("the videos of MICC need OpenCV (opencv-python-headless)")
    rows = []
    for file in walk_files(root, VIDEO_ENDINGS):
        parts = [part.lower() for part in file.relative_to(root.parent).parts]
        people = [match for match in map(_SUBJECT.fullmatch, parts) if match]
        condition = next((name for word, name in _CONDITIONS if word in "/".join(parts)), None)
        if not people or condition is None:
            inventory.ignore(file, "not a video of MICC")
            continue
        subject = f"subject_{int(people[-1].group(1)):02d}"
        count = count_frames(file, inventory)
        for frame in np.unique(np.linspace(0, count - 1, min(frames, count)).round().astype(int)) if count else ():
            rows.append((file.relative_to(root).as_posix(), subject, condition, f"{subject}/{condition}", int(frame)))
    place, subject, condition, sequence, frame = zip(*rows, strict=True) if rows else ((),) * 5
    table = photo_table({
        "path": place, "subject": subject, "expression": "", "pitch": np.nan, "yaw": np.nan, "roll": np.nan,
        "condition": condition, "sequence": sequence, "frame": frame, "split": "test",
    }, len(rows))  # fmt: skip
    return VideoSource(keep_subjects(table, subjects), root, inventory, image_size, name="MICC Florence", **options)
