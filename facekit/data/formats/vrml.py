"""VRML scans (.wrl) of BU-3DFE, BU-4DFE and MICC: the triangles of all IndexedFaceSets, with texture coordinates.

The reader looks for brackets and the words before them, so it does not matter how the text is broken into lines, in
which order the fields come, or whether a `DEF` stands between.  Polygons are cut into fans.  Texture coordinates have
indices of their own: along a seam one vertex has several.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facekit.data.formats.errors import MAX_ELEMENTS, FormatError, inside_path, read_whole, require_indices
from facekit.data.formats.numbers import parse_floats, parse_integers

MAX_VRML_BYTES = 128 * 2**20
_MOST_BRACKETS = 2_000
_MOST_OUTSIDE = 2**20  # bytes of a scan that are not in lists of numbers
_CONTEXT = 160  # bytes before a bracket in which its field's name must lie

_FIELD = re.compile(
    rb"(?:([A-Za-z0-9]+)\s*\{[^{}]*?)?(?<![^\s{}\[\],])(point|coordIndex|texCoordIndex|textureCoordIndex)\s*$"
)
_PASSED_OVER = re.compile(rb"(?<![^\s{}\[\],])(?:vector|color|normalIndex|colorIndex|materialIndex)\s*$")
_TEXTURE = re.compile(rb'ImageTexture\s*\{[^{}]{0,400}?\burl\s*\[?\s*"([^"\r\n]{0,400})"')
_CLOCKWISE = re.compile(rb"(?<![\w.])ccw\s+FALSE(?![\w.])")
_HEAD = re.compile(rb"(?:\s*#[^\r\n]*)*")
_COMMENT = re.compile(rb'"[^"\r\n]*"|#[^\r\n]*')


@dataclass(frozen=True)
class Surface:
    """The surface that a scan file holds.

    Attributes:
        vertices: (V, 3) float32, in the file's unit.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        uv: (T, 2) float32 with v up, or None.
        uv_faces: (F, 3) int64 indices into `uv`, or None.
        texture: file name of the texture, relative to the scan's folder; empty if the file names none.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    uv_faces: np.ndarray | None = None
    texture: str = ""


def read_vrml(path: str | Path) -> Surface:
    """The surface of a VRML file, version 1 or 2.

    Raises:
        FormatError: if the file is no VRML, is cut off, holds no or unequal numbers of coordinates and index lists, an
            index out of range, a number that is not finite, a face of fewer than three corners, or a texture outside
            its folder.
    """
    return parse_vrml(read_whole(path, MAX_VRML_BYTES), str(path))


def parse_vrml(content: bytes, name: str = "VRML") -> Surface:
    """As `read_vrml`, from the file's content; `name` is for messages."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not re.match(rb"#VRML\s+V[12]\.0", content[:16]):
        raise FormatError(f"{name}: found a file that begins with {content[:16]!r}, expected '#VRML V2.0'")
    fields, outside = _fields(_without_comments(content), name)
    points, indices, texture_points, texture_indices = (fields[key] for key in _KEYS)
    for key, pattern in _KEYWORDS.items():
        announced = len(pattern.findall(outside))
        if announced != len(fields[key]):
            raise FormatError(f"{name}: the word for {key!r} stands {announced} times, with {len(fields[key])} lists")
    shapes = len(points)
    if not shapes or len(indices) != shapes:
        raise FormatError(
            f"{name}: found {shapes} lists of points and {len(indices)} of faces, expected as many of both"
        )
    with_uv = len(texture_points) == shapes and len(texture_indices) in (0, shapes)
    if (texture_points or texture_indices) and shapes == 1 and not with_uv:
        raise FormatError(
            f"{name}: found {len(texture_points)} lists of texture coordinates and {len(texture_indices)} of their "
            "indices, expected one of each"
        )
    nothing = [None] * shapes
    lists = zip(
        points,
        indices,
        texture_points if with_uv else nothing,
        texture_indices if with_uv and texture_indices else indices,
        strict=True,
    )
    surface = _joined([_part(*texts, name) for texts in lists])
    if _is_clockwise(outside, shapes, name):
        turned = None if surface.uv_faces is None else surface.uv_faces[:, ::-1].copy()
        surface = Surface(surface.vertices, surface.faces[:, ::-1].copy(), surface.uv, turned)
    return replace(surface, texture=_texture(outside, name))


_KEYS = ("point", "coordIndex", "texture point", "texCoordIndex")
_KEYWORDS = {  # a list that is announced and not found would change what the others mean
    "coordIndex": re.compile(rb"coordIndex"),
    "texture point": re.compile(rb"TextureCoordinate2?\s*\{"),
    "texCoordIndex": re.compile(rb"tex(?:ture)?CoordIndex"),
}


def _fields(content: bytes, name: str) -> tuple[dict[str, list[bytes]], bytes]:
    """The text between the brackets of each field that is read, in the file's order, and all that is outside them."""
    fields: dict[str, list[bytes]] = {key: [] for key in _KEYS}
    outside, done = [], 0
    place = content.find(b"[")
    for _ in range(_MOST_BRACKETS):
        if place < 0:
            break
        before = content[max(done, place - _CONTEXT) : place].rstrip()
        if before[-1:] in (b"", b"}", b"]", b"{", b"["):
            raise FormatError(f"{name}: a list without a name, after {before[-20:].decode('ascii', 'replace')!r}")
        key = _key(before)
        if key or _PASSED_OVER.search(before):
            end = content.find(b"]", place)
            if end < 0:
                raise FormatError(f"{name}: the list {key or before[-20:]!r} has no end; the file is cut off")
            if key:
                fields[key].append(content[place + 1 : end])
            outside.append(content[done : place + 1])
            place = done = end
        place = content.find(b"[", place + 1)
    else:
        raise FormatError(f"{name}: found {_MOST_BRACKETS:,} lists or more, expected one scan")
    rest = b"".join([*outside, content[done:]])
    if len(rest) > _MOST_OUTSIDE:
        raise FormatError(f"{name}: found {len(rest):,} bytes outside of lists, expected at most {_MOST_OUTSIDE:,}")
    return fields, rest


def _key(before: bytes) -> str:
    """What the list is that follows this text; empty for lists of no interest."""
    match = _FIELD.search(before)
    if match is None:
        return ""
    node, field = match.group(1) or b"", match.group(2).decode()
    if field != "point":
        return "coordIndex" if field == "coordIndex" else "texCoordIndex"
    if node in (b"Coordinate", b"Coordinate3"):
        return "point"
    return "texture point" if node in (b"TextureCoordinate", b"TextureCoordinate2") else ""


def _part(points: bytes, index: bytes, uv_points: bytes | None, uv_index: bytes, name: str) -> Surface:
    """One IndexedFaceSet, cut into triangles."""
    vertices = _rows(points, 3, name, "coordinates")
    corners = _corners(index, name, "vertex numbers")
    triangles = _fans(corners, name)
    faces = require_indices(corners[triangles], len(vertices), name, "vertex numbers")
    if uv_points is None:
        return Surface(vertices, faces)
    uv = _rows(uv_points, 2, name, "texture coordinates")
    uv_corners = corners if uv_index == index else _corners(uv_index, name, "texture indices")
    if not np.array_equal(uv_corners == -1, corners == -1):
        raise FormatError(f"{name}: the texture indices have other faces than the vertex numbers")
    return Surface(vertices, faces, uv, require_indices(uv_corners[triangles], len(uv), name, "texture indices"))


def _corners(index: bytes, name: str, what: str) -> np.ndarray:
    """The list of a face set, without the last -1, which some files leave out."""
    corners = parse_integers(index, name, what)
    if len(corners) > 5 * MAX_ELEMENTS:
        raise FormatError(f"{name}: found {len(corners):,} {what}, expected at most {5 * MAX_ELEMENTS:,}")
    return corners[:-1] if len(corners) and corners[-1] == -1 else corners


def _rows(content: bytes, width: int, name: str, what: str) -> np.ndarray:
    values = parse_floats(content, name, what)
    if len(values) == 0 or len(values) % width or len(values) // width > MAX_ELEMENTS:
        raise FormatError(f"{name}: found {len(values):,} numbers as {what}, expected a multiple of {width}")
    with np.errstate(over="ignore"):
        rows = values.reshape(-1, width).astype(np.float32)
    if not np.isfinite(rows).all():
        raise FormatError(f"{name}: {what} reach {np.abs(values).max():.3g}, expected numbers of single precision")
    return rows


def _fans(corners: np.ndarray, name: str) -> np.ndarray:
    """Places in `corners` of the triangles' corners (F, 3): each polygon, closed by -1, gives a fan."""
    if len(corners) % 4 == 3 and (corners[3::4] == -1).all() and np.count_nonzero(corners == -1) == len(corners) // 4:
        return np.arange(0, len(corners), 4)[:, None] + np.arange(3)
    ends = np.append(np.flatnonzero(corners == -1), len(corners))
    starts = np.append(0, ends[:-1] + 1)
    sizes = ends - starts
    starts, sizes = starts[sizes > 0], sizes[sizes > 0]
    if not len(sizes) or sizes.min() < 3:
        found = f"a face of {sizes.min()} corners" if len(sizes) else "no face"
        raise FormatError(f"{name}: found {found}, expected at least three corners")
    count = sizes - 2
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    first = np.repeat(starts, count)
    return np.stack([first, first + place + 1, first + place + 2], axis=1)


def _joined(parts: list[Surface]) -> Surface:
    """All parts as one surface."""
    if len(parts) == 1:
        return parts[0]
    offset = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + offset[k] for k, part in enumerate(parts)])
    if parts[0].uv is None:
        return Surface(vertices, faces)
    offset = np.cumsum([0] + [len(part.uv) for part in parts])
    uv_faces = np.concatenate([part.uv_faces + offset[k] for k, part in enumerate(parts)])
    return Surface(vertices, faces, np.concatenate([part.uv for part in parts]), uv_faces)


def _is_clockwise(outside: bytes, shapes: int, name: str) -> bool:
    """Whether all faces are wound clockwise; FormatError if only some shapes are."""
    clockwise = len(_CLOCKWISE.findall(outside))
    if clockwise not in (0, shapes):
        raise FormatError(f"{name}: {clockwise} of {shapes} shapes are clockwise, expected all or none")
    return clockwise > 0


def _texture(outside: bytes, name: str) -> str:
    """File name of the texture; empty if there is none, or if parts of the scan have different ones."""
    names = set(_TEXTURE.findall(outside))
    return inside_path(names.pop().decode("latin-1"), name) if len(names) == 1 else ""


def _without_comments(content: bytes) -> bytes:
    """The text without `# ...` up to the end of the line, where the # is not inside quotation marks."""
    body = content[_HEAD.match(content).end() :]
    if b"#" not in body:
        return body
    return _COMMENT.sub(lambda match: match.group() if match.group().startswith(b'"') else b"", body)
