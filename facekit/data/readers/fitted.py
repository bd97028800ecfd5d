"""Photographs with a fitted face model: what 300W-LP and AFLW2000-3D (Zhu et al., 2016) share.

Beside each picture lies a .mat file with the coefficients of the Basel Face Model 2009, the pose and the landmarks.
Vertices S of the model (micrometres) are seen at f R S + t, y counted upwards from the bottom of the picture, where

    R = R_x(pitch) R_y(yaw) R_z(roll)   with rotations clockwise as seen along the axis towards the origin,

the transpose of our rotations and in another order, so that poses are converted through the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.formats import FormatError, read_mat, require_numbers
from facekit.data.readers import Inventory
from facekit.data.readers.landmark_files import to_crop
from facekit.data.readers.photographs import PhotoSource
from facekit.data.readers.pictures import Box
from facekit.data.readers.text_files import beside, file_stamp, reason_of
from facekit.data.sources import Sample
from facekit.render import rotation_angles, rotation_matrix

MICROMETRES = 1000.0  # in a millimetre
COEFFICIENTS = {"Shape_Para": 199, "Exp_Para": 29, "Tex_Para": 199, "Illum_Para": 10, "Color_Para": 7}
"""Arrays of a .mat file that a batch passes on, in lower case (`shape_para` (B, 199), ...), and their lengths."""


LARGEST = 1e9  # a thousand times the largest coefficient of the data sets
REQUIRED = ("Shape_Para", "Exp_Para")


@dataclass(frozen=True)
class Fit:
    """One .mat file: `pose_para (7,)`, `coefficients` by name and `points (68, 2)` (counted from 1), all as stored."""

    pose_para: np.ndarray
    coefficients: dict[str, np.ndarray]
    points: np.ndarray


def read_fit(path: Path) -> Fit:
    """Reads a .mat file of 300W-LP or AFLW2000-3D.

    Raises:
        FormatError: if it cannot be read, lacks an array, or one has another size or a value that is not finite.
    """
    return _remembered_fit(path, file_stamp(path))


@lru_cache(maxsize=2048)
def _remembered_fit(path: Path, _stamp: tuple[int, int]) -> Fit:
    arrays = read_mat(path)
    pose = _array(path, arrays, "Pose_Para", 7)
    coefficients = {
        name: _array(path, arrays, name, size) if name in arrays or name in REQUIRED else np.full(size, np.nan)
        for name, size in COEFFICIENTS.items()
    }
    if "pt3d_68" in arrays:
        points = _array(path, arrays, "pt3d_68", 204).reshape(3, 68)[:2]
    else:
        points = _array(path, arrays, "pt2d", 136).reshape(2, 68)
    return Fit(pose, {name.lower(): values.astype(np.float32) for name, values in coefficients.items()}, points.T)


def _array(path: Path, arrays: dict[str, Any], name: str, size: int) -> np.ndarray:
    values = require_numbers(arrays, name, path).astype(np.float64)
    if values.size != size:
        raise FormatError(f"{path}: {name!r} has {values.size} numbers, expected {size}")
    if np.abs(values).max() > LARGEST:
        raise FormatError(f"{path}: {name!r} holds {np.abs(values).max():g}, expected at most {LARGEST:g}")
    return (values.T if values.ndim == 2 and values.shape[0] == 68 else values).reshape(
        -1
    )  # some copies are transposed


def book_poses(pose_para: np.ndarray, height: float) -> Tensor:
    """Pose (B, 6) in the book's convention from `Pose_Para` (B, 7) of pictures `height` pixels high.

    The stored values are pitch, yaw and roll in radians, the translation in pixels, and the scale in pixels for each
    micrometre.  Pixels there are numbered from 1; here the first pixel's centre is at 0.5.
    """
    stored = torch.from_numpy(np.asarray(pose_para, dtype=np.float64))
    pitch, yaw, roll = torch.rad2deg(stored[:, :3]).unbind(-1)
    zero = torch.zeros_like(pitch)
    about_x = rotation_matrix(torch.stack([-pitch, zero, zero], -1))
    about_y = rotation_matrix(torch.stack([zero, -yaw, zero], -1))
    about_z = rotation_matrix(torch.stack([zero, zero, -roll], -1))
    angles = _upright(rotation_angles(about_x @ about_y @ about_z))
    placed = torch.stack([MICROMETRES * stored[:, 6], stored[:, 3] - 0.5, height + 0.5 - stored[:, 4]], -1)
    return torch.cat([angles, placed], -1).float()


def _upright(angles: Tensor) -> Tensor:
    """The same rotations with a pitch within 90 degrees, so that a head beyond the profile keeps a yaw beyond 90."""
    pitch, yaw, roll = angles.unbind(-1)
    other = torch.stack([pitch - 180.0 * pitch.sign(), 180.0 * yaw.sign() - yaw, roll - 180.0 * roll.sign()], -1)
    return torch.where(pitch.abs()[..., None] > 90.0, other, angles)


class FittedSource(PhotoSource):
    """Photographs with their fits.  A batch also holds

    `landmarks` (B, 68, 2) in pixels of the crop, `pose` (B, 6) of the fitted model before the crop's camera,
    `published_angles` (B, 3), pitch, yaw and roll in degrees as they are stored (head-pose papers compare these), and
    the coefficients `shape_para`, `exp_para`, `tex_para`, `illum_para` and `color_para` (NaN where a file lacks one of
    the last three); `facekit.morphable`'s Basel models turn the first two into codes (`codes_from_300wlp`).
    """

    def fit(self, row: Any) -> Fit:
        return read_fit(beside(self.root / row.path, ".mat"))

    def face(self, row: Any) -> tuple[Tensor | None, Box | None]:
        return torch.from_numpy(self.fit(row).points - 0.5), None

    def more(self, rows: pd.DataFrame, boxes: np.ndarray) -> Sample:
        fits = [self.fit(row) for row in rows.itertuples()]
        stored = np.stack([fit.pose_para for fit in fits])
        corner, side = torch.from_numpy(boxes[:, :2]).float(), torch.from_numpy(boxes[:, 2:]).float()
        zoom = self.image_size / side
        points = torch.from_numpy(np.stack([fit.points for fit in fits]) - 0.5)
        pose = book_poses(stored, self.picture_height)
        names = fits[0].coefficients
        return {
            "landmarks": to_crop(points, boxes, self.image_size),
            "pose": torch.cat([pose[:, :3], pose[:, 3:4] * zoom, (pose[:, 4:] - corner) * zoom], -1),
            "published_angles": torch.from_numpy(np.rad2deg(stored[:, :3])).float(),
        } | {name: torch.from_numpy(np.stack([fit.coefficients[name] for fit in fits])) for name in names}

    picture_height = 450
    """All pictures of both data sets are 450 pixels high."""


def fitted_angles(file: Path, inventory: Inventory) -> tuple[np.ndarray, np.ndarray] | None:
    """Pitch, yaw, roll in degrees of a picture, in the book's convention and as stored; None where the fit is unusable.

    The inventory then says why.
    """
    fit = beside(file, ".mat")
    if not fit.is_file():
        inventory.miss(file, "there is no .mat file beside the picture")
        return None
    try:
        stored = read_fit(fit).pose_para[None]
    except FormatError as error:
        inventory.corrupt(fit, reason_of(error, fit))
        return None
    return book_poses(stored, FittedSource.picture_height)[0, :3].numpy(), np.rad2deg(stored[0, :3])
