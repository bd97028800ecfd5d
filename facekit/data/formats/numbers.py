"""Thousands of numbers from a piece of text, without a Python loop and without guessing.

Coordinates are nearly always written as plain decimals.  Their digits are read as whole numbers and divided by powers
of ten: below 2^53 that is exact, gives the same float64 as a careful reading, and takes a quarter of the time.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from facekit.data.formats.errors import MAX_ELEMENTS, FormatError, require_finite

_BLANKS = b" \t\r\n\f\v"
_COMMAS_TO_BLANKS = bytes.maketrans(b",", b" ")
_MINUS, _POINT, _NEWLINE = (ord(sign) for sign in "-.\n")
_MOST_DIGITS = 18  # of an int64; powers of ten up to here are exact in float64
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)
_EXACT = 2**53
_EXACT_DIGITS = 15  # numbers of so many digits are below 2^53


def parse_floats(content: bytes, name: str, what: str) -> np.ndarray:
    """Finite numbers (N,) float64 that are separated by blanks, line ends or commas.

    Raises:
        FormatError: for anything that is no number, for NaN and infinity, and for more than 8 * MAX_ELEMENTS numbers;
            the message begins with `name` and says that `what` was expected.
    """
    text = _prepared(content, b"0123456789+-.eE", name, what)
    return _floats(text, _Tokens.of(text, name, what), name, what)


def parse_lines(content: bytes, name: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (N,) as `parse_floats`, and how many of them stand in each line that is not blank."""
    if b"\r" in content:
        content = content.replace(b"\r", b"\n")
    text = _prepared(content, b"0123456789+-.eE", name, what)
    tokens = _Tokens.of(text, name, what)
    before = tokens.starts.searchsorted((tokens.symbols == _NEWLINE).nonzero()[0])
    sizes = before[1:] - before[:-1]
    return _floats(text, tokens, name, what), sizes[sizes > 0]


def _floats(text: bytes, tokens: _Tokens, name: str, what: str) -> np.ndarray:
    if not len(tokens.starts):
        return np.zeros(0)
    values = _decimals(text, tokens)
    if values is not None:
        return values
    values = _slowly(text)
    if values is None or len(values) != len(tokens.starts):
        raise FormatError(f"{name}: found {_offender(text)!r}, expected {what}: numbers")
    return require_finite(values, name, what)


def parse_integers(content: bytes, name: str, what: str) -> np.ndarray:
    """Whole numbers (N,) int64 of at most 18 digits, as `parse_floats`."""
    text = _prepared(content, b"0123456789-", name, what)
    tokens = _Tokens.of(text, name, what)
    if not len(tokens.starts):
        return np.zeros(0, dtype=np.int64)
    digits = tokens.lengths - tokens.negative
    if not tokens.signs_lead or not 0 < digits.min() <= digits.max() <= _MOST_DIGITS:
        raise FormatError(f"{name}: found {_offender(text)!r}, expected {what}: whole numbers of at most 18 digits")
    return np.fromstring(text, dtype=np.int64, sep=" ")


class _Tokens(NamedTuple):
    """Where each number of a text begins and ends, its length, and whether it begins with a minus sign."""

    symbols: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    negative: np.ndarray
    lengths: np.ndarray
    signs_lead: bool

    @classmethod
    def of(cls, text: bytes, name: str, what: str) -> _Tokens:
        symbols = np.frombuffer(text, dtype=np.uint8)
        dark = symbols > 32
        edges = (dark[1:] != dark[:-1]).nonzero()[0] + 1
        starts, ends = edges[0::2], edges[1::2]
        if len(starts) > 8 * MAX_ELEMENTS:
            raise FormatError(f"{name}: found {len(starts):,} numbers, expected {what}: at most {8 * MAX_ELEMENTS:,}")
        negative = symbols[starts] == _MINUS
        leading = np.count_nonzero(negative) == text.count(b"-")
        return cls(symbols, starts, ends, negative, ends - starts, leading)


def _prepared(content: bytes, allowed: bytes, name: str, what: str) -> bytes:
    """The text between two line ends, commas made blanks; FormatError for characters that no number has."""
    text = b"\n" + (content.translate(_COMMAS_TO_BLANKS) if b"," in content else content) + b"\n"
    strange = text.translate(None, allowed + _BLANKS)
    if strange:
        place = text.index(strange[:1])
        found = text[max(0, place - 20) : place + 20].decode("ascii", "replace").split()
        raise FormatError(f"{name}: found {' '.join(found)!r}, expected {what}: numbers")
    return text


def _decimals(text: bytes, tokens: _Tokens) -> np.ndarray | None:
    """The numbers, if all are plain decimals with a mantissa below 2^53; None if they have to be read slowly."""
    if not tokens.signs_lead or b"e" in text or b"E" in text or b"+" in text:
        return None
    points = (tokens.symbols == _POINT).nonzero()[0]
    owners = tokens.ends.searchsorted(points, side="right")
    digits = tokens.lengths - tokens.negative
    digits[owners] -= 1
    decimals = np.zeros(len(tokens.starts), dtype=np.int64)
    decimals[owners] = tokens.ends[owners] - points - 1
    one_each = len(owners) < 2 or (owners[1:] > owners[:-1]).all()
    most = digits.max()
    if not one_each or digits.min() < 1 or most > _MOST_DIGITS:
        return None
    mantissa = np.fromstring(text.replace(b".", b""), dtype=np.int64, sep=" ")
    exact = most <= _EXACT_DIGITS or np.abs(mantissa).max() < _EXACT
    return mantissa / _POWERS[decimals] if exact else None


def _slowly(text: bytes) -> np.ndarray | None:
    """The numbers in all ways of writing; None if there is one that is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.fromstring(text, dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None


def _offender(text: bytes) -> str:
    """The first word that is no number."""
    for word in text.split():
        try:
            strange = len(word) > 18
            float(word)
        except ValueError:
            strange = True
        if strange:
            return word[:40].decode("ascii", "replace")
    return text[:40].decode("ascii", "replace").strip()
