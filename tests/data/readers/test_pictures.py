"""Pictures that are broken, hostile or only unusual."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from facekit.data.readers import pictures
from facekit.data.readers.pictures import PictureError, centred_square, check_picture, read_picture, square
from tests.data.readers.photo_trees import cut_off, write_picture


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG file that announces any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_a_good_picture(tmp_path):
    path = write_picture(tmp_path / "a.JPG", 40, 30)
    assert check_picture(path) == (40, 30)
    image, share = read_picture(path)
    assert image.size == (40, 30) and share == 1.0 and image.mode == "RGB"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jpg", b"", "the file is empty"),
        ("text.png", b"not a picture at all", "is not a picture"),
        ("bomb.png", png_of(60_000, 60_000), "60000 x 60000|exceeds limit"),
        ("wide.png", png_of(65_000_000, 1), "65000000 x 1 pixels, expected at most 64,000,000"),
        ("none.png", png_of(0, 5), "header is damaged|0 x 5 pixels|is not a picture"),
        ("lying.png", png_of(500, 500, b"\0" * 10), "is damaged"),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
    ],
)
def test_files_that_are_no_picture(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_a_picture_cut_off_anywhere(tmp_path, ending, share):
    generator = np.random.default_rng(0)
    path = tmp_path / f"a.{ending}"
    Image.fromarray(generator.integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(path)
    check_picture(path)
    with pytest.raises(PictureError, match=str(path)):
        check_picture(cut_off(path, share))


def test_missing_folders_and_too_large_files(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match="there is no such file"):
        check_picture(tmp_path / "a.jpg")
    with pytest.raises(PictureError, match="is not a file"):
        check_picture(tmp_path)
    path = write_picture(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    with pytest.raises(PictureError, match="MiB"):
        check_picture(path)


def test_every_kind_of_pixel(tmp_path):
    ramp = np.linspace(0, 255, 64).reshape(8, 8)
    for mode, pixels in {"L": ramp.astype(np.uint8), "I;16": (ramp * 257).astype(np.uint16)}.items():
        path = tmp_path / f"{mode[0]}.png"
        Image.fromarray(pixels).save(path)
        found = np.asarray(read_picture(path)[0])[..., 0]
        assert np.abs(found - ramp).max() <= 1.0, mode
    for mode in ("RGBA", "P", "CMYK", "1"):
        path = tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode).save(path)
        assert np.asarray(read_picture(path)[0]).min() > 250
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(PictureError, match="pixels of kind F"):
        read_picture(tmp_path / "f.tif")


def test_a_camera_held_on_its_side(tmp_path):
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.putpixel((0, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    turned = read_picture(tmp_path / "a.png")[0]
    assert turned.size == (20, 40) and turned.getpixel((19, 0)) == (0, 0, 255)


def test_large_photographs_are_decoded_smaller(tmp_path):
    path = write_picture(tmp_path / "a.jpg", 1600, 1200)
    image, share = read_picture(path, least_size=200)
    assert share == 0.25 and image.size == (400, 300)
    image, share = read_picture(path, least_size=1000)
    assert share == 1.0


def test_squares_inside_and_beyond_the_picture():
    pixels = np.zeros((20, 30, 3), dtype=np.uint8)
    pixels[:, 15:] = 200
    image = Image.fromarray(pixels)
    assert centred_square(30, 20) == (5, 0, 20)
    inside = square(image, (5, 0, 20), 20)
    assert (inside[:, :10] == 0).all() and (inside[:, 10:] == 200).all()
    beyond = square(image, (-10, -10, 50), 50)
    assert (beyond[:, :25] == 0).all() and (beyond[:, 25:] == 200).all()
    small = square(image, (-200, -200, 230), 10)
    assert small.shape == (10, 10, 3)


@pytest.mark.parametrize("box", [(0, 0, 0), (0, 0, float("nan")), (40, 0, 5), (0, -9, 5), (0, 0, 1e9)])
def test_boxes_that_hold_no_face(box):
    with pytest.raises(PictureError, match="the face box"):
        square(Image.new("RGB", (30, 20)), box, 8)


def test_no_large_memory_for_boxes_far_beyond(monkeypatch):
    padded = []
    pad = np.pad
    monkeypatch.setattr(np, "pad", lambda pixels, around, mode: padded.append(pad(pixels, around, mode)) or padded[-1])
    square(Image.new("RGB", (4000, 3000)), (-9000, -9000, 16_000), 64)
    assert max(max(array.shape) for array in padded) < 700
