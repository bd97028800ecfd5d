"""A small 3DMM of the procedural face and a small model on it, shared by the tests of this room."""

import pytest
import torch

from facekit.morphable import ProceduralFace, build_linear_model
from facekit.reconstruction import LaptopRecipe, build_reconstructor, face_prior


@pytest.fixture(scope="session")
def face_model():
    return ProceduralFace(0)


@pytest.fixture(scope="session")
def morphable(face_model):
    return build_linear_model(face_model, 40, num_identity=10, num_expression=6, num_texture=5, performances=40, seed=0)


@pytest.fixture(scope="session")
def prior(morphable):
    return face_prior(morphable)


@pytest.fixture(scope="session")
def network(prior):
    """(model, hierarchy), with random weights; tests must not train it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_reconstructor(prior.model, 32, "resnet_tiny", "random", (4, 4), (8, 4))


@pytest.fixture(scope="session")
def recipe():
    return LaptopRecipe(
        components=(10, 6, 5), scanned=40, people=8, photos=2, sources=8, views=1, image_size=32, widths=(8, 4),
        batch_size=8, steps=2, warm_up=0, texture_from=10, log_every=1, progress=False,
    )  # fmt: skip
