"""The data of RRL: unlabelled faces with landmarks for pre-training, AU-labelled faces for the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from facekit.data import (
    DataError,
    DataSource,
    ManifestError,
    au_matrix,
    load_all,
    parse_data,
    published_folds,
    subject_folds,
    twin_table,
)
from facekit.data.cache import to_bytes
from facekit.data.folds import Fold
from facekit.data.sources import Sample
from facekit.rrl.attention import attention_maps
from facekit.rrl.augmentation import FIRST_VIEW, SECOND_VIEW, ViewSettings, random_view
from facekit.rrl.transport import relation_matrix
from facekit.training import TensorSource, gather, gather_items, own_share, world_size

OUTPUTS = ("image", "landmarks")


@dataclass(frozen=True)
class UnitProtocol:
    """AUs of a data set, and the lowest label that counts as present."""

    units: tuple[int, ...]
    positive_from: float


UNIT_PROTOCOLS = {
    "bp4d": UnitProtocol((1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24), 1.0),
    "disfa": UnitProtocol((1, 2, 4, 6, 9, 12, 25, 26), 2.0),
}
"""BP4D codes occurrence; of DISFA's levels 0 to 5 those greater than 1 are positive (Section 3.1)."""


class FacePairs:
    """Two random views of each face, with the attention maps that belong to them: a source of batches.

    Args:
        faces: anything with ``batch(rows)`` that gives ``image`` and ``landmarks`` (and ``landmarks_visible``, where
            known), and a length.
        units: the AUs of the attention maps.
        views: settings of the two views.
    """

    def __init__(
        self,
        faces: DataSource | TensorSource,
        units: Sequence[int],
        views: tuple[ViewSettings, ViewSettings] = (FIRST_VIEW, SECOND_VIEW),
    ) -> None:
        self.faces, self.units, self.views = faces, tuple(units), views

    def __len__(self) -> int:
        return len(self.faces)

    def batch(self, rows: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        """``image_1``, ``image_2`` (B, 3, H, W), ``attention_1``, ``attention_2`` (B, K, 14, 14), ``valid_1``,
        ``valid_2`` (B, K) bool."""
        faces = self.faces.batch(rows)
        if "landmarks" not in faces:
            raise DataError(f"the attention maps need landmarks; the source gives {', '.join(faces)}")
        faces["image"] = to_unit_range(faces["image"])
        made = {}
        for number, settings in enumerate(self.views, start=1):
            view = random_view(faces, seeds, settings, f"view {number}")
            size = view["image"].shape[-1]
            found = attention_maps(view["landmarks"], size, self.units, view.get("landmarks_visible"))
            made |= {
                f"image_{number}": view["image"],
                f"attention_{number}": found.maps,
                f"valid_{number}": found.valid,
            }
        return made


class RowsOnDemand:
    """Rows that are read whenever they are asked for: takes a tensor's place where rows of it are all that is wanted.

    Args:
        read: a function of row numbers (B,) int64 that returns these rows (B, ...).
        count: number of rows.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], count: int) -> None:
        self._read = read
        self.shape = torch.Size((count, *read(torch.tensor([0])).shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self._read(rows)


@dataclass(frozen=True)
class LabelledFaces:
    """AU-labelled faces.

    Attributes:
        images: (N, 3, H, W) uint8, in memory or read on demand.
        landmarks: (N, 68, 2) in pixels, likewise; NaN where the data set does not mark them (BP4D: jaw, inner corners
            of the mouth, frames in which tracking failed).
        present, coded: (N, K) bool.
        folds: pairs of row numbers (train, test); no person is in both.
        units: the K AUs.
    """

    images: Tensor | RowsOnDemand
    landmarks: Tensor | RowsOnDemand
    present: Tensor
    coded: Tensor
    folds: tuple[Fold, ...]
    units: tuple[int, ...]

    def relation(self) -> Tensor:
        """M (K, K) of all labels, see ``relation_matrix``."""
        return relation_matrix(self.present, self.coded)

    def attention(self) -> Tensor:
        """Attention maps (N, K, 14, 14), made a thousand faces at a time."""
        size, parts = self.images.shape[-1], torch.arange(len(self.images)).split(1000)
        return torch.cat([attention_maps(self.landmarks[rows], size, self.units).maps for rows in parts])


def labelled_faces(
    data: str, name: str, image_size: int, seed: int = 0, in_memory: bool = True, **sizes: int
) -> LabelledFaces:
    """BP4D or DISFA, or its twin, with its AUs and three subject-exclusive folds.

    The published folds are used where every one of them has somebody to test; a smaller twin is folded anew.

    Args:
        data: as ``facekit.data.parse_data`` takes it.
        name: ``bp4d`` or ``disfa``.
        image_size: in pixels.
        seed: of the twin.
        in_memory: hold all pictures in 8 bits, of which each of several processes makes or reads a part; otherwise
            they are made or read as they are needed, every time.
        sizes: ``subjects`` and ``frames`` of the twin.

    Raises:
        DataError: the data cannot be opened, or lacks landmarks, an action unit, or three people.
    """
    source = _open(data, name, image_size, seed, **sizes)
    try:
        present, coded = _labels(source.table, name)
        folds = published_folds(source.table, name) if "fold" in source.table else []
        if len(folds) < 3 or min(len(test) for _, test in folds) < len(source) / 10:
            folds = subject_folds(source.table, 3, seed=0)
    except ManifestError as error:
        raise DataError(f"{source.name} in the place of {name}: {error}") from error
    marks = () if parse_data(data).is_world else _marks_of(source)
    images, landmarks = (_load if in_memory else _on_demand)(source, marks)
    return LabelledFaces(images, landmarks, present, coded, tuple(folds), UNIT_PROTOCOLS[name].units)


def label_relation(data: str, name: str, seed: int = 0, **sizes: int) -> Tensor:
    """M (K, K), Fig. 2, of BP4D's or DISFA's labels, without loading a picture; arguments as ``labelled_faces``."""
    if parse_data(data).is_world:
        return relation_matrix(*_labels(twin_table(name, seed=seed, **sizes), name))
    return relation_matrix(*_labels(_open(data, name, 32, seed, **sizes).table, name))


def unlabelled_faces(data: str, image_size: int, count: int | None, seed: int = 0, in_memory: bool = True):
    """Faces of EmotioNet, or of its twin, as a source of ``image`` and ``landmarks``.

    With ``in_memory`` all pictures are held in 8 bits, and of several processes each makes or reads a part of them;
    otherwise they are made or read as they are needed.

    Raises:
        DataError: the data cannot be opened, or has no landmarks.
    """
    source = _open(data, "emotionet", image_size, seed, **({} if count is None else {"subjects": count}))
    if not parse_data(data).is_world:
        _marks_of(source)
    return TensorSource(**_load_together(source, OUTPUTS)) if in_memory else source


def to_unit_range(images: Tensor) -> Tensor:
    """Images in 8 bits as float32 in [0, 1]; others as they are."""
    return images.float() / 255.0 if images.dtype == torch.uint8 else images


def _open(data: str, name: str, image_size: int, seed: int, **sizes: int) -> DataSource:
    choice = parse_data(data)
    options = {"outputs": OUTPUTS, "seed": seed, **sizes} if choice.is_world else {}
    return choice.open(name, image_size=image_size, **options)


def _load(source: DataSource, marks: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) in 8 bits and landmarks (N, 68, 2) of all rows."""
    found = _load_together(source, (*OUTPUTS, *marks))
    return found["image"], _known(found, marks)


def _load_together(source: DataSource, outputs: tuple[str, ...]) -> Sample:
    """All samples in memory. Of several processes each loads a part for all of them, which must all call this.

    Raises:
        DataError: in all of them, if one of them cannot read its part.
    """
    if len(source) < world_size() or world_size() == 1:
        return load_all(source, outputs)
    found, problems = {}, []
    try:
        found = load_all(source.select(own_share(range(len(source)))), outputs)
    except DataError as error:
        problems = [str(error)]
    problems = gather_items(problems)
    if problems:
        raise DataError(problems[0])
    return {name: gather(values) for name, values in found.items()}


def _on_demand(source: DataSource, marks: tuple[str, ...]) -> tuple[RowsOnDemand, RowsOnDemand]:
    """As ``_load``, row by row when they are asked for."""
    images = RowsOnDemand(lambda rows: to_bytes(source.batch(rows)["image"]), len(source))
    return images, RowsOnDemand(lambda rows: _known(source.batch(rows), marks), len(source))


def _known(sample: Sample, marks: tuple[str, ...]) -> Tensor:
    """Landmarks (B, 68, 2); those that a copy calls invisible are NaN.

    A twin (without marks) knows where its hidden landmarks are, as a detector guesses them.
    """
    found = sample["landmarks"]
    return found.where(sample["landmarks_visible"][..., None], torch.nan) if marks else found


def _marks_of(source: DataSource) -> tuple[str, ...]:
    """``("landmarks_visible",)`` or nothing: what a copy says about the landmarks that it must have."""
    first = source[0]
    if "landmarks" not in first:
        raise DataError(f"{source.name}: has no landmarks, by which the regions of the action units are found")
    return ("landmarks_visible",) if "landmarks_visible" in first else ()


def _labels(table: pd.DataFrame, name: str) -> tuple[Tensor, Tensor]:
    """Present and coded, (N, K) bool each."""
    protocol = UNIT_PROTOCOLS[name]
    present, coded = au_matrix(table, protocol.units, protocol.positive_from)
    if protocol.positive_from > 1 and table[[f"AU{unit}" for unit in protocol.units]].max(axis=None) == 1:
        lowest = f"{protocol.positive_from:g}"
        raise ManifestError(f"the action units are 0 or 1, expected levels, of which {lowest} and more are present")
    return present.bool(), coded
