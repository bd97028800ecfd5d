"""Grids of pictures with headings for rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from facekit.plotting.arrays import to_numpy
from facekit.plotting.style import GREY

_FONT_SIZE = 14


def image_grid(
    images: Any,
    *,
    columns: int | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    cell: int | None = None,
    gap: int = 4,
    value_range: tuple[float, float] = (0.0, 1.0),
    levels: int = 256,
) -> Image.Image:
    """Return pictures laid out row by row, on a transparent ground that suits a light and a dark page.

    Args:
        images: ``(N, 3, H, W)``, grey ``(N, 1, H, W)`` or ``(N, H, W)``, or a grid ``(R, C, 3, H, W)``; values in
            ``value_range``, clipped. A list of ``(3, H, W)`` is taken as well.
        columns: pictures per row; by default the grid's C, the number of column labels, or at most eight.
        row_labels: a label to the left of every row.
        column_labels: a heading over every column.
        cell: width of a picture on the page in pixels; by default the picture's own width.
        gap: space between pictures in pixels.
        value_range: the values drawn black and white.
        levels: steps from black to white, 2 to 256. A sheet of many noisy photographs takes half as many bytes with 52,
            and looks the same.

    Raises:
        ValueError: if there are no images, a value is NaN, or the shapes, the labels' number or the levels do not fit.
    """
    pixels, grid_columns = _stack(images)
    count = len(pixels)
    columns = columns or grid_columns or (len(column_labels) if column_labels else min(count, 8))
    rows = -(-count // columns)
    for name, labels, wanted in (("row_labels", row_labels, rows), ("column_labels", column_labels, columns)):
        if labels is not None and len(labels) != wanted:
            raise ValueError(f"{name}: expected {wanted} labels, found {len(labels)}")
    if not 2 <= levels <= 256:
        raise ValueError(f"levels: expected 2 to 256, found {levels}")

    pictures = [_picture(picture, cell, levels) for picture in _to_bytes(pixels, value_range)]
    width, height = pictures[0].size
    font = ImageFont.load_default(_FONT_SIZE)
    left = max((int(font.getlength(str(label))) + 8 for label in row_labels), default=0) if row_labels else 0
    top = _FONT_SIZE + 8 if column_labels else 0

    sheet = Image.new("RGBA", (left + columns * (width + gap) - gap, top + rows * (height + gap) - gap))
    pen, ink = ImageDraw.Draw(sheet), ImageColor.getrgb(GREY)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(picture, (left + column * (width + gap), top + row * (height + gap)))
    for row, label in enumerate(row_labels or ()):
        pen.text((left - 8, top + row * (height + gap) + height / 2), str(label), ink, font, anchor="rm")
    for column, label in enumerate(column_labels or ()):
        pen.text((left + column * (width + gap) + width / 2, top - 6), str(label), ink, font, anchor="ms")
    return sheet


def _stack(images: Any) -> tuple[NDArray[Any], int | None]:
    """Return pictures as ``(N, 3, H, W)`` and, where the input is a grid, its number of columns."""
    if isinstance(images, (list, tuple)):
        pictures = [to_numpy(image) for image in images]
        if len({picture.shape for picture in pictures}) != 1:
            shapes = sorted({picture.shape for picture in pictures})
            raise ValueError(f"images: expected pictures of one shape, found {len(pictures)} of the shapes {shapes}")
        images = np.stack(pictures)
    array = to_numpy(images)
    columns = None
    if array.ndim == 5:
        columns = array.shape[1]
        array = array.reshape(-1, *array.shape[2:])
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.shape[1] not in (1, 3) or not len(array):
        raise ValueError(
            f"images: expected (N, 3, H, W), (N, 1, H, W), (N, H, W) or (R, C, 3, H, W), found {array.shape}"
        )
    if np.isnan(array).any():
        raise ValueError(f"images: picture {int(np.isnan(array).any(axis=(1, 2, 3)).argmax())} holds NaN")
    return np.broadcast_to(array, (len(array), 3, *array.shape[2:])), columns


def _picture(pixels: NDArray[np.uint8], width: int | None, levels: int) -> Image.Image:
    """Return bytes ``(H, W, 3)`` as a picture of ``width`` pixels with ``levels`` steps from black to white."""
    picture = Image.fromarray(pixels)
    if width is not None:
        picture = picture.resize((width, round(width * picture.height / picture.width)), Image.Resampling.LANCZOS)
    steps = np.round(np.arange(256) / 255 * (levels - 1)) / (levels - 1) * 255
    return picture.point(steps.round().astype(int).tolist() * 3)


def _to_bytes(pixels: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Return ``(N, H, W, 3)`` bytes."""
    low, high = value_range
    scaled = (pixels.astype(np.float32) - low) / (high - low)
    return np.ascontiguousarray(np.round(np.clip(scaled, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1))
