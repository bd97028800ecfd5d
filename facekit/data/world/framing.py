"""Where the head is before the camera: the nominal pose, what varies about it, and how the face fills the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.nuisance import RowSettings
from facekit.data.randomness import row_normal
from facekit.data.sequences import smooth_noise
from facekit.morphable import FaceModel
from facekit.render import rotation_matrix

_TURNS = ("head pitch", "head yaw", "head roll")
_TURN_PERIOD = 60.0  # frames in which the head moves to and fro
_MOST = np.array([45.0, 100.0, 45.0])  # degrees


@dataclass(frozen=True)
class Framing:
    """The camera of a face model: image size in pixels, height of the face and point at the image's centre in mm."""

    size: int
    height: float
    centre: Tensor

    @classmethod
    def of(cls, model: FaceModel, size: int) -> Framing:
        """Height is from the brows to the chin of the average face; the centre lies in the middle of the head."""
        identity = torch.zeros(1, model.num_identity, dtype=model.dtype, device=model.device)
        landmarks = model.shape(identity, model.neutral_expression())[0, model.landmarks].float().cpu()
        top, bottom = float(landmarks[17:27, 1].max()), float(landmarks[8, 1])
        depth = 0.5 * float(landmarks[[0, 16], 2].mean() + landmarks[30, 2])
        return cls(size, top - bottom, torch.tensor([0.0, bottom + 0.58 * (top - bottom), depth]))

    def poses(self, rows: pd.DataFrame, settings: RowSettings, mirrored: np.ndarray) -> Tensor:
        """Pose (B, 6) of the images before any is mirrored."""
        seeds = rows["seed"].to_numpy()
        angles = np.clip(self._angles(rows, settings, mirrored), -_MOST, _MOST)
        draw = row_normal(seeds, "framing", 3)
        fill = settings["fill"] * np.exp(settings["fill_spread"] * draw[:, 0])
        scale = torch.from_numpy(fill * self.size / self.height).float()
        shift = torch.from_numpy(settings["shift"][:, None] * self.size * draw[:, 1:]).float()
        angles = torch.from_numpy(angles).float()
        x, y, _ = (self.centre @ rotation_matrix(angles).mT).unbind(-1)
        middle = self.size / 2
        return torch.cat([angles, torch.stack([scale, middle - scale * x + shift[:, 0],
                                               middle + scale * y + shift[:, 1]], dim=1)], dim=1)  # fmt: skip

    def cameras(self, rows: pd.DataFrame, mirrored: np.ndarray) -> np.ndarray:
        """A number (B,) int64 for the camera of each row, by its nominal yaw: what lies behind the head differs."""
        yaw = np.nan_to_num(_column(rows, "yaw")) * np.where(mirrored, -1.0, 1.0)
        return np.round(yaw).astype(np.int64)

    def _angles(self, rows: pd.DataFrame, settings: RowSettings, mirrored: np.ndarray) -> np.ndarray:
        """Pitch, yaw and roll (B, 3) in degrees: nominal plus jitter, or drawn at large where nothing is published."""
        nominal = np.stack([_column(rows, name) for name in ("pitch", "yaw", "roll")], axis=1)
        nominal[:, 1:] *= np.where(mirrored, -1.0, 1.0)[:, None]
        known = ~np.isnan(nominal)
        vary = row_normal(rows["seed"].to_numpy(), "pose", 3)
        if "sequence" in rows:
            recorded = (rows["sequence"] != "").to_numpy()
            takes = rows["take"].to_numpy()
            frames = np.maximum(rows["frame"].to_numpy(), 0)
            moving = 0.5 * row_normal(takes, "pose", 3) + 0.87 * smooth_noise(takes, frames, _TURNS, _TURN_PERIOD)
            vary = np.where(recorded[:, None], moving, vary)
        return np.nan_to_num(nominal) + vary * np.where(known, settings["pose_jitter"], settings["wild_pose"])


def _column(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy(dtype=np.float64) if name in rows else np.full(len(rows), np.nan)
