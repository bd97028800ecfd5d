"""MATLAB files of version 5, read here and not with SciPy, whose compiled reader crashes on some damaged files.

A file is 128 bytes of head and a list of elements, each with a type, a length and contents; arrays are often compressed
one by one.  An array is itself a list: flags, sizes, a name, and then numbers, text, or further arrays.  Every length
must lie inside what surrounds it, and the sizes of an array must be those of its contents, before anything is made of
it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from facekit.data.formats.errors import FormatError

HEAD = 128
_COMPRESSED, _MATRIX, _INT32, _INT8 = 15, 14, 5, 1
_CELL, _STRUCT, _CHAR = 1, 2, 4
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_COMPLEX, _LOGICAL = 8, 2
_MOST_DEPTH = 16
_MOST_NUMBERS = 2**40
_MOST_ENTRIES = 2_000_000

Element = tuple[int, memoryview]


def read_version5(content: bytes, name: str, room: int) -> dict[str, Any]:
    """The variables of a file's content by name; compressed ones may unpack to `room` bytes in all.

    Sparse arrays, objects and functions are left out; inside cells and structures they become None.

    Raises:
        FormatError: for everything that is not as it should be; the message begins with `name`.
    """
    if len(content) < HEAD or content[126:128] not in (b"IM", b"MI"):
        raise FormatError(
            f"{name}: found a file that begins with {content[:16]!r}, expected a MATLAB file (version 5 or 7.3)"
        )
    reader = _Reader(name, "<" if content[126:128] == b"IM" else ">")
    variables = {}
    for kind, body in reader.elements(memoryview(content)[HEAD:]):
        if kind == _COMPRESSED:
            unpacked = _inflate(body, room, name)
            room -= len(unpacked)
            kind, body = next(reader.elements(memoryview(unpacked)), (0, memoryview(b"")))
        if kind != _MATRIX:
            raise FormatError(f"{name}: found an element of type {kind}, expected an array (type {_MATRIX})")
        label, value = reader.array(body, 0)
        if value is not None:
            variables[label] = value
    return variables


def _inflate(body: memoryview, room: int, name: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(body, max(room, 1))
    except zlib.error as error:
        raise FormatError(f"{name}: a compressed variable is damaged ({error})") from error
    if unpacker.unconsumed_tail:
        raise FormatError(f"{name}: unpacks to more bytes than the {max(room, 0):,} that are left for it")
    if not unpacker.eof:
        raise FormatError(f"{name}: a compressed variable is cut off")
    return unpacked


class _Reader:
    """Reads arrays of one file in its byte order."""

    def __init__(self, name: str, order: str):
        self.name, self.order = name, order

    def elements(self, data: memoryview) -> Iterator[Element]:
        """Type and content of each element; elements are padded to eight bytes, those of up to four bytes packed."""
        place = 0
        while place + 8 <= len(data):
            kind, size = struct.unpack_from(self.order + "II", data, place)
            if kind >> 16:
                kind, size, begin, step = kind & 0xFFFF, kind >> 16, place + 4, 8
                if size > 4:
                    raise FormatError(f"{self.name}: a small element of {size} bytes, expected at most 4")
            else:
                begin = place + 8
                step = 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
            if begin + size > len(data):
                raise FormatError(f"{self.name}: an element announces {size:,} bytes, {len(data) - begin:,} are left")
            yield kind, data[begin : begin + size]
            place += step
        if any(data[place:]):
            raise FormatError(f"{self.name}: {len(data) - place} bytes are left over at the end of an element")

    def array(self, body: memoryview, depth: int) -> tuple[str, Any]:
        """Name and value of an array; the value is None for kinds that are not read."""
        if depth > _MOST_DEPTH:
            raise FormatError(f"{self.name}: structures within structures, more than {_MOST_DEPTH} deep")
        if not len(body):
            return "", np.zeros((0, 0))
        parts = list(self.elements(body))
        if len(parts) < 3 or len(parts[0][1]) != 8 or parts[2][0] != _INT8:
            raise FormatError(f"{self.name}: an array of {len(parts)} parts, expected flags, sizes and a name at least")
        (flags,) = struct.unpack_from(self.order + "I", parts[0][1])
        kind = flags & 0xFF
        label = bytes(parts[2][1]).rstrip(b"\0").decode("latin-1")
        sizes = self._sizes(*parts[1])
        if kind in _CLASSES:
            return label, self._numbers(kind, flags >> 8, sizes, parts[3:])
        if kind == _CHAR:
            return label, self._text(sizes, parts[3:])
        if kind == _CELL:
            return label, self._cell(sizes, parts[3:], depth)
        if kind == _STRUCT:
            return label, self._structure(sizes, parts[3:], depth)
        return label, None

    def _sizes(self, kind: int, data: memoryview) -> tuple[int, ...]:
        if kind != _INT32 or len(data) % 4 or not 2 <= len(data) // 4 <= 32:
            raise FormatError(f"{self.name}: an array whose sizes cannot be read")
        sizes = struct.unpack(f"{self.order}{len(data) // 4}i", data)
        if min(sizes) < 0 or math.prod(max(size, 1) for size in sizes) > _MOST_NUMBERS:
            raise FormatError(f"{self.name}: an array of size {sizes}")
        return sizes

    def _require(self, sizes: tuple[int, ...], announced: int, held: float) -> None:
        if held != announced:
            raise FormatError(
                f"{self.name}: an array of size {sizes} announces {announced:,} entries, the file holds {held:,.0f}"
            )

    def _numbers(self, kind: int, flags: int, sizes: tuple[int, ...], parts: list[Element]) -> np.ndarray:
        planes = []
        for stored, data in parts[: 2 if flags & _COMPLEX else 1]:
            dtype = np.dtype(self.order + _STORED.get(stored, "V1"))
            if stored not in _STORED or (dtype.kind == "f" and _CLASSES[kind][0] != "f"):
                raise FormatError(f"{self.name}: numbers of type {stored} in an array of class {kind}")
            self._require(sizes, math.prod(sizes), len(data) / dtype.itemsize)
            planes.append(np.frombuffer(data, dtype).astype(_CLASSES[kind]).reshape(sizes, order="F"))
        if not planes:
            self._require(sizes, math.prod(sizes), 0)
            planes = [np.zeros(sizes, _CLASSES[kind])]
        if flags & _LOGICAL:
            return planes[0].astype(bool)
        return planes[0] if len(planes) == 1 else planes[0] + 1j * planes[1]

    def _text(self, sizes: tuple[int, ...], parts: list[Element]) -> np.ndarray:
        """The rows of an array of letters as an array of strings."""
        stored, data = parts[0] if parts else (2, memoryview(b""))
        coding = _CODINGS.get(stored, "")
        if not coding:
            raise FormatError(f"{self.name}: text of type {stored}")
        if coding in ("utf-16", "utf-32"):
            coding += "-le" if self.order == "<" else "-be"
        try:
            letters = bytes(data).decode(coding)
        except UnicodeDecodeError as error:
            raise FormatError(f"{self.name}: text that is not {coding.upper()}") from error
        self._require(sizes, math.prod(sizes), len(letters))
        rows = sizes[0] if letters else 0
        return np.array([letters[row::rows] for row in range(rows)], dtype=str)

    def _cell(self, sizes: tuple[int, ...], parts: list[Element], depth: int) -> np.ndarray:
        self._require(sizes, math.prod(sizes), len(parts))
        cells = np.empty(len(parts), dtype=object)
        for place, part in enumerate(parts):
            cells[place] = self._inner(part, depth)
        return cells.reshape(sizes, order="F")

    def _structure(self, sizes: tuple[int, ...], parts: list[Element], depth: int) -> np.ndarray:
        names = self._field_names(parts[:2])
        entries = parts[2:]
        count = math.prod(sizes)
        self._require(sizes, count * len(names), len(entries))
        if count > _MOST_ENTRIES:
            raise FormatError(f"{self.name}: a structure of {count:,} entries, expected at most {_MOST_ENTRIES:,}")
        found = np.empty(count, dtype=[(field, object) for field in names])
        for place, part in enumerate(entries):
            found[names[place % len(names)]][place // len(names)] = self._inner(part, depth)
        return found.reshape(sizes, order="F")

    def _field_names(self, parts: list[Element]) -> list[str]:
        """Names of a structure's fields: the length that each takes, then all of them."""
        if len(parts) < 2 or len(parts[0][1]) != 4:
            raise FormatError(f"{self.name}: a structure without field names")
        (width,) = struct.unpack(self.order + "i", parts[0][1])
        text = bytes(parts[1][1])
        if width < 1 or not text or len(text) % width:
            raise FormatError(f"{self.name}: field names of {width} bytes each and {len(text)} in all")
        names = [text[k : k + width].partition(b"\0")[0].decode("latin-1") for k in range(0, len(text), width)]
        if len(set(names)) != len(names) or not all(field.isidentifier() for field in names):
            raise FormatError(f"{self.name}: field names {', '.join(names)[:60]!r}, expected different words")
        return names

    def _inner(self, part: Element, depth: int) -> Any:
        kind, body = part
        if kind != _MATRIX:
            raise FormatError(f"{self.name}: found an element of type {kind} where an array was expected")
        return self.array(body, depth + 1)[1]
