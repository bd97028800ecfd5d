"""Building blocks of the twins' tables: people, takes and the columns that follow from them.

A twin's table is arithmetic on integers: no row is made one at a time, text columns are categories, and every seed is
a hash of what the row is (which person, which expression, which photograph), so that a smaller or larger twin holds
the same people doing the same things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from facekit.data.manifest import MANIFEST_COLUMNS
from facekit.data.randomness import derive_seeds, row_uniform

BASIC_SIX: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
LEVEL_ACTIVATION: tuple[float, ...] = (0.0, 0.35, 0.55, 0.78, 1.0)
"""Activation of the intensity levels 0 (neutral) to 4, before the twin's own settings make it weaker or vary it."""


@dataclass(frozen=True)
class Request:
    """What a twin was asked for: its size and seed, and the sizes that only some twins have."""

    name: str
    subjects: int
    seed: int
    extent: int

    def people(self, numbers: ArrayLike) -> np.ndarray:
        """Person seeds (N,) of subject numbers: nobody is in two twins."""
        return derive_seeds(self.seed, f"{self.name} person", numbers)


def product(*lengths: int) -> tuple[np.ndarray, ...]:
    """Index columns of all combinations, the last running fastest: product(2, 3) gives (000111, 012012)."""
    total = int(np.prod(lengths))
    columns, repeat = [], total
    for length in lengths:
        repeat //= length
        columns.append(np.tile(np.repeat(np.arange(length), repeat), total // (length * repeat)))
    return tuple(columns)


def spread(total: int, parts: int) -> np.ndarray:
    """Counts (parts,) that differ by at most one and sum to `total`."""
    return np.full(parts, total // parts) + (np.arange(parts) < total % parts)


def grouped(counts: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """For groups of these sizes: the group of each row, and the row's place within it."""
    counts = np.asarray(counts, dtype=np.int64)
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)


def evenly(extent: int, count: int) -> np.ndarray:
    """`count` frame numbers spread evenly over a recording of `extent` frames, the first and the last included."""
    if not 1 <= count <= extent:
        raise ValueError(f"a recording of {extent} frames gives 1 to {extent} of them, asked for {count}")
    return np.round(np.linspace(0, extent - 1, count)).astype(np.int64)


def category(codes: ArrayLike, names: Sequence[str]) -> pd.Categorical:
    """A text column from positions in `names`."""
    unique = {name: i for i, name in enumerate(dict.fromkeys(names))}
    if len(unique) != len(names):
        codes = np.array([unique[name] for name in names])[np.asarray(codes)]
    return pd.Categorical.from_codes(np.asarray(codes), categories=list(unique))


def split_names(is_test: np.ndarray) -> pd.Categorical:
    return category(is_test.astype(np.int64), ("train", "test"))


def build_table(person: np.ndarray, take: np.ndarray, seed: np.ndarray, columns: Mapping[str, object]) -> pd.DataFrame:
    """A manifest of synthetic samples, in the order of MANIFEST_COLUMNS, action units last.

    `performed` and `activation` are filled in from `expression` and `intensity` where a twin does not give them.
    """
    columns = dict(columns, person=person, take=take, seed=seed)
    if "performed" not in columns:
        columns["performed"] = columns["expression"]
    if "activation" not in columns:
        columns["activation"] = np.array(LEVEL_ACTIVATION, dtype=np.float32)[columns["intensity"]]
    order = [name for name in MANIFEST_COLUMNS if name in columns]
    order += [name for name in columns if name not in MANIFEST_COLUMNS]
    return pd.DataFrame({name: _compact(name, columns[name], len(person)) for name in order})


def _compact(name: str, values: object, length: int) -> object:
    """Numbers in the smallest usual type; a single text or number stands for every row."""
    if isinstance(values, str):
        return category(np.zeros(length, dtype=np.int64), (values,))
    if isinstance(values, pd.Categorical) or name in ("person", "take", "seed"):
        return values
    kind = MANIFEST_COLUMNS[name].kind if name in MANIFEST_COLUMNS else "number"
    dtype = {"integer": np.int32, "number": np.float32, "flag": np.bool_}[kind]
    return np.broadcast_to(np.asarray(values, dtype=dtype), (length,))


def holds_out(subjects: np.ndarray, seed: int, share: float, stream: str = "held out") -> np.ndarray:
    """True (N,) for the rows of a share of the subjects, chosen by a hash of their numbers."""
    distinct, where = np.unique(subjects, return_inverse=True)
    draw = row_uniform(derive_seeds(seed, stream, distinct), "rank")[:, 0]
    chosen = np.zeros(len(distinct), dtype=bool)
    chosen[np.argsort(draw, kind="stable")[: round(share * len(distinct))]] = True
    return chosen[where]
