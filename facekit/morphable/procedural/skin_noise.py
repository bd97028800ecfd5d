"""Smooth random fields over the canonical plane: unevenness of skin, grain of hair."""

from __future__ import annotations

import numpy as np

from facekit.morphable.procedural.layout import Array

NUM_WAVES = 32
#: Wavelengths in mm, shortest and longest.
COARSE, FINE, GRAIN, BROW_HAIRS = (12.0, 60.0), (1.8, 6.0), (0.9, 4.5), (0.8, 2.4)


def waves(points: Array, spacing: Array, lengths: tuple[float, float], count: int, seed: int) -> Array:
    """Smooth random fields (count, N) of unit variance with wavelengths (mm) in the given range.

    Sums of plane waves; waves shorter than twice the spacing fade out.
    """
    rng = np.random.default_rng(seed)
    length = np.exp(rng.uniform(*np.log(lengths), size=(count, NUM_WAVES)))
    angle, phase = rng.uniform(0, 2 * np.pi, size=(2, count, NUM_WAVES))
    wave = 2 * np.pi / length[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    shown = np.exp(-((1.6 * spacing / length[..., None]) ** 2))
    return (np.cos(wave @ points.T + phase[..., None]) * shown).sum(axis=1) / np.sqrt(NUM_WAVES / 2)
