"""One procedural face per precision for the whole room: building takes a second or two."""

import pytest
import torch

from facekit.morphable.procedural.face import ProceduralFace


@pytest.fixture(scope="session")
def face():
    return ProceduralFace(level=0)


@pytest.fixture(scope="session")
def exact_face():
    return ProceduralFace(level=0, dtype=torch.float64)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)
