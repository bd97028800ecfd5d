"""Label files as text: read whole, within limits, with the file's name and the line in every complaint.

Data sets come with LF or CRLF endings, with or without a byte-order mark, separated by commas, tabs or runs of blanks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from facekit.data.sources import DataError

MAX_TEXT_BYTES = 256 * 2**20
"""Largest label file that is read: a list of a million photographs with sixty labels each stays below."""

LARGEST = 1e9
"""Largest number in a label file: pixels, degrees and levels stay far below, single precision holds it."""

_INTEGER = re.compile(r"[+-]?\d{1,15}(\.0*)?")


class TextError(DataError):
    """A label file that cannot be used; the message names the file and, where there is one, the line."""


def read_text(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a file in UTF-8 (with or without a mark) or, where a mark says so, UTF-16; line ends become LF.

    Raises:
        TextError: if there is no such file, it is larger than `max_bytes`, it is in another encoding or holds zero
            bytes.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise TextError(f"{path}: {size:,} bytes, expected a text of at most {max_bytes:,}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise TextError(f"{path}: there is no such file") from None
    except OSError as error:
        raise TextError(f"{path}: cannot be read ({error.strerror or error})") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TextError(f"{path}, line {line}: is not {encoding[:6].rstrip('-').upper()} text") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise TextError(f"{path}, line {line}: holds a zero byte, so it is not a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def reason_of(error: Exception, path: str | Path) -> str:
    """The message of an error without the file that it begins with."""
    return str(error).removeprefix(str(path)).removeprefix(",").removeprefix(":").strip()


def beside(path: Path, ending: str) -> Path:
    """The file of the same name with another ending (in lower case), which may be in upper case on disk.

    Where there is neither, the place in lower case.
    """
    plain, upper = path.with_suffix(ending), path.with_suffix(ending.upper())
    return upper if not plain.is_file() and upper.is_file() else plain


def file_stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does: its size and time; zeros for no file.  Part of the key of what is remembered."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def text_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not blank, without the blanks around it."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def number_in(text: str, where: str) -> float:
    """A finite number, up to LARGEST in size.  Raises TextError, beginning with `where`, for anything else."""
    try:
        value = float(text)
    except ValueError:
        raise TextError(f"{where}: {text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise TextError(f"{where}: {text[:40]!r} is not a finite number")
    if abs(value) > LARGEST:
        raise TextError(f"{where}: {text[:40]!r} is larger than {LARGEST:g}")
    return value


def integer_in(text: str, where: str, low: int, high: int) -> int:
    """A whole number from `low` to `high` (written 3 or 3.0).  Raises TextError, beginning with `where`, otherwise."""
    text = text.strip()
    if not (text.isascii() and _INTEGER.fullmatch(text)) or not low <= int(text.partition(".")[0]) <= high:
        raise TextError(f"{where}: {text[:40]!r} is not a whole number from {low} to {high}")
    return int(text.partition(".")[0])


def inside_path(text: str, where: str) -> str:
    """A path below the data set's folder, with forward slashes.

    Raises:
        TextError: beginning with `where`, if the path is empty, absolute (of either system), climbs with `..`, or holds
            characters that no file name has.
    """
    text = text.strip()
    slashed = text.replace("\\", "/")
    if not text or len(text) > 4096 or any(ord(character) < 32 for character in text):
        raise TextError(f"{where}: {text[:60]!r} is not a file name")
    if PurePosixPath(slashed).is_absolute() or PureWindowsPath(text).drive or text.startswith("~"):
        raise TextError(f"{where}: {text[:60]!r} is an absolute path, expected one below the folder of the data set")
    if ".." in PurePosixPath(slashed).parts:
        raise TextError(f"{where}: {text[:60]!r} leaves the folder of the data set")
    return str(PurePosixPath(slashed))
