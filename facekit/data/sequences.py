"""How faces move in time: onset, apex and offset; speech; and the small motions that never stop.

Every curve is a closed formula of a recording's seed and the frame number.  A frame can therefore be made without the
frames before it, and frame 73 of a recording is the same whether the whole recording or only that frame is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from facekit.data.randomness import derive_seeds, row_normal, row_uniform

PHASES: tuple[str, ...] = ("neutral", "onset", "apex", "offset")

_CHUNK = 1024  # rows of the cosine table held at once, so that it stays in the processor's cache


def minimum_jerk(t: ArrayLike) -> np.ndarray:
    """6 t^5 - 15 t^4 + 10 t^3: from 0 at t = 0 to 1 at t = 1 with no speed or acceleration at either end.

    The path of least jerk, a usual description of how muscles move a body part from rest to rest.
    """
    t = np.clip(np.asarray(t, dtype=np.float64), 0.0, 1.0)
    return t**3 * (10.0 + t * (6.0 * t - 15.0))


def episode_times(takes: ArrayLike) -> np.ndarray:
    """When onset begins and ends and offset begins and ends (N, 4), as fractions of the recording, ascending.

    Onsets are faster than offsets; every recording begins and ends with some neutral frames.
    """
    u = row_uniform(takes, "episode times", 4)
    onset_start = 0.05 + 0.13 * u[:, 0]
    onset_end = onset_start + 0.14 + 0.14 * u[:, 1]
    offset_end = 0.97 - 0.14 * u[:, 2]
    offset_start = offset_end - (0.18 + 0.16 * u[:, 3])
    return np.stack([onset_start, onset_end, offset_start, offset_end], axis=1)


def episode(takes: ArrayLike, time: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Activation (N,) in [0, 1] and phase (N,) int64 (position in PHASES) at `time` (N,), a fraction of the recording.

    Neutral, onset (minimum jerk), apex, offset (minimum jerk), neutral again.
    """
    start, end, release, rest = episode_times(takes).T
    time = np.asarray(time, dtype=np.float64)
    rising = minimum_jerk((time - start) / (end - start))
    falling = minimum_jerk((time - release) / (rest - release))
    phase = np.select([time < start, time < end, time < release, time < rest], [0, 1, 2, 3], default=0)
    return rising - falling, phase


def smooth_noise(
    takes: ArrayLike, frames: ArrayLike, streams: Sequence[str], period: float, waves: int = 6
) -> np.ndarray:
    """Slow random motions (N, S), one for each stream, about standard normal at each frame.

    A sum of cosines with frequencies and phases drawn from the recording's seed: random Fourier features of a
    Gaussian process with the covariance exp(-2 (pi dt / period)^2), so that frames `period` / 4 apart still have a
    correlation of 0.3.  `takes` and `frames` are (N,).
    """
    takes = np.asarray(takes, dtype=np.int64)
    frames = np.asarray(frames, dtype=np.float64)
    distinct, where = np.unique(takes, return_inverse=True)
    frequency = np.stack([row_normal(distinct, f"{s} frequency", waves) for s in streams], axis=1) / period
    phase = np.stack([row_uniform(distinct, f"{s} phase", waves) for s in streams], axis=1)
    curves = np.empty((len(takes), len(streams)))
    for start in range(0, len(takes), _CHUNK):
        part = slice(start, start + _CHUNK)
        turns = frequency[where[part]] * frames[part, None, None] + phase[where[part]]
        curves[part] = np.cos(2.0 * np.pi * turns).sum(axis=2)
    return curves * np.sqrt(2.0 / waves)


def blinks(takes: ArrayLike, frames: ArrayLike) -> np.ndarray:
    """Lid closure (N,) in [0, 1]: a blink of seven frames every two to six seconds of a recording."""
    takes = np.asarray(takes, dtype=np.int64)
    every, first = 50.0 + 100.0 * row_uniform(takes, "blink", 2).T
    since = np.mod(np.asarray(frames, dtype=np.float64) + first, every)
    return np.clip(1.0 - np.abs(since - 3.5) / 3.5, 0.0, 1.0)


SOUND_FRAMES = (2.2, 4.6)
"""Shortest and longest time from one mouth shape to the next, in frames of 1/25 s."""


def spoken_visemes(takes: ArrayLike, frames: ArrayLike, num_visemes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mouth shape before and after each frame (N, 2) int64, and how much of each (N, 2), which sum to one.

    A recording is an endless chain of sounds: sound k of a recording is drawn from its seed, never twice the same in
    a row, and the mouth glides between neighbouring targets (minimum jerk), as in coarticulated speech.
    """
    takes = np.asarray(takes, dtype=np.int64)
    frames = np.asarray(frames, dtype=np.float64)
    step = SOUND_FRAMES[0] + (SOUND_FRAMES[1] - SOUND_FRAMES[0]) * row_uniform(takes, "speaking rate")[:, 0]
    position = frames / step
    sound = np.floor(position).astype(np.int64)
    glide = minimum_jerk((position - sound) * 1.5 - 0.25)
    pair = np.stack([_sound(takes, sound, num_visemes), _sound(takes, sound + 1, num_visemes)], axis=1)
    return pair, np.stack([1.0 - glide, glide], axis=1)


def _sound(takes: np.ndarray, position: np.ndarray, num_visemes: int) -> np.ndarray:
    """The viseme (N,) at a position in the chain: even places are free, odd places differ from both neighbours."""
    free = _draw(takes, position, num_visemes)
    before, after = _draw(takes, position - 1, num_visemes), _draw(takes, position + 1, num_visemes)
    low, high = np.minimum(before, after), np.maximum(before, after)
    taken = 1 + (low != high)
    other = _draw(takes, position, num_visemes - taken)
    other = other + (other >= low)
    other = np.where(low != high, other + (other >= high), other)
    return np.where(position % 2 == 0, free, other)


def _draw(takes: np.ndarray, position: np.ndarray, choices: int | np.ndarray) -> np.ndarray:
    share = row_uniform(derive_seeds(takes, position, "sound"), "choice")[:, 0]
    return np.minimum((share * choices).astype(np.int64), np.asarray(choices) - 1)
