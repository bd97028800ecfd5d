"""The reader's own photograph: what is wrong gets one sentence, what is right becomes a mesh in a file."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from facekit.data import twin
from facekit.meshes import load_mesh
from facekit.reconstruction import (
    PhotoError,
    export,
    find_detector,
    find_face,
    portrait,
    read_landmarks,
    read_photo,
    reconstruct_photo,
)


@pytest.fixture(scope="module")
def photo(face_model):
    """A picture of 128 x 128 with its landmarks, as (H, W, 3) bytes and (68, 2)."""
    sample = twin("aflw2000", subjects=1, image_size=128, model=face_model, outputs=("image", "landmarks"))[0]
    return (sample["image"] * 255).byte().movedim(0, 2).numpy(), sample["landmarks"].numpy()


def write(path, landmarks):
    np.savetxt(path, landmarks, header="x y")
    return path


def test_from_file_to_mesh(tmp_path, network, photo):
    model, _ = network
    Image.fromarray(photo[0]).save(tmp_path / "me.png")
    pixels = read_photo(tmp_path / "me.png")
    landmarks = read_landmarks(write(tmp_path / "me.txt", photo[1]))
    face = portrait(pixels, landmarks, model.image_size)
    assert face.image.shape == (1, 3, 32, 32)
    assert (face.landmarks > 0).all() and (face.landmarks < 32).all()
    found = reconstruct_photo(model, face)
    for ending in ("obj", "ply", "glb"):
        mesh = load_mesh(export(model, found, tmp_path / f"me.{ending}"))
        torch.testing.assert_close(mesh.vertices.float(), found.vertices[0].detach(), atol=1e-3, rtol=0)
        assert len(mesh.faces) == len(model.faces)
    with pytest.raises(PhotoError, match=r"can be saved as .obj, .ply or .glb"):
        export(model, found, tmp_path / "me.stl")
    textured = reconstruct_photo(model, face, texture=True)
    assert export(model, textured, tmp_path / "textured.ply").exists()


def test_the_crop_shows_what_the_photo_shows(photo):
    """A coloured dot on the nose tip is found where the crop's landmark says."""
    pixels, landmarks = photo[0].copy(), photo[1]
    x, y = landmarks[30].astype(int)
    pixels[y - 3 : y + 4, x - 3 : x + 4] = (0, 255, 0)
    face = portrait(pixels, landmarks, 64)
    green = face.image[0, 1] - face.image[0, 0]
    row, column = divmod(int(green.argmax()), 64)
    assert abs(row + 0.5 - float(face.landmarks[0, 30, 1])) < 3
    assert abs(column + 0.5 - float(face.landmarks[0, 30, 0])) < 3


def test_an_uploaded_file_and_a_turned_photo_are_read():
    image = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", exif=turned)
    buffer.seek(0)
    assert read_photo(buffer).shape == (30, 20, 3)


def test_what_is_no_photo(tmp_path):
    (tmp_path / "letter.jpg").write_text("dear reader")
    with pytest.raises(PhotoError, match=r"letter\.jpg is not an image that can be read"):
        read_photo(tmp_path / "letter.jpg")
    with pytest.raises(PhotoError, match="There is no file"):
        read_photo(tmp_path / "nothing.png")
    with pytest.raises(PhotoError, match="The upload is not an image"):
        read_photo(io.BytesIO(b"not at all"))


def test_no_face_and_several_faces(photo):
    with pytest.raises(PhotoError, match="No face was found"):
        find_face(photo[0], lambda image: [])
    with pytest.raises(PhotoError, match="2 faces were found"):
        find_face(photo[0], lambda image: [photo[1], photo[1]])
    assert np.array_equal(find_face(photo[0], lambda image: [photo[1]]), photo[1])


def test_a_face_that_is_too_small_or_elsewhere(photo):
    with pytest.raises(PhotoError, match="pixels large; at least 32 are needed"):
        portrait(photo[0], photo[1] / 8, 32)
    with pytest.raises(PhotoError, match="outside the photo of 128 x 128 pixels"):
        portrait(photo[0], photo[1] + 1000, 32)
    with pytest.raises(PhotoError, match="outside the photo"):
        portrait(photo[0], np.full((68, 2), np.nan), 32)


def test_landmark_files(tmp_path):
    with pytest.raises(PhotoError, match="holds 5 lines; expected 68 lines"):
        read_landmarks(write(tmp_path / "few.txt", np.zeros((5, 2))))
    (tmp_path / "words.txt").write_text("left eye\n")
    with pytest.raises(PhotoError, match="does not hold landmarks"):
        read_landmarks(tmp_path / "words.txt")


def test_without_a_detector(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PhotoError, match="No landmark detector is installed"):
        find_detector()
