"""Scans parsed once and kept on disk, one file each: text becomes arrays, and thousands of scans become quick."""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from facekit.data.scans.scan import Scan

VERSION = 1
_ARRAYS = ("vertices", "faces", "landmarks", "own_landmarks", "uv", "uv_faces", "colours")


class ScanCache:
    """A folder of scans as .npz files.

    A scan is read again where any of its files has another size or date than when it was kept.  Files are written under
    another name, flushed and renamed, so that a process which is killed leaves nothing half-done.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def get(self, key: str, files: list[Path], read: Callable[[], Scan]) -> Scan:
        """The scan that is kept under `key`, or the result of `read`, kept from now on; `files` are what it is made of.

        Raises:
            FormatError: what `read` raises; nothing is kept then.
        """
        path = self.folder / f"{_digest(key, files)}.npz"
        kept = _load(path)
        if kept is None:
            kept = read()
            write_arrays(path, _arrays(kept))
        return kept


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An .npz file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an .npz file; None if there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def _digest(key: str, files: list[Path]) -> str:
    described = [f"{VERSION} {key}"]
    for file in files:
        state = file.stat() if file.is_file() else None
        described.append(f"{file} {state.st_size} {state.st_mtime_ns}" if state else f"{file} absent")
    return hashlib.blake2b("\n".join(described).encode(), digest_size=16).hexdigest()


def _arrays(scan: Scan) -> dict[str, np.ndarray]:
    arrays = {name: getattr(scan, name).numpy() for name in _ARRAYS if getattr(scan, name) is not None}
    return arrays | {"texture": np.array(str(scan.texture or "")), "name": np.array(scan.name)}


def _load(path: Path) -> Scan | None:
    arrays = read_arrays(path)
    if arrays is None or not {"vertices", "faces", "texture", "name"} <= set(arrays):
        return None
    tensors = {name: torch.from_numpy(arrays[name]) for name in _ARRAYS if name in arrays}
    texture = str(arrays["texture"])
    return Scan(**tensors, texture=Path(texture) if texture else None, name=str(arrays["name"]))
