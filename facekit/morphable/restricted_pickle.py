"""Read arrays out of pickle files without letting them run anything.

A pickle is a program: `pickle.load` calls whatever callables the file names. Some published models come as pickles
(FLAME's with objects of the long-gone chumpy package inside). Here every name that a file of arrays may use stands for
an inert stand-in that only keeps what the file says; the arrays are built from that afterwards. Any other name is
refused before it is imported.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from facekit.morphable.face_model import FaceModelError
from facekit.morphable.model_files import require_file

_NUMBER = re.compile(r"[fiub][1248]$")
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    ImportError,
    MemoryError,
    OverflowError,
    UnicodeError,
    RecursionError,
)


def load_pickled_arrays(path: str | Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays; chumpy and SciPy sparse objects come out as dense NumPy arrays.

    Raises:
        FaceModelError: the file is truncated, is no pickle of a dictionary, or names anything that is no array. Nothing
            that a file names is ever imported or called.
    """
    path = require_file(Path(path), "a pickle file")
    contents = restricted_load(path.read_bytes(), path)
    if not isinstance(contents, dict):
        raise FaceModelError(f"{path}: holds a pickled {type(contents).__name__}, expected a dictionary of arrays")
    return {str(key): value for key, value in contents.items()}


def restricted_load(data: bytes, path: Path) -> Any:
    """Unpickle `data`, arrays and containers of arrays alone; `path` is for messages."""
    try:
        return _plain(_ArrayUnpickler(data).load())
    except FaceModelError as error:
        raise FaceModelError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise FaceModelError(f"{path}: not a readable pickle of arrays, truncated or damaged ({error})") from error


class _StandIn:
    """An object of a foreign class: what it was called with and the state that the file gives it."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Dtype(_StandIn):
    pass


class _Array(_StandIn):
    pass


class _Scalar(_StandIn):
    pass


class _Buffer(_StandIn):
    pass


class _SparseColumns(_StandIn):
    pass


class _SparseRows(_StandIn):
    pass


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        # Classes of its own for every file: no file can leave anything behind for the next one.
        self._own = {
            kind: type(kind.__name__, (kind,), {})
            for kind in (_StandIn, _Dtype, _Array, _Scalar, _Buffer, _SparseColumns, _SparseRows)
        }

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        package = module.split(".")[0]
        if package == "chumpy":
            return self._own[_StandIn]
        kind = _KINDS.get((package if package == "scipy" else module, name))
        if kind is not None:
            return self._own[kind]
        builders: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: self._own[_Array](),
            ("copy_reg", "_reconstructor"): self._rebuild,
            ("copyreg", "_reconstructor"): self._rebuild,
            ("_codecs", "encode"): lambda text, _: str.encode(text, "latin1"),
            ("__builtin__", "bytes"): lambda: b"",
        }
        if (module, name) not in builders:
            raise FaceModelError(f"names '{module}.{name}', which is no array; a model file has no business with it")
        return builders[module, name]

    def _rebuild(self, kind: object, *_: object) -> Any:
        """What `copyreg._reconstructor` does, for stand-ins alone."""
        if kind not in self._own.values():
            raise FaceModelError("rebuilds an object that is no array")
        return kind()

    def persistent_load(self, pid: object) -> Any:
        raise FaceModelError("refers to objects outside the file")


_KINDS: dict[tuple[str, str], type[_StandIn]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("scipy", "csc_matrix"): _SparseColumns,
    ("scipy", "csr_matrix"): _SparseRows,
    ("__builtin__", "object"): _StandIn,
    ("builtins", "object"): _StandIn,
}


def _plain(value: Any) -> Any:
    """What a stand-in stands for: an array, a number, or None for an object that holds neither."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, _Array):
        _, shape, dtype, fortran, raw = value.state
        return _build(raw, dtype, shape, "F" if fortran else "C")
    if isinstance(value, _Buffer):
        raw, dtype, shape, order = value.arguments
        return _build(bytes(raw), dtype, shape, "F" if order == "F" else "C")
    if isinstance(value, _Scalar):
        return _build(value.arguments[1], value.arguments[0], (), "C")[()]
    if isinstance(value, _StandIn) and isinstance(value.state, dict):
        state = {key: _plain(entry) for key, entry in value.state.items()}
        return _dense(value, state) if isinstance(value, _SparseColumns | _SparseRows) else state.get("x")
    return None if isinstance(value, _StandIn) else value


def _build(raw: Any, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
    """An array of plain numbers from its bytes; an array of objects becomes its one object, or a list of them."""
    if not isinstance(dtype, _Dtype):
        raise FaceModelError("holds an array without a number type")
    code = str(dtype.arguments[0])
    if code.startswith("O") and isinstance(raw, list):
        return _plain(raw[0]) if len(raw) == 1 else [_plain(entry) for entry in raw]
    if not _NUMBER.match(code):
        raise FaceModelError(f"holds an array of type '{code}', expected numbers")
    byte_order = dtype.state[1] if isinstance(dtype.state, tuple) else "|"
    content = raw.encode("latin1") if isinstance(raw, str) else raw
    array = np.frombuffer(content, np.dtype(code).newbyteorder("=" if byte_order == "|" else byte_order))
    return array.reshape(shape, order=order)


def _dense(value: _StandIn, state: dict[str, Any]) -> np.ndarray:
    """The dense array that a SciPy sparse matrix stands for."""
    shape = tuple(int(size) for size in state.get("_shape", state.get("shape", ())))
    if len(shape) != 2 or np.prod([float(size) for size in shape]) > 1e8:
        raise FaceModelError(f"holds a sparse matrix of shape {shape}, unlike any model's")
    compressed = scipy.sparse.csr_matrix if isinstance(value, _SparseRows) else scipy.sparse.csc_matrix
    matrix = compressed((state["data"], state["indices"], state["indptr"]), shape=shape)
    matrix.check_format()
    return matrix.toarray()
