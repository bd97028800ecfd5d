"""Range images of Bosphorus (.bnt): a grid of points with texture coordinates, as the scanner saw them.

Little-endian: two sizes (uint16), the depth that marks the background (float64), the length and the name of the
picture, the number of values (uint32), and five planes of float64, row by row: x, y, z, u, v.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facekit.data.formats.errors import MAX_ELEMENTS, FormatError, inside_path, read_whole
from facekit.data.formats.vrml import Surface

MOST_MILLIMETRES = 10_000.0
"""Points farther from the scanner than ten metres are damage."""

_HEAD = struct.Struct("<HHdH")


@dataclass(frozen=True)
class RangeImage:
    """A range image, its first row at the top of the face.

    Attributes:
        points: (R, C, 3) float32 in millimetres; 0 in the background.
        uv: (R, C, 2) float32: place in the picture, u from its left and v from its top, both in [0, 1].
        valid: (R, C) bool: not background.
        picture: file name of the picture, relative to the scan's folder.
    """

    points: np.ndarray
    uv: np.ndarray
    valid: np.ndarray
    picture: str


def read_bnt(path: str | Path) -> RangeImage:
    """The range image of a .bnt file.

    Raises:
        FormatError: if the file's length is not what its header says, it names a picture outside its folder, or a point
            outside the background is not finite or farther than MOST_MILLIMETRES away.
    """
    return parse_bnt(read_whole(path), str(path))


def parse_bnt(content: bytes, name: str = "bnt") -> RangeImage:
    """As `read_bnt`, from the file's content; `name` is for messages."""
    rows, columns, background, begin = check_bnt_size(content, len(content), name)
    (count,) = struct.unpack_from("<I", content, begin - 4)
    if count != 5 * rows * columns:
        raise FormatError(f"{name}: announces {count:,} values, expected 5 x {rows} x {columns}")
    picture = content[_HEAD.size : begin - 4].rstrip(b"\0").decode("latin-1")
    planes = np.frombuffer(content, dtype="<f8", offset=begin).reshape(5, rows, columns)[:, ::-1]
    valid = planes[2] != background
    _check(planes, valid, background, name)
    points = np.where(valid, planes[:3], 0.0).astype(np.float32)
    uv = np.where(valid, planes[3:], 0.0).astype(np.float32)
    return RangeImage(
        np.ascontiguousarray(points.transpose(1, 2, 0)),
        np.ascontiguousarray(uv.transpose(1, 2, 0)),
        valid,
        inside_path(picture, name) if picture else "",
    )


def check_bnt_size(head: bytes, size: int, name: str) -> tuple[int, int, float, int]:
    """Rows, columns, the background's depth and where the planes begin, of a file of `size` bytes.

    Raises:
        FormatError: if the file is not as long as its head says.
    """
    if len(head) < _HEAD.size:
        raise FormatError(f"{name}: found {size} bytes, expected a header of {_HEAD.size}")
    rows, columns, background, length = _HEAD.unpack_from(head)
    begin = _HEAD.size + length + 4
    expected = begin + 8 * 5 * rows * columns
    if not 0 < rows * columns <= MAX_ELEMENTS or size != expected:
        raise FormatError(
            f"{name}: found {size:,} bytes with a header of {rows} x {columns} points and a name of {length} bytes, "
            f"expected {expected:,}"
        )
    return rows, columns, background, begin


def range_surface(image: RangeImage, longest_edge: float = 10.0) -> Surface:
    """The triangles between neighbouring points, but not across gaps: no edge is longer than `longest_edge` mm.

    Each square of four points gives two triangles, a square of three points one.  Vertices are the valid points, row by
    row; `uv` has v up, as in every `Surface`.
    """
    points, valid = image.points, image.valid
    numbers = np.cumsum(valid.ravel()).reshape(valid.shape) - 1
    grid = np.s_[:-1, :-1], np.s_[1:, :-1], np.s_[1:, 1:], np.s_[:-1, 1:]  # corners a, b, c, d of every square
    there = [valid[corner] for corner in grid]
    whole = there[0] & there[2] & (there[1] | there[3])  # else the square's other diagonal is drawn
    joined = {(i, j): _near(points, grid[i], grid[j], longest_edge) for i in range(4) for j in range(i)}
    faces = []
    for i, j, k, diagonal in ((0, 1, 2, True), (0, 2, 3, True), (0, 1, 3, False), (1, 2, 3, False)):
        drawn = there[i] & there[j] & there[k] & (whole == diagonal)
        drawn &= joined[j, i] & joined[k, j] & joined[k, i]
        faces.append(np.stack([numbers[grid[corner]][drawn] for corner in (i, j, k)], axis=1))
    triangles = np.concatenate(faces)
    uv = image.uv[image.valid] * np.float32([1, -1]) + np.float32([0, 1])
    return Surface(points[valid], triangles, uv, triangles, image.picture)


def _near(points: np.ndarray, one: tuple[slice, slice], other: tuple[slice, slice], limit: float) -> np.ndarray:
    """Whether two corners of each square are at most `limit` apart."""
    offset = points[one] - points[other]
    return np.einsum("rcx,rcx->rc", offset, offset) <= limit**2


def _check(planes: np.ndarray, valid: np.ndarray, background: float, name: str) -> None:
    if not np.isfinite(background):
        raise FormatError(f"{name}: the background is marked with {background}, expected a finite number")
    farthest = np.where(valid, np.abs(planes[:3]), 0.0).max()
    beside = np.where(valid, np.abs(planes[3:]), 0.0).max()
    if not farthest <= MOST_MILLIMETRES:
        raise FormatError(f"{name}: a point lies {farthest:.3g} mm away, expected at most {MOST_MILLIMETRES:,.0f} mm")
    if not beside <= 2.0:
        raise FormatError(f"{name}: a texture coordinate is {beside:.3g}, expected values in [0, 1]")
