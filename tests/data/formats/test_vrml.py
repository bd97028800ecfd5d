"""VRML scans in the layouts of BU-3DFE and BU-4DFE, and damaged ones."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facekit.data.formats import FormatError, parse_vrml, read_vrml
from tests.data.formats.naive_vrml import naive_vrml
from tests.data.formats.property_runs import examples
from tests.data.formats.scan_files import bu3dfe_wrl, bu4dfe_wrl, sheet, triangles

VERTICES, POLYGONS = sheet()
UV = np.random.default_rng(1).random((len(VERTICES) + 3, 2)).round(6)
UV_POLYGONS = [[corner + 3 for corner in polygon] for polygon in POLYGONS]


def minimal(points: str = "0 0 0, 1 0 0, 0 1 0", index: str = "0 1 2 -1", more: str = "") -> bytes:
    return (
        f"#VRML V2.0 utf8\nShape {{ geometry IndexedFaceSet {{ coord Coordinate {{ point [ {points} ] }} "
        f"coordIndex [ {index} ] {more} }} }}"
    ).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_scan_of_bu3dfe(end):
    surface = parse_vrml(bu3dfe_wrl(VERTICES, POLYGONS, UV, UV_POLYGONS, end=end))
    np.testing.assert_allclose(surface.vertices, VERTICES, atol=1e-5)
    np.testing.assert_array_equal(surface.faces, triangles(POLYGONS))
    np.testing.assert_allclose(surface.uv, UV, atol=1e-6)
    np.testing.assert_array_equal(surface.uv_faces, triangles(UV_POLYGONS))
    assert surface.texture == "F0001_AN01WH_F3D.bmp"
    assert {len(polygon) for polygon in POLYGONS} == {3, 4, 5}
    assert surface.vertices.dtype == np.float32 and surface.faces.dtype == np.int64


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_scan_of_bu4dfe(end):
    surface = parse_vrml(bu4dfe_wrl(VERTICES, POLYGONS, UV[: len(VERTICES)], end=end))
    np.testing.assert_array_equal(surface.faces, triangles(POLYGONS))
    np.testing.assert_array_equal(surface.uv_faces, surface.faces)
    assert surface.texture == "000.jpg"


def test_line_structure_does_not_matter():
    text = bu3dfe_wrl(VERTICES, POLYGONS, UV, UV_POLYGONS)
    head, body = text[: text.index(b"DEF")], text[text.index(b"DEF") :]
    for squeezed in (b" ".join(body.split()), b"\n".join(body.split()), b"\t\r\n".join(body.split())):
        surface = parse_vrml(head + squeezed)
        np.testing.assert_array_equal(surface.uv_faces, triangles(UV_POLYGONS))


def test_names_comments_and_winding():
    more = "texCoord DEF t TextureCoordinate { point [ 0 0 1 0 0 1 ] }"
    text = minimal(more=more).replace(b"coord Coordinate", b"# coordIndex [ 9 ]\ncoord DEF c Coordinate")
    surface = parse_vrml(text)
    assert surface.faces.tolist() == [[0, 1, 2]] and surface.uv_faces.tolist() == [[0, 1, 2]]
    turned = parse_vrml(minimal(more="ccw FALSE"))
    assert turned.faces.tolist() == [[2, 1, 0]]
    assert parse_vrml(minimal(more="ccw TRUE")).faces.tolist() == [[0, 1, 2]]
    old = minimal().replace(b"V2.0 utf8", b"V1.0 ascii").replace(b"coord Coordinate", b"Coordinate3")
    assert parse_vrml(old).faces.tolist() == [[0, 1, 2]]


def test_several_shapes_become_one():
    one = minimal()
    two = one + one.removeprefix(b"#VRML V2.0 utf8\n")
    assert parse_vrml(two).faces.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(parse_vrml(two).vertices) == 6


def test_normals_and_colours_are_passed_over():
    """However many: only the text outside of lists is limited."""
    lists = "normal Normal { vector [ %s ] } color Color { color [ 1 0 0, 0 1 0, 0 0 1 ] } normalIndex [ 0 1 2 -1 ]"
    text = minimal(more=lists % ", ".join(["0.000000 0.000000 1.000000"] * 60_000))
    assert len(text) > 1.5 * 2**20 and parse_vrml(text).faces.tolist() == [[0, 1, 2]]
    with pytest.raises(FormatError, match="has no end"):
        parse_vrml(text[: text.index(b"] } color")])


def test_several_shapes_of_which_one_has_a_texture():
    one = minimal(more="texCoord TextureCoordinate { point [ 0 0 1 0 0 1 ] } texCoordIndex [ 0 1 2 -1 ]")
    for parts in ((one, minimal()), (minimal(), one)):
        surface = parse_vrml(parts[0] + parts[1].partition(b"\n")[2])
        assert surface.faces.tolist() == [[0, 1, 2], [3, 4, 5]] and surface.uv is None


def test_without_the_last_minus_one():
    assert parse_vrml(minimal("0 0 0 1 0 0 0 1 0 1 1 0", "0 1 2 -1 1 3 2")).faces.tolist() == [[0, 1, 2], [1, 3, 2]]
    assert parse_vrml(minimal("0 0 0 1 0 0 0 1 0 1 1 0", "0 1 3 2")).faces.tolist() == [[0, 1, 3], [0, 3, 2]]
    empty = parse_vrml(minimal("0 0 0 1 0 0 0 1 0", "-1 0 1 2 -1 -1"))
    assert empty.faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected '#VRML V2.0'"),
        (b"\x1f\x8b\x08\x00", "expected '#VRML V2.0'"),
        ("#VRML V2.0 utf8".encode("utf-16"), "expected '#VRML V2.0'"),
        (b"#VRML V2.0 utf8\n", "found 0 lists of points and 0 of faces"),
        (minimal()[:-40], "cut off|lists of points"),
        (minimal(index="0 1 3 -1"), "vertex numbers lie in 0 to 3, expected 0 to 2"),
        (minimal(index="0 1 -2 -1"), "vertex numbers lie in -2 to 1, expected 0 to 2"),
        (minimal(index="0 1 -1"), "a face of 2 corners, expected at least three"),
        (minimal(index=""), "no face"),
        (minimal(index="0 1 2.0 -1"), "found '0 1 2.0 -1', expected vertex numbers: numbers"),
        (minimal(index="0 1 99999999999999999999 -1"), "whole numbers of at most 18 digits"),
        (minimal(points="0 0 0 1 0 0 0 1"), "found 8 numbers as coordinates, expected a multiple of 3"),
        (minimal(points="0 0 0 1 0 0 0 nan 0"), "expected coordinates: numbers"),
        (minimal(points="0 0 0 1 0 0 0 1e999 0"), "is inf, expected finite numbers"),
        (minimal(points="0 0 0 1 0 0 0 1e39 0"), "expected numbers of single precision"),
        (minimal(points="0 0 0 1 0 0 0 1-2 0"), "found '1-2', expected coordinates: numbers"),
        (minimal(more="texCoordIndex [ 0 1 2 -1 ]"), "found 0 lists of texture coordinates and 1 of their indices"),
        (
            minimal(more="texCoord TextureCoordinate { point [ 0 0 1 0 ] } texCoordIndex [ 0 1 2 -1 ]"),
            "texture indices lie in 0 to 2, expected 0 to 1",
        ),
        (
            minimal(more="texCoord TextureCoordinate { point [ 0 0 1 0 0 1 ] } texCoordIndex [ 0 1 -1 2 ]"),
            "the texture indices have other faces",
        ),
        (
            minimal(more='texCoord TextureCoordinate { point [ 0 0 1 0 0 1 ] } texCoordIndex " [ 2 1 0 -1 ]'),
            "'texCoordIndex' stands 1 times, with 0 lists",
        ),
        (
            minimal(more="texCoord TextureCoordinate { point [ 0 0 1 0 0 1 ] } (texCoordIndex [ 2 1 0 -1 ]"),
            "'texCoordIndex' stands 1 times, with 0 lists",
        ),
        (minimal(more="[ 2 1 0 -1 ]"), "a list without a name"),
        (minimal() + b" a [" * 3000, "lists or more, expected one scan"),
        (minimal() + b" " * 2**21, "bytes outside of lists"),
    ],
)  # fmt: skip
def test_damage_is_said(content, message):
    with pytest.raises(FormatError, match=message) as error:
        parse_vrml(content, "F0001.wrl")
    assert str(error.value).startswith("F0001.wrl: ")


OUTSIDE = ("/etc/passwd", "../secret.bmp", "a/../../b.bmp", "C:\\x.bmp", "\\\\host\\x.bmp", "~/x.bmp", "http://host/x.bmp",
           "file:///x.bmp", "")  # fmt: skip


@pytest.mark.parametrize("place", OUTSIDE)
def test_textures_stay_in_their_folder(place):
    with pytest.raises(FormatError, match="expected a file in the folder of the scan"):
        parse_vrml(bu3dfe_wrl(VERTICES, POLYGONS, UV, UV_POLYGONS, texture=place))


def test_a_name_inside_the_folder_is_kept():
    surface = parse_vrml(bu3dfe_wrl(VERTICES, POLYGONS, UV, UV_POLYGONS, texture=".\\textures\\a b#1.bmp"))
    assert surface.texture == "textures/a b#1.bmp"


def test_files(tmp_path):
    with pytest.raises(FormatError, match=re.escape(f"{tmp_path / 'x.wrl'}: found nothing there")):
        read_vrml(tmp_path / "x.wrl")
    (tmp_path / "x.wrl").write_bytes(b"")
    with pytest.raises(FormatError, match="the file is empty"):
        read_vrml(tmp_path / "x.wrl")
    with pytest.raises(FormatError, match="found a folder there"):
        read_vrml(tmp_path)
    (tmp_path / "x.wrl").write_bytes(minimal())
    assert read_vrml(tmp_path / "x.wrl").faces.shape == (1, 3)


def test_a_large_file_is_not_read(tmp_path):
    with open(tmp_path / "x.wrl", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(FormatError, match="1,099,511,627,776 bytes, expected at most"):
        read_vrml(tmp_path / "x.wrl")


coordinate = st.floats(-1e4, 1e4, allow_nan=False, width=32)
gap = st.sampled_from([" ", ",", ", ", "\n", "\r\n", "\t", "  , \n"])


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=3, max_size=12),
    st.data(),
    gap,
    st.sampled_from(["{:.6f}", "{:g}", "{!r}", "{:.2e}"]),
)
def test_any_scan_is_read_as_the_naive_reader_reads_it(points, data, between, style):
    corner = st.integers(0, len(points) - 1)
    polygons = data.draw(st.lists(st.lists(corner, min_size=3, max_size=6), min_size=1, max_size=8))
    numbers = between.join(style.format(value) for point in points for value in point)
    index = between.join(str(corner) for polygon in polygons for corner in [*polygon, -1])
    content = minimal(numbers, index)
    surface, naive = parse_vrml(content), naive_vrml(content)
    np.testing.assert_array_equal(surface.vertices, naive[0].astype(np.float32))
    np.testing.assert_array_equal(surface.faces, naive[1])
    np.testing.assert_array_equal(surface.faces, triangles(polygons))
