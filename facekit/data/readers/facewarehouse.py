"""FaceWarehouse (Cao et al., 2014): 150 people in twenty poses of the face, meshes in one topology.

`Tester_1/TrainingPose/pose_0.obj`, the first neutral, the others expressions; `Tester_1/Blendshape/shape.bs` holds the
person's neutral face and 46 blendshapes over 11,510 vertices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from facekit.data.formats import FormatError, read_bs
from facekit.data.readers import Inventory
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import ScanSource, only_itself, read_in, shared_mesh, usable_scan
from facekit.data.scans import read_obj_or_ply

HEIGHT = 250.0
"""Millimetres from the chin to the crown of the first mesh, where no unit is given."""

_POSE = re.compile(r"(Tester_)(\d{1,3})/TrainingPose/pose_(\d{1,2})\.obj", re.IGNORECASE)
_SHAPE = re.compile(r"(Tester_)(\d{1,3})/Blendshape/shape\.bs", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    unit: float | None = None,
    **options: Any,
) -> FaceWarehouseSource:
    """The meshes of the poses below `path`; `source.blendshapes(subject)` gives a person's blendshapes.

    `unit` is the files' unit in millimetres.  The release does not state it: if None, the first mesh that can be read
    is taken to be HEIGHT millimetres high, about the height of a head.
    """
    root = require_folder(path, "FaceWarehouse")
    inventory = Inventory("facewarehouse", root)

    candidates = (file for file in walk_files(root, (".obj",)) if _POSE.fullmatch("/".join(file.parts[-3:])))
    scale = _unit(candidates) if unit is None else unit
    read = partial(read_in, unit=scale)
    poses: dict[tuple[int, int], Path] = {}
    for file in walk_files(root, (".obj",)):
        match = _POSE.fullmatch("/".join(file.parts[-3:]))
        if match is None:
            inventory.ignore(file, "not a pose of FaceWarehouse")
        elif usable_scan(file, read, verify, inventory):
            poses[int(match.group(2)), int(match.group(3))] = file
    places = [poses[key].relative_to(root).as_posix() for key in sorted(poses)]
    table = photo_table({
        "path": places, "subject": [f"Tester_{subject:03d}" for subject, _ in sorted(poses)],
        "expression": ["neutral" if pose == 0 else "" for _, pose in sorted(poses)], "pitch": 0.0, "yaw": 0.0,
        "roll": 0.0, "recording": [pose + 1 for _, pose in sorted(poses)],
    }, len(poses))  # fmt: skip
    mesh = shared_mesh((root / place for place in places), inventory)
    source = FaceWarehouseSource(keep_subjects(table, subjects), root, inventory, read, only_itself, image_size,
                                 mesh=mesh, name="FaceWarehouse", **options)  # fmt: skip
    source.unit = scale
    return source


class FaceWarehouseSource(ScanSource):
    """Meshes of FaceWarehouse, all with the same triangles."""

    unit = 1.0

    def blendshapes(self, subject: str) -> torch.Tensor:
        """(47, V, 3) float32 in millimetres: a person's neutral face and 46 blendshapes.

        Raises:
            FormatError: if there is no such file, or it is damaged.
        """
        for file in walk_files(self.root, (".bs",)):
            match = _SHAPE.fullmatch("/".join(file.parts[-3:]))
            if match and f"Tester_{int(match.group(2)):03d}" == subject:
                return torch.from_numpy(read_bs(file)) * self.unit
        raise FormatError(f"{self.root}: found no Blendshape/shape.bs of {subject!r}")


def _unit(files: Iterable[Path]) -> float:
    """Millimetres of the files' unit, by the height of the first mesh that can be read."""
    for file in files:
        try:
            heights = read_obj_or_ply(file).vertices[:, 1]
        except FormatError:
            continue
        return HEIGHT / max(float(heights.max() - heights.min()), 1e-6)
    return 1.0
