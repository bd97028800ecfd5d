"""The reader's own photograph: what is wrong gets one sentence, what is right becomes a mesh in a file."""

import datetime
import io
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

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
    upload_box,
)
from facekit.reconstruction.photo import MEDIAPIPE_TO_68


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
    (tmp_path / "words.txt").write_text("1 2\nleft eye\n")
    with pytest.raises(PhotoError, match=r"words\.txt, line 2: .*'left'"):
        read_landmarks(tmp_path / "words.txt")
    with pytest.raises(PhotoError, match=r"solid\.txt, line 2: expected x and y in pixels, found '0\.0"):
        read_landmarks(write(tmp_path / "solid.txt", np.zeros((68, 3))))
    with pytest.raises(PhotoError, match=r"nothing\.txt: there is no such file"):
        read_landmarks(tmp_path / "nothing.txt")
    (tmp_path / "commas.txt").write_text("# x, y\n" + "1.5, 2\n\n" * 68)
    assert read_landmarks(tmp_path / "commas.txt").tolist() == [[1.5, 2.0]] * 68


def test_landmarks_of_another_kind(photo):
    with pytest.raises(PhotoError, match=r"have the shape \(5, 2\); expected \(68, 2\)"):
        portrait(photo[0], photo[1][:5], 32)


def test_a_texture_is_saved_as_the_colours_of_the_vertices(tmp_path, network):
    """A texture whose red is u and whose green is v gives every vertex its UV coordinates."""
    model, _ = network
    face = model(torch.rand(1, 3, 32, 32), texture=True)
    centres = (torch.arange(32) + 0.5) / 32
    texture = torch.stack([centres.expand(32, 32), 1 - centres[:, None].expand(32, 32), torch.zeros(32, 32)])[None]
    colours = model.vertex_albedo(replace(face, albedo=texture))
    inside = ((model.uv > 1 / 64) & (model.uv < 63 / 64)).all(dim=1)
    assert inside.any()
    torch.testing.assert_close(colours[0, inside, :2], model.uv[inside], atol=1e-4, rtol=0)
    saved = [
        load_mesh(export(model, replace(face, albedo=part), tmp_path / name)).albedo
        for name, part in (("texture.ply", texture), ("vertices.ply", colours))
    ]
    torch.testing.assert_close(saved[0], saved[1])
    assert torch.equal(model.vertex_albedo(replace(face, albedo=colours)), colours)


def install(monkeypatch, name=None, **content):
    """Let a module of this name, and no other detector, be installed."""
    module = ModuleType(name or "nothing")
    vars(module).update(content)
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: object() if wanted == name else None)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_without_a_detector(monkeypatch, tmp_path):
    install(monkeypatch)
    with pytest.raises(PhotoError, match="No landmark detector is installed"):
        find_detector()
    with pytest.raises(PhotoError, match=r"There is no model file .*68\.dat"):
        find_detector(tmp_path / "68.dat")


def test_dlib(monkeypatch, tmp_path):
    """A stand-in with dlib's interface: boxes from a detector, from the predictor an object with whole-number parts."""
    photo, model = np.zeros((60, 80, 3), np.uint8), tmp_path / "shape_predictor_68_face_landmarks.dat"
    model.write_bytes(b"trees")

    def detector(image, upsample_num_times=0):
        assert image is photo and upsample_num_times == 1
        return [SimpleNamespace(left=lambda: 10), SimpleNamespace(left=lambda: 30)]

    def predictor(image, box):
        assert image is photo
        return SimpleNamespace(parts=lambda: [SimpleNamespace(x=box.left() + i % 8, y=i // 8) for i in range(68)])

    def shape_predictor(path):
        assert path == str(model)
        return predictor

    install(monkeypatch, "dlib", get_frontal_face_detector=lambda: detector, shape_predictor=shape_predictor)
    first, second = find_detector(model)(photo)
    assert first.shape == (68, 2) and first[0].tolist() == [10.5, 0.5] and second[9].tolist() == [31.5, 1.5]
    with pytest.raises(PhotoError, match=r"dlib needs its model file; .*shape_predictor_68_face_landmarks\.dat"):
        find_detector()
    install(monkeypatch, "mediapipe")
    with pytest.raises(PhotoError, match=r"landmarks\.dat is a model file of dlib, which is not installed"):
        find_detector(model)


def mesh_of(shift, count):
    return [SimpleNamespace(x=(i % 22) / 22 + shift, y=(i // 22) / 22, z=0.0) for i in range(count)]


def expected(shift):
    return np.array([(80 * ((i % 22) / 22 + shift), 60 * (i // 22) / 22) for i in MEDIAPIPE_TO_68])


def test_mediapipe_until_0_10_21(monkeypatch):
    """The interface of ``mediapipe.solutions``: None where there is no face, 468 points in shares of the picture."""
    photo = np.zeros((60, 80, 3), np.uint8)
    answers = iter([None, [SimpleNamespace(landmark=mesh_of(0.1, 468)), SimpleNamespace(landmark=mesh_of(0.2, 468))]])

    class FaceMesh:
        def __init__(self, static_image_mode=False, max_num_faces=1):
            assert static_image_mode and max_num_faces > 1

        def process(self, image):
            assert image is photo
            return SimpleNamespace(multi_face_landmarks=next(answers))

    solutions = SimpleNamespace(face_mesh=SimpleNamespace(FaceMesh=FaceMesh))
    install(monkeypatch, "mediapipe", solutions=solutions)
    detect = find_detector()
    assert detect(photo) == []
    first, second = detect(photo)
    np.testing.assert_allclose(first, expected(0.1))
    np.testing.assert_allclose(second, expected(0.2))


def test_mediapipe_of_today(monkeypatch, tmp_path):
    """The interface of ``mediapipe.tasks``: a model file, images of its own, 478 points in shares of the picture."""
    photo, model = np.zeros((60, 80, 3), np.uint8), tmp_path / "face_landmarker.task"
    model.write_bytes(b"network")

    class FaceLandmarker:
        @classmethod
        def create_from_options(cls, options):
            assert options.base_options.model_asset_path == str(model) and options.num_faces > 1
            return cls()

        def detect(self, image):
            assert image.image_format == "SRGB" and image.data.shape == (60, 80, 3)
            return SimpleNamespace(face_landmarks=[mesh_of(0.1, 478)])

    vision = SimpleNamespace(FaceLandmarker=FaceLandmarker, FaceLandmarkerOptions=SimpleNamespace)
    install(
        monkeypatch, "mediapipe", tasks=SimpleNamespace(BaseOptions=SimpleNamespace, vision=vision),
        Image=SimpleNamespace, ImageFormat=SimpleNamespace(SRGB="SRGB"),
    )  # fmt: skip
    (found,) = find_detector(model)(photo)
    np.testing.assert_allclose(found, expected(0.1))
    with pytest.raises(PhotoError, match=r"give find_detector the path of face_landmarker\.task"):
        find_detector()


def upload(box, content):
    """What a browser does: the button's value becomes a tuple of one file."""
    today = datetime.datetime.now(datetime.UTC)
    file = {"name": "me.png", "type": "image/png", "size": len(content), "last_modified": today}
    box.children[0].value = ({**file, "content": memoryview(content)},)


def test_the_upload_button(network, photo, capsys):
    model, _ = network
    pixels, landmarks = photo
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "png")
    seen, faces = [], [landmarks]
    box = upload_box(model, lambda image: faces, seen.append)
    upload(box, picture.getvalue())
    torch.testing.assert_close(seen[0].vertices, reconstruct_photo(model, portrait(pixels, landmarks, 32)).vertices)
    capsys.readouterr()
    upload(box, b"a letter")
    assert "The upload is not an image that can be read; a JPEG or PNG file will do." in capsys.readouterr().out
    faces.append(landmarks)
    upload(box, picture.getvalue())
    assert "2 faces were found in this photo" in capsys.readouterr().out and len(seen) == 1
