"""Fanelli's audio-visual corpus B3D(AC)^2 (Fanelli et al., 2010): speaking faces in dense correspondence.

`faces/F1/e01/frame_001.vl` holds the 23,370 vertices of a frame; the triangles come from `rigid_scans/F1.obj` or from a
template mesh.  Fourteen people say forty sentences, flatly (01) and with feeling (e01), 25 frames a second.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facekit.data.formats import FormatError, Surface, read_vl
from facekit.data.readers import Inventory, nothing_usable
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import ScanSource, every, only_itself, shared_mesh, usable_scan
from facekit.data.scans import Scan, read_obj_or_ply
from facekit.data.sources import DataError
from facekit.data.world.motion_twins import FANELLI_TRAIN

NUM_VERTICES = 23_370

_PLACE = re.compile(r"([FM]\d{1,2})/(e?)(\d{1,2})/frame_(\d{1,6})\.vl", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    frames: int | None = None,
    template: str | Path | None = None,
    upright: bool = True,
    unit: float = 1.0,
    **options: Any,
) -> ScanSource:
    """The frames below `path`, `frames` of each sentence spread evenly (all if None).

    Args:
        template: an OBJ or PLY with the triangles; without one, the first readable mesh below `path`.
        upright: turn faces that look away from the viewer, as copies that are stored upside down do, by half a turn
            about x.
        unit: millimetres of the frames' unit.

    The split follows FaceFormer (Fan et al., 2022): six people train with sentences 1 to 32 and validate with 33 to 36;
    sentences 37 to 40 and the other people are for testing.  Expressions and visemes are not part of the release.
    """
    root = require_folder(path, "Fanelli B3D(AC)^2")
    inventory = Inventory("fanelli", root)
    sequences: dict[tuple[str, bool, int], dict[int, Path]] = {}
    for file in walk_files(root, (".vl",)):
        match = _PLACE.fullmatch("/".join(file.parts[-3:]))
        if match is None:
            inventory.ignore(file, "not a frame of the corpus")
        else:
            key = match.group(1).upper(), bool(match.group(2)), int(match.group(3))
            sequences.setdefault(key, {})[int(match.group(4))] = file
    first = next((file for numbered in sequences.values() for file in numbered.values()), None)
    if first is None:
        raise DataError(nothing_usable("Fanelli B3D(AC)^2", inventory))
    mesh = _topology(root, template, inventory)

    read = partial(_read, faces=torch.from_numpy(mesh.faces), upright=upright, unit=unit)
    rows = []
    for (subject, with_feeling, sentence), numbered in sorted(sequences.items()):
        begin = min(numbered)
        for number in every(sorted(numbered), frames):
            if usable_scan(numbered[number], read, verify, inventory):
                name = f"{subject}/{'e' if with_feeling else ''}{sentence:02d}"
                place = numbered[number].relative_to(root).as_posix()
                rows.append((place, subject, subject[0], _split(subject, sentence), name, number - begin))
    place, subject, sex, split, sequence, frame = zip(*rows, strict=True) if rows else ((),) * 6
    table = photo_table({
        "path": place, "subject": subject, "sex": sex, "expression": "", "pitch": 0.0, "yaw": 0.0, "roll": 0.0,
        "viseme": "", "split": split, "sequence": sequence, "frame": frame,
    }, len(rows))  # fmt: skip
    return ScanSource(keep_subjects(table, subjects), root, inventory, read, only_itself, image_size,
                      mesh=mesh, name="Fanelli B3D(AC)^2", **options)  # fmt: skip


def _topology(root: Path, template: str | Path | None, inventory: Inventory) -> Surface:
    """A mesh with the triangles of the corpus."""
    if template is not None:
        return read_obj_or_ply(template)
    mesh = shared_mesh(walk_files(root, (".obj", ".ply")), inventory)
    if mesh is None:
        raise DataError(f"{root}: found no mesh with the triangles of the frames; name one with template=")
    return mesh


def _read(file: Path, faces: Tensor, upright: bool, unit: float) -> Scan:
    vertices = read_vl(file) * np.float32(unit)
    if int(faces.max()) >= len(vertices):
        raise FormatError(f"{file}: found {len(vertices)} vertices, the template has {int(faces.max()) + 1}")
    points = torch.from_numpy(vertices)
    if upright and _is_upside_down(points, faces):
        points = points * torch.tensor([1.0, -1.0, -1.0])
    return Scan(points, faces, name=str(file))


def _is_upside_down(points: Tensor, faces: Tensor) -> bool:
    """Whether the face looks away from the viewer: most of its area is turned to -z."""
    a, b, c = points[faces].unbind(1)
    return bool(torch.linalg.cross(b - a, c - a)[:, 2].sum() < 0)


def _split(subject: str, sentence: int) -> str:
    if subject not in FANELLI_TRAIN or sentence > 36:
        return "test"
    return "train" if sentence <= 32 else "val"
