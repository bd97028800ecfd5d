"""PLY files to arrays: text or binary in either byte order, polygons of any lengths, with every count checked.

A count in the head is compared with the file's length before anything is made of it, each polygon's length is read
(general loaders take the first polygon's for all), and what is left over at the end is an error, so that a damaged file
does not pass as a smaller mesh.
"""

import re
from array import array
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from facekit.meshes.polygons import MOST_ROWS, fans

_KINDS = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "int64": "i8", "uint64": "u8",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MOST_HEAD = 65_536
_END = re.compile(rb"^end_header[ \t]*\r?\n", re.MULTILINE)
_UV = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_COLOURS = ("red", "green", "blue")

Lists = tuple[np.ndarray, np.ndarray]
"""Lengths (n,) of the rows' lists, and the values of all, one behind the other."""


class PlyError(ValueError):
    """A PLY file that cannot be read; the message says what was found and what was expected."""


@dataclass(frozen=True)
class _Property:
    name: str
    kind: str
    lengths: str = ""  # of a list: the kind of the number before it


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        return any(entry.lengths for entry in self.properties)


def parse_ply(content: bytes) -> dict[str, np.ndarray | None]:
    """Read the geometry of a PLY file; elements beside vertices and faces are checked and left out.

    Polygons (a, b, c, d, ...) become the triangles (a, b, c), (a, c, d), ..., in the file's order.

    Returns:
        `vertices (V, 3)`, `faces (F, 3)` and `uv (V, 2)` or None, of the stored kinds; `corner_uv (F, 3, 2)` or
        None, from the faces' `texcoord`; `colours (V, 3)` in [0, 1] or None.

    Raises:
        PlyError: if the head is none, or the rest of the file is not what the head says.
    """
    order, elements, begin = _head(content)
    read = _text_columns if order == "" else _binary_columns
    columns = read(content[begin:], elements, order)
    vertex, face = columns.get("vertex", {}), columns.get("face", {})
    if not {"x", "y", "z"} <= set(vertex):
        raise PlyError(f"its vertices have {', '.join(vertex) or 'no coordinates'}, expected x, y, z")
    polygons = face.get("vertex_indices", face.get("vertex_index"))
    if polygons is None or not len(polygons[0]):
        raise PlyError("it holds points, but no faces")
    sizes, corners = polygons
    if sizes.min() < 3 or corners.dtype.kind == "f":
        raise PlyError(
            f"it has a face of {sizes.min()} corners ({corners.dtype}), expected three whole numbers at least"
        )
    places = fans(sizes)
    pair = next((pair for pair in _UV if set(pair) <= set(vertex)), None)
    return {
        "vertices": np.stack([vertex[key] for key in "xyz"], 1),
        "faces": corners.reshape(-1, 3) if len(places) == len(sizes) else corners[places],
        "uv": None if pair is None else np.stack([vertex[key] for key in pair], 1),
        "corner_uv": _corner_uv(face.get("texcoord"), sizes, places),
        "colours": _colours(vertex) if set(_COLOURS) <= set(vertex) else None,
    }


def _corner_uv(lists: Lists | None, sizes: np.ndarray, places: np.ndarray) -> np.ndarray | None:
    if lists is None or not np.array_equal(lists[0], 2 * sizes):
        return None
    return lists[1].astype(np.float64).reshape(-1, 2)[places]


def _colours(vertex: dict[str, np.ndarray]) -> np.ndarray:
    columns = [vertex[key] for key in _COLOURS]
    scale = [np.iinfo(column.dtype).max if column.dtype.kind in "iu" else 1 for column in columns]
    return np.stack([column / most for column, most in zip(columns, scale, strict=True)], 1)


def _head(content: bytes) -> tuple[str, list[_Element], int]:
    """Byte order (empty for text), the elements, and where the head ends."""
    match = _END.search(content[:_MOST_HEAD])
    if match is None or not content[:3].lower() == b"ply":
        raise PlyError(f"begins with {content[:16]!r}, expected 'ply' and a head that ends with 'end_header'")
    order, elements = None, []
    for line in content[: match.start()].decode("latin-1").split("\n")[1:]:
        words = line.split()
        if words[:1] == ["format"] and order is None and len(words) == 3 and words[1] in _FORMATS:
            order = _FORMATS[words[1]]
        elif words[:1] == ["element"] and len(words) == 3 and re.fullmatch("[0-9]{1,15}", words[2]):
            elements.append(_Element(words[1], int(words[2])))
        elif words[:1] == ["property"] and elements:
            elements[-1].properties.append(_property(words[1:]))
        elif words and words[0] not in ("comment", "obj_info"):
            raise PlyError(f"its head has the line {line.strip()[:60]!r}")
    for element in elements:
        names = [entry.name for entry in element.properties]
        if len(set(names)) != len(names) or not names:
            raise PlyError(f"its element {element.name!r} has the properties {', '.join(names)[:60] or 'none'}")
    if order is None or len({element.name for element in elements}) != len(elements):
        raise PlyError("its head names no format, or an element twice")
    return order, elements, match.end()


def _property(words: list[str]) -> _Property:
    lengths, kinds = ("", words[:-1]) if words[:1] != ["list"] else (_KINDS.get(words[1], ""), words[2:-1])
    is_list = words[:1] == ["list"]
    if len(kinds) != 1 or kinds[0] not in _KINDS or (is_list and lengths[:1] not in ("i", "u")):
        raise PlyError(f"its head has the property {' '.join(words)[:60]!r}")
    return _Property(words[-1], _KINDS[kinds[0]], lengths)


def _binary_columns(data: bytes, elements: list[_Element], order: str) -> dict[str, dict]:
    columns, place = {}, 0
    for element in elements:
        found, taken = _binary_rows(element, memoryview(data)[place:], order)
        columns[element.name] = found
        place += taken
    if data[place:].strip(b"\r\n"):
        raise PlyError(f"{len(data) - place:,} bytes are left over after what its head announces")
    return columns


def _binary_rows(element: _Element, data: memoryview, order: str) -> tuple[dict, int]:
    """An element's columns (of one that has lists, only these), and how many bytes it takes."""
    if not element.count:
        return {
            entry.name: (np.zeros(0, int),) * 2 if entry.lengths else np.zeros(0) for entry in element.properties
        }, 0
    first, _ = _walk(element, data, order, 1)
    fields = []
    for number, entry in enumerate(element.properties):
        if entry.lengths:
            fields += [(f"n{number}", order + entry.lengths)]
        fields += [(f"v{number}", order + entry.kind, *([(len(first[entry.name][1]),)] if entry.lengths else []))]
    dtype = np.dtype(fields)
    if element.count * dtype.itemsize <= len(data):
        table = np.frombuffer(data, dtype, element.count)
        sizes = {number: table[f"n{number}"] for number, entry in enumerate(element.properties) if entry.lengths}
        if all((size == size[0]).all() for size in sizes.values()):
            columns = {entry.name: table[f"v{k}"] for k, entry in enumerate(element.properties)}
            for number, size in sizes.items():
                name = element.properties[number].name
                columns[name] = (size.astype(np.int64), columns[name].reshape(-1))
            return columns, element.count * dtype.itemsize
    if not element.has_lists:
        raise PlyError(f"it announces {element.count:,} of {element.name!r}, {len(data):,} bytes are left for them")
    return _walk(element, data, order, element.count)


def _walk(element: _Element, data: memoryview, order: str, count: int) -> tuple[dict[str, Lists], int]:
    """The lists of the first `count` rows, whose lengths may differ, and how many bytes the rows take."""
    if count > min(len(data), MOST_ROWS):
        raise PlyError(
            f"it announces {count:,} of {element.name!r}, {len(data):,} bytes are left for them; lists whose lengths "
            f"differ may be {MOST_ROWS:,}"
        )
    steps = [(entry.name if entry.lengths else "", np.dtype(entry.lengths or entry.kind).itemsize,
              np.dtype(entry.kind).itemsize, entry.lengths[:1] == "i") for entry in element.properties]  # fmt: skip
    begins, ends = ({entry.name: array("q") for entry in element.properties if entry.lengths} for _ in range(2))
    byte_order, place = "little" if order == "<" else "big", 0
    for row in range(count):
        for name, width, step, signed in steps:
            begin = place = place + width
            if name:
                place += int.from_bytes(data[begin - width : begin], byte_order, signed=signed) * step
                begins[name].append(begin)
                ends[name].append(place)
            if not begin <= place <= len(data):
                raise PlyError(f"it ends within row {row:,} of {element.name!r}, expected {element.count:,} rows")
    kinds = {entry.name: np.dtype(order + entry.kind) for entry in element.properties}
    return {name: _between(data, begins[name], ends[name], kinds[name]) for name in begins}, place


def _between(data: memoryview, begins: array, ends: array, dtype: np.dtype) -> Lists:
    """Lists whose bytes lie from `begins` to `ends`, one behind the other but for what is between them."""
    first, last = np.array(begins), np.array(ends)
    full = last > first
    inside = np.zeros(len(data) + 1, dtype=np.int8)
    inside[first[full]] = 1
    inside[last[full]] = -1
    taken = np.frombuffer(data, dtype=np.uint8)[inside.cumsum(dtype=np.int8)[:-1].astype(bool)]
    return (last - first) // dtype.itemsize, taken.view(dtype)


def _text_columns(data: bytes, elements: list[_Element], _order: str) -> dict[str, dict]:
    if data.count(b"\n") + data.count(b"\r") > 2 * MOST_ROWS:
        raise PlyError(f"found more than {MOST_ROWS:,} lines")
    lines = [line for line in data.splitlines() if line and not line.isspace()]
    announced = sum(element.count for element in elements)
    if announced != len(lines):
        raise PlyError(f"it announces {announced:,} rows, found {len(lines):,} lines")
    rows, columns = iter(lines), {}
    for element in elements:
        tokens = [line.split() for line in islice(rows, element.count)]
        columns[element.name] = _text_rows(element, tokens)
    return columns


def _text_rows(element: _Element, rows: list[list[bytes]]) -> dict[str, np.ndarray | Lists]:
    found: dict[str, list[bytes]] = {entry.name: [] for entry in element.properties}
    sizes: dict[str, list[int]] = {entry.name: [] for entry in element.properties if entry.lengths}
    if not element.has_lists:
        if any(len(row) != len(element.properties) for row in rows):
            raise PlyError(f"a row of {element.name!r} has not {len(element.properties)} numbers")
        found = dict(zip(found, zip(*rows, strict=True), strict=True)) if rows else found
    for number, row in enumerate(rows if element.has_lists else ()):
        place = 0
        for entry in element.properties:
            size = 1
            if entry.lengths:
                size = int(row[place]) if row[place : place + 1] and row[place].isdigit() else len(row)
                sizes[entry.name].append(size)
                place += 1
            found[entry.name] += row[place : place + size]
            place += size
        if place != len(row):
            raise PlyError(f"row {number:,} of {element.name!r} has {len(row)} numbers, expected {place}")
    columns = {entry.name: _numbers(found[entry.name], entry) for entry in element.properties}
    return columns | {name: (np.array(size, dtype=np.int64), columns[name]) for name, size in sizes.items()}


def _numbers(tokens: list[bytes], entry: _Property) -> np.ndarray:
    """Numbers of a property's kind."""
    try:
        values = np.array(tokens or [], dtype=np.float64)
    except ValueError as error:
        raise PlyError(f"its {entry.name!r} holds no number: {error}") from None
    if any(b"_" in token for token in tokens):
        raise PlyError(f"its {entry.name!r} holds digits in groups")
    if entry.kind[0] == "f":
        return values
    limits = np.iinfo(entry.kind)
    if not ((values == np.floor(values)) & (values >= limits.min) & (values <= limits.max)).all():
        raise PlyError(f"its {entry.name!r} holds numbers that are not whole or too large")
    return values.astype(entry.kind)
