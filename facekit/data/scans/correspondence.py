"""All scans of a data set in a face model's correspondence: registered once, each kept in a file of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.formats import FormatError
from facekit.data.scans.cache import read_arrays, write_arrays
from facekit.data.scans.registration import RegistrationError, register_scan
from facekit.data.scans.scan import Scan
from facekit.morphable import FaceModel


class ScannedSource(Protocol):
    """What a reader of 3D scans offers."""

    table: pd.DataFrame

    def scan(self, row: int) -> Scan: ...


@dataclass(frozen=True)
class RegisteredScans:
    """Scans in one correspondence.

    Attributes:
        vertices: (N, V, 3) float32 in millimetres, in the model's frame.
        faces: (F, 3) int64.
        rows: (N,) int64 positions in the source's table, one for each scan that was registered.
        errors: (N,) float32: mean distance in mm of the matched vertices from the scan.
        failures: position in the table -> why the scan could not be registered.
    """

    vertices: Tensor
    faces: Tensor
    rows: np.ndarray
    errors: np.ndarray
    failures: dict[int, str]


def register_all(
    source: ScannedSource,
    model: FaceModel,
    folder: str | Path,
    rows: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **options: Any,
) -> RegisteredScans:
    """Register the scans of `rows` (positions in the table; one for each `path` if None) to `model`.

    What is registered already is read from `folder`, so that a run which was interrupted goes on where it was; a folder
    may hold several models' and settings'.  A scan that is damaged, without landmarks, or cannot be registered is left
    out, with the reason.  `options` are those of `register_scan`; `progress` is called with the scans done and in all.

    Raises:
        RegistrationError: if not a single scan could be registered.
    """
    if rows is None:
        rows = np.flatnonzero(~source.table["path"].astype(str).duplicated().to_numpy())
    found, errors, kept, failures = [], [], [], {}
    settings = f"{_fingerprint(model)} {sorted(options.items())}"
    for done, row in enumerate((int(row) for row in rows), start=1):
        place = str(source.table["path"].iloc[row])
        name = hashlib.blake2b(f"{settings} {place}".encode(), digest_size=16).hexdigest()
        try:
            vertices, error = _registered(source, row, model, Path(folder) / f"{name}.npz", options)
        except (FormatError, RegistrationError) as problem:
            failures[row] = str(problem)
        else:
            found.append(vertices)
            errors.append(error)
            kept.append(row)
        progress(done, len(rows))
    if not found:
        raise RegistrationError(f"none of {len(rows)} scans could be registered; the first: {failures[int(rows[0])]}")
    faces = model.faces.cpu()
    return RegisteredScans(
        torch.from_numpy(np.stack(found)), faces, np.array(kept), np.array(errors, np.float32), failures
    )


def _registered(
    source: ScannedSource, row: int, model: FaceModel, path: Path, options: dict[str, Any]
) -> tuple[np.ndarray, float]:
    """Vertices (V, 3) and error of one scan, from its file or made now."""
    kept = read_arrays(path)
    if kept is not None and kept.get("vertices", np.zeros(0)).shape == (model.num_vertices, 3) and "error" in kept:
        return kept["vertices"], float(kept["error"])
    scan = source.scan(row)
    if scan.landmarks is None:
        raise RegistrationError(f"{scan.name}: the scan has no landmarks")
    try:
        result = register_scan(model, scan.vertices, scan.faces, scan.landmarks, **options)
    except RegistrationError as error:
        raise RegistrationError(f"{scan.name}: {error}") from error
    write_arrays(path, {"vertices": result.vertices.numpy(), "error": np.array(result.error)})
    return result.vertices.numpy(), result.error


def _fingerprint(model: FaceModel) -> str:
    """A digest of the model's mesh and mean shape."""
    identity = torch.zeros(1, model.num_identity, dtype=model.dtype, device=model.device)
    mean = model.shape(identity, model.neutral_expression())[0].detach().float().cpu().numpy()
    digest = hashlib.blake2b(digest_size=16)
    for part in (mean.tobytes(), model.faces.cpu().numpy().tobytes(), f"{model.name} {model.num_identity}".encode()):
        digest.update(part)
    return digest.hexdigest()
