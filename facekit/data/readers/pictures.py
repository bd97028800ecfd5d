"""Picture files to face crops: what a file is, is looked at before it is decoded.

A picture from elsewhere may be cut off, empty, something else altogether, or a few kilobytes that unpack to gigabytes.
`check_picture` looks at the header and at the end of the file, `read_picture` decodes and `square` cuts the face out.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from facekit.data.sources import DataError

PICTURE_ENDINGS: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, in pixels: more than cameras make, less than fills the memory."""
MAX_BYTES = 256 * 2**20

_KINDS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
_LAST_BYTES = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL = 8192  # cameras and archives leave a little behind the end mark
_DARK = 8.0  # mean of 8-bit values under which a picture shows nothing

Box = tuple[float, float, float]
"""Left edge, top edge and side of a square, in pixels; it may reach beyond the picture."""


class PictureError(DataError):
    """A picture that cannot be used; the message names the file and says why."""


def check_picture(path: str | Path) -> tuple[int, int]:
    """Width and height in pixels, once the file begins and ends as a picture of a sane size does; nothing is decoded.

    Raises:
        PictureError: if there is no such file, it is empty, cut off, no picture, or larger than MAX_PIXELS or
            MAX_BYTES.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise PictureError(f"{path}: is not a file")
        if size == 0:
            raise PictureError(f"{path}: the file is empty")
        if size > MAX_BYTES:
            raise PictureError(f"{path}: {size >> 20} MiB are more than a picture of {MAX_BYTES >> 20} MiB at most")
        with _open(path) as image:
            width_and_height, kind = image.size, image.format
        with path.open("rb") as file:
            file.seek(max(0, size - _TAIL))
            tail = file.read()
    except FileNotFoundError:
        raise PictureError(f"{path}: there is no such file") from None
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error})") from error
    if kind in _LAST_BYTES and _LAST_BYTES[kind] not in tail:
        raise PictureError(f"{path}: the {kind} file is cut off: its end mark is missing")
    return width_and_height


def read_picture(path: str | Path, least_size: int = 0) -> tuple[Image.Image, float]:
    """The decoded RGB picture, turned as its camera was held, and the share of its full size that it was decoded at.

    JPEG files are decoded at a half, a quarter or an eighth of their size where the shorter side stays at least
    `least_size` pixels (0: full size).  Transparent pixels take the colour that is stored for them.

    Raises:
        PictureError: as `check_picture`, and if the file turns out to be damaged.
    """
    full_width, full_height = check_picture(path)
    try:
        with warnings.catch_warnings(), _open(Path(path)) as image:
            warnings.simplefilter("ignore")  # what is wrong beside the pixels does no harm
            if least_size:
                smaller = least_size / min(full_width, full_height)
                image.draft("RGB", (round(full_width * smaller), round(full_height * smaller)))
            image.load()
            share = max(image.size) / max(full_width, full_height)
            return _as_rgb(ImageOps.exif_transpose(image)), share
    except PictureError:
        raise
    except Exception as error:  # as in `_open`
        raise PictureError(f"{path}: is damaged ({error or type(error).__name__})") from error


def verify_picture(path: str | Path, level: str = "ends") -> None:
    """Raises PictureError for a picture that cannot be used; `level` says how closely it is looked at.

    "ends" looks at the header and the end of the file, "pixels" decodes it and also refuses one that is all black.
    """
    if level == "ends":
        check_picture(path)
    elif is_black(read_picture(path)[0]):
        raise PictureError(f"{path}: the picture is black")


def is_black(image: Image.Image) -> bool:
    """Whether the picture shows nothing: some data sets hold photographs taken without light."""
    return float(np.asarray(image.convert("L").reduce(max(1, min(image.size) // 64))).mean()) < _DARK


def centred_square(width: float, height: float) -> Box:
    """The largest square in the middle of a picture."""
    side = min(width, height)
    return (width - side) / 2.0, (height - side) / 2.0, side


def square(image: Image.Image, box: Box, size: int) -> np.ndarray:
    """The square `box` of a picture resized to (size, size, 3) uint8; beyond the picture its border is repeated.

    Raises:
        PictureError: if the box is not finite, smaller than a pixel, or lies beside the picture.
    """
    left, top, side = (float(value) for value in box)
    right, bottom = left + side, top + side
    if not (np.isfinite([left, top, side]).all() and side >= 1.0):
        raise PictureError(f"the face box {left:g}, {top:g}, {side:g} is not a square of at least a pixel")
    if right <= 0 or bottom <= 0 or left >= image.width or top >= image.height or side > 8 * max(image.size):
        raise PictureError(
            f"the face box {left:g}, {top:g}, {side:g} does not fit the picture of {image.width} x {image.height}"
        )
    beyond = [-left, -top, right - image.width, bottom - image.height]
    if max(beyond) > 0 and side > 4 * size:  # padding is made of a smaller picture, so that it stays small as well
        factor = int(side // (2 * size))
        return square(image.reduce(factor), (left / factor, top / factor, side / factor), size)
    if max(beyond) > 0:
        pad = [max(0, int(np.ceil(value))) for value in beyond]
        around = ((pad[1], pad[3]), (pad[0], pad[2]), (0, 0))
        image = Image.fromarray(np.pad(np.asarray(image), around, mode="edge"))
        left, top, right, bottom = left + pad[0], top + pad[1], right + pad[0], bottom + pad[1]
    limits = (max(0.0, left), max(0.0, top), min(right, image.width), min(bottom, image.height))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=limits))


def _open(path: Path) -> Image.Image:
    """The picture with its header read; its size is checked here, its pixels are not touched."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path, formats=_KINDS)
    except UnidentifiedImageError:
        raise PictureError(f"{path}: is not a picture ({', '.join(_KINDS)})") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: {error}") from error
    except OSError:
        raise
    except Exception as error:  # decoders stumble over damage in every way there is
        raise PictureError(f"{path}: its header is damaged ({error or type(error).__name__})") from error
    width, height = image.size
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        image.close()
        raise PictureError(f"{path}: {width} x {height} pixels, expected at most {MAX_PIXELS:,}")
    return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of kind {image.mode}, expected 8 or 16 bits")
    return image.convert("RGB")
