"""MATLAB files of version 5 (with SciPy) and 7.3 (with h5py), which may come from anywhere.

Version 5 is a list of elements, each with a type and a length, often compressed one by one.  Before SciPy sees the
file, every element is unpacked within a limit and looked at: lengths must lie inside the file, and the announced size
of an array must be covered by the bytes that are there, so that no header can ask for memory that the file cannot
fill.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from facekit.data.formats.errors import FormatError, read_whole

MAX_UNPACKED_BYTES = 2**30
"""Most bytes that the arrays of one file may have."""
MAX_RATIO = 1100
"""Most that a byte can unpack to: deflate reaches 1032."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_COMPRESSED, _MATRIX = 15, 14
_CELL, _STRUCT, _CHAR, _SPARSE, _NUMERIC = 1, 2, 4, 5, range(6, 16)
_WIDTHS = {3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 17: 2, 18: 4}
_MOST_DEPTH = 16
_DAMAGE = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, AttributeError, NotImplementedError, OverflowError,
    MemoryError, RecursionError, UnicodeError, RuntimeError, scipy.io.matlab.MatReadError, zlib.error, struct.error,
)  # fmt: skip


def read_mat(path: str | Path) -> dict[str, Any]:
    """All variables of a MATLAB file of version 5 or 7.3.

    Numeric variables are arrays in MATLAB's orientation (a row vector is (1, N)).  In version 5, structures are NumPy
    arrays with named fields whose entries are arrays again, and text is an array of strings; in version 7.3 the fields
    of a structure are variables named `structure/field`.  Numbers that are not finite are passed on: some data sets
    mark missing points with NaN.

    Raises
    ------
    FormatError
        if the file is none of the two, cut off, damaged, unpacks to more than MAX_UNPACKED_BYTES, or announces more
        than it holds.
    """
    return parse_mat(read_whole(path), str(path))


def parse_mat(content: bytes, name: str = "mat") -> dict[str, Any]:
    """As `read_mat`, from the file's content; `name` is for messages."""
    if content[:8] == _HDF5 or content[512:520] == _HDF5:
        return _read_hdf5(content, name)
    return _read_version5(content, name)


def require_numbers(
    variables: dict[str, Any], key: str, path: str | Path, shape: tuple[int | None, ...] | None = None
) -> np.ndarray:
    """Variable `key` as finite float64 or whole numbers of a shape (None: any length).

    Raises
    ------
    FormatError
        if there is no such variable, or it has other contents.
    """
    if key not in variables:
        found = ", ".join(sorted(variables)[:12]) or "nothing"
        raise FormatError(f"{path}: has no variable {key!r}, found {found}")
    array = np.asarray(variables[key])
    if array.dtype.kind not in "fiub":
        raise FormatError(f"{path}: {key!r} holds {array.dtype}, expected numbers")
    if shape is not None and (
        array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True))
    ):
        raise FormatError(f"{path}: {key!r} has the shape {array.shape}, expected {shape} (None: any)")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FormatError(f"{path}: {key!r} holds numbers that are not finite")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _read_version5(content: bytes, name: str) -> dict[str, Any]:
    if len(content) < 128 or content[126:128] not in (b"IM", b"MI"):
        raise FormatError(
            f"{name}: found a file that begins with {content[:16]!r}, expected a MATLAB file (version 5 or 7.3)"
        )
    order = "<" if content[126:128] == b"IM" else ">"
    unpacked = [content[:128]]
    room = MAX_UNPACKED_BYTES
    for kind, body in _elements(memoryview(content)[128:], order, name):
        if kind == _COMPRESSED:
            body = _inflate(body, room, name)
            inner, body = next(_elements(memoryview(body), order, name), (0, memoryview(b"")))
        else:
            inner = kind
        if inner != _MATRIX:
            raise FormatError(f"{name}: found an element of type {inner}, expected an array (type {_MATRIX})")
        room -= len(body)
        if _check_array(body, order, name, 0):
            unpacked += [struct.pack(order + "II", _MATRIX, len(body)), bytes(body)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            variables = scipy.io.loadmat(io.BytesIO(b"".join(unpacked)))
    except _DAMAGE as error:
        raise FormatError(f"{name}: is a damaged MATLAB file ({error or type(error).__name__})") from error
    return {key: value for key, value in variables.items() if not key.startswith("__")}


def _inflate(body: memoryview, room: int, name: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(body, max(room, 1))
    except zlib.error as error:
        raise FormatError(f"{name}: a compressed variable is damaged ({error})") from error
    if unpacker.unconsumed_tail:
        raise FormatError(f"{name}: unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")
    if not unpacker.eof:
        raise FormatError(f"{name}: a compressed variable is cut off")
    return unpacked


def _elements(data: memoryview, order: str, name: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element; elements are padded to eight bytes, those of up to four bytes are packed."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, place)
        if kind >> 16:
            kind, size, begin, step = kind & 0xFFFF, kind >> 16, place + 4, 8
            if size > 4:
                raise FormatError(f"{name}: a small element of {size} bytes, expected at most 4")
        else:
            begin = place + 8
            step = 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(data):
            raise FormatError(f"{name}: an element announces {size:,} bytes, {len(data) - begin:,} are left")
        yield kind, data[begin : begin + size]
        place += step
    if any(data[place:]):
        raise FormatError(f"{name}: {len(data) - place} bytes are left over at the end of an element")


def _check_array(body: memoryview, order: str, name: str, depth: int) -> bool:
    """Whether the array is of a kind that is read (objects and functions are not), once its parts fit its size."""
    if depth > _MOST_DEPTH:
        raise FormatError(f"{name}: structures within structures, more than {_MOST_DEPTH} deep")
    if not len(body):
        return True
    parts = list(_elements(body, order, name))
    if len(parts) < 3 or len(parts[0][1]) != 8:
        raise FormatError(f"{name}: an array of {len(parts)} parts, expected flags, dimensions and a name at least")
    kind = parts[0][1][0 if order == "<" else 3]
    if kind not in (_CELL, _STRUCT, _CHAR, _SPARSE, *_NUMERIC):
        return False
    if parts[1][0] != 5 or len(parts[1][1]) % 4 or not 2 <= len(parts[1][1]) // 4 <= 32:
        raise FormatError(f"{name}: an array whose dimensions cannot be read")
    sizes = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    _check_sizes(kind, sizes, parts, name)
    inner = {_CELL: parts[3:], _STRUCT: parts[5:]}.get(kind, [])
    checks = [part == _MATRIX and _check_array(data, order, name, depth + 1) for part, data in inner]
    return all(checks)


def _check_sizes(kind: int, sizes: tuple[int, ...], parts: list[tuple[int, memoryview]], name: str) -> None:
    """FormatError unless the announced number of entries is what the parts hold."""
    count = math.prod(sizes)
    most = least = count
    if kind == _CELL:
        held = len(parts) - 3
    elif kind == _STRUCT:
        fields = _field_count(parts, name)
        held, most, least = (len(parts) - 5) / fields, count, count
    elif kind == _SPARSE:
        held = sum(len(data) for _, data in parts[3:])
        least, most = max(sizes), MAX_UNPACKED_BYTES  # a column costs at least the four bytes of its first index
    else:
        held = len(parts[3][1]) / _WIDTHS.get(parts[3][0], 1) if len(parts) > 3 else 0
        most = 4 * count if kind == _CHAR else count  # a letter of UTF-8 takes up to four bytes
    if min(sizes) < 0 or not least <= held <= most:
        raise FormatError(f"{name}: an array of size {sizes} announces {count:,} entries, the file holds {held:,.0f}")


def _field_count(parts: list[tuple[int, memoryview]], name: str) -> int:
    """Number of fields of a structure, whose fourth part is the length of a field's name and the fifth the names."""
    if len(parts) < 5 or len(parts[3][1]) != 4 or not any(parts[3][1]):
        raise FormatError(f"{name}: a structure without field names")
    width = min(int.from_bytes(parts[3][1], order) for order in ("little", "big"))
    fields, rest = divmod(len(parts[4][1]), width)
    if fields < 1 or rest:
        raise FormatError(f"{name}: a structure with field names of {width} and {len(parts[4][1])} bytes in all")
    return fields


def _read_hdf5(content: bytes, name: str) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    room = MAX_UNPACKED_BYTES

    def keep(key: str, entry: object) -> None:
        nonlocal room
        if key.startswith("#") or not isinstance(entry, h5py.Dataset) or entry.dtype.kind not in "fiub":
            return
        room -= entry.size * entry.dtype.itemsize
        _check_dataset(entry, key, room, name)
        array = np.asarray(entry[()])
        if entry.attrs.get("MATLAB_empty", 0):
            array = np.zeros((0, 0))  # MATLAB keeps the sizes of an empty array in its place
        variables[key] = array.T

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            file.visititems(keep)
    except FormatError:
        raise
    except _DAMAGE as error:
        raise FormatError(f"{name}: is a damaged MATLAB file of version 7.3 ({error})") from error
    return variables


def _check_dataset(entry: h5py.Dataset, key: str, room: int, name: str) -> None:
    size = entry.size * entry.dtype.itemsize
    if entry.external is not None or entry.is_virtual:
        raise FormatError(f"{name}: {key!r} lies in another file, expected it in this one")
    if room < 0:
        raise FormatError(f"{name}: unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")
    if size > MAX_RATIO * max(1, entry.id.get_storage_size()):
        raise FormatError(
            f"{name}: {key!r} announces {size:,} bytes, the file holds {entry.id.get_storage_size():,} for them"
        )
