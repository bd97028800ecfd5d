"""OBJ and PLY as one would read them first: line by line, number by number, with no thought of speed."""

import re
import struct

CODES = {
    "char": "b", "int8": "b", "uchar": "B", "uint8": "B", "short": "h", "int16": "h", "ushort": "H", "uint16": "H",
    "int": "i", "int32": "i", "uint": "I", "uint32": "I", "int64": "q", "uint64": "Q", "float": "f", "float32": "f",
    "double": "d", "float64": "d",
}  # fmt: skip


def fan(corners: list) -> list:
    """The triangles of a polygon."""
    return [[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)]


def naive_obj(content: bytes) -> tuple[list, list]:
    """Vertices and triangles."""
    vertices, triangles = [], []
    text = content.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n").replace("\\\n", "  ")
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if words[:1] == ["v"]:
            vertices.append([float(word) for word in words[1:4]])
        elif words[:1] == ["f"]:
            numbers = [int(word.partition("/")[0]) for word in words[1:]]
            triangles += fan([number - 1 if number > 0 else len(vertices) + number for number in numbers])
    return vertices, triangles


def naive_ply(content: bytes) -> tuple[list, list]:
    """Vertices and triangles."""
    head, body = re.split(rb"^end_header[ \t]*\r?\n", content, maxsplit=1, flags=re.MULTILINE)
    lines = [line.split() for line in head.decode("latin-1").split("\n")]
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[
        next(words[1] for words in lines if words[:1] == ["format"])
    ]
    elements = []
    for words in lines:
        if words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append(words[1:])
    take = _words(body) if order == "" else _values(body, order)
    vertices, triangles = [], []
    for name, count, properties in elements:
        for _ in range(count):
            row = {}
            for *kind, label in properties:
                row[label] = [take(kind[2]) for _ in range(int(take(kind[1])))] if kind[0] == "list" else take(kind[0])
            if name == "vertex":
                vertices.append([row["x"], row["y"], row["z"]])
            elif name == "face":
                triangles += fan([int(corner) for corner in row.get("vertex_indices", row.get("vertex_index"))])
    return vertices, triangles


def _words(body: bytes):
    words = iter(body.split())
    return lambda kind: float(next(words))


def _values(body: bytes, order: str):
    place = 0

    def take(kind: str):
        nonlocal place
        (value,) = struct.unpack_from(order + CODES[kind], body, place)
        place += struct.calcsize(order + CODES[kind])
        return value

    return take
