"""What DML-Net is shown: the face cut out of a picture, and its uppermost and lowest third.

Liu et al. (2021), Section 3.2.2. The three channels see the same face at the same scale.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.data import DataError, DataSource, load_all, parse_data
from facekit.dmlnet.tuples import FaceLabels, TupleError, face_labels

MARGIN = 4 / 3
"""Side of a picture over side of the face that is cut out of it."""
TOP = 0.11
"""Where the face begins, as a share of the picture's height: then eyes and mouth lie in the outer thirds."""


class DMLDataError(DataError):
    """Pictures that DML-Net cannot be shown; the message says what was found and what was expected."""


def bands(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Eyes and mouth (B, C, S/3, S): the uppermost and the lowest third of faces (B, C, S, S)."""
    third = max(1, round(faces.shape[-2] / 3))
    return faces[..., :third, :], faces[..., -third:, :]


def cut_faces(pictures: Tensor, size: int) -> Tensor:
    """Faces (B, 3, S, S) out of framed pictures (B, 3, H, W): the middle of their width, from just above the brows.

    Args:
        pictures: framed as those of the face world.
        size: S in pixels; no resampling takes place.

    Raises:
        DMLDataError: the pictures are smaller than the crop.
    """
    height, width = pictures.shape[-2:]
    top, left = round(TOP * height), (width - size) // 2
    if left < 0 or top + size > height:
        least = math.ceil(size / (1 - TOP))
        raise DMLDataError(
            f"the pictures have {height} x {width} pixels, expected at least {least} x {size} for faces of "
            f"{size} x {size} that begin {TOP:.0%} from the top"
        )
    return pictures[..., top : top + size, left : left + size]


@dataclass(frozen=True)
class Protocol:
    """What Section 4.1 takes from a data set.

    Attributes:
        expressions: the classes.
        yaws: the pose classes in degrees; for SFEW those of Figure 9, to which estimated angles are rounded.
        test: the split that is tested on.
        sizes: further options of the twin.
        lowest_level: rows with a weaker expression are left out.
        light: the flash whose pictures are taken, where a manifest names the flash; all if None.
    """

    expressions: tuple[str, ...]
    yaws: tuple[float, ...]
    test: str = "test"
    sizes: Mapping[str, int] = field(default_factory=dict)
    lowest_level: int = 0
    light: int | None = None


BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
PROTOCOLS = {
    "kdef": Protocol((*BASIC, "neutral"), (-90.0, -45.0, 0.0, 45.0, 90.0)),
    "bu3dfe": Protocol(BASIC, (-90.0, -60.0, -45.0, -30.0, 0.0, 30.0, 45.0, 60.0, 90.0), lowest_level=1),
    "multipie": Protocol(
        ("neutral", "smile", "surprise", "squint", "disgust", "scream"), (-30.0, -15.0, 0.0, 15.0, 30.0),
        sizes={"lights": 1}, light=0,
    ),
    "sfew": Protocol((*BASIC, "neutral"), (-60.0, -40.0, -15.0, 0.0, 15.0, 40.0, 60.0), test="val"),
}  # fmt: skip
"""Data set -> its protocol. Multi-PIE is used in part: 8,760 pictures, so one light, that of the room."""


@dataclass(frozen=True)
class Faces:
    """Faces with their labels, in memory or mapped into it: a source for a training loop.

    Attributes:
        images: (N, 3, S, S) uint8.
        labels: class numbers of expression, pose and subject.
        expressions, yaws: what the class numbers of expression and pose stand for.
    """

    images: np.ndarray
    labels: FaceLabels
    expressions: tuple[str, ...]
    yaws: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor | np.ndarray) -> dict[str, Tensor]:
        """Faces in [0, 1] (B, 3, S, S) and their class numbers (B,)."""
        rows = np.asarray(rows)
        labels = self.labels.select(rows)
        named = {name: torch.from_numpy(getattr(labels, name)) for name in ("expression", "pose", "subject")}
        return {"image": torch.from_numpy(self.images[rows]).float() / 255.0, **named}

    def select(self, rows: np.ndarray) -> Faces:
        """Some of the faces: a boolean mask or row numbers."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        return Faces(self.images[rows], self.labels.select(rows), self.expressions, self.yaws)

    def save(self, folder: str | Path) -> None:
        """Write the faces to a folder; its last file says that they are complete."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "images.npy", self.images)
        np.save(folder / "labels.npy", np.stack([self.labels.expression, self.labels.pose, self.labels.subject]))
        names = {"expressions": self.expressions, "yaws": self.yaws}
        (folder / "classes.json").write_text(json.dumps(names), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Faces:
        """Saved faces, their images mapped into memory.

        Raises:
            DMLDataError: there are none.
        """
        folder = Path(folder)
        if not (folder / "classes.json").exists():
            raise DMLDataError(f"{folder} holds no saved faces")
        names = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = FaceLabels(*np.load(folder / "labels.npy"))
        return cls(images, labels, tuple(names["expressions"]), tuple(names["yaws"]))


def open_sources(
    data: str, name: str, size: int, subjects: int | None = None, **sizes: int
) -> tuple[DataSource, DataSource]:
    """The training and the test part of a data set, by its protocol; pictures a third wider than faces of ``size``.

    Args:
        data: what ``--data`` says: ``world``, ``world:ict=PATH`` or ``<data set>=<path>``.
        name: of ``PROTOCOLS``.
        subjects, sizes: a smaller part, see ``facekit.data.twin``; the published one by default.

    Raises:
        DataError: the data does not exist.
    """
    if name not in PROTOCOLS:
        raise DMLDataError(f"{name!r} is none of {', '.join(PROTOCOLS)}")
    protocol, choice = PROTOCOLS[name], parse_data(data)
    options: dict = {"image_size": round(MARGIN * size)}
    if subjects is not None:
        options["subjects"] = subjects
    if choice.is_world:
        options |= {"outputs": ("image",), **protocol.sizes, **sizes}
    source = choice.open(name, **options)
    kept = source.table["expression"].isin(protocol.expressions).to_numpy()
    if protocol.lowest_level:
        kept = kept & (source.table["intensity"] >= protocol.lowest_level).to_numpy()
    if protocol.light is not None and "lighting" in source.table:
        kept = kept & (source.table["lighting"] == protocol.light).to_numpy()
    source = source.select(kept)
    return source.split("train"), source.split(protocol.test)


def load_faces(
    source: DataSource,
    name: str,
    size: int,
    labels: FaceLabels | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Faces:
    """All faces of a source, cut out and in memory.

    Args:
        source: framed pictures, see :func:`open_sources`.
        name: of ``PROTOCOLS``, for the classes.
        size: S of the faces.
        labels: where the manifest lacks them; the manifest's own by default.
        progress: called with the pictures done and in all.

    Raises:
        DMLDataError: the pictures are smaller than the faces that are to be cut out of them.
        TupleError: a row of the manifest lacks a label.
    """
    protocol = PROTOCOLS[name]
    if labels is None:
        labels = face_labels(source.table, protocol.expressions, protocol.yaws)
    elif len(labels) != len(source):
        raise TupleError(f"{len(labels)} labels for {len(source)} pictures")
    pictures = load_all(source, ["image"], progress=progress)["image"]
    images = cut_faces(pictures, size).contiguous().numpy()
    return Faces(images, labels, protocol.expressions, protocol.yaws)
