"""What all parsers share: one kind of error, limits, and files read whole once their size is known to be sane."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from facekit.data.sources import DataError

MAX_FILE_BYTES = 512 * 2**20
"""Largest file that any parser opens.  The largest file of the data sets, a raw scan in text, has some 20 MiB."""
MAX_ELEMENTS = 20_000_000
"""Most vertices, faces, texture coordinates or range cells of one scan: a hundred times those of the data sets."""


class FormatError(DataError):
    """A file that is not what it should be; the message names the file, what was found and what was expected."""


def read_whole(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file.

    Raises:
        FormatError: if there is no such file, it is empty, is no regular file, or is larger than `max_bytes`.
    """
    path = Path(path)
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing"
            raise FormatError(f"{path}: found {found} there, expected a file")
        size = path.stat().st_size
        if size == 0:
            raise FormatError(f"{path}: the file is empty")
        if size > max_bytes:
            raise FormatError(f"{path}: found {size:,} bytes, expected at most {max_bytes:,}")
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error


def require_finite(values: np.ndarray, name: str, what: str) -> np.ndarray:
    """The same array; FormatError if a value is NaN or infinite."""
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values).ravel())[0])
        found = values.ravel()[first]
        raise FormatError(f"{name}: {what} number {first} is {found}, expected finite numbers")
    return values


def require_indices(indices: np.ndarray, count: int, name: str, what: str) -> np.ndarray:
    """The same array of whole numbers; FormatError if one lies outside 0 to count - 1."""
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= count):
        expected = f"0 to {count - 1}" if count else "none"
        raise FormatError(f"{name}: {what} lie in {int(indices.min())} to {int(indices.max())}, expected {expected}")
    return indices


def inside_path(text: str, name: str) -> str:
    """A file name that a scan gives for its texture, relative to the scan's folder, with forward slashes.

    Raises:
        FormatError: if it is empty, absolute (on either system), an address, or leaves the folder by `..`.
    """
    plain = text.strip().replace("\\", "/")
    outside = PurePosixPath(plain).is_absolute() or PureWindowsPath(plain).drive or plain.startswith("~")
    if not plain or outside or "://" in plain or ".." in PurePosixPath(plain).parts or not plain.isprintable():
        raise FormatError(f"{name}: names the texture {text[:80]!r}, expected a file in the folder of the scan")
    return str(PurePosixPath(plain))
