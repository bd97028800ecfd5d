"""A small linear model for tests that need any face model."""

import pytest
import torch

from facekit.morphable import LinearFaceModel


@pytest.fixture
def linear_model():
    """Makes a `LinearFaceModel` of nine vertices; keyword arguments replace its parts."""
    return _linear_model


def _linear_model(dtype=torch.float64, **changes):
    """Nine vertices on a 3 x 3 grid with random bases."""
    generator = torch.Generator().manual_seed(0)

    def normal(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(dtype)

    grid = torch.tensor([[x, y, 0.0] for y in (-1, 0, 1) for x in (-1, 0, 1)], dtype=dtype)
    corner = torch.tensor([0, 1, 3, 4])
    faces = torch.stack([corner, corner + 1, corner + 4], 1)
    parts = {
        "name": "grid",
        "faces": torch.cat([faces, torch.stack([corner, corner + 4, corner + 3], 1)]),
        "uv": (grid[:, :2] + 1) / 2,
        "landmarks": torch.arange(68) % 9,
        "symmetry": torch.tensor([2, 1, 0, 5, 4, 3, 8, 7, 6]),
        "regions": {"skin": torch.arange(9) < 6},
        "mean": grid + 0.01 * normal(9, 3),
        "identity_basis": normal(3, 9, 3),
        "expression_basis": normal(2, 9, 3),
        "mean_albedo": torch.full((9, 3), 0.4, dtype=dtype),
        "texture_basis": 0.02 * normal(2, 9, 3),
        "unit_matrix": normal(2 * 22 + 4, 2),
    }
    return LinearFaceModel(**(parts | changes))
