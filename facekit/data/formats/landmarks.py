"""Landmark files in text: .bnd, .pse and .tbnd of Binghamton's data sets, .lm2 and .lm3 of Bosphorus."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facekit.data.formats.errors import FormatError, read_whole
from facekit.data.formats.numbers import parse_floats, parse_lines

MAX_LANDMARK_BYTES = 2**20
MOST_MILLIMETRES = 10_000.0

_COUNT = re.compile(r"^\s*(\d{1,4})\s+landmarks?\s*:?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Landmarks:
    """Landmarks without names, in the file's order.

    Attributes:
        points: (N, 3) float32 in millimetres; NaN where the file says that a point was not found.
        indices: (N,) int64, the numbers that stand before the points, or None.  Their base differs between releases.
        angles: (3,) float32: pitch, yaw and roll in degrees, or None.
    """

    points: np.ndarray
    indices: np.ndarray | None = None
    angles: np.ndarray | None = None


def read_bnd(path: str | Path, count: int = 83) -> Landmarks:
    """The landmarks of a .bnd file (or, with `count` 8, a .pse file): lines of a number and x, y, z; or x, y, z alone.

    Raises:
        FormatError: if there are not `count` lines of numbers, or one is not finite or beyond MOST_MILLIMETRES.
    """
    return parse_bnd(read_whole(path, MAX_LANDMARK_BYTES), str(path), count)


def parse_bnd(content: bytes, name: str = "bnd", count: int = 83) -> Landmarks:
    """As `read_bnd`, from the file's content."""
    return _points(content.removeprefix(BOM_UTF8), name, count)


def read_tbnd(path: str | Path, count: int = 83) -> Landmarks:
    """The landmarks of BP4D's .tbnd files: a line of pitch, yaw and roll, then `count` points, (0, 0, 0) where lost.

    Raises:
        FormatError: as `read_bnd`, and for angles beyond 360 degrees.
    """
    return parse_tbnd(read_whole(path, MAX_LANDMARK_BYTES), str(path), count)


def parse_tbnd(content: bytes, name: str = "tbnd", count: int = 83) -> Landmarks:
    """As `read_tbnd`, from the file's content."""
    first, _, rest = content.removeprefix(BOM_UTF8).strip().replace(b"\r", b"\n").partition(b"\n")
    angles = parse_floats(first, name, "pitch, yaw and roll")
    if len(angles) != 3 or np.abs(angles).max() > 360.0:
        raise FormatError(f"{name}: begins with {angles[:6].tolist()}, expected pitch, yaw and roll in degrees")
    found = _points(rest, name, count)
    found.points[(found.points == 0.0).all(axis=1)] = np.nan
    return Landmarks(found.points, found.indices, angles.astype(np.float32))


def read_lm3(path: str | Path) -> dict[str, np.ndarray]:
    """Label -> (3,) float32 in millimetres of a .lm3 file, in which a line of label and a line of numbers alternate.

    Raises:
        FormatError: if the file announces another number of landmarks than it holds, repeats a label, or holds no
            finite numbers.
    """
    return parse_lm3(read_whole(path, MAX_LANDMARK_BYTES), str(path))


def parse_lm3(content: bytes, name: str = "lm3") -> dict[str, np.ndarray]:
    """As `read_lm3`, from the file's content."""
    count, lines = _announced(content, name, "3D")
    if len(lines) != 2 * count:
        raise FormatError(f"{name}: announces {count} landmarks, found {len(lines)} lines, expected {2 * count}")
    return _labelled(lines[0::2], lines[1::2], 3, name)


def read_lm2(path: str | Path) -> dict[str, np.ndarray]:
    """Label -> (2,) float32 in pixels of the scan's picture of a .lm2 file: all labels first, then all places.

    Raises:
        FormatError: as `read_lm3`.
    """
    return parse_lm2(read_whole(path, MAX_LANDMARK_BYTES), str(path))


def parse_lm2(content: bytes, name: str = "lm2") -> dict[str, np.ndarray]:
    """As `read_lm2`, from the file's content."""
    count, lines = _announced(content, name, "2D")
    headings = [k for k, line in enumerate(lines) if line.endswith(":")]
    if headings != [0, count + 1] or len(lines) != 2 * count + 2:
        raise FormatError(
            f"{name}: announces {count} landmarks, found {len(lines)} lines with headings at {headings[:4]}, "
            f"expected {2 * count + 2} with headings at {[0, count + 1]}"
        )
    return _labelled(lines[1 : count + 1], lines[count + 2 :], 2, name)


def _announced(content: bytes, name: str, kind: str) -> tuple[int, list[str]]:
    """The number of landmarks that the head announces, and the lines after it that are not blank."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{name}: found bytes that are not UTF-8, expected a {kind} landmark file") from None
    lines = [line.strip() for line in text.splitlines()]
    if not lines or not lines[0].startswith("#") or kind.lower() not in lines[0].lower():
        raise FormatError(f"{name}: begins with {lines[0][:40] if lines else ''!r}, expected '# {kind} Landmark File'")
    for number, line in enumerate(lines):
        match = _COUNT.match(line)
        if match:
            return int(match.group(1)), [line for line in lines[number + 1 :] if line]
    raise FormatError(f"{name}: found no line such as '22 landmarks'")


def _labelled(labels: list[str], places: list[str], width: int, name: str) -> dict[str, np.ndarray]:
    limit = MOST_MILLIMETRES if width == 3 else 100_000.0
    if len(set(labels)) != len(labels) or not all(labels):
        raise FormatError(f"{name}: a label is repeated or empty among {', '.join(labels)[:80]}")
    found = {}
    for label, place in zip(labels, places, strict=True):
        values = parse_floats(place.encode("utf-8"), name, f"{width} coordinates of {label[:40]!r}")
        if len(values) != width or np.abs(values).max() > limit:
            raise FormatError(
                f"{name}: {label[:40]!r} is at {place[:60]!r}, expected {width} numbers up to {limit:,.0f}"
            )
        found[label] = values.astype(np.float32)
    return found


def _points(content: bytes, name: str, count: int) -> Landmarks:
    """Points from lines of three numbers, or of an index and three numbers."""
    values, widths = parse_lines(content, name, "landmarks")
    if len(widths) != count:
        raise FormatError(f"{name}: found {len(widths)} lines of points, expected {count}")
    if not (widths == widths[0]).all() or widths[0] not in (3, 4):
        raise FormatError(f"{name}: found lines of {sorted(set(widths.tolist()))} numbers, expected [index] x y z")
    values = values.reshape(count, -1)
    most = np.abs(values).max(axis=0)
    if most[-3:].max() > MOST_MILLIMETRES:
        raise FormatError(
            f"{name}: a landmark lies {most[-3:].max():.3g} mm away, expected at most {MOST_MILLIMETRES:,.0f}"
        )
    if len(most) == 3:
        return Landmarks(values.astype(np.float32))
    index = values[:, 0].astype(np.int64) if most[0] <= 2**31 else np.zeros(count, dtype=np.int64)
    if not (index == values[:, 0]).all():
        raise FormatError(f"{name}: the first column holds {values[:3, 0].tolist()}, expected whole numbers")
    return Landmarks(values[:, 1:].astype(np.float32), index)
