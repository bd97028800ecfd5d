"""Meshes that most tests of this room want: small ones with known answers, and the real ICT face."""

import numpy as np
import pytest
import torch

from facekit.meshes import submesh, triangulate
from tests.meshes.mesh_samples import Sample, grid_mesh, holed_mesh


@pytest.fixture
def grid() -> Sample:
    return grid_mesh(7, 6, seed=0)


@pytest.fixture
def holed() -> Sample:
    return holed_mesh()


@pytest.fixture
def tetrahedron() -> Sample:
    vertices = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    return Sample(vertices, torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))


@pytest.fixture(scope="session")
def ict_face(ict_path) -> Sample:
    """The 9,409 face vertices of the ICT-FaceKit neutral, millimetres."""
    with np.load(ict_path) as data:
        vertices = torch.from_numpy(data["neutral"].astype(np.float64)) * 10
        faces = triangulate(torch.from_numpy(data["quads"].astype(np.int64)))
    faces, ids = submesh(faces, torch.arange(len(vertices)) < 9409)
    return Sample(vertices[ids], faces)
