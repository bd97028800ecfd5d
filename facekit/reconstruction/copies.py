"""Licensed copies in the place of the face world's twins: ``--data 300wlp=PATH,celeba=PATH,bfm=PATH`` and so on.

The paper's photographs come with the work of other tools: 300W-LP with coefficients of the Basel Face Model 2009 (the
folder ``bfm=`` names it), CelebA with 68 landmarks of each picture (text files beside the pictures, see
``write_landmarks``), both with face masks (``NAME_mask.png`` beside ``NAME.jpg``, white where the face is; where there
is none, the whole picture counts). ``micc=PATH`` and ``aflw2000=PATH`` are for the evaluation; MICC's videos are
searched for faces with dlib or mediapipe, whose model file lies in the folder of MICC.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import DataError, DataSource, parse_data
from facekit.data.readers.celeba import CelebASource
from facekit.data.readers.fitted import FittedSource
from facekit.data.readers.landmark_files import read_landmarks, to_crop
from facekit.data.readers.photographs import walk_files
from facekit.data.readers.pictures import Box, PictureError, check_picture, read_picture, square
from facekit.morphable import BaselFaceModel, load_bfm2009
from facekit.reconstruction.photo import DLIB_MODEL, MARGIN, MEDIAPIPE_MODEL, Detector, PhotoError, find_detector

EXPRESSIONS_OF_300WLP = 29


def basel_model(text: str) -> BaselFaceModel:
    """The model whose coefficients 300W-LP holds.

    Raises:
        DataError: ``text`` does not name it, or the folder lacks the expressions or the landmarks.
        FaceModelError: a file is damaged.
    """
    folder = parse_data(text).models.get("bfm")
    if folder is None:
        raise DataError(
            f"--data {text}: the coefficients of 300W-LP belong to the Basel Face Model 2009; add bfm=FOLDER, the "
            "folder with 01_MorphableModel.mat, Model_Exp.mat and model_info.mat"
        )
    model = load_bfm2009(folder)
    if len(model.landmarks) != 68 or not 0 < model.num_expression <= EXPRESSIONS_OF_300WLP:
        raise DataError(
            f"{folder}: found {model.num_expression} expression components and {len(model.landmarks)} landmarks; "
            f"expected Model_Exp.mat with {EXPRESSIONS_OF_300WLP} components, and model_info.mat with 68 'keypoints', "
            "beside 01_MorphableModel.mat"
        )
    return model


class _Masked:
    """Adds ``mask`` (B, 1, S, S) bool to a reader of photographs."""

    margin = MARGIN - 1

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> dict[str, Tensor]:
        places = zip(rows["path"], boxes, strict=True)
        masks = [_face_mask(self.root / path, box, self.image_size) for path, box in places]
        return super().more(rows, boxes) | {"mask": torch.stack(masks)}


class FittedPhotos(_Masked, FittedSource):
    """Photographs of 300W-LP or AFLW2000-3D, cut out as the model sees faces, with masks and, if a Basel model is
    given, with its codes."""

    def __init__(self, source: FittedSource, basel: BaselFaceModel | None = None) -> None:
        super().__init__(source.table, source.root, source.inventory, source.image_size, name=source.name)
        self.basel = basel

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> dict[str, Tensor]:
        sample = super().more(rows, boxes)
        if self.basel is not None:
            codes = self.basel.codes_from_300wlp(sample["shape_para"], sample["exp_para"])
            sample["fitted_identity_code"], sample["fitted_expression_code"] = codes
        return sample


class PhotoCollections(_Masked, CelebASource):
    """Photographs of CelebA that have a file of 68 landmarks beside them, with masks.

    Raises:
        DataError: no photograph has one, or nobody is named.
    """

    def __init__(self, source: CelebASource) -> None:
        super().__init__(source.table, source.root, source.inventory, {}, image_size=source.image_size)
        found = [_landmark_file(self.root / path) is not None for path in self.table["path"]]
        if not any(found):
            raise DataError(
                f"{self.root}: none of the {len(found)} pictures of CelebA has a file of 68 landmarks, which Eq. (6) "
                "needs; put a text file with 68 lines of x and y beside each, such as 000001.txt beside 000001.jpg, or "
                "let facekit.reconstruction.write_landmarks do it"
            )
        self.table = self.table[found]
        if (self.table["subject"] == "").any():
            raise DataError(f"{self.root}: some pictures name nobody; expected all of them in identity_CelebA.txt")

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        return read_landmarks(_landmark_file(self.root / row.path)), None

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> dict[str, Tensor]:
        points = torch.stack([self.face(row)[0] for row in rows.itertuples()])
        return super().more(rows, boxes) | {"landmarks": to_crop(points, boxes, self.image_size)}

    def first_people(self, count: int | None, photos: int | None = None) -> DataSource:
        """The first ``photos`` pictures of each of the first ``count`` people; None for all of them."""
        subject = self.table["subject"]
        few = True if photos is None else self.table.groupby("subject", observed=True).cumcount() < photos
        return self.select(subject.isin(sorted(subject.unique())[:count]) & few)


class MiccCopy(DataSource):
    """Frames of MICC's videos, and the scan of each person, with the interface of MICC's twin.

    ``model`` is None: a scanner has no landmarks, ``scan_landmarks`` gives the tip of the nose instead.
    """

    model = None

    def __init__(self, videos: DataSource, scans: DataSource) -> None:
        people = {name: row for row, name in enumerate(scans.table["subject"])}
        filmed = set(videos.table["subject"])
        if not filmed & set(people):
            found = f"videos of {len(filmed)} people and scans of {len(people)}"
            raise DataError(f"{videos.root}: found {found}; expected people of whom there are both")
        super().__init__(videos.table[videos.table["subject"].isin(people)], videos.load, "MICC Florence")
        self._scans, self._rows, self.image_size = scans, people, videos.image_size

    def scan(self, subject: str) -> tuple[Tensor, Tensor]:
        """Vertices (V, 3) mm and faces (F, 3) of a person's scan."""
        scan = self._scans.scan(self._rows[subject])
        return scan.vertices, scan.faces

    def scan_landmarks(self, subject: str) -> Tensor:
        """(1,) int64: the vertex at the tip of the nose.

        It is the foremost one, unless a text file with a line ``x y z`` has the name of the scan and the ending .txt.
        """
        vertices, _ = self.scan(subject)
        beside = (self._scans.root / self._scans.table["path"].iloc[self._rows[subject]]).with_suffix(".txt")
        if not beside.is_file():
            return vertices[:, 2].argmax()[None]
        try:
            tip = torch.tensor([float(number) for number in beside.read_text(encoding="utf-8").split()])
            return (vertices - tip.view(1, 3)).norm(dim=1).argmin()[None]
        except (ValueError, RuntimeError):
            raise DataError(f"{beside}: expected the tip of the nose as three numbers, x y z") from None


def open_copy(
    text: str,
    name: str,
    image_size: int,
    subjects: int | None = None,
    split: str = "train",
    frames: int = 30,
    photos: int | None = None,
) -> DataSource:
    """A licensed copy as this room uses it.

    Args:
        text: what ``--data`` says.
        name: ``300wlp`` (without mirror images, with the codes of the Basel model), ``celeba`` (its part ``split``),
            ``aflw2000`` or ``micc``.
        image_size: of the crops in pixels.
        subjects: keep the first so many people (of 300W-LP: source photographs).
        frames: of each video of MICC.
        photos: keep the first so many of each of CelebA's people.

    Raises:
        DataError: ``text`` does not name the data set, or the copy lacks what is needed, as MICC's frames do the
            detector that searches them for faces.
    """
    choice = parse_data(text)
    choice.require(name)
    if name == "celeba":
        people = PhotoCollections(_reader_of(choice.open(name, image_size=image_size), CelebASource)).split(split)
        return people.first_people(subjects, photos)
    if name == "micc":
        options = {"what": "videos", "frames": frames, "detector": _box_finder(_detector_of(choice.folders[name]))}
        return MiccCopy(
            choice.open(name, image_size=image_size, subjects=subjects, **options), choice.open(name, subjects=subjects)
        )
    options = {"mirrored": False} if name == "300wlp" else {}
    fitted = _reader_of(choice.open(name, image_size=image_size, subjects=subjects, **options), FittedSource)
    return FittedPhotos(fitted, basel_model(text) if name == "300wlp" else None)


def write_landmarks(folder: str | Path, detector: Detector) -> int:
    """Write a text file of 68 landmarks beside each picture below ``folder`` that has none and shows one face.

    Returns:
        How many were written.
    """
    written = 0
    for path in walk_files(Path(folder)):
        if _landmark_file(path) is None and not path.stem.endswith("_mask"):
            faces = detector(np.asarray(read_picture(path)[0]))
            if len(faces) == 1:
                begun = path.with_suffix(".txt.part")  # a file that was broken off would be taken for a whole one
                np.savetxt(begun, faces[0], fmt="%.2f")
                begun.replace(path.with_suffix(".txt"))
                written += 1
    return written


def _reader_of(source: DataSource, kind: type[DataSource]) -> DataSource:
    if not isinstance(source, kind):
        raise DataError(f"{source.name}: expected the folder of the data set itself, with masks beside its pictures")
    return source


def _detector_of(folder: Path) -> Detector:
    """The detector whose model file lies in ``folder``; without one, a detector that needs none.

    Raises:
        DataError: there is no such detector.
    """
    models = [folder / name for name in (MEDIAPIPE_MODEL, DLIB_MODEL)]
    try:
        return find_detector(next((path for path in models if path.is_file()), None))
    except PhotoError as error:
        names = " or ".join(path.name for path in models)
        raise DataError(f"{folder}: the videos need a detector, its model file here as {names}. {error}") from None


def _box_finder(detector: Detector) -> Callable[[np.ndarray], Box | None]:
    """From a picture to the square around its first face, wide enough for the model."""

    def find(picture: np.ndarray) -> Box | None:
        faces = detector(picture)
        if not len(faces):
            return None
        low, high = np.min(faces[0], axis=0), np.max(faces[0], axis=0)
        side = MARGIN * float((high - low).max())
        return (*((low + high - side) / 2), side)

    return find


def _landmark_file(picture: Path) -> Path | None:
    candidates = (picture.with_suffix(ending) for ending in (".txt", ".pts"))
    return next((path for path in candidates if path.is_file()), None)


def _face_mask(picture: Path, box: np.ndarray, size: int) -> Tensor:
    """(1, S, S) bool: the crop of the mask beside a picture, or all of it where there is no mask."""
    path = picture.with_name(f"{picture.stem}_mask.png")
    if not path.is_file():
        return torch.ones(1, size, size, dtype=torch.bool)
    mask, _ = read_picture(path)
    width, height = check_picture(picture)
    if mask.size != (width, height):
        raise PictureError(f"{path}: found {mask.width} x {mask.height} pixels, expected {width} x {height}")
    return torch.from_numpy(square(mask, tuple(box), size)[None, ..., 0] > 127)
