"""Reading model files with errors that name the file, what was found and what was expected."""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from facekit.morphable.face_model import FaceModelError


def require_file(path: Path, what: str) -> Path:
    """Return `path` if it is a file; `FaceModelError` otherwise."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise FaceModelError(f"{path}: found {found} there, expected {what}")
    return path


def require_array(
    path: Path, arrays: Mapping[str, object], key: str, shape: Sequence[int | None] | None = None
) -> np.ndarray:
    """Array `key` of a file already read into `arrays`, numeric, finite and of the given shape (None: any length)."""
    if key not in arrays:
        raise FaceModelError(f"{path}: found no array '{key}' (found {', '.join(sorted(map(str, arrays))[:12])})")
    array = np.asarray(arrays[key])
    if array.dtype.kind not in "fiub":
        raise FaceModelError(f"{path}: array '{key}' holds {array.dtype}, expected numbers")
    if shape is not None and (
        array.ndim != len(shape)
        or any(want is not None and have != want for have, want in zip(array.shape, shape, strict=True))
    ):
        expected = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
        raise FaceModelError(f"{path}: array '{key}' has shape {array.shape}, expected {expected}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FaceModelError(f"{path}: array '{key}' holds values that are not finite")
    return array


def require_indices(path: Path, key: str, indices: np.ndarray, num_vertices: int, *, first: int = 0) -> np.ndarray:
    """Vertex numbers counted from `first` as int64 counted from 0; `FaceModelError` if any is out of range."""
    indices = np.asarray(indices).astype(np.int64) - first
    if indices.size and (indices.min() < 0 or indices.max() >= num_vertices):
        raise FaceModelError(
            f"{path}: '{key}' holds vertex numbers {indices.min() + first}..{indices.max() + first}, "
            f"expected {first}..{num_vertices - 1 + first}"
        )
    return indices


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; nothing pickled is ever loaded."""
    require_file(path, "an .npz file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).split(". ")[0]  # NumPy goes on to advise loading what is pickled
        raise FaceModelError(f"{path}: not a readable .npz file of plain arrays ({reason})") from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed .npz under a temporary name, flush it and rename it: readers see all of it or none."""
    with _temporary_beside(path) as temporary:
        with open(temporary, "wb") as stream:
            np.savez_compressed(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
