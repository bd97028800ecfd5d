"""File formats of the 3D data sets, parsed whole-buffer, with every header checked before memory is asked for::

    surface = read_vrml("F0001_AN01WH_F3D.wrl")
    surface.vertices, surface.faces        # (V, 3) float32, (F, 3) int64

`read_...` takes a file, `parse_...` the content of one.  All raise `FormatError`, which names the file, what was found
and what was expected, and nothing else.  Files larger than MAX_FILE_BYTES and scans of more than MAX_ELEMENTS vertices
or faces are refused.
"""

from facekit.data.formats.bnt import RangeImage, parse_bnt, range_surface, read_bnt
from facekit.data.formats.bs import parse_bs, read_bs
from facekit.data.formats.ends import check_ends
from facekit.data.formats.errors import MAX_ELEMENTS, MAX_FILE_BYTES, FormatError, inside_path, read_whole
from facekit.data.formats.landmarks import (
    Landmarks,
    parse_bnd,
    parse_lm2,
    parse_lm3,
    parse_tbnd,
    read_bnd,
    read_lm2,
    read_lm3,
    read_tbnd,
)
from facekit.data.formats.matlab import MAX_UNPACKED_BYTES, parse_mat, read_mat, require_numbers
from facekit.data.formats.vl import parse_vl, read_vl
from facekit.data.formats.vrml import Surface, parse_vrml, read_vrml

__all__ = [
    "MAX_ELEMENTS",
    "MAX_FILE_BYTES",
    "MAX_UNPACKED_BYTES",
    "FormatError",
    "Landmarks",
    "RangeImage",
    "Surface",
    "check_ends",
    "inside_path",
    "parse_bnd",
    "parse_bnt",
    "parse_bs",
    "parse_lm2",
    "parse_lm3",
    "parse_mat",
    "parse_tbnd",
    "parse_vl",
    "parse_vrml",
    "range_surface",
    "read_bnd",
    "read_bnt",
    "read_bs",
    "read_lm2",
    "read_lm3",
    "read_mat",
    "read_tbnd",
    "read_vl",
    "read_vrml",
    "read_whole",
    "require_numbers",
]
