"""File formats of the 3D data sets, parsed whole-buffer, with every header checked before memory is asked for.

    shape = read_vrml("F0001_AN01WH_F3D.wrl")
    shape.vertices, shape.faces            # (V, 3) float32, (F, 3) int64

All parsers raise `FormatError`, which names the file, what was found and what was expected, and nothing else.  Files
larger than MAX_FILE_BYTES and scans of more than MAX_ELEMENTS vertices or faces are refused.
"""

from facekit.data.formats.errors import MAX_ELEMENTS, MAX_FILE_BYTES, FormatError
from facekit.data.formats.matlab import MAX_UNPACKED_BYTES, read_mat, require_numbers

__all__ = [
    "MAX_ELEMENTS",
    "MAX_FILE_BYTES",
    "MAX_UNPACKED_BYTES",
    "FormatError",
    "read_mat",
    "require_numbers",
]
