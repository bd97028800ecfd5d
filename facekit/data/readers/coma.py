"""CoMA (Ranjan et al., 2018): twelve people move their faces in twelve ways, meshes in FLAME's topology.

`FaceTalk_170725_00137_TA/bareteeth/bareteeth.000001.ply`, 5,023 vertices in metres.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from facekit.data.readers import Inventory, nothing_usable
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import ScanSource, every, only_itself, read_in, shared_mesh, usable_scan
from facekit.data.sources import DataError

METRE = 1000.0
SPLITS = ("interpolation", "expression", "identity")

_PLACE = re.compile(r"(FaceTalk_\d{6}_\d{5}_TA)/(\w+)/(\w+)\.(\d{6})\.ply", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    frames: int | None = None,
    split: str = "interpolation",
    held_out: str = "",
    unit: float = METRE,
    **options: Any,
) -> ScanSource:
    """The meshes below `path`, `frames` of each movement spread evenly (all if None).

    `split` says what is tested: "interpolation" (ten in each hundred meshes, in the order of their names), or one
    `held_out` movement ("expression") or person ("identity"), by default the first by name.  The published code numbers
    files in the order that its file system gave, so its interpolation split cannot be had exactly.  `unit` is the
    files' unit in millimetres.
    """
    if split not in SPLITS:
        raise DataError(f"CoMA has the splits {', '.join(SPLITS)}, asked for {split!r}")
    root = require_folder(path, "CoMA")
    inventory = Inventory("coma", root)
    sequences: dict[tuple[str, str], dict[int, Path]] = {}
    for file in walk_files(root, (".ply",)):
        match = _PLACE.fullmatch("/".join(file.parts[-3:]))
        if match is None or match.group(2).lower() != match.group(3).lower():
            inventory.ignore(file, "not a mesh of CoMA")
        else:
            sequences.setdefault((match.group(1), match.group(2).lower()), {})[int(match.group(4))] = file

    read = partial(read_in, unit=unit)
    rows = []
    for (subject, movement), numbered in sorted(sequences.items()):
        for number in every(sorted(numbered), frames):
            if usable_scan(numbered[number], read, verify, inventory):
                place = numbered[number].relative_to(root).as_posix()
                rows.append((place, subject, f"{subject}/{movement}", number))
    if not rows:
        raise DataError(nothing_usable("CoMA", inventory))
    place, subject, sequence, frame = zip(*rows, strict=True)
    table = photo_table({
        "path": place, "subject": subject, "expression": "", "pitch": 0.0, "yaw": 0.0, "roll": 0.0,
        "split": _split(split, held_out, subject, sequence), "sequence": sequence, "frame": frame,
    }, len(rows))  # fmt: skip
    mesh = shared_mesh((root / name for name in place), inventory)
    return ScanSource(keep_subjects(table, subjects), root, inventory, read, only_itself, image_size,
                      mesh=mesh, name="CoMA", **options)  # fmt: skip


def _split(kind: str, held_out: str, subjects: tuple[str, ...], sequences: tuple[str, ...]) -> np.ndarray:
    if kind == "interpolation":
        return np.where(np.arange(len(subjects)) % 100 < 10, "test", "train").astype(object)
    units = np.array(subjects if kind == "identity" else [name.partition("/")[2] for name in sequences], dtype=object)
    held_out = held_out or min(units)
    if held_out not in units:
        raise DataError(f"CoMA has no {kind} {held_out!r}; it has {', '.join(sorted(set(units)))}")
    return np.where(units == held_out, "test", "train").astype(object)
