"""BU-4DFE (Yin et al., 2008): 606 sequences of scans, six expressions of 101 people, 25 scans a second.

`F001/Angry/000.wrl` and `000.jpg`; the 83 landmarks come as a release of their own, `F001/Angry/000.bnd`, which may lie
in another folder.  The same expression name is used for all frames of a sequence, which begins and ends neutral.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from facekit.data.encodings import expression_name
from facekit.data.formats import read_bnd
from facekit.data.readers import Inventory
from facekit.data.readers.bu3dfe import read_scan, scan_parts
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import FileIndex, ScanSource, every, repeat_views, usable_scan
from facekit.data.scans import Scan, landmarks_from_83

_PLACE = re.compile(r"([FM])(\d{3})/(Angry|Disgust|Fear|Happy|Sad|Surprise)/(\d{3,4})\.(wrl|bnd)", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    frames: int | None = None,
    yaws: Sequence[float] = (0.0,),
    landmarks: str | Path | None = None,
    **options: Any,
) -> ScanSource:
    """The scans below `path`: `frames` of each sequence, spread evenly (all if None), from every yaw of `yaws`.

    `landmarks` is the folder of the landmark release if it does not lie below `path`.  `verify` is "none" by default,
    for there are 60,402 scans.
    """
    root = require_folder(path, "BU-4DFE")
    inventory = Inventory("bu4dfe", root)
    folders = [root] if landmarks is None else [root, require_folder(landmarks, "BU-4DFE's landmarks")]
    marks = {key: file for folder in folders for key, file in _find(folder, ".bnd", inventory).items()}
    files = FileIndex(list(walk_files(root, (".wrl", ".jpg", ".bmp", ".png"))))
    scans = {file: marks.get(key) for key, file in _find(root, ".wrl", inventory).items()}

    read, parts = (partial(function, files=files, scans=scans) for function in (_read, _parts))
    rows = []
    for (subject, folder), numbered in _sequences(root, scans).items():
        _note_gaps(f"{subject}/{folder}", sorted(numbered), inventory)
        for number in every(sorted(numbered), frames):
            if usable_scan(numbered[number], read, verify, inventory):
                place = numbered[number].relative_to(root).as_posix()
                rows.append((place, subject, subject[0], expression_name(folder), f"{subject}/{folder}", number))
                if scans[numbered[number]] is None:
                    inventory.miss(numbered[number].with_suffix(".bnd"), "the scan has no landmarks")
    names = ("path", "subject", "sex", "expression", "sequence", "frame")
    columns = dict(zip(names, zip(*rows, strict=True) if rows else ((),) * 6, strict=True))
    views, count = repeat_views(columns, yaws)
    table = keep_subjects(photo_table(views, count), subjects)
    return ScanSource(table, root, inventory, read, parts, image_size, name="BU-4DFE", **options)


def _read(file: Path, files: FileIndex, scans: dict[Path, Path | None]) -> Scan:
    scan = read_scan(file, files)
    if scan.landmarks is None and scans.get(file) is not None:
        points = read_bnd(scans[file]).points
        found = landmarks_from_83(points.astype("f8"), scan.vertices.numpy().astype("f8"))
        scan = replace(scan, landmarks=torch.from_numpy(found), own_landmarks=torch.from_numpy(points))
    return scan


def _parts(file: Path, files: FileIndex, scans: dict[Path, Path | None]) -> list[Path]:
    return [*scan_parts(file, files), *([scans[file]] if scans.get(file) is not None else [])]


Key = tuple[str, str, int]


def _find(root: Path, ending: str, inventory: Inventory) -> dict[Key, Path]:
    """Subject, expression folder and frame -> file."""
    found: dict[Key, Path] = {}
    for file in walk_files(root, (ending,)):
        match = _PLACE.fullmatch("/".join(file.parts[-3:]))
        if match is None:
            inventory.ignore(file, "not a frame of BU-4DFE")
        else:
            found[_key(match)] = file
    return found


def _key(match: re.Match[str]) -> Key:
    return f"{match.group(1).upper()}{match.group(2)}", match.group(3).capitalize(), int(match.group(4))


def _sequences(root: Path, scans: dict[Path, Path | None]) -> dict[tuple[str, str], dict[int, Path]]:
    """Subject and expression folder -> frame -> scan, in the order of their names."""
    sequences: dict[tuple[str, str], dict[int, Path]] = {}
    for file in scans:
        subject, folder, number = _key(_PLACE.fullmatch("/".join(file.parts[-3:])))
        sequences.setdefault((subject, folder), {})[number] = file
    return dict(sorted(sequences.items()))


def _note_gaps(sequence: str, numbers: list[int], inventory: Inventory) -> None:
    absent = sorted(set(range(numbers[-1] + 1)) - set(numbers))
    if absent:
        inventory.miss(sequence, f"{len(absent)} frames are not there, the first is {absent[0]:03d}")
