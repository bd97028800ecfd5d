"""Checks of what enters the renderer, made once before any work starts."""

from collections.abc import Iterable
from numbers import Integral

import torch
from torch import Tensor

from facekit.meshes.kept import Kept


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
    check_points(screen, "screen")
    check_faces(faces, screen.shape[1])
    if faces.device != screen.device:
        raise RenderError(f"faces are on {faces.device} and screen is on {screen.device}; both must be on one device.")


def check_points(points: Tensor, name: str = "vertices") -> None:
    """Check that ``points``, called ``name`` in the message, are (B, V, 3) floating point.

    Raises:
        RenderError: if they are not.
    """
    if points.dim() != 3 or points.shape[-1] != 3:
        raise RenderError(f"{name} must be (B, V, 3), found {tuple(points.shape)}.")
    if not points.is_floating_point():
        raise RenderError(f"{name} must be floating point, found {points.dtype}.")


def check_faces(faces: Tensor, num_vertices: int, name: str = "faces") -> None:
    """Check that ``faces``, called ``name`` in the message, is (F, 3) int64 with indices in [0, num_vertices).

    Raises:
        RenderError: if it is not.
    """
    if faces.dim() != 2 or faces.shape[-1] != 3 or faces.dtype != torch.int64:
        raise RenderError(f"{name} must be an int64 tensor (F, 3), found {_describe(faces)}.")
    check_indices(faces, num_vertices, name)


def check_landmarks(landmarks: Tensor, num_vertices: int) -> None:
    """Check that ``landmarks`` are (L,) int64 with indices in [0, num_vertices).

    Raises:
        RenderError: if they are not.
    """
    if landmarks.dim() != 1 or landmarks.dtype != torch.int64:
        raise RenderError(f"landmarks must be an int64 tensor (L,), found {_describe(landmarks)}.")
    check_indices(landmarks, num_vertices, "landmarks")


def check_indices(indices: Tensor, num_vertices: int, name: str) -> None:
    """Check that ``indices`` lie in [0, num_vertices); they are looked at once, as on a GPU that waits for it.

    Raises:
        RenderError: if some do not.
    """
    low, high = _range(indices)
    if low < 0 or high >= num_vertices:
        raise RenderError(
            f"{name} hold vertex indices from {low} to {high}, "
            f"expected 0 to {num_vertices - 1} for {num_vertices} vertices."
        )


def _least_and_greatest(indices: Tensor) -> tuple[int, int]:
    return tuple(torch.stack(indices.aminmax()).tolist()) if indices.numel() else (0, -1)


_range = Kept(_least_and_greatest)


def check_uv(uv: Tensor, uv_faces: Tensor, num_faces: int) -> None:
    """Check texture coordinates (V', 2) and the triangles (num_faces, 3) that index them.

    Raises:
        RenderError: if a shape or an index does not fit.
    """
    if uv.dim() != 2 or uv.shape[1] != 2:
        raise RenderError(f"uv must be (V, 2), found {tuple(uv.shape)}.")
    if not uv.is_floating_point():
        raise RenderError(f"uv must be floating point, found {uv.dtype}.")
    if len(uv_faces) != num_faces:
        raise RenderError(f"uv_faces must be ({num_faces}, 3), one for each face, found {tuple(uv_faces.shape)}.")
    check_faces(uv_faces, len(uv), "uv_faces")


def check_background(background: Tensor | float, shape: tuple[int, int, int, int]) -> None:
    """Check that a background is a number, or spreads over pictures of ``shape`` (B, 3, H, W).

    Raises:
        RenderError: if it does not.
    """
    found = tuple(background.shape) if isinstance(background, Tensor) else ()
    padded = (1,) * (len(shape) - len(found)) + found
    if len(padded) > len(shape) or any(size not in (1, wanted) for size, wanted in zip(padded, shape, strict=False)):
        raise RenderError(f"background must be a number or {shape}, found {found}.")


def image_shape(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) in pixels from one number for a square image or from a pair.

    Raises:
        RenderError: if it is neither, or a side is smaller than one pixel.
    """
    sides = tuple(image_size) if isinstance(image_size, Iterable) else (image_size, image_size)
    if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
        raise RenderError(f"image_size must be a whole number of pixels or (height, width), found {image_size}.")
    height, width = (int(side) for side in sides)
    if height < 1 or width < 1:
        raise RenderError(f"image_size must be at least one pixel on each side, found {image_size}.")
    return height, width


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"
