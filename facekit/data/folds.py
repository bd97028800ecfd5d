"""Splits in which no person is in two parts.

A face that was seen in training is recognised by much more than its expression, so every experiment in the book is
split by person.  Where a data set has a published split, it is used; elsewhere scikit-learn's grouped folds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from facekit.data.manifest import ManifestError

PUBLISHED_FOLDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "bp4d": (
        tuple("F007 F015 F006 F019 M006 M009 F012 M003 F004 F021 F017 M015 F014".split()),
        tuple("M011 F003 M010 M002 F005 F022 M018 M017 F013 M016 F020 F011 M013 M005".split()),
        tuple("F001 M007 F018 F008 F002 M004 F010 F009 M012 M001 F016 M014 F023 M008".split()),
    ),
    "disfa": (
        tuple("SN003 SN004 SN005 SN007 SN008 SN017 SN023 SN025 SN029".split()),
        tuple("SN006 SN011 SN012 SN013 SN018 SN021 SN024 SN028 SN031".split()),
        tuple("SN001 SN002 SN009 SN010 SN016 SN026 SN027 SN030 SN032".split()),
    ),
}
"""The three subject-exclusive test parts in use for action units: fold 1 tests on the first list, and so on."""

Fold = tuple[np.ndarray, np.ndarray]


def _groups(table: pd.DataFrame) -> np.ndarray:
    """The unit of the split for each row: the person, or the group where persons are unknown."""
    subject = table["subject"].astype(str).to_numpy() if "subject" in table else np.full(len(table), "")
    group = table["group"].astype(str).to_numpy() if "group" in table else np.full(len(table), "")
    units = np.where(subject != "", subject, group)
    unknown = np.flatnonzero(units == "")
    if len(unknown):
        raise ManifestError(f"row {unknown[0]} has neither a subject nor a group, so it cannot be split by person")
    return units


def subject_folds(table: pd.DataFrame, n_splits: int = 10, seed: int = 0, stratify: str | None = None) -> list[Fold]:
    """`n_splits` pairs (train rows, test rows), int64 positions in the table; no person is on both sides of a pair.

    `stratify` names a column whose shares are kept as equal between folds as whole persons allow.

    Raises:
        ManifestError: if there are fewer persons than folds, a row has neither a subject nor a group, or there is no
            column `stratify`.
    """
    units = _groups(table)
    people = len(np.unique(units))
    if not 2 <= n_splits <= people:
        raise ManifestError(f"{n_splits} folds cannot be made of {people} persons; ask for 2 to {people}")
    if stratify is None:
        splitter = GroupKFold(n_splits, shuffle=True, random_state=seed)
        pairs = splitter.split(units, groups=units)
    else:
        if stratify not in table:
            raise ManifestError(f"there is no column {stratify!r} to stratify by, found {', '.join(map(str, table))}")
        splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
        pairs = splitter.split(units, y=table[stratify].astype(str).to_numpy(), groups=units)
    return [(np.asarray(train), np.asarray(test)) for train, test in pairs]


def published_folds(table: pd.DataFrame, name: str) -> list[Fold]:
    """The three published folds of `bp4d` or `disfa`, as pairs (train rows, test rows).

    Subjects that the published lists do not hold (a twin of a larger size) are in no test part and are used
    for training in all folds.  A fold without any test subject (a smaller twin) is left out.

    Raises:
        ManifestError: if the data set has no published folds, or the table no subject of theirs.
    """
    if name not in PUBLISHED_FOLDS:
        raise ManifestError(f"{name!r} has no published folds; those known are {', '.join(PUBLISHED_FOLDS)}")
    subjects = table["subject"].astype(str) if "subject" in table else pd.Series("", index=table.index)
    tests = [subjects.isin(part).to_numpy() for part in PUBLISHED_FOLDS[name]]
    folds = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests if test.any()]
    if not folds:
        raise ManifestError(f"none of the {subjects.nunique()} subjects is in the published folds of {name}")
    for train, test in folds:
        check_disjoint(table, train, test)
    return folds


def check_disjoint(table: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> None:
    """Raises ManifestError, naming the person, if somebody is on both sides."""
    units = _groups(table)
    shared = np.intersect1d(units[train], units[test])
    if len(shared):
        raise ManifestError(f"{shared[0]!r} is in both parts of the split ({len(shared)} persons are)")


def split_rows(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Positions of the rows of each published split, by its name.

    Raises:
        ManifestError: if there is no column `split`, or somebody in the test split is also in another one.  (Training
            and validation may share people: in one published split they do.)
    """
    if "split" not in table:
        raise ManifestError(f"the table has no column 'split', found {', '.join(map(str, table))}")
    names = [str(name) for name in pd.unique(table["split"]) if str(name)]
    rows = {name: np.flatnonzero((table["split"] == name).to_numpy()) for name in names}
    for name in names:
        if name != "test" and "test" in rows:
            check_disjoint(table, rows[name], rows["test"])
    return rows
