"""Numbers from text: the same as Python reads, or an error."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facekit.data.formats import FormatError
from facekit.data.formats.numbers import parse_floats, parse_integers, parse_lines
from tests.data.formats.property_runs import examples

styles = st.sampled_from(["{!r}", "{:.6f}", "{:.0f}", "{:.3e}", "{:+.4f}", "{:.20f}"])


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=20), styles)
@example([0.1, -0.1, 123456.789012, 9007199254740993.0], "{!r}")
def test_floats_are_those_of_python(values, style):
    words = [style.format(value) for value in values]
    found = parse_floats(", ".join(words).encode(), "file", "values")
    assert found.tolist() == [float(word) for word in words]


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.integers(-(10**18) + 1, 10**18 - 1), max_size=20))
def test_integers_are_those_of_python(values):
    assert parse_integers(" ".join(map(str, values)).encode(), "file", "values").tolist() == values


@given(st.text("0123456789+-.eE nif,\n", max_size=12))
@settings(max_examples=examples(400), deadline=None)
def test_anything_else_is_refused(text):
    words = text.replace(",", " ").split()
    try:
        expected = [float(word) for word in words]
    except ValueError:
        expected = None
    if expected is None or not np.isfinite(expected).all():
        with pytest.raises(FormatError, match=r"^file: "):
            parse_floats(text.encode(), "file", "values")
    else:
        assert parse_floats(text.encode(), "file", "values").tolist() == expected


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.lists(st.integers(-999, 999).map(str) | st.just(""), max_size=5), max_size=6),
       st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from([" ", "\t\t", ","]))  # fmt: skip
def test_lines_have_the_numbers_that_stand_in_them(table, end, separator):
    rows = [[word for word in row if word] for row in table]
    values, sizes = parse_lines(end.join(map(separator.join, table)).encode(), "file", "values")
    assert values.tolist() == [float(word) for row in rows for word in row]
    assert sizes.tolist() == [len(row) for row in rows if row]


@pytest.mark.parametrize("text", [b"+", b"-", b"- 3", b"1-2", b"--1", b"1.5", b"9" * 19, b"0x1", b"1_0", b"\xd9\xa1"])
def test_what_numpy_would_let_pass(text):
    with pytest.raises(FormatError, match=r"whole numbers|expected values"):
        parse_integers(text, "file", "values")


def test_nothing_gives_nothing():
    assert len(parse_floats(b"  \n", "file", "values")) == 0 == len(parse_integers(b"", "file", "values"))
