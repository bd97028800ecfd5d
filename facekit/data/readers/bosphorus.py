"""Bosphorus (Savran et al., 2008): 4,666 range images of 105 people: action units, expressions, turns, occlusions.

`bs000/bs000_E_ANGER_0.bnt`, its picture `.png`, and up to 24 landmarks `.lm3`, by label.  What a scan shows is in its
name; codes that are not known here keep their row, without the label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facekit.data.formats import FormatError, range_surface, read_bnt, read_lm3
from facekit.data.readers import Inventory
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import FileIndex, ScanSource, usable_scan
from facekit.data.scans import BOSPHORUS_LABELS, Scan, landmarks_from_bosphorus
from facekit.data.world.static_twins import BOSPHORUS_UNITS
from facekit.data.world.tables import BASIC_SIX

EXPRESSIONS = {
    "ANGER": "anger", "DISGUST": "disgust", "FEAR": "fear", "HAPPY": "happiness", "SADNESS": "sadness",
    "SURPRISE": "surprise",
}  # fmt: skip
PITCHES = {"U": -25.0, "D": 25.0, "SU": -12.0, "SD": 12.0}
"""Nominal pitch in degrees (the book's choice, as in the twin: the data set says up, down, and slightly so)."""
TURNED = {"RU": -20.0, "RD": 20.0}
OCCLUDERS = {"EYE": "hand", "MOUTH": "hand", "HAIR": "hair", "GLASSES": "glasses"}

_NAME = re.compile(r"bs(\d{3})_(N|E|LFAU|UFAU|CAU|YR|PR|CR|O|IGN)_([A-Z0-9]+)_(\d+)", re.IGNORECASE)
_UNITS = re.compile(r"A?(\d{1,2})(LW|L|R)?", re.IGNORECASE)
_TURN = re.compile(r"([RL])(\d{1,2})", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "ends",
    kinds: Sequence[str] = ("N", "E", "LFAU", "UFAU", "CAU", "YR", "PR", "CR", "O"),
    longest_edge: float = 10.0,
    frontal: bool = False,
    **options: Any,
) -> ScanSource:
    """The scans below `path`, of the classes `kinds`.

    Each is shown as the scanner saw it.  `pitch` and `yaw` of the table say how the person was turned before it; with
    `frontal` scans of turned heads are left out.  Neighbouring points farther apart than `longest_edge` mm are not
    joined.
    """
    root = require_folder(path, "Bosphorus")
    inventory = Inventory("bosphorus", root)
    files = FileIndex(list(walk_files(root, (".bnt", ".lm3", ".png"))))

    read = partial(_read, files=files, longest_edge=longest_edge)
    rows = []
    for file in walk_files(root, (".bnt",)):
        labels = _labels(file.stem, kinds, frontal)
        if isinstance(labels, str):
            inventory.ignore(file, labels)
        elif usable_scan(file, read, verify, inventory):
            rows.append({"path": file.relative_to(root).as_posix()} | labels)
            _note_absent(file, files, inventory)
    names = ("path", "subject", "expression", "intensity", "pitch", "yaw", "recording", "occluder")
    columns = {name: [row[name] for row in rows] for name in names}
    columns |= {f"AU{unit}": [row["units"].get(unit, row["other"]) for row in rows] for unit in BOSPHORUS_UNITS}
    table = keep_subjects(photo_table(columns | {"roll": 0.0}, len(rows)), subjects)
    parts = partial(_parts, files=files)
    return BosphorusSource(table, root, inventory, read, parts, image_size, name="Bosphorus", **options)


class BosphorusSource(ScanSource):
    """Scans that are shown as they were taken: the nominal pose is in the scan already."""

    def load(self, rows: Any) -> dict[str, torch.Tensor]:
        sample = super().load(rows.assign(pitch=0.0, yaw=0.0))
        if "pose" in sample:
            for place, name in enumerate(("pitch", "yaw", "roll")):
                sample["pose"][:, place] = torch.from_numpy(rows[name].to_numpy(dtype=np.float32, copy=True))
        return sample


def _read(file: Path, files: FileIndex, longest_edge: float) -> Scan:
    scan = Scan.of(range_surface(read_bnt(file), longest_edge), file)
    _, marks, picture = _parts(file, files)
    if scan.texture is None and picture.is_file():
        scan = replace(scan, texture=picture)
    if not len(scan.faces):
        raise FormatError(f"{file}: no neighbouring points are closer than {longest_edge} mm")
    if not marks.is_file():
        return scan
    points = read_lm3(marks)
    own = np.full((len(BOSPHORUS_LABELS), 3), np.nan, dtype=np.float32)
    for label, point in points.items():
        if label in BOSPHORUS_LABELS:
            own[BOSPHORUS_LABELS.index(label)] = point
    found = landmarks_from_bosphorus(points, scan.vertices.numpy().astype("f8"))
    return replace(scan, landmarks=torch.from_numpy(found), own_landmarks=torch.from_numpy(own))


def _parts(file: Path, files: FileIndex) -> list[Path]:
    marks = files.beside(file, ".lm3") or file.with_suffix(".lm3")
    return [file, marks, files.beside(file, ".png") or file.with_suffix(".png")]


def _labels(stem: str, kinds: Sequence[str], frontal: bool) -> dict[str, Any] | str:
    """What a file name says, or why the file is not used."""
    match = _NAME.fullmatch(stem)
    if match is None:
        return "not a name of Bosphorus"
    number, kind, code, take = (part.upper() for part in match.groups())
    if kind not in kinds:
        return f"scans of the class {kind} are not asked for"
    if frontal and kind in ("YR", "PR", "CR"):
        return "the head is turned"
    pitch, yaw = _pose(kind, code)
    is_neutral = kind in ("N", "YR", "PR", "CR", "O")
    expression = "neutral" if is_neutral else EXPRESSIONS.get(code, "") if kind == "E" else ""
    units = _units(code) if kind.endswith("AU") else {}
    return {
        "subject": f"bs{number}", "expression": expression, "intensity": 0 if is_neutral else -1, "pitch": pitch,
        "yaw": yaw, "recording": int(take) + 1, "occluder": OCCLUDERS.get(code, "") if kind == "O" else "",
        "units": units, "other": np.nan if expression in BASIC_SIX or kind == "E" else 0.0,
    }  # fmt: skip


def _pose(kind: str, code: str) -> tuple[float | None, float | None]:
    """Nominal pitch and yaw; None for codes that are not known.  Right is the image's right, where yaw is positive."""
    if kind == "PR":
        return PITCHES.get(code), 0.0
    if kind == "CR":
        return TURNED.get(code), 45.0 if code in TURNED else None
    if kind == "YR":
        turn = _TURN.fullmatch(code)
        return 0.0, None if turn is None else (1.0 if turn.group(1) == "R" else -1.0) * float(turn.group(2))
    return 0.0, 0.0


def _units(code: str) -> dict[int, float]:
    """Action units of a code such as 12R, 12LW or A22A25."""
    parts = re.findall(r"A\d{1,2}(?:LW|L|R)?", code) if code.startswith("A") else [code]
    return {int(match.group(1)): 1.0 for match in map(_UNITS.fullmatch, parts) if match}


def _note_absent(file: Path, files: FileIndex, inventory: Inventory) -> None:
    _, marks, picture = _parts(file, files)
    if not marks.is_file():
        inventory.miss(marks, "the scan has no landmarks")
    if not picture.is_file():
        inventory.miss(picture, "the scan has no picture")
