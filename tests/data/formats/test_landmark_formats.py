"""Landmark files of Binghamton and of Bosphorus."""

import numpy as np
import pytest

from facekit.data.formats import FormatError, parse_bnd, parse_lm2, parse_lm3, parse_tbnd, read_bnd
from tests.data.formats import scan_files

POINTS = np.random.default_rng(0).normal(0, 40, (83, 3)).round(4)
MARKS = POINTS[:22]


@pytest.mark.parametrize("tabs", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_bnd(tabs, end):
    found = parse_bnd(scan_files.bnd(POINTS, tabs=tabs, end=end))
    np.testing.assert_allclose(found.points, POINTS, rtol=1e-6)
    np.testing.assert_array_equal(found.indices, np.arange(83) * 7 + 11)
    assert found.angles is None


def test_a_byte_order_mark_is_passed_over():
    mark = b"\xef\xbb\xbf"
    np.testing.assert_array_equal(
        parse_bnd(mark + scan_files.bnd(POINTS)).points, parse_bnd(scan_files.bnd(POINTS)).points
    )
    assert parse_tbnd(mark + scan_files.tbnd(POINTS)).angles[0] == 1.5


def test_bnd_without_numbers_and_pse():
    plain = "\n".join(" ".join(map(str, point)) for point in POINTS).encode()
    assert parse_bnd(plain).indices is None
    np.testing.assert_allclose(parse_bnd(plain).points, POINTS, rtol=1e-6)
    assert parse_bnd(scan_files.bnd(POINTS[:8]), count=8).points.shape == (8, 3)


@pytest.mark.parametrize("with_index", [True, False])
def test_tbnd(with_index):
    points = POINTS.copy()
    points[5] = 0.0
    found = parse_tbnd(scan_files.tbnd(points, with_index=with_index))
    np.testing.assert_allclose(found.angles, [1.5, -20.25, 3.0])
    assert np.isnan(found.points[5]).all() and np.isfinite(np.delete(found.points, 5, 0)).all()
    np.testing.assert_allclose(np.delete(found.points, 5, 0), np.delete(POINTS, 5, 0), rtol=1e-5)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lm3_and_lm2(end):
    three = parse_lm3(scan_files.lm3(MARKS, end=end))
    assert list(three) == list(scan_files.LABELS)
    np.testing.assert_allclose(three["Nose tip"], MARKS[13], rtol=1e-4)
    two = parse_lm2(scan_files.lm2(MARKS[:, :2], end=end, information=("* taken by hand", "twice")))
    np.testing.assert_allclose(two["Chin middle"], MARKS[21, :2], rtol=1e-4)
    fewer = parse_lm3(scan_files.lm3(MARKS[:3], scan_files.LABELS[5:8], end))
    assert list(fewer) == list(scan_files.LABELS[5:8])


@pytest.mark.parametrize(
    ("parse", "content", "message"),
    [
        (parse_bnd, b"", "found 0 lines of points, expected 83"),
        (parse_bnd, scan_files.bnd(POINTS[:82]), "found 82 lines"),
        (parse_bnd, scan_files.bnd(POINTS).replace(b"11\t\t", b"\t\t", 1), r"lines of \[3, 4\] numbers"),
        (parse_bnd, scan_files.bnd(POINTS).replace(b"11\t\t", b"1.5\t\t", 1), "expected whole numbers"),
        (parse_bnd, scan_files.bnd(POINTS * [1, 1e9, 1]), "a landmark lies"),
        (parse_bnd, scan_files.bnd(POINTS).replace(b".", b",", 1), "lines of"),
        (parse_bnd, scan_files.bnd(np.where(POINTS > 60, np.nan, POINTS)), "expected landmarks: numbers"),
        (parse_bnd, scan_files.bnd(POINTS).decode().encode("utf-16"), "found"),
        (parse_tbnd, scan_files.tbnd(POINTS, angles=(1, 2)), "expected pitch, yaw and roll"),
        (parse_tbnd, scan_files.tbnd(POINTS, angles=(1, 2, 400)), "expected pitch, yaw and roll"),
        (parse_lm3, b"", "expected '# 3D Landmark File'"),
        (parse_lm3, scan_files.lm2(MARKS[:, :2]), "expected '# 3D Landmark File'"),
        (parse_lm3, scan_files.lm3(MARKS)[:300], "announces 22 landmarks, found"),
        (parse_lm3, scan_files.lm3(MARKS, ("Nose tip",) * 22), "a label is repeated"),
        (parse_lm3, scan_files.lm3(MARKS * 1e6), "expected 3 numbers up to 10,000"),
        (parse_lm3, b"# 3D Landmark File\n\n9999 landmarks:\n", "announces 9999"),
        (parse_lm3, scan_files.lm3(MARKS).replace(b"22", b"many"), "found no line such as '22 landmarks'"),
        (parse_lm3, b"# 3D Landmark File\n\xff\xfe", "not UTF-8"),
        (parse_lm2, scan_files.lm2(MARKS[:, :2]).replace(b"2D Image coordinates:\n", b""), "headings at"),
        (parse_lm2, scan_files.lm2(MARKS[:, :2]).replace(b" ", b" 1 ", 99), "expected|found"),
    ],
)
def test_damage_is_said(parse, content, message):
    with pytest.raises(FormatError, match=message):
        found = parse(content, "marks")
        raise AssertionError(found)


def test_large_files_are_not_read(tmp_path):
    with open(tmp_path / "a.bnd", "wb") as file:
        file.truncate(2**30)
    with pytest.raises(FormatError, match="1,073,741,824 bytes"):
        read_bnd(tmp_path / "a.bnd")
