"""Blendshapes of FaceWarehouse (.bs): one person's neutral face and its 46 expressions.

Little-endian int32: numbers of blendshapes, vertices and quads; then float32 x, y, z of each vertex, the neutral face
first, then each blendshape.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from facekit.data.formats.errors import MAX_ELEMENTS, FormatError, read_whole, require_finite


def read_bs(path: str | Path) -> np.ndarray:
    """The shapes (1 + 46, V, 3) float32 in the file's unit, the neutral face first.

    Raises:
        FormatError: if the file's length is not what its header says, or a coordinate is not finite or larger than
            100,000.
    """
    return parse_bs(read_whole(path), str(path))


def parse_bs(content: bytes, name: str = "bs") -> np.ndarray:
    """As `read_bs`, from the file's content; `name` is for messages."""
    if len(content) < 12:
        raise FormatError(f"{name}: found {len(content)} bytes, expected a header of 12")
    shapes, vertices, quads = struct.unpack_from("<3i", content)
    fits = 0 <= shapes <= 10_000 and 0 < vertices <= MAX_ELEMENTS and 0 <= quads <= MAX_ELEMENTS
    expected = 12 + 12 * (shapes + 1) * vertices
    if not fits or len(content) != expected:
        raise FormatError(
            f"{name}: found {len(content):,} bytes with a header of {shapes} blendshapes of {vertices} vertices, "
            f"expected {expected:,} bytes"
        )
    values = np.frombuffer(content, dtype="<f4", offset=12).reshape(shapes + 1, vertices, 3).astype(np.float32)
    require_finite(values, name, "coordinate")
    if np.abs(values).max() > 1e5:
        raise FormatError(f"{name}: a coordinate is {np.abs(values).max():.3g}, expected at most 100,000")
    return values
