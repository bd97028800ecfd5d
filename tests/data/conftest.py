"""Small worlds that the data tests share."""

import pytest

from facekit.data.world import twin
from facekit.morphable import ProceduralFace


@pytest.fixture(scope="session")
def face_model():
    return ProceduralFace(level=0)


@pytest.fixture(scope="session")
def small_world(face_model):
    """Nine views of 25 scans of two people."""
    return twin("bu3dfe", subjects=2, image_size=48, model=face_model)


@pytest.fixture(scope="session")
def wild_world(face_model):
    """In-the-wild pictures: occluders, compression, mirrored copies."""
    return twin("300wlp", subjects=6, image_size=48, model=face_model, views=3)
