"""The file formats of the Basel Face Models: MATLAB, HDF5, and the packed binary of the 79-component basis."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from facekit.morphable.face_model import FaceModelError
from facekit.morphable.model_files import require_array, require_file


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a MATLAB file of version 5, or of version 7.3 (which is HDF5 with its axes reversed)."""
    if h5py.is_hdf5(path):
        return {key: array.T for key, array in read_hdf5(path).items()}
    try:
        contents = scipy.io.loadmat(path)
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        KeyError,
        NotImplementedError,
        zlib.error,
        scipy.io.matlab.MatReadError,
    ) as error:
        raise FaceModelError(f"{path}: not a readable MATLAB file ({error})") from error
    return {key: array for key, array in contents.items() if not key.startswith("__")}


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """All data sets of an HDF5 file by their full name, without the leading slash."""
    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, entry: object) -> None:
        if isinstance(entry, h5py.Dataset):
            arrays[name] = np.asarray(entry[()])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(keep)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise FaceModelError(f"{path}: not a readable HDF5 file ({error})") from error
    return arrays


def read_exp_pca(path: Path, num_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """`Exp_Pca.bin`: mean (V, 3) and unit-norm components (K, V, 3), micrometres.

    Little-endian int32 K, then float32: the mean's 3V numbers and K components of 3V numbers, one after another.
    """
    size = require_file(path, "the expression basis Exp_Pca.bin").stat().st_size
    head = np.fromfile(path, dtype="<i4", count=1)
    count = int(head[0]) if len(head) else 0
    expected = 4 + 4 * (count + 1) * 3 * num_vertices
    if count < 1 or size != expected:
        raise FaceModelError(
            f"{path}: found {size} bytes with a head that says {count} components, expected "
            f"{expected} bytes for {num_vertices} vertices"
        )
    numbers = np.fromfile(path, dtype="<f4", offset=4).reshape(count + 1, num_vertices, 3)
    if not np.isfinite(numbers).all():
        raise FaceModelError(f"{path}: holds values that are not finite")
    return numbers[0], numbers[1:]


class ScaledBasis:
    """A mean (V, 3), components scaled by their standard deviations (K, V, 3), and those deviations (K,)."""

    def __init__(self, mean: np.ndarray, scaled: np.ndarray, deviation: np.ndarray) -> None:
        self.mean, self.scaled, self.deviation = mean, scaled, deviation

    @classmethod
    def of(
        cls, path: Path, arrays: Mapping[str, np.ndarray], key: str, size: int, count: int | None, unit: float
    ) -> ScaledBasis:
        mean = require_array(path, arrays, f"{key}MU", (size, 1)).astype(np.float64).reshape(-1, 3) * unit
        components = require_array(path, arrays, f"{key}PC", (size, None))[:, :count]
        deviation = require_array(path, arrays, f"{key}EV", (None, 1))[:count, 0].astype(np.float64)
        if len(deviation) != components.shape[1]:
            raise FaceModelError(
                f"{path}: '{key}EV' has {len(deviation)} values, expected {components.shape[1]}, "
                f"one per column of '{key}PC'"
            )
        return cls(mean, basis_rows(components, deviation * unit), deviation)

    @classmethod
    def of_hdf5(cls, path: Path, arrays: Mapping[str, np.ndarray], group: str, count: int | None) -> ScaledBasis:
        mean = require_array(path, arrays, f"{group}/model/mean", (None,)).astype(np.float64)
        components = require_array(path, arrays, f"{group}/model/pcaBasis", (len(mean), None))[:, :count]
        variance = require_array(path, arrays, f"{group}/model/pcaVariance", (None,))[:count].astype(np.float64)
        if len(mean) % 3 or len(variance) != components.shape[1] or (variance < 0).any():
            raise FaceModelError(
                f"{path}: '{group}/model' has {len(mean)} mean values and {len(variance)} variances, "
                f"expected a multiple of 3 and {components.shape[1]} that are not negative"
            )
        return cls(mean.reshape(-1, 3), basis_rows(components, np.sqrt(variance)), np.sqrt(variance))

    def cut(self, keep: np.ndarray) -> ScaledBasis:
        return ScaledBasis(self.mean[keep], self.scaled[:, keep], self.deviation)


def basis_rows(components: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Columns (3V, K) times their scales as (K, V, 3) float32."""
    scaled = components.astype(np.float32) * scale.astype(np.float32)
    return np.ascontiguousarray(scaled.T).reshape(len(scale), -1, 3)
