"""Throw damaged label files and pictures at their readers: ``python tests/data/readers/fuzz_files.py --inputs 100000``.

The formats beside those of ``tests/data/formats/fuzz.py``, with its mutations, limits and command line.
"""

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from facekit.data.formats import FormatError
from facekit.data.readers import Inventory, celeba, emotionet
from facekit.data.readers.fitted import read_fit
from facekit.data.readers.landmark_files import read_landmarks
from facekit.data.readers.level_files import read_levels
from facekit.data.readers.own_manifest import read_manifest
from facekit.data.readers.pictures import centred_square, read_picture, square
from facekit.data.readers.text_files import TextError
from facekit.data.sources import DataError
from tests.data.formats import fuzz
from tests.data.readers.photo_trees import ATTRIBUTES, fit_arrays

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz_", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))


class WrongData(Exception):
    """A reader let something through that it should not."""


def parser_of(read: Callable[[Path], np.ndarray], name: str) -> fuzz.Parser:
    """A parser of bytes from a reader of files, whose errors must begin with the name of the file."""
    path = FOLDER / name

    def parse(content: bytes) -> np.ndarray:
        path.write_bytes(content)
        try:
            return read(path)
        except DataError as error:
            if not str(error).startswith(str(path)):
                raise WrongData(f"does not begin with the file: {error}") from error
            raise FormatError(str(error)) from error

    return parse


def picture(path: Path) -> np.ndarray:
    image, _ = read_picture(path)
    return square(image, centred_square(*image.size), 8)


def points(path: Path) -> np.ndarray:
    found = read_landmarks(path).numpy()
    if found.shape != (68, 2):
        raise WrongData(f"landmarks of shape {found.shape}")
    return found


def levels(path: Path) -> np.ndarray:
    found = read_levels(path, Inventory("disfa", FOLDER))
    if not found.isin(range(6)).all() or not found.index.is_unique:
        raise WrongData(f"levels {found.to_dict()}")
    return found.to_numpy()


def manifest(path: Path) -> np.ndarray:
    rows = read_manifest(path, Inventory("own", FOLDER))
    for row in rows:
        if row["path"].startswith("/") or ".." in row["path"].split("/") or not 0 <= (row.get("AU12") or 0) <= 5:
            raise WrongData(f"row {row}")
    return np.array([row.get("yaw") or 0.0 for row in rows])


def celeba_list(what: str) -> Callable[[Path], np.ndarray]:
    def read(path: Path) -> np.ndarray:
        good = [entry[1] for entry in celeba._entries(path, what) if not isinstance(entry, TextError)]
        if what == "split" and not set(good) <= set(celeba.SPLITS):
            raise WrongData(f"splits {set(good)}")
        return np.array(good, dtype=np.float64) if what == "landmarks" else np.zeros(0)

    return read


def emotionet_list(path: Path) -> np.ndarray:
    codes = [entry[2] for entry in emotionet._entries(path) if not isinstance(entry, TextError)]
    if not {int(code) for row in codes for code in row} <= {0, 1, 999}:
        raise WrongData("a code that is none")
    return np.array(codes, dtype=np.float64)


def coefficients(path: Path) -> np.ndarray:
    fit = read_fit(path)
    if fit.points.shape != (68, 2) or fit.pose_para.shape != (7,):
        raise WrongData(f"shapes {fit.points.shape}, {fit.pose_para.shape}")
    return np.concatenate([fit.pose_para, fit.points.ravel(), fit.coefficients["shape_para"]])


def _pictures(kind: str, **options) -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    files = []
    for image in (Image.fromarray(pixels), Image.fromarray(pixels[..., 0])):
        stream = io.BytesIO()
        image.save(stream, format=kind, **options)
        files.append(stream.getvalue())
    return files


def _fit() -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, fit_arrays())
    return stream.getvalue()


ROW = " ".join(["-1", " 1"] * 20)
WEB_ROW = "\t".join(["http://a/b.jpg", "http://a/b.jpg", *["999", "1", "0"] * 20]) + "\n"
POINTS = "\n".join(f"{n}.5 {n + 3}" for n in range(68))
MANIFEST = 'path,subject,expression,yaw,AU12\na.jpg,ann,happy,-30.5,1\nb/c.png,"Doe, J.",neutral,,\n'
READERS: dict[str, tuple[Callable[[Path], np.ndarray], list[bytes]]] = {
    "jpeg": (picture, [*_pictures("JPEG"), *_pictures("JPEG", progressive=True)]),
    "png": (picture, _pictures("PNG")),
    "bmp": (picture, _pictures("BMP")),
    "webp": (picture, _pictures("WEBP")),
    "tiff": (picture, _pictures("TIFF")),
    "levels": (levels, [b"1,0\n2,3\n3,5\n", b"1 0\r\n2 1\r\n"]),
    "manifest": (manifest, [MANIFEST.encode(), MANIFEST.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig")]),
    "landmark_lines": (points, [POINTS.encode(), f"version: 1\nn_points: 68\n{{\n{POINTS}\n}}".encode()]),
    "celeba_identity": (celeba_list("identity"), [b"000001.jpg 2880\n000002.jpg 7\n"]),
    "celeba_split": (celeba_list("split"), [b"000001.jpg 0\r\n000002.jpg 2\r\n", b"image_id,x\n1.jpg,1\n"]),
    "celeba_attributes": (celeba_list("attributes"), [f"1\n{' '.join(ATTRIBUTES)} \n000001.jpg {ROW}\n".encode()]),
    "celeba_landmarks": (celeba_list("landmarks"), [f"1\nx_1 y_1\n1.jpg {'69 111 ' * 5}\n".encode()]),
    "emotionet": (emotionet_list, [WEB_ROW.encode()]),
    "fit": (coefficients, [_fit()]),
}  # fmt: skip
"""Name of a format -> the reader of a file, and valid files to begin with."""

CORPUS = {name: (parser_of(read, f"{name}.bin"), files) for name, (read, files) in READERS.items()}
"""The same with parsers of bytes, as ``fuzz.py`` has them."""


class Hang(BaseException):
    """An input took too long; no reader may catch this, as it could a TimeoutError."""


def _too_late(*_: object) -> None:
    raise Hang


if __name__ == "__main__":
    fuzz.CORPUS, fuzz._too_late = CORPUS, _too_late
    sys.exit(fuzz.main())
