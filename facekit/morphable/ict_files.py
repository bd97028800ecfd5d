"""The files of the ICT-FaceKit light model: a folder of OBJ files, packed once into one cache.

The public folder `FaceXModel/` holds `generic_neutral_mesh.obj`, `identity000.obj` ... `identity099.obj`, one OBJ per
expression shape (57 of them) and `vertex_indices.json`, all over the same 26,719 vertices, in centimetres. Reading 158
text files takes seconds; the cache, one .npz, opens in a third of a second. Its arrays:

    neutral (V, 3) float32, identity (100, V, 3) and expression (57, V, 3) float16 offsets from neutral,
    expression_names (57,), quads (Q, 4) int32 with -1 as a triangle's last index, uv (T, 2) float32,
    quads_uv (Q, 4) int32, landmarks68 (68,) int32, rigid_vertices (R,) int32.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.morphable.face_model import NUM_LANDMARKS, FaceModelError
from facekit.morphable.model_files import read_npz, require_array, require_file, require_indices, write_npz

NEUTRAL = "generic_neutral_mesh.obj"
INDICES = "vertex_indices.json"
CACHE = "ict_facekit.npz"


def read_ict(path: str | Path, cache: str | Path | None = None) -> dict[str, np.ndarray]:
    """The model's arrays from a packed .npz, or from the folder through its cache.

    Args:
        path: an .npz file, `FaceXModel/`, or the folder that holds `FaceXModel/`.
        cache: where the packed arrays of a folder are kept; by default `ict_facekit.npz` in the folder, or under
            `~/.cache/facekit` when the folder cannot be written.

    Raises:
        FaceModelError: a file is missing, truncated or of the wrong shape; the message names it.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FaceModelError(f"{path}: found nothing there, expected ICT-FaceKit's folder FaceXModel or a packed .npz")
    if path.is_file():
        return _check_packed(path, read_npz(path))
    folder = path / "FaceXModel" if (path / "FaceXModel").is_dir() else path
    cache = Path(cache).expanduser() if cache is not None else _default_cache(folder)
    if _is_fresh(cache, folder):
        try:
            return _check_packed(cache, read_npz(cache))
        except FaceModelError as error:
            warnings.warn(f"packing the OBJ files again: {error}", stacklevel=2)
    arrays = parse_folder(folder)
    cache.parent.mkdir(parents=True, exist_ok=True)
    write_npz(cache, arrays)
    return arrays


def parse_folder(folder: Path) -> dict[str, np.ndarray]:
    """Parse every OBJ file of `FaceXModel/` and `vertex_indices.json` into the arrays of the cache."""
    neutral_path = require_file(folder / NEUTRAL, "ICT-FaceKit's neutral mesh")
    neutral, uv, quads, quads_uv = read_neutral_obj(neutral_path)
    identity_paths = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    expression_paths = sorted(set(folder.glob("*.obj")) - set(identity_paths) - {neutral_path})
    if not identity_paths or not expression_paths:
        raise FaceModelError(
            f"{folder}: found {len(identity_paths)} identity and {len(expression_paths)} expression "
            "OBJ files, expected 100 and 57"
        )
    indices = _read_indices(folder / INDICES, len(neutral))

    def offsets(paths: list[Path]) -> np.ndarray:
        shapes = np.empty((len(paths), *neutral.shape), dtype=np.float16)
        for row, obj in enumerate(paths):
            shapes[row] = _parse_vertices(obj, obj.read_bytes(), len(neutral)) - neutral
        return shapes

    return {
        "neutral": neutral.astype(np.float32),
        "identity": offsets(identity_paths),
        "expression": offsets(expression_paths),
        "expression_names": np.array([obj.stem for obj in expression_paths]),
        "quads": quads,
        "uv": uv.astype(np.float32),
        "quads_uv": quads_uv,
        **indices,
    }


def read_neutral_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3), texture coordinates (T, 2), and corner indices (Q, 4) into each, -1 closing a triangle."""
    data = path.read_bytes()
    vertices = _parse_vertices(path, data, None)
    uv = _parse_numbers(path, data, b"vt ", 2)
    corners = [line[2:].split() for line in data.splitlines() if line.startswith(b"f ")]
    if not corners or any(len(corner) not in (3, 4) for corner in corners):
        raise FaceModelError(f"{path}: expected faces of three or four corners, written 'f v/vt v/vt v/vt [v/vt]'")
    try:
        flat = [[pair.split(b"/")[:2] for pair in [*corner, b"0/0"][:4]] for corner in corners]
        pairs = np.array(flat, dtype="S12").astype(np.int32) - 1
    except (ValueError, TypeError) as error:
        raise FaceModelError(f"{path}: expected faces written 'f v/vt v/vt v/vt [v/vt]' ({error})") from error
    for column, size in enumerate((len(vertices), len(uv))):
        require_indices(path, "f", np.where(pairs[..., column] < 0, 0, pairs[..., column]), size)
    return vertices, uv, pairs[..., 0], pairs[..., 1]


def _parse_vertices(path: Path, data: bytes, expected: int | None) -> np.ndarray:
    vertices = _parse_numbers(path, data, b"v ", 3)
    if len(vertices) == 0 or (expected is not None and len(vertices) != expected):
        raise FaceModelError(f"{path}: found {len(vertices)} vertices, expected {expected or 'at least one'}")
    return vertices


def _parse_numbers(path: Path, data: bytes, key: bytes, width: int) -> np.ndarray:
    """The numbers of all lines that start with `key`, (N, width) float64."""
    lines, text = _lines_of(b"\n" + data, b"\n" + key)
    expected = f"{lines} lines '{key.decode()}...' of {width} numbers each"
    try:
        table = pd.read_csv(io.BytesIO(text), sep=r"\s+", header=None, dtype=np.float64) if lines else pd.DataFrame()
    except ValueError as error:
        raise FaceModelError(f"{path}: expected {expected} ({error})") from error
    numbers = table.to_numpy()
    if lines and (numbers.shape != (lines, width) or not np.isfinite(numbers).all()):
        raise FaceModelError(
            f"{path}: expected {expected}, found {len(numbers)} complete ones of up to "
            f"{numbers.shape[1]}, or some that are no numbers"
        )
    return numbers.reshape(-1, width)


def _lines_of(data: bytes, start: bytes) -> tuple[int, bytes]:
    """How many lines begin with `start` (a line feed and a keyword), and these lines without it."""
    count = data.count(start)
    first, last = data.find(start), data.rfind(start)
    end = data.find(b"\n", last + 1)
    block = data[first : end if end >= 0 else len(data)]
    if block.count(b"\n") != count:  # other lines stand in between
        block = b"".join(b"\n" + line for line in block.split(b"\n") if (b"\n" + line).startswith(start))
    return count, block.replace(start, b"\n")


def _read_indices(path: Path, num_vertices: int) -> dict[str, np.ndarray]:
    require_file(path, "ICT-FaceKit's vertex index lists")
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        found = {
            key: np.array(lists[source], dtype=np.int32)
            for key, source in {"landmarks68": "idx_to_landmark_verts", "rigid_vertices": "idx_to_rigid_verts"}.items()
        }
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise FaceModelError(
            f"{path}: expected a JSON object with the lists of vertex numbers "
            f"'idx_to_landmark_verts' and 'idx_to_rigid_verts' ({error!r})"
        ) from error
    require_array(path, found, "landmarks68", (NUM_LANDMARKS,))
    for key, array in found.items():
        require_indices(path, key, array, num_vertices)
    return found


def _default_cache(folder: Path) -> Path:
    inside = folder / CACHE
    if inside.exists() or os.access(folder, os.W_OK):
        return inside
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return home / "facekit" / CACHE


def _is_fresh(cache: Path, folder: Path) -> bool:
    sources = [*folder.glob("*.obj"), folder / INDICES]
    return cache.is_file() and all(
        source.stat().st_mtime_ns <= cache.stat().st_mtime_ns for source in sources if source.exists()
    )


def _check_packed(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    num_vertices = len(require_array(path, arrays, "neutral", (None, 3)))
    for key in ("identity", "expression"):
        require_array(path, arrays, key, (None, num_vertices, 3))
    if "expression_names" not in arrays or arrays["expression_names"].shape != (len(arrays["expression"]),):
        raise FaceModelError(
            f"{path}: expected 'expression_names' with one name for each of the "
            f"{len(arrays['expression'])} expression shapes"
        )
    quads = require_array(path, arrays, "quads", (None, 4))
    require_indices(
        path,
        "quads",
        np.where(quads[:, 3:] < 0, quads[:, :3].repeat(4, 1)[:, :4], quads) if len(quads) else quads,
        num_vertices,
    )
    require_array(path, arrays, "uv", (None, 2))
    require_indices(path, "landmarks68", require_array(path, arrays, "landmarks68", (NUM_LANDMARKS,)), num_vertices)
    return arrays
