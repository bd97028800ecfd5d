"""The Basel Face Models: 2009 with either of its two expression bases, 2017 and 2019.

The 2009 model (Paysan et al.) has 53,490 vertices and no expressions. Two bases are in use with it, both on the 53,215
vertices that remain without the inner mouth and the neck's rim: `Exp_Pca.bin` with `std_exp.txt` (Guo et al., 79
components) and 3DDFA's `Model_Exp.mat` (Zhu et al., 29 components from FaceWarehouse). The files of 300W-LP hold the
coefficients of the latter pair. The models are licensed; nothing here downloads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.morphable.bfm_files import ScaledBasis, basis_rows, read_exp_pca, read_hdf5, read_mat
from facekit.morphable.face_model import NUM_LANDMARKS, FaceModelError
from facekit.morphable.linear_model import LinearFaceModel
from facekit.morphable.model_files import require_array, require_file, require_indices
from facekit.morphable.topology import cylindrical_uv, mirror_partners, orient_outwards

MICROMETRE = 1e-3
MODEL_NAMES = ("01_MorphableModel.mat",)
EXPRESSION_NAMES = ("Model_Exp.mat", "Model_Expression.mat", "Exp_Pca.bin")
INFO_NAMES = ("model_info.mat", "BFM_exp_idx.mat")


class BaselFaceModel(LinearFaceModel):
    """A Basel Face Model; 2009 also converts the coefficients that 300W-LP and AFLW2000-3D store.

    Attributes:
        identity_deviation, texture_deviation (K,): the standard deviations that the bases carry.
        named_landmarks: vertex of each named landmark of the 2017 and 2019 files.
    """

    identity_deviation: Tensor
    texture_deviation: Tensor

    def __init__(
        self,
        *,
        identity_deviation: Tensor,
        texture_deviation: Tensor,
        named_landmarks: Mapping[str, int] | None = None,
        **linear: object,
    ) -> None:
        super().__init__(**linear)
        self.register_buffer("identity_deviation", identity_deviation)
        self.register_buffer("texture_deviation", texture_deviation)
        self.named_landmarks = dict(named_landmarks or {})

    def codes_from_300wlp(self, shape_para: Tensor, exp_para: Tensor) -> tuple[Tensor, Tensor]:
        """Identity and expression codes from `Shape_Para` (B, 199) and `Exp_Para` (B, 29) of 300W-LP's files.

        Those multiply unit-norm identity components (so they are divided by the standard deviations here) and
        expression components as stored (so they are codes already).
        """
        kept = shape_para[:, : self.num_identity], exp_para[:, : self.num_expression]
        return kept[0] / self.identity_deviation, kept[1]


def load_bfm2009(
    path: str | Path,
    expression: str | Path | None = None,
    info: str | Path | None = None,
    *,
    num_identity: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> BaselFaceModel:
    """Load BFM 2009, with an expression basis when there is one.

    Args:
        path: `01_MorphableModel.mat`, or a folder with it; in a folder the other two are found by their usual names.
        expression: `Exp_Pca.bin` (with `std_exp.txt` beside it), `Model_Exp.mat` or `Model_Expression.mat`.
        info: `model_info.mat` or `BFM_exp_idx.mat`, whose 1-based `trimIndex` cuts the model to the vertices of the
            expression basis; `model_info.mat` also gives the 68 landmarks.
        num_identity: how many identity (and texture) components to keep.

    Returns:
        Vertices in millimetres; identity and texture codes ~ N(0, 1); albedo decoded from 8-bit sRGB. Without an
        expression basis the model has no expression code.

    Raises:
        FaceModelError: a file is missing, is not what its name says, or does not fit the others.
    """
    path = Path(path).expanduser()
    folder = path if path.is_dir() else None
    path = require_file(_first_of(folder, MODEL_NAMES) or path, "the Basel Face Model 2009, 01_MorphableModel.mat")
    expression = Path(expression) if expression is not None else _first_of(folder, EXPRESSION_NAMES)
    info = Path(info) if info is not None else _first_of(folder, INFO_NAMES)
    arrays = read_mat(path)
    size = require_array(path, arrays, "shapeMU", (None, 1)).size
    full = ScaledBasis.of(path, arrays, "shape", size, num_identity, MICROMETRE)
    paint = ScaledBasis.of(path, arrays, "tex", size, num_identity, 1 / 255)
    faces = require_indices(path, "tl", require_array(path, arrays, "tl", (None, 3)), size // 3, first=1)
    landmarks = np.empty(0, dtype=np.int64)
    movement = np.zeros((0, len(full.mean), 3))
    if expression is not None:
        keep, faces, landmarks = _read_cut(info, expression, faces, len(full.mean))
        full, paint = full.cut(keep), paint.cut(keep)
        mean_offset, movement = _read_expression(expression, len(keep))
        full.mean = full.mean + mean_offset
    return _assemble("bfm2009", full, paint, movement, faces, landmarks, dtype)


def load_bfm2017(
    path: str | Path,
    *,
    num_identity: int | None = None,
    num_expression: int | None = None,
    landmarks: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> BaselFaceModel:
    """Load BFM 2017 or 2019 from its HDF5 file (`model2017-1_bfm_nomouth.h5`, `model2019_fullHead.h5`, ...).

    Args:
        num_identity, num_expression: how many components to keep.
        landmarks (68,): vertices of the 68 landmarks, which these files do not hold; `named_landmarks` has those that
            they do.

    Returns:
        Vertices in millimetres; all codes ~ N(0, 1); albedo decoded from sRGB.
    """
    path = Path(path).expanduser()
    arrays = read_hdf5(require_file(path, "a Basel Face Model 2017 or 2019 in HDF5"))
    shape = ScaledBasis.of_hdf5(path, arrays, "shape", num_identity)
    paint = ScaledBasis.of_hdf5(path, arrays, "color", num_identity)
    movement = ScaledBasis.of_hdf5(path, arrays, "expression", num_expression)
    cells = require_array(path, arrays, "shape/representer/cells")
    cells = cells if cells.ndim == 2 and cells.shape[1] == 3 and cells.shape[0] != 3 else cells.T
    require_array(path, {"shape/representer/cells": cells}, "shape/representer/cells", (None, 3))
    faces = require_indices(path, "shape/representer/cells", cells, len(shape.mean))
    named = _named_landmarks(path, arrays, shape.mean)
    shape.mean = shape.mean + movement.mean
    ids = np.empty(0, dtype=np.int64) if landmarks is None else np.asarray(landmarks)
    return _assemble(path.stem, shape, paint, movement.scaled, faces, ids, dtype, named)


def _read_cut(
    info: Path | None, expression: Path, faces: np.ndarray, num_vertices: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kept vertices, faces over them, and the 68 landmarks when the file has them."""
    if info is None:
        raise FaceModelError(
            f"{expression}: this basis is for a part of BFM 2009; expected 'model_info.mat' or "
            "'BFM_exp_idx.mat' with the list 'trimIndex' as `info`, found neither"
        )
    arrays = read_mat(require_file(info, "a .mat file with the list 'trimIndex'"))
    keep = require_indices(info, "trimIndex", require_array(info, arrays, "trimIndex").ravel(), num_vertices, first=1)
    position = np.full(num_vertices, -1, dtype=np.int64)
    position[keep] = np.arange(len(keep))
    faces = position[faces]
    landmarks = np.empty(0, dtype=np.int64)
    if "keypoints" in arrays:
        points = require_array(info, arrays, "keypoints").ravel()
        if len(points) != NUM_LANDMARKS:
            raise FaceModelError(f"{info}: 'keypoints' has {len(points)} entries, expected {NUM_LANDMARKS}")
        landmarks = require_indices(info, "keypoints", points, len(keep), first=1)
    return keep, faces[(faces >= 0).all(axis=1)], landmarks


def _read_expression(path: Path, num_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean offset (V, 3) and components (K, V, 3) in millimetres per unit of the code."""
    if path.suffix == ".bin":
        _, components = read_exp_pca(path, num_vertices)
        deviation_path = path.with_name("std_exp.txt")
        text = require_file(deviation_path, "the standard deviations of Exp_Pca.bin").read_text().split()
        try:
            deviation = np.array(text, dtype=np.float32)
        except ValueError as error:
            raise FaceModelError(f"{deviation_path}: expected {len(components)} numbers ({error})") from error
        if len(deviation) != len(components):
            raise FaceModelError(f"{deviation_path}: found {len(deviation)} numbers, expected {len(components)}")
        # The mean of Exp_Pca.bin is that of its own neutral, left out by the basis's users as by this reader.
        return np.zeros((num_vertices, 3)), components * deviation[:, None, None] * np.float32(MICROMETRE)
    arrays = read_mat(require_file(path, "an expression basis"))
    mean = require_array(path, arrays, "mu_exp", (3 * num_vertices, 1)).reshape(-1, 3) * MICROMETRE
    components = require_array(path, arrays, "w_exp", (3 * num_vertices, None))
    return mean, basis_rows(components, np.full(components.shape[1], MICROMETRE))


def _assemble(
    name: str,
    shape: ScaledBasis,
    paint: ScaledBasis,
    movement: np.ndarray,
    faces: np.ndarray,
    landmarks: np.ndarray,
    dtype: torch.dtype,
    named: Mapping[str, int] | None = None,
) -> BaselFaceModel:
    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)

    return BaselFaceModel(
        name=name,
        faces=torch.from_numpy(orient_outwards(shape.mean, faces)),
        uv=tensor(cylindrical_uv(shape.mean)),
        landmarks=torch.from_numpy(landmarks),
        symmetry=torch.from_numpy(mirror_partners(shape.mean)),
        regions={},
        mean=tensor(shape.mean),
        identity_basis=tensor(shape.scaled),
        expression_basis=tensor(movement),
        mean_albedo=tensor(paint.mean),
        texture_basis=tensor(paint.scaled),
        albedo_encoding="srgb",
        identity_deviation=tensor(shape.deviation),
        texture_deviation=tensor(paint.deviation),
        named_landmarks=named,
    )


def _named_landmarks(path: Path, arrays: Mapping[str, np.ndarray], mean: np.ndarray) -> dict[str, int]:
    """The vertex nearest to each landmark of the file's JSON list [{"id": ..., "coordinates": [x, y, z]}, ...]."""
    text = arrays.get("metadata/landmarks/json", arrays.get("metadata/landmarks/text"))
    if text is None:
        return {}
    raw = np.asarray(text).reshape(-1)[0]
    try:
        entries = json.loads(raw.decode() if isinstance(raw, bytes) else str(raw))
        points = {str(entry["id"]): np.array(entry["coordinates"], dtype=np.float64) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise FaceModelError(
            f"{path}: expected 'metadata/landmarks/json' to be a JSON list of objects with 'id' and "
            f"'coordinates' ({error!r})"
        ) from error
    return {key: int(((mean - point) ** 2).sum(axis=1).argmin()) for key, point in points.items()}


def _first_of(folder: Path | None, names: tuple[str, ...]) -> Path | None:
    found = [folder / name for name in names if (folder / name).is_file()] if folder is not None else []
    return found[0] if found else None
