"""Label files of every kind of content: what is read is right, and what is wrong ends in an error with the file's name.

The short run is part of the tests; `HYPOTHESIS_PROFILE=long python -m pytest tests/data/readers/test_label_files.py`
tries a hundred thousand inputs for each parser.
"""

import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facekit.data import DataError
from facekit.data.encodings import expression_name
from facekit.data.manifest import EXPRESSION_LABELS, ManifestError
from facekit.data.readers import Inventory, celeba, emotionet, own_manifest, text_files
from facekit.data.readers.landmark_files import from_66, read_landmarks
from facekit.data.readers.level_files import read_levels
from facekit.data.readers.own_manifest import OWN_COLUMNS, read_manifest
from facekit.data.readers.text_files import TextError, inside_path, integer_in, number_in, read_text
from tests.data.formats.property_runs import LONG, examples

many = settings(max_examples=examples(60), deadline=2000, derandomize=not LONG, database=None,
                suppress_health_check=list(HealthCheck))  # fmt: skip
FOLDER = Path(tempfile.mkdtemp(prefix="label_files_"))
LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)
CODES = st.lists(st.sampled_from(["0", "1", "999", "2", "x"]), min_size=60, max_size=60)
CELL = st.one_of(
    st.sampled_from(["0", "1", "5", "-1", "999", "1e5", "nan", "inf", "", " ", "000001.jpg", "a.png", "../b.jpg",
                     "/c.jpg", "happy", "AU1", "path", "0x10", "１", "1_000", '"', "'", "-0", "1.0", "9" * 40]),
    st.integers(-10, 1000).map(str), st.floats().map(str), LINE,
)  # fmt: skip
TABLE = st.lists(st.lists(CELL, max_size=8), max_size=12)


def written(content: bytes | str, name: str = "file.txt") -> Path:
    path = FOLDER / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def joined(table: list[list[str]], separator: str, end: str) -> str:
    return end.join(separator.join(row) for row in table)


@many
@given(st.binary(max_size=200))
def test_any_bytes_are_a_text_or_an_error_with_the_files_name(content):
    path = written(content)
    try:
        text = read_text(path)
    except TextError as error:
        assert str(error).startswith(str(path))
    else:
        assert "\0" not in text and "\r" not in text


@many
@given(CELL)
def test_numbers_are_finite_and_whole_numbers_in_range(cell):
    try:
        assert abs(np.float32(number_in(cell, "here"))) <= 1e9
    except TextError as error:
        assert str(error).startswith("here: ")
    try:
        assert -3 <= integer_in(cell, "here", -3, 7) <= 7
        assert float(cell) == integer_in(cell, "here", -3, 7)
    except TextError as error:
        assert str(error).startswith("here: ")


@many
@given(st.one_of(LINE, st.lists(st.sampled_from(["..", ".", "a", "C:", "~", "", "b c"]), max_size=5).map("/".join),
                 st.lists(st.sampled_from(["..", "a", "\\", "C:", ""]), max_size=5).map("\\".join)))  # fmt: skip
def test_paths_stay_inside_the_folder(cell):
    try:
        path = inside_path(cell, "here")
    except TextError as error:
        assert str(error).startswith("here: ")
        return
    base = os.path.abspath("/data/set")
    assert os.path.normpath(os.path.join(base, path)).startswith(base)
    assert "\\" not in path and not path.startswith("~")


@many
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 5)), unique_by=lambda pair: pair[0], min_size=1),
       st.sampled_from([",", ", ", " ", "\t"]), st.sampled_from(["\n", "\r\n"]))  # fmt: skip
def test_levels_come_back(pairs, separator, end):
    path = written(end.join(f"{frame}{separator}{level}" for frame, level in pairs))
    inventory = Inventory("disfa", FOLDER)
    assert read_levels(path, inventory).to_dict() == {frame - 1: level for frame, level in pairs}
    assert not inventory.findings


@many
@given(TABLE, st.sampled_from([",", " "]), st.sampled_from(["\n", "\r\n"]))
def test_levels_of_any_table_are_levels(table, separator, end):
    inventory = Inventory("disfa", FOLDER)
    levels = read_levels(written(joined(table, separator, end)), inventory)
    assert levels.isin(range(6)).all() and (levels.index >= 0).all() and levels.index.is_unique
    good = sum(1 for row in table if separator.join(row).strip())
    assert len(levels) + inventory.count("corrupt") >= min(good, 1)


@many
@given(TABLE, st.sampled_from(list(celeba.LISTS)), st.sampled_from([" ", ",", "  "]))
def test_lists_of_celeba(table, what, separator):
    for entry in celeba._entries(written(joined(table, separator, "\n")), what):
        if isinstance(entry, TextError):
            assert str(entry).startswith(str(FOLDER))
        else:
            name, label = entry
            assert name.lower().endswith((".jpg", ".png"))
            if what == "landmarks":
                assert len(label) == 10 and np.isfinite(label).all()
            else:
                assert what != "split" or label in celeba.SPLITS


@many
@given(st.lists(st.tuples(st.text("abc/.:?%[]{}", max_size=12), CODES), max_size=4), st.sampled_from(["\t", ","]))
def test_lists_of_emotionet(rows, separator):
    lines = [separator.join([address, address, *codes]) for address, codes in rows]
    for entry in emotionet._entries(written("\n".join(lines))):
        if isinstance(entry, TextError):
            assert str(entry).startswith(str(FOLDER))
        else:
            assert entry[0] and set(entry[2].tolist()) <= {0, 1, 999}


@many
@given(st.lists(st.sampled_from([*OWN_COLUMNS, "AU1", "AU12", "note", ""]), max_size=6), TABLE,
       st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))  # fmt: skip
def test_manifests_of_ones_own(header, table, separator, end):
    inventory = Inventory("own", FOLDER)
    path = written(joined([["path", *header], *table], separator, end), "manifest.csv")
    try:
        rows = read_manifest(path, inventory)
    except DataError as error:
        assert str(error).startswith(str(path)) and len(str(error)) < 1000
        return
    for row in rows:
        assert row["path"] and not row["path"].startswith(("/", "..")) and row["line"] > 1
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
        assert row.get("expression") in (None, "", *EXPRESSION_LABELS)


@many
@given(st.binary(max_size=300))
def test_any_bytes_as_a_manifest_or_landmarks(content):
    for parse in (lambda path: read_manifest(path, Inventory("own", FOLDER)), read_landmarks):
        path = written(content, "any.csv")
        try:
            parse(path)
        except DataError as error:
            assert str(error).startswith(str(path))


@given(st.sampled_from(EXPRESSION_LABELS), st.sampled_from([str.upper, str.title, str.strip]))
def test_names_of_expressions(name, change):
    assert expression_name(f" {change(name)} ") == name


def test_words_for_expressions():
    words = ("Happy", "ANGRY", "Sad", "afraid", "Disgusted", "Surprise", "")
    assert [expression_name(word) for word in words] == [
        "happiness", "anger", "sadness", "fear", "disgust", "surprise", ""]  # fmt: skip
    with pytest.raises(ManifestError, match="'bored' is not an expression"):
        expression_name("bored")


def test_landmarks_of_66_points_get_the_mouths_inner_corners():
    full = np.random.default_rng(0).uniform(0, 100, (68, 2))
    kept = np.delete(full, (60, 64), axis=0)
    made = from_66(kept)
    np.testing.assert_array_equal(np.delete(made, (60, 64), axis=0), kept)
    np.testing.assert_allclose(made[60], 0.75 * full[48] + 0.25 * (full[61] + full[67]) / 2)
    np.testing.assert_allclose(made[64], 0.75 * full[54] + 0.25 * (full[63] + full[65]) / 2)


def test_limits_hold_before_a_file_is_read(monkeypatch):
    path = written("path\n" + "a.jpg\n" * 1000)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read although too large"))
    with pytest.raises(TextError, match="bytes, expected a text of at most 100"):
        read_text(path, max_bytes=100)
    monkeypatch.setattr(own_manifest, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(TextError, match="6,005 bytes"):
        read_manifest(path, Inventory("own", FOLDER))


def test_texts_that_cannot_be_read(tmp_path):
    with pytest.raises(TextError, match="there is no such file"):
        read_text(tmp_path / "absent.txt")
    with pytest.raises(TextError, match="cannot be read"):
        read_text(tmp_path)
    assert text_files.reason_of(TextError(f"{tmp_path}, line 3: odd"), tmp_path) == "line 3: odd"
