"""The settings of difficulty, one typed record for each twin (or for each recording condition of a twin)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from facekit.data.encodings import positions

Range = tuple[float, float]
Angles = tuple[float, float, float]
_SHARES = ("confusion", "confusion_share", "mislabelled", "glasses", "hair", "hand", "compressed", "contrast")


@dataclass(frozen=True)
class Nuisance:
    """How much everything varies that is not the label.  The defaults are those of a tidy studio.

    Lengths in pixels are those of an image 112 pixels wide and grow with the image.
    """

    # The performance
    strength: float = 1.0
    """Multiplies the activation of every expression; below 1 all expressions are weaker than the label's words."""
    strength_spread: float = 0.10
    """Standard deviation of that factor between takes."""
    confusion: float = 0.0
    """Share of takes in which a second expression is mixed in."""
    confusion_share: float = 0.5
    """How much of the mixture it can be at most."""
    mislabelled: float = 0.0
    """Share of takes whose label is wrong: another expression was performed."""
    stray_units: float = 0.03
    """Scale of random activity in action units that do not belong to the expression."""
    gaze: float = 4.0
    """Standard deviation of the gaze direction in degrees."""
    # The head before the camera
    pose_jitter: Angles = (2.0, 2.0, 1.5)
    """Standard deviations of pitch, yaw and roll in degrees about the nominal pose."""
    wild_pose: Angles = (10.0, 25.0, 8.0)
    """The same where no pose is published."""
    fill: float = 0.72
    """Height of the face (brow to chin, see `FaceWorld`) as a share of the image's height."""
    fill_spread: float = 0.03
    """Standard deviation of that share, relative."""
    shift: float = 0.015
    """Standard deviation of the face's place as a share of the image's width."""
    # Light
    contrast: float = 0.75
    """Share of the light that comes from lamps rather than from everywhere, at most."""
    light_spread: float = 35.0
    """Standard deviation of the key lamp's direction in degrees from straight ahead."""
    tint: float = 0.04
    """Standard deviation of the light's colour, relative."""
    exposure_spread: float = 0.08
    """Standard deviation of the exposure in powers of two."""
    # What is around and in front of the face
    clutter: float = 0.1
    """0: a plain wall; 1: a strongly patterned background."""
    glasses: float = 0.0
    """Share of takes with glasses (where the manifest does not say)."""
    hair: float = 0.0
    """Share of takes with hair over the forehead or an eye."""
    hand: float = 0.0
    """Share of takes with a hand before the face."""
    # The camera
    blur: Range = (0.2, 0.4)
    """Standard deviation of the blur in pixels, drawn between these."""
    noise: Range = (0.004, 0.010)
    """Standard deviation of the sensor noise, drawn between these, for images in [0, 1]."""
    compressed: float = 0.0
    """Share of images with visible JPEG compression."""
    quality: Range = (30.0, 80.0)
    """JPEG quality of those, drawn between these."""

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Nuisance.{name} is a share between 0 and 1, found {getattr(self, name)}")
        if self.glasses + self.hair + self.hand > 1.0:
            raise ValueError(
                "Nuisance.glasses, hair and hand are shares of the same takes, so their sum must not exceed 1"
            )
        if not 0.1 <= self.fill <= 2.0:
            raise ValueError(f"Nuisance.fill must lie between 0.1 and 2, found {self.fill}")
        for name in ("blur", "noise", "quality"):
            low, high = getattr(self, name)
            if not 0.0 <= low <= high:
                raise ValueError(f"Nuisance.{name} must be two ascending numbers from 0 up, found {low, high}")


@dataclass(frozen=True)
class RowSettings:
    """The settings of n rows: `settings["fill"]` is (n,), and (n, 2) or (n, 3) where a setting has several numbers."""

    values: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]


def settings_of_rows(settings: Nuisance | Mapping[str, Nuisance], rows: pd.DataFrame) -> RowSettings:
    """The settings of each row, by its `condition` where there are several.

    Raises:
        ValueError: if a row has a condition that the settings do not name.
    """
    if isinstance(settings, Nuisance):
        choices, which = [settings], np.zeros(len(rows), dtype=np.int64)
    else:
        names = list(settings)
        which = positions(rows["condition"], names)
        if (which < 0).any():
            found = rows["condition"].iloc[int(np.flatnonzero(which < 0)[0])]
            raise ValueError(f"there are nuisance settings for {', '.join(names)}, but a row has condition {found!r}")
        choices = list(settings.values())
    return RowSettings({f.name: np.array([getattr(c, f.name) for c in choices])[which] for f in fields(Nuisance)})
