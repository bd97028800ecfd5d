"""The reader's own photograph: check it, find the face, cut it out, reconstruct it, and save the mesh.

The face's 68 landmarks come from dlib or mediapipe where one of them is installed, or from a text file with one
``x y`` pair per line. Everything that can be wrong with a photograph is said in a sentence, as a ``PhotoError``.
"""

import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from facekit.data import crop
from facekit.data.readers.text_files import TextError, number_in, text_lines
from facekit.meshes import save_mesh
from facekit.reconstruction.model import Face, Reconstructor

NUM_LANDMARKS = 68
SMALLEST_FACE = 32
MARGIN = 1.6
MOST_FACES = 4
MEDIAPIPE_TO_68 = (
    127, 234, 93, 132, 58, 172, 136, 150, 152, 379, 365, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Vertices of mediapipe's face mesh that lie nearest to the 68 landmarks."""

DLIB_MODEL, MEDIAPIPE_MODEL = "shape_predictor_68_face_landmarks.dat", "face_landmarker.task"

Detector = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From an RGB image (H, W, 3) uint8 to the landmarks (68, 2) in pixels of each face in it."""


class PhotoError(ValueError):
    """A photograph that no face can be reconstructed from; the message says why and what to do."""


@dataclass(frozen=True)
class Portrait:
    """A face cut out of a photograph: ``image (1, 3, S, S)`` in [0, 1] and ``landmarks (1, 68, 2)`` in its pixels."""

    image: Tensor
    landmarks: Tensor


def read_photo(source: str | Path | object) -> np.ndarray:
    """An image file (a path or an open binary file) as RGB (H, W, 3) uint8, turned the way its camera meant.

    Raises:
        PhotoError: there is no such file, or it is not an image.
    """
    try:
        with Image.open(source) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise PhotoError(f"There is no file {source}.") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        name = Path(source).name if isinstance(source, str | Path) else "The upload"
        raise PhotoError(f"{name} is not an image that can be read; a JPEG or PNG file will do.") from None


def read_landmarks(path: str | Path) -> np.ndarray:
    """Landmarks (68, 2) from a text file of 68 lines ``x y``; empty lines and lines that begin with # are skipped.

    Raises:
        PhotoError: there is no such file, a line is not two numbers, or there are not 68 of them.
    """
    points = []
    try:
        for number, line in text_lines(path):
            if not line.startswith("#"):
                points.append([number_in(cell, f"{path}, line {number}") for cell in line.replace(",", " ").split()])
                if len(points[-1]) != 2:
                    raise PhotoError(f"{path}, line {number}: expected x and y in pixels, found {line[:40]!r}.")
    except TextError as error:
        raise PhotoError(f"{error}.") from None
    if len(points) != NUM_LANDMARKS:
        raise PhotoError(f"{path} holds {len(points)} lines; expected {NUM_LANDMARKS} lines of x and y in pixels.")
    return np.array(points)


def find_detector(model: str | Path | None = None) -> Detector:
    """A landmark detector that is installed: dlib, or mediapipe.

    Args:
        model: file of dlib's 68 points (``shape_predictor_68_face_landmarks.dat``) or of mediapipe
            (``face_landmarker.task``); mediapipe before 0.10.30 needs none.

    Raises:
        PhotoError: there is no detector, or its model is missing.
    """
    path = None if model is None else Path(model)
    if path is not None and not path.is_file():
        raise PhotoError(f"There is no model file {path}.")
    dlib = importlib.util.find_spec("dlib")
    if path is not None and path.suffix == ".dat":
        if dlib:
            return _dlib_detector(path)
        raise PhotoError(f"{path.name} is a model file of dlib, which is not installed.")
    if importlib.util.find_spec("mediapipe"):
        return _mediapipe_detector(path)
    if dlib:
        raise PhotoError(f"dlib needs its model file; give find_detector the path of {DLIB_MODEL}.")
    raise PhotoError(
        "No landmark detector is installed. Install mediapipe, or dlib with its 68-point model, "
        "or give the 68 landmarks in a text file."
    )


def find_face(photo: np.ndarray, detector: Detector) -> np.ndarray:
    """Landmarks (68, 2) of the one face in a photograph (H, W, 3).

    Raises:
        PhotoError: there is no face, or there are several.
    """
    found = detector(photo)
    if len(found) == 0:
        raise PhotoError("No face was found in this photo. Try one in which the face is larger and better lit.")
    if len(found) > 1:
        raise PhotoError(f"{len(found)} faces were found in this photo. Cut it so that one person is left.")
    return np.asarray(found[0], dtype=float)


def portrait(photo: np.ndarray, landmarks: np.ndarray, size: int) -> Portrait:
    """The square around the landmarks that a model of image size ``size`` was trained on.

    Args:
        photo: (H, W, 3) uint8.
        landmarks: (68, 2) pixels.
        size: of the result in pixels.

    Raises:
        PhotoError: there are not 68 landmarks, the face is too small, or it lies outside the photograph.
    """
    points = torch.as_tensor(landmarks, dtype=torch.float32)
    if points.shape != (NUM_LANDMARKS, 2):
        raise PhotoError(f"The landmarks have the shape {tuple(points.shape)}; expected ({NUM_LANDMARKS}, 2).")
    low, high = points.amin(dim=0), points.amax(dim=0)
    width, height = photo.shape[1], photo.shape[0]
    if not (torch.isfinite(points).all() and (high > 0).all() and low[0] < width and low[1] < height):
        raise PhotoError(f"The landmarks lie outside the photo of {width} x {height} pixels; are they of this photo?")
    extent = float((high - low).max())
    if extent < SMALLEST_FACE:
        raise PhotoError(f"The face is {extent:.0f} pixels large; at least {SMALLEST_FACE} are needed.")
    side = MARGIN * extent
    box = torch.cat([(low + high - side) / 2, torch.tensor([side])])[None]
    image = torch.from_numpy(photo.copy()).movedim(2, 0)[None].float() / 255
    cut = crop({"image": _shrunk_enough(image, side, size), "landmarks": points[None]}, box, size)
    return Portrait(cut["image"].clamp(0, 1), cut["landmarks"])


@torch.no_grad()
def reconstruct_photo(model: Reconstructor, face: Portrait, texture: bool = False) -> Face:
    """The 3D face of a portrait; with ``texture``, by the convolutional albedo decoder."""
    training = model.training
    model.eval()
    found = model(face.image.to(model.template.device), texture=texture)
    model.train(training)
    return found


def upload_box(model: Reconstructor, detector: Detector, use: Callable[[Face], object]) -> Any:
    """An upload button for JupyterLab (an ipywidgets box); ``use`` is called with the face of each uploaded photograph.

    What ``use`` shows appears below the button, and so does the sentence about a photograph that cannot work.
    """
    import ipywidgets

    button, output = ipywidgets.FileUpload(accept="image/*"), ipywidgets.Output()

    def uploaded(change: dict) -> None:
        output.clear_output()
        with output:
            for file in change["new"]:
                try:
                    photo = read_photo(io.BytesIO(bytes(file["content"])))
                    use(reconstruct_photo(model, portrait(photo, find_face(photo, detector), model.image_size)))
                except PhotoError as error:
                    print(error)

    button.observe(uploaded, names="value")
    return ipywidgets.VBox([button, output])


def export(model: Reconstructor, face: Face, path: str | Path) -> Path:
    """Write the first face of a batch as OBJ, PLY or GLB, with its albedo as vertex colours, of a texture as well.

    Raises:
        PhotoError: the file's ending is another one.
    """
    path = Path(path)
    if path.suffix.lower() not in (".obj", ".ply", ".glb"):
        raise PhotoError(f"{path.name}: a face can be saved as .obj, .ply or .glb.")
    save_mesh(path, face.vertices[0], model.faces, albedo=model.vertex_albedo(face)[0].clamp(0, 1))
    return path


def _shrunk_enough(image: Tensor, side: float, size: int) -> Tensor:
    """The photograph blurred for a reduction of ``side`` pixels to ``size``, so that fine patterns do not alias."""
    window = int(side / size) // 2 * 2 + 1
    if window < 3:
        return image
    padded = torch.nn.functional.pad(image, [window // 2] * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(padded, window, stride=1)


def _dlib_detector(model: Path) -> Detector:
    import dlib

    faces, shape = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(model))

    def detect(photo: np.ndarray) -> list[np.ndarray]:
        found = [shape(photo, box) for box in faces(photo, 1)]
        return [np.array([(point.x + 0.5, point.y + 0.5) for point in one.parts()]) for one in found]

    return detect


def _mediapipe_detector(model: Path | None) -> Detector:
    import mediapipe

    if hasattr(mediapipe, "solutions"):  # removed in 0.10.30
        mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=MOST_FACES)

        def find(photo: np.ndarray) -> Sequence:
            return [face.landmark for face in mesh.process(photo).multi_face_landmarks or []]

    elif model is None:
        raise PhotoError(f"mediapipe needs its model file; give find_detector the path of {MEDIAPIPE_MODEL}.")
    else:
        vision = mediapipe.tasks.vision
        base = mediapipe.tasks.BaseOptions(model_asset_path=str(model))
        options = vision.FaceLandmarkerOptions(base_options=base, num_faces=MOST_FACES)
        landmarker = vision.FaceLandmarker.create_from_options(options)

        def find(photo: np.ndarray) -> Sequence:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(photo))
            return landmarker.detect(image).face_landmarks

    def detect(photo: np.ndarray) -> list[np.ndarray]:
        size = np.array([photo.shape[1], photo.shape[0]])
        return [size * np.array([(face[place].x, face[place].y) for place in MEDIAPIPE_TO_68]) for face in find(photo)]

    return detect
