"""Random numbers that belong to a row.

A generator that is drawn from row after row gives row i a value that depends on every row before it.
Here each number is a function of a seed, a stream name and a position: a counter-based generator
(SplitMix64's finaliser over 64-bit keys).  The integers are exact, so row i gets the same numbers on every
machine, in every worker and whatever else is in its batch, and a whole table is drawn in one call.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import ndtri

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(keys: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of the 64-bit integers in which every input bit moves every output bit."""
    keys = (keys ^ (keys >> np.uint64(30))) * _MIX_1
    keys = (keys ^ (keys >> np.uint64(27))) * _MIX_2
    return keys ^ (keys >> np.uint64(31))


def _as_keys(part: ArrayLike | str) -> np.ndarray:
    if isinstance(part, str):
        digest = hashlib.blake2b(part.encode("utf-8"), digest_size=8).digest()
        return np.array([int.from_bytes(digest, "little")], dtype=np.uint64)
    return np.atleast_1d(np.asarray(part, dtype=np.int64)).astype(np.uint64)


def derive_seeds(*parts: ArrayLike | str) -> np.ndarray:
    """Seeds (N,) int64, never negative, from any mix of names, numbers and integer arrays (broadcast together).

    The order of the parts matters; equal parts give equal seeds everywhere.
    """
    if not parts:
        raise ValueError("derive_seeds needs at least one part, found none")
    with np.errstate(over="ignore"):
        keys = np.zeros(1, dtype=np.uint64)
        for part in parts:
            keys = _mix(keys + _GOLDEN + _mix(_as_keys(part) + _GOLDEN))
    return (keys >> np.uint64(1)).astype(np.int64)


def row_bits(seeds: ArrayLike, stream: str, count: int = 1) -> np.ndarray:
    """Random 64-bit integers (N, count) uint64, one row for each of the seeds (N,)."""
    with np.errstate(over="ignore"):
        keys = _mix(_as_keys(seeds) + _as_keys(stream))
        positions = (np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)[None]
        return _mix(keys[:, None] + positions)


def row_uniform(seeds: ArrayLike, stream: str, count: int = 1) -> np.ndarray:
    """Uniform numbers (N, count), float64 in the open interval (0, 1), one row for each of the seeds (N,)."""
    return ((row_bits(seeds, stream, count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def row_normal(seeds: ArrayLike, stream: str, count: int = 1) -> np.ndarray:
    """Standard normal numbers (N, count), float64, through the inverse of the normal distribution function."""
    return ndtri(row_uniform(seeds, stream, count))


def row_choice(seeds: ArrayLike, stream: str, weights: ArrayLike) -> np.ndarray:
    """Indices (N,) int64 drawn with the given weights (K,), which need not sum to one."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1 or not np.all(weights >= 0) or weights.sum() <= 0:
        raise ValueError(f"weights must be a vector of non-negative numbers with a positive sum, found {weights}")
    edges = np.cumsum(weights / weights.sum())[:-1]
    return np.searchsorted(edges, row_uniform(seeds, stream)[:, 0], side="right")


def seeded_generator(seed: int) -> torch.Generator:
    """A CPU generator for the functions that want one."""
    return torch.Generator().manual_seed(int(seed))
