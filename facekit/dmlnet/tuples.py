"""Five-tuples: an anchor with a positive and a negative sample for pose, and one of each for identity.

Liu et al. (2021), Section 3.1, Algorithm 1. The printed algorithm searches the whole set for every anchor; here the
four partners come out of index tables, for many anchors at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import EXPRESSION_LABELS, expression_ids, label_ids, missing_labels, pose_classes
from facekit.training import ConfigError, derive_seed

ROLES: tuple[str, ...] = ("anchor", "pose positive", "pose negative", "identity positive", "identity negative")
"""What the five columns of a five-tuple hold."""


class TupleError(ConfigError):
    """Labels of which no five-tuple can be made; the message names the row or the factor that is to blame."""


@dataclass(frozen=True)
class FaceLabels:
    """Class numbers (N,) int64, from 0, of N samples: y^e, y^p and y^s of Algorithm 1."""

    expression: np.ndarray
    pose: np.ndarray
    subject: np.ndarray

    def __post_init__(self) -> None:
        lengths = [len(getattr(self, f.name)) for f in fields(self)]
        if len(set(lengths)) != 1:
            raise TupleError(f"expression, pose and subject have {lengths} labels, expected as many of each")
        for f in fields(self):
            values = np.asarray(getattr(self, f.name))
            if values.dtype.kind == "f":
                values = _whole_numbers(values, f.name)
            missing = np.flatnonzero(values < 0)
            if len(missing):
                raise TupleError(f"row {missing[0]} has no {f.name} label ({values[missing[0]]})")
            object.__setattr__(self, f.name, values.astype(np.int64))

    def __len__(self) -> int:
        return len(self.expression)

    def select(self, rows: np.ndarray) -> FaceLabels:
        """The labels of some rows."""
        return FaceLabels(self.expression[rows], self.pose[rows], self.subject[rows])


def face_labels(table: pd.DataFrame, expressions: Sequence[str], yaws: Sequence[float] | None = None) -> FaceLabels:
    """Labels from a manifest's columns `expression`, `yaw` and `subject`.

    Args:
        table: a manifest of N rows.
        expressions: the classes, in the order of their numbers.
        yaws: the pose classes in degrees, ascending; a row belongs to the nearest one. All values that occur if None.

    Raises:
        TupleError: a row lacks a label or has an expression that is not in ``expressions``; the row is named.
    """
    for column in ("expression", "yaw", "subject"):
        missing = np.flatnonzero(missing_labels(table, column))
        if len(missing):
            value = str(table[column].iloc[missing[0]]) if column in table else "no such column"
            raise TupleError(f"row {missing[0]} has no {column} label ({value!r}); fill it first, or leave the row out")
    yaw = table["yaw"].to_numpy(dtype=np.float64)
    poses = pose_classes(yaw, np.unique(yaw) if yaws is None else yaws)
    return FaceLabels(expression_codes(table, expressions), poses, label_ids(table["subject"])[0])


def expression_codes(table: pd.DataFrame, expressions: Sequence[str]) -> np.ndarray:
    """Numbers (N,) int64 of a manifest's expressions among ``expressions``.

    Raises:
        TupleError: a row has another expression, or none; the row is named.
    """
    codes = expression_ids(table["expression"], expressions)
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        found = str(table["expression"].iloc[unknown[0]])
        known = "a class of this data" if found in EXPRESSION_LABELS else "an expression"
        raise TupleError(f"row {unknown[0]} has expression {found!r}, which is not {known}: {', '.join(expressions)}")
    return codes


def five_tuples(labels: FaceLabels, seed: int = 0, epoch: int = 0) -> np.ndarray:
    """A random set of five-tuples that cannot be enlarged, in random order.

    Each round lets a quarter of the remaining samples draw their four partners, where they have them, and keeps the
    tuples that share no sample with a tuple before them in line. The first in line is always kept, and a sample that
    cannot be an anchor now cannot be one later, so that the rounds end when no five-tuple is left.

    Args:
        labels: of N samples.
        seed, epoch: of the random choices; every epoch gives other tuples.

    Returns:
        Rows (T, 5) int64, columns as in ``ROLES``; no row occurs twice.

    Raises:
        TupleError: no tuple is possible at all; says why.
    """
    random = np.random.default_rng(derive_seed(seed, "five-tuples", epoch))
    tables = _tables(labels, random.permutation(len(labels)))
    made = [np.empty((0, 5), np.int64)]
    while len(tables[0].members) >= 5:
        rows = random.permutation(tables[0].members)
        proposed = _propose(tables, rows[: len(rows) // 4 + 1], random)  # more would take each other's samples
        if len(proposed) == 0:
            proposed = _propose(tables, rows, random)
        if len(proposed) == 0:
            break
        kept = proposed[_undisputed(proposed, len(labels))]
        made.append(kept)
        free = np.ones(len(labels), bool)
        free[kept.ravel()] = False
        tables = [table.of(free) for table in tables]
    tuples = np.concatenate(made)
    if len(tuples) == 0:
        raise TupleError(_why_none(labels))
    return tuples[random.permutation(len(tuples))]


class FiveTupleSampler:
    """Batches of whole five-tuples for a :class:`facekit.training.Stream`.

    Every epoch has tuples of its own. An epoch has as many batches as the first one fills; should a later set of tuples
    be smaller, its last batch is completed with tuples from its beginning.

    Args:
        labels: of all rows.
        batch_size: a multiple of five; the paper takes 15.
        seed: of the tuples and their order.

    Raises:
        TupleError: no tuple is possible, too few for one batch, or ``batch_size`` is no multiple of five.
    """

    def __init__(self, labels: FaceLabels, batch_size: int, seed: int = 0) -> None:
        if batch_size < 5 or batch_size % 5:
            raise TupleError(f"batch_size is {batch_size}, expected a multiple of 5: tuples stay whole")
        self.labels, self.batch_size, self.seed = labels, batch_size, seed
        self._epoch, self._tuples = 0, five_tuples(labels, seed, 0)
        self.batches_per_epoch = len(self._tuples) * 5 // batch_size
        if self.batches_per_epoch == 0:
            raise TupleError(f"{len(self._tuples)} five-tuples do not fill one batch of batch_size {batch_size}")

    def rows(self, draw: int) -> Tensor:
        """Row numbers (B,) int64 of batch ``draw``: anchor, its four partners, the next anchor, and so on."""
        epoch, place = divmod(draw, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._tuples = epoch, five_tuples(self.labels, self.seed, epoch)
        share = self.batch_size // 5
        chosen = np.arange(place * share, (place + 1) * share) % len(self._tuples)
        return torch.from_numpy(self._tuples[chosen].ravel())


@dataclass(frozen=True)
class _Table:
    """Rows sorted by an outer and, within it, an inner label; for each row the bounds of its blocks among all rows.

    The rows that share the outer label of a row and not the inner one are the row's outer block without its inner
    block: two ranges, from which a row is drawn without a search. ``before`` counts the members before each place, so
    that the bounds stay right when rows leave.
    """

    members: np.ndarray
    bounds: np.ndarray
    before: np.ndarray

    @classmethod
    def by(cls, outer: np.ndarray, inner: np.ndarray, order: np.ndarray) -> _Table:
        key = outer * (inner.max() + 1) + inner
        members = order[np.argsort(key[order], kind="stable")]
        bounds = np.empty((4, len(members)), np.int64)
        for line, label in ((0, outer), (2, key)):
            ordered = label[members]
            changes = np.flatnonzero(np.diff(ordered)) + 1
            starts, ends = np.append(0, changes), np.append(changes, len(members))
            block = np.repeat(np.arange(len(starts)), ends - starts)
            bounds[line, members], bounds[line + 1, members] = starts[block], ends[block]
        return cls(members, bounds, np.arange(len(members) + 1))

    def of(self, free: np.ndarray) -> _Table:
        """The table without the rows that are not free."""
        kept = free[self.members]
        counts = np.concatenate([[0], np.cumsum(kept)])
        return _Table(self.members[kept], self.bounds, counts[self.before])

    def ranges(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each row: where its partners begin, where they are interrupted and for how long, and their number."""
        start, end, gap, gap_end = self.before[self.bounds[:, rows]]
        return np.stack([start, gap, gap_end - gap]), end - start - (gap_end - gap)

    def partner(self, ranges: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Partner ``number`` (from 0) of each row."""
        start, gap, length = ranges
        place = start + number
        return self.members[place + np.where(place >= gap, length, 0)]


def _tables(labels: FaceLabels, order: np.ndarray) -> list[_Table]:
    """One table for each partner, in the order of ``ROLES``: which label it shares, and which it must not share."""
    e, p, s = labels.expression, labels.pose, labels.subject
    return [_Table.by(*pair, order) for pair in ((e, p), (p, e), (e, s), (s, e))]


def _propose(tables: list[_Table], rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A tuple (A, 5) for each of the rows that can be an anchor, in the same order."""
    ranges, counts = zip(*(table.ranges(rows) for table in tables), strict=True)
    possible = np.minimum.reduce(counts) > 0
    rows, ranges = rows[possible], [part[:, possible] for part in ranges]
    counts = [count[possible] for count in counts]
    draws = [np.minimum((random.random(len(rows)) * count).astype(np.int64), count - 1) for count in counts]
    partners = [table.partner(*pair) for table, *pair in zip(tables, ranges, draws, strict=True)]
    valid = np.ones(len(rows), bool)
    for first, second in ((0, 2), (1, 3)):  # both positives, or both negatives, may be the same sample
        same = partners[first] == partners[second]
        for role in (second, first):
            other = same & (counts[role] > 1)
            draws[role][other] = (draws[role][other] + 1) % counts[role][other]
            partners[role][other] = tables[role].partner(ranges[role][:, other], draws[role][other])
            same &= ~other
        valid &= ~same
    return np.stack([rows, *partners], axis=1)[valid]


def _undisputed(tuples: np.ndarray, count: int) -> np.ndarray:
    """True (A,) for tuples all of whose samples are claimed by no tuple before them."""
    numbers = np.arange(len(tuples))
    first = np.empty(count, np.int64)
    first[tuples[::-1].ravel()] = np.repeat(numbers[::-1], 5)  # where a sample occurs again, the last write stays
    return (first[tuples] == numbers[:, None]).all(axis=1)


def _whole_numbers(values: np.ndarray, name: str) -> np.ndarray:
    wrong = np.flatnonzero(~(np.isfinite(values) & (values == np.floor(values))))
    if len(wrong):
        raise TupleError(f"row {wrong[0]} has {name} label {values[wrong[0]]}, expected a class number")
    return values.astype(np.int64)


def _why_none(labels: FaceLabels) -> str:
    """Which factor stands in the way."""
    for name, plural in (("expression", "expressions"), ("pose", "poses"), ("subject", "subjects")):
        kinds = len(np.unique(getattr(labels, name)))
        if kinds < 2:
            return (
                f"no five-tuple is possible: {len(labels)} samples show {kinds} {name}, expected two or more {plural}"
            )
    return (
        f"no five-tuple is possible among {len(labels)} samples: none has, among the others, the same expression in "
        "another pose and in another subject, and another expression in its pose and in its subject"
    )
