"""Spontaneous faces: which action units occur together, how often, and how they come and go.

A latent-emotion model with Gaussian latents.  Action unit j of a recording at frame t has

    z_j(t) = sum_f  L_jf ( task_f + person_f + g_f(t) )  +  person_j  +  h_j(t)

where the factors f are patterns of muscles that answer together, `task_f` is what the recording's task brings about,
`person_f` and `person_j` are habits, and g, h are slow random motions.  The unit is present where z_j exceeds the
quantile that gives it its published base rate (a Gaussian copula with given margins), and its intensity grows with
the excess.  Below the threshold it fades out rather than vanishing, as in real faces, where coders disagree about the
weakest ones.  All of it is a closed formula of the recording's seed and the frame number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from facekit.data.randomness import derive_seeds, row_normal
from facekit.data.sequences import smooth_noise

FACTORS: tuple[str, ...] = ("smile", "brow raise", "brow knit", "lip press", "grimace", "mouth opening")

LOADINGS: dict[int, tuple[float, ...]] = {
    # smile, brow raise, brow knit, lip press, grimace, mouth opening
    1: (0.0, 1.5, 0.3, 0.0, 0.0, 0.0),
    2: (0.0, 1.6, -0.3, 0.0, 0.0, 0.0),
    4: (-0.2, -0.2, 1.2, 0.1, 0.4, 0.0),
    5: (0.0, 0.9, -0.2, 0.0, 0.0, 0.4),
    6: (1.5, 0.0, 0.1, 0.0, 0.5, 0.0),
    7: (0.9, -0.3, 0.5, 0.0, 0.6, 0.0),
    9: (0.1, -0.2, 0.4, 0.0, 1.3, 0.0),
    10: (1.2, 0.0, 0.0, -0.2, 0.8, 0.2),
    12: (1.7, 0.0, -0.2, -0.1, 0.1, 0.1),
    14: (0.7, 0.0, 0.1, 0.6, 0.0, -0.1),
    15: (-0.3, 0.1, 0.3, 0.9, 0.2, -0.2),
    17: (-0.1, 0.1, 0.2, 1.2, 0.2, -0.2),
    20: (0.0, 0.3, 0.3, 0.1, 0.6, 0.3),
    23: (0.0, 0.0, 0.2, 1.0, 0.0, -0.1),
    24: (-0.2, 0.0, 0.1, 1.1, -0.1, -0.5),
    25: (0.6, 0.2, 0.0, -0.7, 0.2, 1.2),
    26: (0.1, 0.4, 0.0, -0.3, 0.0, 1.2),
}
"""Action unit -> weight of each factor of FACTORS; the rest of its variance (1, plus habit) is its own."""

TASKS: dict[str, tuple[float, ...]] = {
    "happiness": (1.1, 0.1, -0.4, -0.3, -0.2, 0.3),
    "sadness": (-1.0, -0.2, 0.6, 0.2, -0.3, -0.5),
    "surprise": (0.3, 0.8, -0.2, -0.2, 0.0, 0.5),
    "nervousness": (0.7, 0.1, -0.2, 0.3, 0.0, 0.1),
    "fear": (0.0, 0.2, 0.2, 0.0, 0.2, 0.1),
    "pain": (0.3, -0.2, 0.6, 0.1, 0.9, 0.1),
    "anger": (-0.5, -0.3, 0.3, 0.4, -0.1, -0.1),
    "disgust": (0.1, -0.2, 0.4, 0.2, 0.7, 0.0),
    "neutral": (-0.8, -0.4, -0.2, -0.2, -0.5, -0.2),
}
"""What a recording is meant to bring about -> mean of each factor."""

FACTOR_HABIT, UNIT_HABIT = 0.5, 0.5  # standard deviations between people
FACTOR_PERIOD, UNIT_PERIOD = 110.0, 70.0  # frames in which a motion changes
BOUNDARIES = (0.10, 0.25, 0.45, 0.65, 0.85)
"""Intensity from which FACS levels 1 (A) to 5 (E) are coded."""


@dataclass(frozen=True)
class SpontaneousProcess:
    """Action-unit intensities of a spontaneous recording.

    Args:
        rates: action unit -> share of frames in which it is present, over the tasks in equal parts.
        tasks: names from TASKS; the recordings' task numbers count from 1.
        present_from: intensity at which the rate is counted: present means at least this intensity.
    """

    rates: tuple[tuple[int, float], ...]
    tasks: tuple[str, ...]
    present_from: float = BOUNDARIES[1]

    @cached_property
    def units(self) -> tuple[int, ...]:
        return tuple(unit for unit, _ in self.rates)

    def intensities(
        self, person: ArrayLike, take: ArrayLike, task: ArrayLike, frame: ArrayLike, units: ArrayLike | None = None
    ) -> np.ndarray:
        """Intensities (N, K) in [0, 1] of `units` (all that have a rate, if None); the other arguments are (N,)."""
        chosen = self.units if units is None else tuple(units)
        threshold, spread = np.array([self._margins[unit] for unit in chosen]).T
        excess = (self._latent(person, take, task, frame, chosen) - threshold) / spread
        above = self.present_from + (1.0 - self.present_from) * (1.0 - np.exp(-np.maximum(excess, 0.0) / 0.9))
        below = self.present_from * np.exp(3.0 * np.minimum(excess, 0.0))
        return np.where(excess >= 0.0, above, below)

    def _latent(
        self, person: ArrayLike, take: ArrayLike, task: ArrayLike, frame: ArrayLike, units: tuple[int, ...]
    ) -> np.ndarray:
        factors = smooth_noise(take, frame, FACTORS, FACTOR_PERIOD)
        own = smooth_noise(take, frame, [f"AU{unit}" for unit in units], UNIT_PERIOD)
        return self._combine(person, task, factors, own, units)

    def _combine(
        self, person: ArrayLike, task: ArrayLike, factors: np.ndarray, own: np.ndarray, units: tuple[int, ...]
    ) -> np.ndarray:
        """z_j (N, K) from the motions of factors (N, F) and of units (N, K)."""
        people, of_person = np.unique(np.asarray(person, dtype=np.int64), return_inverse=True)
        habit = FACTOR_HABIT * row_normal(people, "factor habit", len(FACTORS))[of_person]
        own_habit = np.concatenate([row_normal(people, f"AU{unit} habit") for unit in units], axis=1)[of_person]
        means = np.array([TASKS[name] for name in self.tasks])[np.asarray(task, dtype=np.int64) - 1]
        drive, latent = means + habit + factors, own + UNIT_HABIT * own_habit
        for f, weights in enumerate(zip(*(LOADINGS[unit] for unit in units), strict=True)):
            latent = latent + drive[:, f : f + 1] * np.array(weights)
        return latent

    @cached_property
    def _margins(self) -> dict[int, tuple[float, float]]:
        """Threshold and standard deviation of z_j over a large reference population, always the same one."""
        rows = np.arange(40_000)
        person = derive_seeds(rows, "reference person")
        motions = row_normal(person, "reference motion", len(FACTORS) + len(self.units))
        factors, own = np.split(motions, [len(FACTORS)], axis=1)
        latent = self._combine(person, rows % len(self.tasks) + 1, factors, own, self.units)
        thresholds = [np.quantile(latent[:, j], 1.0 - rate) for j, (_, rate) in enumerate(self.rates)]
        return dict(zip(self.units, zip(thresholds, latent.std(axis=0), strict=True), strict=True))


def facs_levels(intensities: ArrayLike) -> np.ndarray:
    """FACS levels int64 0 (absent), 1 (A) to 5 (E) of intensities in [0, 1]."""
    return np.searchsorted(np.array(BOUNDARIES), np.asarray(intensities), side="right")


BP4D_RATES: dict[int, float] = {
    unit: frames / 146_847
    for unit, frames in {
        1: 31_042, 2: 25_110, 4: 29_755, 6: 67_676, 7: 80_616, 10: 87_270,
        12: 82_530, 14: 68_375, 15: 24_869, 17: 50_406, 23: 24_288, 24: 22_229,
    }.items()
}  # fmt: skip
"""BP4D: frames of 146,847 in which the unit is coded present."""

DISFA_RATES: dict[int, float] = {1: 0.050, 2: 0.043, 4: 0.152, 6: 0.079, 9: 0.042, 12: 0.129, 25: 0.277, 26: 0.088}
"""DISFA: share of frames with level 2 or more, rounded."""

_UNCODED = {5: 0.04, 9: 0.05, 20: 0.04, 25: 0.35, 26: 0.10}
_UNCODED_DISFA = {5: 0.02, 7: 0.10, 10: 0.05, 14: 0.08, 15: 0.03, 17: 0.06, 20: 0.02, 23: 0.03, 24: 0.04}

BP4D_TASKS = ("happiness", "sadness", "surprise", "nervousness", "fear", "pain", "anger", "disgust")
"""Tasks 1 to 8; task 4, embarrassment, goes by nervousness in studies of the eight expressions."""

DISFA_SEGMENTS = ("neutral", "happiness", "surprise", "neutral", "fear", "disgust", "sadness", "neutral", "surprise")
"""Everybody watches the same video; its segments take the place of tasks."""

SPONTANEOUS: dict[str, SpontaneousProcess] = {
    "bp4d": SpontaneousProcess(tuple((BP4D_RATES | _UNCODED).items()), BP4D_TASKS),
    "disfa": SpontaneousProcess(tuple((DISFA_RATES | _UNCODED_DISFA).items()), DISFA_SEGMENTS),
}
"""Name of each twin of spontaneous faces to the process that moves them."""
