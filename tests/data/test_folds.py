"""Folds in which nobody is on both sides."""

import numpy as np
import pandas as pd
import pytest

from facekit.data.folds import PUBLISHED_FOLDS, check_disjoint, published_folds, split_rows, subject_folds
from facekit.data.manifest import ManifestError
from facekit.data.world import twin_table


@pytest.fixture(scope="module")
def table():
    return twin_table("bu3dfe", subjects=20, views=1)


@pytest.mark.parametrize("stratify", [None, "expression"])
def test_every_row_is_tested_once_and_nobody_twice(table, stratify):
    folds = subject_folds(table, 10, seed=1, stratify=stratify)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(table)))
    subjects = table["subject"].to_numpy()
    for train, test in folds:
        assert set(subjects[train]).isdisjoint(subjects[test])
        assert len(train) + len(test) == len(table)


def test_folds_follow_their_seed(table):
    first, again, other = (subject_folds(table, 5, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_too_many_folds_and_unknown_people_are_refused(table):
    with pytest.raises(ManifestError, match="21 folds cannot be made of 20 persons"):
        subject_folds(table, 21)
    with pytest.raises(ManifestError, match="row 0 has neither a subject nor a group"):
        subject_folds(table.assign(subject=""), 5)


def test_columns_that_are_not_there_are_named(table):
    with pytest.raises(ManifestError, match=r"there is no column 'emotion' to stratify by, found .*subject"):
        subject_folds(table, 2, stratify="emotion")
    with pytest.raises(ManifestError, match=r"the table has no column 'split', found .*subject"):
        split_rows(table.drop(columns="split", errors="ignore"))
    with pytest.raises(ManifestError, match="none of the 1 subjects is in the published folds of disfa"):
        published_folds(table.drop(columns="subject"), "disfa")


def test_groups_stand_in_for_unknown_people():
    films = pd.DataFrame({"subject": "", "group": list("aabbcc"), "path": "x"})
    for train, test in subject_folds(films, 3):
        assert set(films["group"].iloc[train]).isdisjoint(films["group"].iloc[test])


@pytest.mark.parametrize(("name", "people"), [("bp4d", 41), ("disfa", 27)])
def test_published_folds(name, people):
    parts = PUBLISHED_FOLDS[name]
    assert len({subject for part in parts for subject in part}) == sum(map(len, parts)) == people
    table = twin_table(name, frames=2)
    folds = published_folds(table, name)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(table)))
    for (_, test), part, number in zip(folds, parts, (1, 2, 3), strict=True):
        assert set(table["subject"].iloc[test]) == set(part)
        assert set(table["fold"].iloc[test]) == {number}


def test_published_folds_of_smaller_and_larger_twins():
    small = twin_table("bp4d", subjects=4, frames=2)
    assert sum(len(test) for _, test in published_folds(small, "bp4d")) == len(small)
    large = twin_table("disfa", subjects=30, frames=2)
    assert sum(len(test) for _, test in published_folds(large, "disfa")) == 27 * 2
    with pytest.raises(ManifestError, match="none of the 2 subjects"):
        published_folds(pd.DataFrame({"subject": ["X", "Y"]}), "bp4d")
    with pytest.raises(ManifestError, match="no published folds"):
        published_folds(small, "kdef")


def test_shared_people_are_found(table):
    with pytest.raises(ManifestError, match="'F0001' is in both parts"):
        check_disjoint(table, np.arange(10), np.arange(5, 30))
    rows = split_rows(table)
    assert set(rows) == {"train", "test"}
    mixed = table.assign(split=np.where(np.arange(len(table)) % 2, "train", "test"))
    with pytest.raises(ManifestError, match="in both parts"):
        split_rows(mixed)
