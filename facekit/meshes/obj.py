"""Wavefront OBJ text to arrays and back, with every vertex where the file has it.

General loaders drop vertices that no face uses and split those with several texture coordinates; a mesh in dense
correspondence must not lose its numbering, so OBJ is read here.  Files in which all faces are written alike, as
programs write them, are read as a whole; others line by line.
"""

import re
import warnings

import numpy as np

from facekit.meshes.polygons import MOST_ROWS, fans

_READ = ("v", "vt", "f")
_PASSED_OVER = frozenset(
    "vn vp vc p l g s o mg usemtl mtllib usemap maplib lod bevel c_interp d_interp shadow_obj trace_obj cstype deg "
    "bmat step curv curv2 surf parm trim hole scrv sp end con ctech stech call csh fo".split()
)
"""Other keywords of the format.  A line that begins with none is damage: passing it over might shift the numbering."""
_BLANK = r"(?=[ \t\n]|\Z)"
_ID = r"[ \t]*[0-9]{1,18}"
_STYLES = tuple(
    (re.compile(rf"(?:{_ID}{rest}{_BLANK}|[ \t]*\n)*+[ \t]*"), numbers, texture)
    for rest, numbers, texture in (("", 1, None), ("/[0-9]{1,18}", 2, 1), ("//-?[0-9]{1,18}", 2, None),
                                   ("/[0-9]{1,18}/-?[0-9]{1,18}", 3, 1))
)  # fmt: skip
"""Ways to write all corners of a file (a, a/b, a//c, a/b/c), how many numbers each has, place of the texture's id."""
_CORNER = re.compile(r"(-?[0-9]{1,18})(?:/(-?[0-9]{1,18})?(?:/(-?[0-9]{1,18})?)?)?")


class ObjError(ValueError):
    """A line of an OBJ file that cannot be read; the message has its number."""


def parse_obj(text: str) -> dict[str, np.ndarray | None]:
    """Read the geometry of an OBJ file; materials, groups and normals are skipped, no other file is opened.

    Polygons (a, b, c, d, ...) become the triangles (a, b, c), (a, c, d), ..., in the file's order.

    Returns:
        `vertices (V, 3)` float64; `colours (V, 3)` as written after the positions, or None; `faces (F, 3)` int64;
        `texture (T, 2)` float64 or None; `faces_texture (F, 3)` int64 ids into it (-1 for none) or None.

    Raises:
        ObjError: for a number or an index that cannot be read, naming its line.
    """
    lines = _lines(text)
    vertices = _numbers(lines, "v", 3)
    texture = _numbers(lines, "vt", 2)[:, :2]
    corners, texture_corners = _triangles(lines)
    return {
        "vertices": vertices[:, :3],
        "colours": vertices[:, 3:6] if vertices.shape[1] >= 6 else None,
        "faces": corners,
        "texture": texture if len(texture) else None,
        "faces_texture": texture_corners if len(texture) else None,
    }


def _lines(text: str) -> list[str]:
    """All lines; those that are read begin with their keyword and one blank, and have no comment."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\\\n" in text:
        text = text.replace("\\\n", "  ")
    if text.count("\n") > MOST_ROWS:
        raise ObjError(f"found {text.count(chr(10)):,} lines, expected at most {MOST_ROWS:,}")
    lines = text.split("\n")
    others = [line for line in lines if not line.startswith(("v ", "vt ", "vn ", "f "))]
    words = {line.split(None, 1)[0] for line in others if line and not line.isspace()}
    unknown = {word for word in words - _PASSED_OVER - set(_READ) if word[0] != "#"}
    if unknown:
        found = ((number, line.split()) for number, line in enumerate(lines, 1))
        number, word = next((number, words[0]) for number, words in found if words and words[0] in unknown)
        raise ObjError(f"line {number}: {word[:40]!r} is no keyword of an OBJ file")
    if words & set(_READ) or text.count("#") > sum(line.count("#") for line in others):
        return [" ".join(line.partition("#")[0].split()) + " " for line in lines]
    return lines


def _rows(lines: list[str], key: str) -> list[str]:
    """What follows a keyword, in each line that begins with it."""
    return [line[len(key) + 1 :] for line in lines if line.startswith(f"{key} ")]


def _numbers(lines: list[str], key: str, least: int) -> np.ndarray:
    """All rows of one keyword as an array; rows may differ in length, the shortest decides."""
    rows = _rows(lines, key)
    if not rows:
        return np.zeros((0, least))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = np.loadtxt(rows, dtype=np.float64, ndmin=2, comments=None)
        if len(table) == len(rows) and table.shape[1] >= least:
            return table
    except (ValueError, UserWarning):
        pass
    return _row_by_row(lines, key, [row.split() for row in rows], least)


def _row_by_row(lines: list[str], key: str, rows: list[list[str]], least: int) -> np.ndarray:
    values = []
    for place, tokens in enumerate(rows):
        try:
            values.append([_number(token) for token in tokens])
        except ValueError:
            values.append([])
        if len(values[-1]) < least:
            line = _line(lines, key, place)
            raise ObjError(f"line {line}: expected at least {least} numbers, found {' '.join(tokens)[:60]!r}")
    width = min(len(row) for row in values)
    return np.array([row[:width] for row in values], dtype=np.float64)


def _number(token: str) -> float:
    if "_" in token:
        raise ValueError("digits may not be grouped")
    return float(token)


def _line(lines: list[str], key: str, place: int) -> int:
    """Number, from 1, of the line that is row `place` of a keyword."""
    return [number for number, line in enumerate(lines, 1) if line.startswith(f"{key} ")][place]


def _triangles(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all polygons: vertex ids and texture ids, each `(F, 3)`, 0-based, texture -1 where there is none."""
    rows = _rows(lines, "f")
    sizes, corners = _all_alike(rows) or _corner_by_corner(lines)
    few = np.flatnonzero(sizes < 3)
    if len(few):
        line = _line(lines, "f", int(few[0]))
        raise ObjError(f"line {line}: a face needs at least three corners, found {sizes[few[0]]}")
    places = fans(sizes)
    return corners[places, 0], corners[places, 1]


def _all_alike(rows: list[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Corners of each polygon (P,), and ids (N, 2) of vertex and texture, if all are written alike without signs."""
    text = "\n".join(rows)
    found = next((entry[1:] for entry in _STYLES if entry[0].fullmatch(text)), None)
    if found is None:
        return None
    width, texture = found
    signs = np.frombuffer(b"\n" + text.encode("ascii") + b"\n", dtype=np.uint8)
    starts = np.flatnonzero((signs[1:] > 32) & (signs[:-1] <= 32)) + 1
    ends = np.flatnonzero(signs == 10)
    sizes = np.diff(np.searchsorted(starts, ends))[: len(rows)]
    numbers = np.fromstring(text.replace("/", " "), dtype=np.int64, sep=" ").reshape(-1, width)
    corners = np.full((len(numbers), 2), -1, dtype=np.int64)
    corners[:, 0] = numbers[:, 0] - 1
    if texture is not None:
        corners[:, 1] = numbers[:, texture] - 1
    if len(corners) and min(corners[:, 0].min(), numbers[:, texture or 0].min() - 1) < 0:
        return None
    return sizes, corners


def _corner_by_corner(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """As `_all_alike`, for corners in any mixture of the ways, and ids that count back from the last line read."""
    num_vertices = num_texture = 0
    sizes, corners = [], []
    for number, line in enumerate(lines, 1):
        num_vertices += line.startswith("v ")
        num_texture += line.startswith("vt ")
        if line.startswith("f "):
            tokens = line[2:].split()
            sizes.append(len(tokens))
            try:
                corners += [_corner(token, num_vertices, num_texture) for token in tokens]
            except ValueError as error:
                raise ObjError(f"line {number}: {' '.join(tokens)[:60]!r} is not a face ({error})") from None
    return np.array(sizes, dtype=np.int64), np.array(corners, dtype=np.int64).reshape(-1, 2)


def _corner(token: str, num_vertices: int, num_texture: int) -> tuple[int, int]:
    """`7`, `7/3`, `7//2`, `7/3/2` to 0-based ids; negative ones count back from the last line read."""
    match = _CORNER.fullmatch(token)
    if match is None:
        raise ValueError(f"{token[:20]!r} is no corner")
    vertex, texture, _ = match.groups()
    return _from_zero(vertex, num_vertices), -1 if texture is None else _from_zero(texture, num_texture)


def _from_zero(text: str, count: int) -> int:
    number = int(text)
    if number == 0 or number < -count:
        raise ValueError("ids start at 1" if number == 0 else f"{number} counts back beyond {count}")
    return number - 1 if number > 0 else count + number


def format_obj(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray | None, colours: np.ndarray | None) -> str:
    """OBJ text of `vertices (V, 3)`, `faces (F, 3)`, and if given `uv (V, 2)` and `colours (V, 3)` in [0, 1]."""
    table = vertices if colours is None else np.concatenate([vertices, colours], 1)
    lines = ["v " + " ".join(f"{value:.9g}" for value in row) for row in table.tolist()]
    if uv is not None:
        lines += [f"vt {u:.9g} {v:.9g}" for u, v in uv.tolist()]
    corner = "{0}" if uv is None else "{0}/{0}"
    lines += ["f " + " ".join(corner.format(index + 1) for index in face) for face in faces.tolist()]
    return "\n".join(lines) + "\n"
