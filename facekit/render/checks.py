"""Checks of what enters the renderer, made once before any work starts."""

import torch
from torch import Tensor


class RenderError(ValueError):
    """Raised when the renderer is given something that it cannot draw; the message says what and what was expected."""


def check_screen(screen: Tensor, faces: Tensor) -> None:
    """Check projected vertices and triangles.

    Args:
        screen: (B, V, 3) floating point, x and y in pixels, depth in millimetres.
        faces: (F, 3) int64 vertex indices.

    Raises:
        RenderError: if a shape, a type or an index does not fit.
    """
    if screen.dim() != 3 or screen.shape[-1] != 3 or not screen.is_floating_point():
        raise RenderError(f"screen must be a floating point tensor (B, V, 3), found {_describe(screen)}.")
    check_faces(faces, screen.shape[1])
    if faces.device != screen.device:
        raise RenderError(f"faces are on {faces.device} and screen is on {screen.device}; both must be on one device.")


def check_faces(faces: Tensor, num_vertices: int) -> None:
    """Check that ``faces`` is (F, 3) int64 with indices in [0, num_vertices).

    Raises:
        RenderError: if it is not.
    """
    if faces.dim() != 2 or faces.shape[-1] != 3 or faces.dtype != torch.int64:
        raise RenderError(f"faces must be an int64 tensor (F, 3), found {_describe(faces)}.")
    if faces.numel() and (int(faces.min()) < 0 or int(faces.max()) >= num_vertices):
        raise RenderError(
            f"faces hold vertex indices from {int(faces.min())} to {int(faces.max())}, "
            f"expected 0 to {num_vertices - 1} for {num_vertices} vertices."
        )


def image_shape(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) in pixels from one number for a square image or from a pair.

    Raises:
        RenderError: if a side is smaller than one pixel.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height < 1 or width < 1:
        raise RenderError(f"image_size must be at least one pixel on each side, found {image_size}.")
    return int(height), int(width)


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"
