"""Lights of portraits as spherical harmonics: a key lamp, a fill lamp and the room; or one of Multi-PIE's flashes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from facekit.data.nuisance.settings import RowSettings
from facekit.data.randomness import row_normal, row_uniform
from facekit.render import ambient_light, directional_light, sh_irradiance


def random_lights(takes: ArrayLike, settings: RowSettings) -> Tensor:
    """Lights (N, 9, 3), float32, one for each take seed (N,).

    A key lamp about straight ahead and above, a weaker fill lamp from the other side, and light from everywhere, each
    with a tint; scaled so that a face turned to the viewer is lit evenly enough, up to the exposure.
    """
    share, fill = row_uniform(takes, "lamp shares", 2).T
    aim = row_normal(takes, "lamp directions", 4)
    tints = np.exp(settings["tint"][:, None] * row_normal(takes, "tints", 6))
    directed = settings["contrast"] * (0.6 + 0.4 * share)
    azimuth = np.clip(settings["light_spread"] * aim[:, 0], -100, 100)
    elevation = np.clip(25.0 + 0.5 * settings["light_spread"] * aim[:, 1], -40, 75)
    key = directional_light(_direction(azimuth, elevation), _colour(directed, tints[:, :2]))
    side = -np.sign(azimuth) * (45.0 + 20.0 * np.abs(aim[:, 2]))
    light = key + directional_light(_direction(side, 0.4 * elevation), _colour(0.35 * fill * directed, tints[:, 2:4]))
    light = light + ambient_light(_colour(1.0 - directed, tints[:, 4:]))
    exposure = 2.0 ** (settings["exposure_spread"] * aim[:, 3])
    return light * (torch.from_numpy(exposure).float() / _on_the_face(light))[:, None, None]


FLASHES = 18


def flash_lights(takes: ArrayLike, flash: ArrayLike, settings: RowSettings) -> Tensor:
    """Lights (N, 9, 3) of a studio with numbered flashes: `flash` (N,) is 1 to 18, 0 and 19 the room alone.

    Thirteen flashes stand in a half circle at the height of the head, five above them.
    """
    flash = np.asarray(flash, dtype=np.int64)
    azimuth = np.concatenate([[0.0], np.linspace(-90, 90, 13), np.linspace(-60, 60, 5), [0.0]])[flash]
    elevation = np.concatenate([[0.0], np.full(13, 5.0), np.full(5, 45.0), [0.0]])[flash]
    fired = ((flash > 0) & (flash <= FLASHES)).astype(np.float64)
    tints = np.exp(settings["tint"][:, None] * row_normal(takes, "tints", 4))
    room = ambient_light(_colour(np.full(len(flash), 0.45), tints[:, :2]))
    lamp = directional_light(_direction(azimuth, elevation), _colour(0.75 * fired, tints[:, 2:]))
    above = directional_light(_direction(0 * azimuth, 60.0 + 0 * azimuth), _colour(0.25 + 0 * azimuth, tints[:, :2]))
    exposure = 2.0 ** (settings["exposure_spread"] * row_normal(takes, "flash exposure")[:, 0])
    return (room + lamp + above) * torch.from_numpy(exposure).float()[:, None, None]


def _direction(azimuth: np.ndarray, elevation: np.ndarray) -> Tensor:
    """Unit vectors (N, 3) towards a lamp: azimuth in degrees from +z towards +x, elevation towards +y."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    level = np.cos(elevation)
    vectors = np.stack([np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level], axis=1)
    return torch.from_numpy(vectors).float()


def _colour(strength: np.ndarray, tint: np.ndarray) -> Tensor:
    """RGB (N, 3) of a strength (N,) with red and blue multiplied by a tint (N, 2)."""
    rgb = strength[:, None] * np.stack([tint[:, 0], np.ones(len(tint)), tint[:, 1]], axis=1)
    return torch.from_numpy(rgb).float()


def _on_the_face(light: Tensor) -> Tensor:
    """Mean irradiance over pi (N,) on the directions that the front of a face has."""
    azimuth, elevation = np.meshgrid([-55.0, -20.0, 20.0, 55.0], [-35.0, 0.0, 35.0])
    normals = _direction(azimuth.ravel(), elevation.ravel())
    return sh_irradiance(normals.expand(len(light), -1, -1), light).clamp(min=0.0).mean(dim=(1, 2))
