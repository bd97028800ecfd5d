"""A detector made for photographs finds the procedural face, and a simple classifier tells the expressions apart."""

import numpy as np
import pytest
import torch

from facekit.morphable.expressions import EXPRESSIONS, sample_expression
from facekit.morphable.procedural.face import ProceduralFace
from facekit.render import render_mesh, sample_light

cv2 = pytest.importorskip("cv2")
SIZE, FACES, BATCH = 160, 200, 25
MM_PER_IMAGE = 270.0


@pytest.fixture(scope="module")
def portraits():
    """200 frontal portraits (N, H, W) in grey, 8 bits, of random people in random light."""
    model = ProceduralFace(level=1)
    generator = torch.Generator().manual_seed(2024)
    pose = torch.tensor([[0.0, 0.0, 0.0, SIZE / MM_PER_IMAGE, SIZE / 2, SIZE / 2 + 10 * SIZE / MM_PER_IMAGE]])
    images = []
    with torch.no_grad():
        for _ in range(FACES // BATCH):
            identity = model.sample_identity(BATCH, generator)
            texture = model.sample_texture(BATCH, generator, identity)
            rest = model.neutral_expression(BATCH)
            background = 0.2 + 0.6 * torch.rand(BATCH, 3, 1, 1, generator=generator)
            image = render_mesh(
                model.shape(identity, rest),
                model.faces,
                model.albedo(texture, rest, identity),
                pose.expand(BATCH, -1),
                sample_light(BATCH, generator),
                SIZE,
                background=background.expand(-1, -1, SIZE, SIZE),
            ).image
            images.append((image.mean(dim=1) * 255).round().to(torch.uint8))
    return torch.cat(images).numpy()


def test_haar_cascade_finds_the_faces(portraits):
    detector = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    centre = SIZE / 2
    found = 0
    for image in portraits:
        boxes = detector.detectMultiScale(image, scaleFactor=1.1, minNeighbors=3, minSize=(50, 50))
        found += any(x < centre < x + w and y < centre < y + h for x, y, w, h in boxes)
    assert found >= 0.95 * FACES, f"the cascade found {found} of {FACES} faces"


def test_haar_cascade_finds_nothing_in_shuffled_tiles(portraits):
    detector = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    tiles = portraits[:50].reshape(50, 5, SIZE // 5, 5, SIZE // 5).swapaxes(2, 3).reshape(50, 25, SIZE // 5, SIZE // 5)
    shuffled = tiles[:, np.random.default_rng(0).permutation(25)].reshape(50, 5, 5, SIZE // 5, SIZE // 5)
    images = np.ascontiguousarray(shuffled.swapaxes(2, 3).reshape(50, SIZE, SIZE))
    found = sum(len(detector.detectMultiScale(image, 1.1, 3, minSize=(50, 50))) > 0 for image in images)
    assert found <= 5


def test_expressions_are_told_apart_by_their_landmarks():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = ProceduralFace(level=0)
    generator = torch.Generator().manual_seed(0)
    count = 60 * len(EXPRESSIONS)
    labels = torch.arange(len(EXPRESSIONS)).repeat(60)
    units = sample_expression(labels, 0.7 + 0.3 * torch.rand(count, generator=generator), generator)
    identity = model.sample_identity(count, generator)
    moved = model.shape(identity, model.expression_code(units))[:, model.landmarks]
    rest = model.shape(identity, model.neutral_expression(count))[:, model.landmarks]
    features = (moved - rest).flatten(1).numpy()
    half = count // 2
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features[:half], labels[:half])
    assert classifier.score(features[half:], labels[half:]) > 0.9
