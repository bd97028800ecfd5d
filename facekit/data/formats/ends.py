"""A quick look at a scan: is the file there, and is it all there, as far as its first and last bytes tell?"""

from __future__ import annotations

import os
from pathlib import Path

from facekit.data.formats.bnt import check_bnt_size
from facekit.data.formats.errors import FormatError
from facekit.data.formats.vl import check_vl_size

_BYTES = 4096


def check_ends(path: str | Path) -> None:
    """Look at the first and the last bytes of a scan; nothing is parsed, so damage in between is not noticed.

    Raises:
        FormatError: if the file is empty or cannot be read; if a .wrl is no VRML or has no closing bracket at its end;
            if a .bnt or .vl is not as long as its head says.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head, size = file.read(_BYTES), os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _BYTES))
            tail = file.read()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    ending = path.suffix.lower()
    if not size:
        raise FormatError(f"{path}: the file is empty")
    if ending == ".wrl" and not head.removeprefix(b"\xef\xbb\xbf").startswith(b"#VRML"):
        raise FormatError(f"{path}: begins with {head[:16]!r}, expected '#VRML V2.0'")
    if ending == ".wrl" and b"}" not in tail:
        raise FormatError(f"{path}: the file is cut off: no bracket is closed at its end")
    if ending == ".bnt":
        check_bnt_size(head, size, str(path))
    if ending == ".vl":
        check_vl_size(head, size, str(path))
