"""MATLAB files of version 5 and 7.3 (which is HDF5, read with h5py), which may come from anywhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from facekit.data.formats.errors import FormatError, read_whole
from facekit.data.formats.matlab5 import read_version5

MAX_UNPACKED_BYTES = 2**30
"""Most bytes that the arrays of one file may have."""
MAX_RATIO = 1100
"""Most that a byte can unpack to: deflate reaches 1032."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DAMAGE = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, AttributeError, NotImplementedError, OverflowError,
    MemoryError, RecursionError, UnicodeError, RuntimeError,
)  # fmt: skip


def read_mat(path: str | Path) -> dict[str, Any]:
    """All variables of a MATLAB file of version 5 or 7.3.

    Numeric variables are arrays in MATLAB's orientation (a row vector is (1, N)).  In version 5, structures are NumPy
    arrays with named fields whose entries are arrays again, and text is an array of strings; in version 7.3 the fields
    of a structure are variables named `structure/field`.  Numbers that are not finite are passed on: some data sets
    mark missing points with NaN.

    Raises:
        FormatError: if the file is none of the two, cut off, damaged, unpacks to more than MAX_UNPACKED_BYTES, or
            announces more than it holds.
    """
    return parse_mat(read_whole(path), str(path))


def parse_mat(content: bytes, name: str = "mat") -> dict[str, Any]:
    """As `read_mat`, from the file's content; `name` is for messages."""
    if content[:8] == _HDF5 or content[512:520] == _HDF5:
        return _read_hdf5(content, name)
    return read_version5(content, name, MAX_UNPACKED_BYTES)


def require_numbers(
    variables: dict[str, Any], key: str, path: str | Path, shape: tuple[int | None, ...] | None = None
) -> np.ndarray:
    """Variable `key` as finite float64 or whole numbers of a shape (None: any length).

    Raises:
        FormatError: if there is no such variable, or it has other contents.
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
