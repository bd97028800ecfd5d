"""Geometry keeps its precision where networks give theirs up for speed."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def full_precision(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that computes in the precision of its tensors within `torch.autocast` too.

    Autocast multiplies matrices in bfloat16, whose eight bits are enough for a network's features, but round a place
    near pixel 100 to half a pixel and one 100 mm from the origin to half a millimetre. What a network gave in bfloat16
    is not made more exact by this; `single_at_least` keeps it from becoming less so.
    """

    @wraps(function)
    def computed(*args: Any, **named: Any) -> Any:
        device = next((value.device.type for value in (*args, *named.values()) if isinstance(value, Tensor)), "cpu")
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return function(*args, **named)
        with torch.autocast(device, enabled=False):
            return function(*args, **named)

    return computed


def single_at_least(points: Tensor) -> torch.dtype:
    """The floating point type to compute with `points` in: their own, or float32 where that is narrower."""
    return torch.promote_types(points.dtype, torch.float32)
