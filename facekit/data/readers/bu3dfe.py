"""BU-3DFE (Yin et al., 2006): 2,500 textured scans of a hundred people, six expressions at four levels and neutral.

`F0001/F0001_AN01WH_F3D.wrl`: sex and number, expression, level, ethnicity; the mesh with its texture `_F3D.bmp` and 83
landmarks `_F3D.bnd`.  `_RAW.wrl` are the same scans uncropped, `_F2D.bmp` frontal pictures; they are left out unless
`raw` asks for the uncropped ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from facekit.data.formats import FormatError, read_bnd, read_vrml
from facekit.data.readers import Inventory
from facekit.data.readers.photographs import keep_subjects, photo_table, require_folder, walk_files
from facekit.data.readers.scan_source import FileIndex, ScanSource, book_split, repeat_views, usable_scan
from facekit.data.scans import Scan, landmarks_from_83
from facekit.data.world.static_twins import BU3DFE_YAWS

EXPRESSIONS = {
    "NE": "neutral", "AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "SA": "sadness", "SU": "surprise",
}  # fmt: skip

_NAME = re.compile(r"([FM])(\d{4})_(AN|DI|FE|HA|NE|SA|SU)(0[0-4])(AE|AM|BL|IN|LA|WH)_(F3D|RAW)", re.IGNORECASE)


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "ends",
    yaws: Sequence[float] = BU3DFE_YAWS,
    raw: bool = False,
    **options: Any,
) -> ScanSource:
    """The scans below `path`, each seen from every yaw of `yaws` (degrees).

    `verify="pixels"` reads every scan beforehand and leaves out those that are damaged; otherwise a damaged scan raises
    when it is used.  The split is the book's own: three tenths of the people are tested on, as in the twin.
    """
    root = require_folder(path, "BU-3DFE")
    inventory = Inventory("bu3dfe", root)
    files = FileIndex(list(walk_files(root, (".wrl", ".bnd", ".bmp", ".jpg", ".png"))))

    read = partial(read_scan, files=files)
    rows = []
    for file in walk_files(root, (".wrl",)):
        labels = _labels(file.stem, raw)
        if isinstance(labels, str):
            inventory.ignore(file, labels)
        elif usable_scan(file, read, verify, inventory):
            rows.append((file.relative_to(root).as_posix(), *labels))
            _note_absent(file, files, inventory)
    names = ("path", "subject", "sex", "expression", "intensity")
    columns = dict(zip(names, zip(*rows, strict=True) if rows else ((),) * 5, strict=True))
    views, count = repeat_views(columns, yaws)
    table = keep_subjects(photo_table(views | {"split": book_split(views["subject"], 0.30)}, count), subjects)
    parts = partial(scan_parts, files=files)
    return ScanSource(table, root, inventory, read, parts, image_size, name="BU-3DFE", **options)


def read_scan(file: Path, files: FileIndex) -> Scan:
    """A Binghamton scan with the landmarks and the texture that lie beside it, whatever their case.

    The textured frame of BU-4DFE lies beside the scan under its own stem; an uncropped scan has the texture and the
    landmarks of the cropped one.
    """
    scan = Scan.of(read_vrml(file), file)
    marks, texture = scan_parts(file, files)[1:3]
    if scan.texture is None and texture.is_file() and scan.uv is not None:
        scan = replace(scan, texture=texture)
    if marks.is_file():
        points = read_bnd(marks).points
        found = landmarks_from_83(points.astype("f8"), scan.vertices.numpy().astype("f8"))
        scan = replace(scan, landmarks=torch.from_numpy(found), own_landmarks=torch.from_numpy(points))
    return scan


def scan_parts(file: Path, files: FileIndex) -> list[Path]:
    """The files of a scan: mesh, landmarks and texture (places where they would be, if they are not there)."""
    base = file.with_name(re.sub("_raw$", "_F3D", file.stem, flags=re.IGNORECASE) + file.suffix)
    marks = files.beside(base, ".bnd") or base.with_suffix(".bnd")
    texture = files.beside(base, ".bmp", ".jpg", ".png") or base.with_suffix(".bmp")
    return [file, marks, texture]


def _labels(stem: str, raw: bool) -> tuple[str, str, str, int] | str:
    """Subject, sex, expression and level of a file name, or why it is not used."""
    match = _NAME.fullmatch(stem)
    if match is None:
        return "not a name of BU-3DFE"
    sex, number, expression, level, _, kind = (part.upper() for part in match.groups())
    if (kind == "RAW") != raw:
        return "the uncropped scan" if kind == "RAW" else "the cropped scan"
    if (expression == "NE") != (level == "00"):
        return f"the level {level} does not go with {EXPRESSIONS[expression]}"
    return f"{sex}{number}", sex, EXPRESSIONS[expression], int(level)


def _note_absent(file: Path, files: FileIndex, inventory: Inventory) -> None:
    _, marks, texture = scan_parts(file, files)
    if not marks.is_file():
        inventory.miss(marks, "the scan has no landmarks")
    else:
        try:
            read_bnd(marks)
        except FormatError as error:
            inventory.corrupt(marks, str(error))
    if not texture.is_file():
        inventory.miss(texture, "the scan has no texture")
