"""Meshes of Fanelli's audio-visual corpus (.vl): the vertices of one frame, without faces.

Little-endian: a number of vertices (uint32), and three float32 for each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facekit.data.formats.errors import MAX_ELEMENTS, FormatError, read_whole, require_finite


def read_vl(path: str | Path) -> np.ndarray:
    """The vertices (V, 3) float32.

    Raises:
        FormatError: if the file's length is not what its first number says, or a coordinate is not finite or beyond 100
            metres.
    """
    return parse_vl(read_whole(path), str(path))


def parse_vl(content: bytes, name: str = "vl") -> np.ndarray:
    """As `read_vl`, from the file's content; `name` is for messages."""
    count = check_vl_size(content, len(content), name)
    vertices = np.frombuffer(content, dtype="<f4", offset=4).reshape(count, 3).astype(np.float32)
    require_finite(vertices, name, "coordinate")
    if np.abs(vertices).max() > 1e5:
        raise FormatError(f"{name}: a coordinate is {np.abs(vertices).max():.3g}, expected at most 100,000")
    return vertices


def check_vl_size(head: bytes, size: int, name: str) -> int:
    """Number of vertices of a file of `size` bytes; FormatError if it is not as long as its first number says."""
    count = int.from_bytes(head[:4], "little")
    expected = 4 + 12 * count
    if not 0 < count <= MAX_ELEMENTS or size != expected:
        raise FormatError(f"{name}: found {size:,} bytes and a count of {count:,}, expected {expected:,} bytes")
    return count
