"""The reader's own data: a folder of photographs or scans and a CSV file that says what each of them shows::

    path,subject,expression,yaw
    ann/01.jpg,ann,happiness,0
    ann/02.jpg,ann,neutral,-30
    scans/bob.ply,bob,neutral,45

Photographs are cut out by the box or the landmarks that a row gives, else as the largest centred square; so are frames
of videos, which a row names by the video's path and the frame's number.  Scans (OBJ, PLY, GLB) are rendered: a row is a
view of the scan from the row's yaw and pitch.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from facekit.data.manifest import MANIFEST_COLUMNS
from facekit.data.readers import Inventory
from facekit.data.readers.landmark_files import read_landmarks, stack_known, to_crop
from facekit.data.readers.own_manifest import BOX_COLUMNS, Row, read_manifest
from facekit.data.readers.photographs import PhotoSource, keep_subjects, photo_table, split_people, usable
from facekit.data.readers.pictures import PICTURE_ENDINGS, Box
from facekit.data.readers.text_files import file_stamp
from facekit.data.readers.videos import VIDEO_ENDINGS, count_frames, has_opencv, read_frame
from facekit.data.sources import DataError, Sample
from facekit.meshes import Mesh, MeshError, load_mesh
from facekit.render import ambient_light, directional_light, render_mesh, rotation_matrix

SCAN_ENDINGS: tuple[str, ...] = (".obj", ".ply", ".glb")
MAX_SCAN_BYTES = 256 * 2**20
GREY = 0.4  # linear albedo of a scan without colours
FILLS = 0.9  # share of the picture that a scan fills
LAMP = torch.nn.functional.normalize(torch.tensor([[0.2, 0.4, 1.0]]))


class OwnSource(PhotoSource):
    """Rows of a manifest of one's own.

    A batch holds what `PhotoSource` says, and `landmarks` (B, 68, 2) in pixels of the crop if rows of the file name
    landmarks; they are NaN for rows that name none.
    """

    def __init__(
        self, table: pd.DataFrame, root: Path, inventory: Inventory, boxes: dict, points: dict, **options: Any
    ):
        super().__init__(table, root, inventory, name="own data", **options)
        self._boxes, self._points = boxes, points

    def describe(self) -> dict[str, object]:
        """As `PhotoSource` says, and what the file says of places on the pictures, which is not in the table."""
        places = json.dumps([sorted(self._boxes.items()), sorted(self._points.items())]).encode()
        marked = {"places": hashlib.blake2b(places, digest_size=8).hexdigest()}
        return super().describe() | (marked if self._boxes or self._points else {})

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        return self._landmarks(row.Index), self._boxes.get(row.Index)

    def picture(self, row: Any) -> tuple[Image.Image, float]:
        if Path(row.path).suffix.lower() not in VIDEO_ENDINGS:
            return super().picture(row)
        return Image.fromarray(read_frame(self.root / row.path, int(row.frame))), 1.0

    def crop(self, row: Any) -> tuple[np.ndarray, Box]:
        if Path(row.path).suffix.lower() not in SCAN_ENDINGS:
            return super().crop(row)
        angles = [0.0 if np.isnan(value) else float(value) for value in (row.pitch, row.yaw, row.roll)]
        picture = picture_of_scan(
            _read_scan(self.root / row.path, file_stamp(self.root / row.path)), angles, self.image_size
        )
        return picture, (0.0, 0.0, float(self.image_size))

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> Sample:
        if not self._points:
            return {}
        return {"landmarks": to_crop(stack_known(map(self._landmarks, rows.index)), boxes, self.image_size)}

    def _landmarks(self, label: int) -> Tensor | None:
        return read_landmarks(self.root / self._points[label]) if label in self._points else None


def open_dataset(
    path: str | Path, image_size: int = 112, subjects: int | None = None, verify: str = "ends", **options: Any
) -> OwnSource:
    """The rows of the CSV file `path`, or of `manifest.csv` in the folder `path`; files lie below the CSV's folder.

    `subjects` keeps the first so many people; `verify` ("none", "ends", "pixels") says how closely files are looked at.
    Rows that cannot be used are left out, and the inventory has the line and the reason.  Without a column `split` a
    fifth of the people (at least one, if there are two) are tested on.
    """
    manifest = Path(path).expanduser()
    manifest = manifest / "manifest.csv" if manifest.is_dir() else manifest
    if not manifest.is_file():
        raise DataError(f"{manifest}: found nothing there, expected a CSV file with a column 'path'")
    root = manifest.parent
    inventory = Inventory("own", root)
    rows = [row for row in read_manifest(manifest, inventory) if _is_usable(row, root, verify, inventory)]
    table = split_people(keep_subjects(_table(rows), subjects), 0.20) if rows else _table(rows)
    boxes = {place: tuple(row[name] for name in BOX_COLUMNS) for place, row in enumerate(rows) if row.get("side")}
    points = {place: row["landmarks"] for place, row in enumerate(rows) if row.get("landmarks")}
    return OwnSource(table, root, inventory, boxes, points, image_size=image_size, **options)


def picture_of_scan(mesh: Mesh, angles: list[float], image_size: int) -> np.ndarray:
    """A scan (y up, face towards +z) turned by pitch, yaw, roll and filling the picture, (S, S, 3) uint8."""
    turn = torch.tensor([angles])
    vertices = mesh.vertices - (mesh.vertices.amin(0) + mesh.vertices.amax(0)) / 2
    seen = (vertices @ rotation_matrix(turn)[0].mT)[:, :2]
    low, high = seen.amin(0), seen.amax(0)
    scale = FILLS * image_size / (high - low).amax().clamp_min(1e-6)
    x, y = (low + high) / 2
    middle = image_size / 2
    pose = torch.cat([turn[0], torch.stack([scale, middle - scale * x, middle + scale * y])])[None]
    albedo = torch.full_like(vertices, GREY) if mesh.albedo is None else mesh.albedo
    light = ambient_light(torch.full((1, 3), 0.5)) + directional_light(LAMP, torch.full((1, 3), 0.6))
    image = render_mesh(vertices[None], mesh.faces, albedo[None], pose, light, image_size, background=0.5).image
    return (image[0].permute(1, 2, 0) * 255.0).round().byte().numpy()


@lru_cache(maxsize=4)
def _read_scan(path: Path, _stamp: tuple[int, int]) -> Mesh:
    try:
        if path.stat().st_size > MAX_SCAN_BYTES:
            raise DataError(f"{path}: more than {MAX_SCAN_BYTES >> 20} MiB")
        return load_mesh(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except MeshError as error:
        raise DataError(str(error)) from error


def _is_usable(row: Row, root: Path, verify: str, inventory: Inventory) -> bool:
    """Whether the row's files can be used; if not, the inventory says why."""
    file = root / row["path"]
    if not file.is_file():
        inventory.miss(file, f"line {row['line']}: there is no such file")
        return False
    if file.suffix.lower() not in (*PICTURE_ENDINGS, *SCAN_ENDINGS, *VIDEO_ENDINGS):
        inventory.corrupt(file, f"line {row['line']}: neither a picture, a scan nor a video by its ending")
        return False
    try:
        if row.get("landmarks"):
            read_landmarks(root / row["landmarks"])
        if file.suffix.lower() in SCAN_ENDINGS and verify == "pixels":
            _read_scan(file, file_stamp(file))
        if file.suffix.lower() in VIDEO_ENDINGS:
            return _is_frame(row, file, inventory)
    except DataError as error:
        inventory.corrupt(file, f"line {row['line']}: {error}")
        return False
    return file.suffix.lower() in SCAN_ENDINGS or usable(file, verify, inventory)


def _is_frame(row: Row, file: Path, inventory: Inventory) -> bool:
    """Whether the row names a frame that its video has."""
    if not has_opencv():
        inventory.skip(file, "reading a video needs OpenCV; install it or take the frames out beforehand")
        return False
    count, frame = count_frames(file, inventory), row.get("frame")
    if count and (frame is None or frame >= count):
        found = "no frame" if frame is None else f"frame {frame}"
        inventory.corrupt(file, f"line {row['line']}: names {found}, the video has frames 0 to {count - 1}")
    return frame is not None and frame < count


def _table(rows: list[Row]) -> pd.DataFrame:
    """The manifest of the rows; the labels that every reader gives are there, missing where the file has none."""
    always = ("path", "subject", "group", "expression", "pitch", "yaw", "roll")
    named = {name for row in rows[:1] for name in row} - {"line", "landmarks", *BOX_COLUMNS}
    order = [name for name in MANIFEST_COLUMNS if name in named or name in always]
    order += sorted((name for name in named if name.startswith("AU")), key=lambda name: int(name[2:]))
    columns = {name: [row.get(name) for row in rows] for name in order}
    return photo_table(columns, len(rows))
