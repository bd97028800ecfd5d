"""The manifest's columns, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data.encodings import au_matrix, expression_ids, label_ids, pose_classes
from facekit.data.manifest import MANIFEST_COLUMNS, ManifestError, au_columns, check_manifest, missing_labels


@pytest.fixture
def table():
    return pd.DataFrame({
        "path": ["a.png", "b.png", "c.png"], "subject": ["F01", "F01", "M02"],
        "expression": ["anger", "", "neutral"], "intensity": [3, -1, 0], "yaw": [-30.0, np.nan, 0.0],
        "AU1": [1.0, np.nan, 0.0], "AU12": [3.0, 1.0, 0.0],
    })  # fmt: skip


def test_a_manifest_passes_and_comes_back(table):
    assert check_manifest(table) is table
    assert au_columns(table) == {1: "AU1", 12: "AU12"}


def test_every_column_is_documented():
    for name, column in MANIFEST_COLUMNS.items():
        assert column.kind in {"text", "integer", "number", "flag"}, name
        assert len(column.meaning) > 10, name


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("expresion", "anger", r"'expresion' is not a manifest column; did you mean 'expression'"),
        ("AU0", 1.0, "'AU0' is not a manifest column"),
        ("expression", "angry", r"row 0 has expression 'angry', expected one of neutral, anger"),
        ("intensity", 5, "row 0 has intensity 5, expected a level from 0 to 4"),
        ("yaw", "left", "column 'yaw' must hold number values"),
        ("frame", 0.5, "column 'frame' must hold integer values"),
        ("occluder", "scarf", "row 0 has occluder 'scarf'"),
        ("activation", 1.5, "row 0 has activation 1.5"),
    ],
)
def test_what_is_no_manifest_is_named(table, column, value, message):
    table[column] = value
    with pytest.raises(ManifestError, match=message):
        check_manifest(table)


def test_files_or_seeds_are_needed(table):
    with pytest.raises(ManifestError, match="'path' or a 'seed' column"):
        check_manifest(table.drop(columns="path"))


def test_missing_labels(table):
    assert missing_labels(table, "expression").tolist() == [False, True, False]
    assert missing_labels(table, "intensity").tolist() == [False, True, False]
    assert missing_labels(table, "yaw").tolist() == [False, True, False]
    assert missing_labels(table, "AU1").tolist() == [False, True, False]
    assert missing_labels(table, "viseme").all()


def test_expression_ids(table):
    assert expression_ids(table["expression"], ["neutral", "anger"]).tolist() == [1, -1, 0]
    assert expression_ids(["fear"], ["neutral", "anger"]).tolist() == [-1]
    with pytest.raises(ManifestError, match="'rage' is not an expression"):
        expression_ids(table["expression"], ["rage"])
    with pytest.raises(ManifestError, match="differ from each other"):
        expression_ids(table["expression"], ["anger", "anger"])


def test_label_ids():
    ids, names = label_ids(pd.Series(["M02", "F01", "", "M02"]))
    assert ids.tolist() == [1, 0, -1, 1] and names == ["F01", "M02"]


def test_pose_classes():
    yaw = [-88.0, -50.0, -20.0, 3.0, 91.0, np.nan]
    assert pose_classes(yaw, [-90.0, -45.0, 0.0, 90.0]).tolist() == [0, 1, 2, 2, 3, -1]
    with pytest.raises(ValueError, match="ascend"):
        pose_classes([0.0], [0.0, 0.0])


def test_au_matrix(table):
    present, coded = au_matrix(table, [12, 1])
    assert torch.equal(present, torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    assert torch.equal(coded, torch.tensor([[True, True], [True, False], [True, True]]))
    strong, _ = au_matrix(table, [12], positive_from=2.0)
    assert strong[:, 0].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ManifestError, match="action unit 4 is not coded"):
        au_matrix(table, [4])
