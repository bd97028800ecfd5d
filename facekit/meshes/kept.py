"""What follows from a tensor alone, worked out once and kept for as long as the tensor lives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary


class Kept:
    """`kept(tensor, *more)` gives `make(tensor, *more)`, made anew only once `tensor` was written to or `more` differs.

    Triangles stay the same for thousands of steps, and sorting their edges costs more than a picture. Each tensor keeps
    its last result. PyTorch counts the writes to a tensor, except to one made in inference mode, of which a copy is
    compared instead (sparse ones are not kept). Writes that PyTorch does not see, to a NumPy array that shares the
    memory, are not seen here either.
    """

    def __init__(self, make: Callable[..., Any]):
        self._make = make
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def __call__(self, tensor: Tensor, *more: Any) -> Any:
        known = self._known.get(tensor)
        if known is None or known[0] != more or not _is_as_it_was(tensor, known[1]):
            with torch.inference_mode(False):  # so that the result serves training as well
                known = (more, _state(tensor), self._make(tensor, *more))
            self._known[tensor] = known
        return known[2]


def _state(tensor: Tensor) -> int | Tensor | None:
    if not tensor.is_inference():
        return tensor._version
    return tensor.clone() if tensor.layout == torch.strided else None


def _is_as_it_was(tensor: Tensor, state: int | Tensor | None) -> bool:
    if not tensor.is_inference():
        return state == tensor._version
    return state is not None and torch.equal(tensor, state)
