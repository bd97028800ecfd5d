"""Range images, vertex files and blendshapes: what is read, and that no header is believed."""

import struct

import numpy as np
import pytest

from facekit.data.formats import FormatError, parse_bnt, parse_bs, parse_vl, range_surface, read_bnt
from tests.data.formats import scan_files

POINTS, VALID, UV = scan_files.range_image()
CONTENT = scan_files.bnt(POINTS, VALID, UV)


def test_a_range_image():
    image = parse_bnt(CONTENT)
    np.testing.assert_array_equal(image.valid, VALID)
    np.testing.assert_allclose(image.points[VALID], POINTS[VALID], rtol=1e-6)
    np.testing.assert_allclose(image.uv[VALID], UV[VALID], rtol=1e-6)
    assert image.picture == "bs000_N_N_0.png" and (image.points[~VALID] == 0).all()
    assert image.points[0, :, 1].max() > image.points[-1, :, 1].max()  # the first row is the forehead


def test_its_surface():
    image = parse_bnt(CONTENT)
    surface = range_surface(image, longest_edge=60.0)
    number = np.cumsum(VALID.ravel()).reshape(VALID.shape) - 1
    squares = {tuple(sorted((number[r, c], number[r + 1, c], number[r + 1, c + 1], number[r, c + 1])))
               for r in range(11) for c in range(8) if VALID[r : r + 2, c : c + 2].all()}  # fmt: skip
    a, b, c = surface.vertices[surface.faces].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()  # all triangles look at the scanner
    assert surface.faces.max() < VALID.sum() == len(surface.vertices) == len(surface.uv)
    three = sum(VALID[r : r + 2, c : c + 2].sum() == 3 for r in range(11) for c in range(8))
    assert len(surface.faces) == 2 * len(squares) + three
    assert len({tuple(sorted(face)) for face in surface.faces.tolist()}) == len(surface.faces)
    np.testing.assert_allclose(surface.uv, UV[VALID] * [1, -1] + [0, 1], rtol=1e-5)


def test_gaps_are_not_bridged():
    points = POINTS.copy()
    points[6:, :, 2] -= 100.0
    surface = range_surface(parse_bnt(scan_files.bnt(points, VALID, UV)), longest_edge=30.0)
    corners = surface.vertices[surface.faces]
    assert np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max() <= 30.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0 bytes, expected a header of 14"),
        (CONTENT[:10], "found 10 bytes"),
        (CONTENT[:-1], "found .* bytes with a header of 12 x 9 points and a name of 15 bytes, expected"),
        (CONTENT + b"\0", "found .* bytes"),
        (struct.pack("<HH", 65535, 65535) + CONTENT[4:], "65535 x 65535 points"),
        (struct.pack("<HH", 0, 9) + CONTENT[4:], "0 x 9 points"),
        (CONTENT.replace(struct.pack("<I", 540), struct.pack("<I", 541), 1), "announces 541 values, expected 5 x 12"),
        (scan_files.bnt(np.where(POINTS > 39, np.nan, POINTS), VALID, UV), "a point lies nan mm away"),
        (scan_files.bnt(np.where(POINTS > 39, 1e30, POINTS), VALID, UV), "a point lies 1e\\+30 mm away"),
        (scan_files.bnt(POINTS, VALID, UV + 9), "a texture coordinate is"),
        (scan_files.bnt(POINTS, VALID, UV, "../x.png"), "expected a file in the folder"),
        (CONTENT[:4] + struct.pack("<d", np.nan) + CONTENT[12:], "marked with nan"),
    ],
)  # fmt: skip
def test_damaged_range_images(content, message):
    with pytest.raises(FormatError, match=f"^b.bnt: .*{message}"):
        parse_bnt(content, "b.bnt")


def test_a_background_that_is_not_marked_is_damage():
    """If the mark in the header is not the one of the cells, they would be points a million metres away."""
    with pytest.raises(FormatError, match=r"a point lies 1e\+09 mm away"):
        parse_bnt(CONTENT[:4] + struct.pack("<d", -1e8) + CONTENT[12:])


def test_files_are_named(tmp_path):
    (tmp_path / "a.bnt").write_bytes(CONTENT[:100])
    with pytest.raises(FormatError, match=str(tmp_path / "a.bnt")):
        read_bnt(tmp_path / "a.bnt")


def test_vertices_of_a_frame():
    vertices = np.random.default_rng(0).normal(0, 50, (7, 3)).astype(np.float32)
    np.testing.assert_array_equal(parse_vl(scan_files.vl(vertices)), vertices)
    for content, message in (
        (b"", "found 0 bytes"),
        (scan_files.vl(vertices)[:-1], "count of 7, expected 88 bytes"),
        (struct.pack("<I", 2**32 - 1), "count of 4,294,967,295"),
        (struct.pack("<I", 0), "count of 0"),
        (scan_files.vl(vertices * np.inf), "expected finite numbers"),
        (scan_files.vl(vertices * 1e30), "expected at most 100,000"),
    ):
        with pytest.raises(FormatError, match=message):
            parse_vl(content, "frame.vl")


def test_blendshapes():
    shapes = np.random.default_rng(0).normal(0, 1, (3, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(parse_bs(scan_files.bs(shapes)), shapes)
    for content, message in (
        (b"\0" * 8, "expected a header of 12"),
        (scan_files.bs(shapes)[:-4], "2 blendshapes of 5 vertices, expected 192 bytes"),
        (struct.pack("<3i", 2**31 - 1, 2**31 - 1, 0), "2147483647 blendshapes"),
        (struct.pack("<3i", -1, 5, 0), "-1 blendshapes"),
        (scan_files.bs(shapes * np.nan), "expected finite numbers"),
    ):
        with pytest.raises(FormatError, match=message):
            parse_bs(content, "shape.bs")
