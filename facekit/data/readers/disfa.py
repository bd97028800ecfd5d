"""DISFA (Mavadati et al., 2013): 27 people watch a video, with the levels 0 to 5 of twelve action units in each frame.

`ActionUnit_Labels/SN001/SN001_au1.txt` holds lines `frame,level`, frames counted from 1.  Pictures are frames of
`Videos_LeftCamera/LeftVideoSN001_comp.avi`, or files that the user has taken out of them, one folder for each person.
`Landmark_Points/SN001/tmp_frame_lm/SN001_0000_lm.mat` holds 66 points of a frame, files counted from 0.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from facekit.data.folds import PUBLISHED_FOLDS
from facekit.data.formats import FormatError, read_mat, require_numbers
from facekit.data.readers import Inventory
from facekit.data.readers.landmark_files import from_66, to_crop
from facekit.data.readers.level_files import read_levels
from facekit.data.readers.photographs import PhotoSource, keep_subjects, photo_table, require_folder, usable, walk_files
from facekit.data.readers.pictures import Box
from facekit.data.readers.text_files import file_stamp
from facekit.data.readers.videos import VIDEO_ENDINGS, count_frames, has_opencv, read_frame
from facekit.data.sources import DataError, Sample

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
BAD_LANDMARKS: dict[str, tuple[tuple[int, int], ...]] = {
    "SN001": ((398, 420), (3190, 3243)), "SN002": ((800, 826),), "SN004": ((4541, 4555),), "SN006": ((1349, 1405),),
    "SN009": ((1736, 1808), (1851, 1885)), "SN011": ((4529, 4533), (4830, 4845)),
    "SN021": ((574, 616), (985, 1164), (1190, 1205), (1305, 1338), (1665, 1710), (1862, 2477), (2554, 4657),
              (4710, 4722)),
    "SN023": ((1021, 1049), (3378, 3557), (3584, 3668), (4547, 4621), (4741, 4772), (4825, 4845)),
    "SN025": ((4596, 4662), (4816, 4835)), "SN027": ((3461, 3494), (4738, 4785)), "SN028": ((1875, 1885), (4571, 4690)),
    "SN029": ((4090, 4543),), "SN030": ((939, 962), (1406, 1422), (2100, 2132), (2893, 2955)),
}  # fmt: skip
"""Frames, counted from 1, first and last, whose published landmarks lie beside the face; another frame's stand in."""

_LABELS = re.compile(r"(SN\d{3})_au(\d{1,2})\.txt", re.IGNORECASE)
_VIDEO = re.compile(r"(left|right)video(SN\d{3})_comp", re.IGNORECASE)
_SUBJECT = re.compile(r"SN\d{3}", re.IGNORECASE)
_POINTS = re.compile(r"(SN\d{3}_|l0?)(\d{4,5})_lm\.mat", re.IGNORECASE)


class DisfaSource(PhotoSource):
    """Frames of DISFA, out of pictures or videos, cut out by the landmarks where there are landmarks.

    If every person has landmarks, a batch also holds `landmarks` (B, 68, 2) in pixels of the crop, and
    `landmarks_visible` (B, 68) bool, False in frames whose own landmarks are missing or known to be wrong: those of the
    nearest good frame stand in.
    """

    def __init__(
        self, table: pd.DataFrame, root: Path, inventory: Inventory, points: dict[str, dict[int, Path]], **more
    ):
        super().__init__(table, root, inventory, name="DISFA", **more)
        self._points = points
        self._with_points = {name: np.array(sorted(frames)) for name, frames in points.items()}
        self._has_landmarks = set(self.people) <= set(points)
        for name in sorted(set(self.people) - set(points)):
            inventory.miss(f"Landmark_Points/{name}", "the person has no landmarks")

    def picture(self, row: Any) -> tuple[Image.Image, float]:
        if Path(row.path).suffix.lower() not in VIDEO_ENDINGS:
            return super().picture(row)
        return Image.fromarray(read_frame(self.root / row.path, int(row.frame))), 1.0

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        """The landmarks of the frame, or of the nearest one of the recording that has good ones."""
        frames = self._with_points.get(row.subject, np.zeros(0, dtype=np.int64))
        if not len(frames):
            return None, None
        nearest = int(frames[np.abs(frames - int(row.frame)).argmin()])
        file = self._points[row.subject][nearest]
        return torch.from_numpy(_read_points(file, file_stamp(file)) - 0.5), None

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> Sample:
        if not self._has_landmarks:
            return {}
        points = [self.face(row)[0] for row in rows.itertuples()]
        own = [int(row.frame) in self._points[row.subject] for row in rows.itertuples()]
        return {
            "landmarks": to_crop(torch.stack(points), boxes, self.image_size),
            "landmarks_visible": torch.tensor(own)[:, None].expand(-1, 68).clone(),
        }


def open_dataset(
    path: str | Path,
    image_size: int = 112,
    subjects: int | None = None,
    verify: str = "none",
    camera: str = "left",
    first_frame: int | None = None,
    **options: Any,
) -> DisfaSource:
    """The labelled frames below `path`.

    Pictures are taken where a folder named after a person (SN001) holds numbered ones (and no folder above it is named
    after the other camera), videos of the `camera` (left or right) elsewhere, which needs OpenCV.  `first_frame` is the
    number of the first picture; None takes 0 if a picture has that number and 1 otherwise.  The action units' columns
    hold levels 0 to 5; papers count 2 and more as present.
    """
    if camera not in ("left", "right"):
        raise DataError(f"DISFA has the cameras left and right, asked for {camera!r}")
    root = require_folder(path, "DISFA")
    inventory = Inventory("disfa", root)
    levels = _levels(root, inventory)
    pictures, videos = _pictures(root, camera, first_frame), _videos(root, camera)
    parts = []
    for subject in sorted(levels)[: subjects or None]:
        frames = _frames(subject, levels[subject], pictures, videos, root, inventory)
        kept = {frame: file for frame, file in frames.items() if frame in levels[subject].index}
        kept = {frame: file for frame, file in kept.items() if _usable(file, verify, inventory)}
        parts.append((subject, kept, levels[subject].loc[list(kept)]))
    table = keep_subjects(_table(root, [part for part in parts if part[1]]), subjects)
    points = _landmark_files(root)
    points = _readable(points, inventory) if verify == "pixels" else points
    return DisfaSource(table, root, inventory, points, image_size=image_size, **options)


def _levels(root: Path, inventory: Inventory) -> dict[str, pd.DataFrame]:
    """Person -> levels (frames counted from 0) x (action units), NaN where a file says nothing."""
    columns: dict[str, dict[str, pd.Series]] = {}
    for file in walk_files(root, (".txt",)):
        match = _LABELS.fullmatch(file.name)
        if match is None or int(match.group(2)) not in UNITS:
            inventory.ignore(file, "not a name of a label file")
            continue
        levels = read_levels(file, inventory)
        columns.setdefault(match.group(1).upper(), {})[f"AU{int(match.group(2))}"] = levels
    tables = {}
    for subject, units in columns.items():
        for unit in UNITS:
            if f"AU{unit}" not in units:
                inventory.miss(f"{subject}_au{unit}.txt", "there is no such label file")
        tables[subject] = pd.DataFrame(units).sort_index().reindex(columns=[f"AU{unit}" for unit in UNITS])
        _note_short_files(subject, tables[subject][list(units)], inventory)
    return tables


def _note_short_files(subject: str, levels: pd.DataFrame, inventory: Inventory) -> None:
    """Notes label files that end before the person's others; some of the release are one frame shorter."""
    counts = levels.notna().sum()
    for name, count in counts[counts < counts.max() - 1].items():
        absent = f"{counts.max() - count} of {counts.max()} frames have no level"
        inventory.miss(f"{subject}_{name.lower()}.txt", absent)


def _pictures(root: Path, camera: str, first_frame: int | None) -> dict[str, dict[int, Path]]:
    """Person -> frame, counted from 0 -> picture."""
    numbered: dict[str, dict[int, Path]] = {}
    other = "right" if camera == "left" else "left"
    for file in walk_files(root):
        digits = re.search(r"(\d{1,6})$", file.stem)
        folders = file.relative_to(root).parts[:-1]
        people = [part for part in folders if _SUBJECT.fullmatch(part)]
        if digits and people and not any(other in part.lower() for part in folders):
            numbered.setdefault(people[-1].upper(), {})[int(digits.group(1))] = file
    if first_frame is None:
        first_frame = 0 if any(0 in frames for frames in numbered.values()) else 1
    return {name: {frame - first_frame: file for frame, file in frames.items()} for name, frames in numbered.items()}


def _videos(root: Path, camera: str) -> dict[str, Path]:
    matches = ((_VIDEO.fullmatch(file.stem), file) for file in walk_files(root, VIDEO_ENDINGS))
    return {found.group(2).upper(): file for found, file in matches if found and found.group(1).lower() == camera}


def _frames(
    subject: str,
    levels: pd.DataFrame,
    pictures: dict[str, dict[int, Path]],
    videos: dict[str, Path],
    root: Path,
    inventory: Inventory,
) -> dict[int, Path]:
    """Frame -> the file that shows it; the inventory counts labelled frames that nothing shows."""
    if subject in pictures:
        shown = pictures[subject]
    elif subject not in videos:
        inventory.miss(subject, "there are labels, but neither pictures nor a video")
        return {}
    elif not has_opencv():
        inventory.skip(videos[subject], "reading a video needs OpenCV; install it or take the frames out beforehand")
        return {}
    else:
        shown = dict.fromkeys(range(count_frames(videos[subject], inventory)), videos[subject])
    for frame in levels.index.difference(list(shown)):
        inventory.miss(f"{subject}, frame {frame + 1}", "labelled, but not shown")
    return shown


def _usable(file: Path, verify: str, inventory: Inventory) -> bool:
    return file.suffix.lower() in VIDEO_ENDINGS or usable(file, verify, inventory)


def _table(root: Path, parts: list[tuple[str, dict[int, Path], pd.DataFrame]]) -> pd.DataFrame:
    fold = {name: number for number, part in enumerate(PUBLISHED_FOLDS["disfa"], start=1) for name in part}
    subject = [name for name, files, _ in parts for _ in files]
    levels = pd.concat([part for _, _, part in parts]) if parts else pd.DataFrame({f"AU{unit}": [] for unit in UNITS})
    return photo_table({
        "path": [file.relative_to(root).as_posix() for _, files, _ in parts for file in files.values()],
        "subject": subject, "expression": "", "pitch": np.nan, "yaw": np.nan, "roll": np.nan,
        "fold": [fold.get(name, -1) for name in subject], "sequence": subject,
        "frame": [frame for _, files, _ in parts for frame in files],
    } | {name: levels[name].to_numpy() for name in levels}, len(subject))  # fmt: skip


def _landmark_files(root: Path) -> dict[str, dict[int, Path]]:
    """Person -> frame, counted from 0 -> file of its landmarks, without the frames known to be wrong."""
    found: dict[str, dict[int, Path]] = {}
    for file in walk_files(root, ("_lm.mat",)):
        match = _POINTS.fullmatch(file.name)
        people = [part.upper() for part in file.relative_to(root).parts[:-1] if _SUBJECT.fullmatch(part)]
        if match and people:
            counts_from = 1 if match.group(1).lower().startswith("l") else 0
            frame = int(match.group(2)) - counts_from
            ranges = BAD_LANDMARKS.get(people[-1], ())
            if not any(first <= frame + 1 <= last for first, last in ranges):
                found.setdefault(people[-1], {})[frame] = file
    return found


def _readable(points: dict[str, dict[int, Path]], inventory: Inventory) -> dict[str, dict[int, Path]]:
    """The files of landmarks that can be read; the inventory says what is wrong with the others."""
    found: dict[str, dict[int, Path]] = {}
    for name, files in points.items():
        for frame, file in files.items():
            try:
                _read_points(file, file_stamp(file))
            except FormatError as error:
                inventory.corrupt(file, str(error))
            else:
                found.setdefault(name, {})[frame] = file
    return found


@lru_cache(maxsize=512)
def _read_points(path: Path, _stamp: tuple[int, int]) -> np.ndarray:
    """(68, 2) points in pixels, counted from 1."""
    return from_66(require_numbers(read_mat(path), "pts", path, (66, 2)).astype(np.float64))
