"""Fits to landmarks: which points, what the weight of the code does, and how the error is measured."""

import pytest
import torch

from facekit.decoupled_gan import (
    EXTREME_EXPRESSIONS,
    CodedFaces,
    GaussianCode,
    extreme_faces,
    fit_landmarks,
    landmark_vertices,
    surface_rmse,
)
from facekit.morphable import ProceduralFace
from tests.decoupled_gan.gan_sheets import sheet


@pytest.fixture(scope="module")
def waves():
    """Sheets with two waves: a linear model that a few landmarks determine."""
    vertices, _ = sheet(12)
    fields = torch.stack([torch.sin(vertices[:, 0] / 20), torch.cos(vertices[:, 1] / 30)])

    def decode(weights):
        height = weights["identity"] @ fields[:1] + weights["expression"] @ fields[1:]
        return torch.cat([vertices[:, :2].expand(len(height), -1, -1), height[..., None]], dim=2)

    part = GaussianCode(torch.zeros(1), 10 * torch.ones(1, 1))
    return CodedFaces({"identity": part, "expression": part}, decode)


def test_landmarks_are_distinct_and_contain_the_given_ones():
    vertices, _ = sheet(15)
    points = vertices[[3, 50, 51, 200]] + 0.5
    chosen = landmark_vertices(vertices, points, 40)
    assert len(chosen.unique()) == 40 and {3, 50, 51, 200} <= set(chosen.tolist())
    spread = torch.cdist(vertices[chosen], vertices).amin(dim=0).max()
    assert spread < 25


def test_a_fit_without_a_weight_recovers_the_face(waves):
    truth = waves({"identity": torch.tensor([[1.0], [-0.5]]), "expression": torch.tensor([[-2.0], [0.3]])})
    landmarks = torch.arange(0, 144, 17)
    fitted = fit_landmarks(waves, landmarks, truth[:, landmarks], 0.0)
    torch.testing.assert_close(fitted, truth, rtol=0, atol=0.1)


def test_the_weight_pulls_towards_the_mean(waves):
    truth = waves({"identity": torch.tensor([[2.0]]), "expression": torch.tensor([[2.0]])})
    landmarks = torch.arange(0, 144, 17)
    heights = [fit_landmarks(waves, landmarks, truth[:, landmarks], w)[..., 2].abs().mean() for w in (0, 100, 1e4)]
    assert heights[0] > heights[1] > heights[2]


def test_the_error_is_to_the_surface_not_to_the_vertex():
    vertices, faces = sheet(10)
    lifted = vertices + torch.tensor([0.0, 0.0, 2.0])
    inner = (vertices[:, :2].abs() < 40).all(dim=1)
    slid = torch.where(inner[:, None], vertices + torch.tensor([3.0, 0.0, 0.0]), vertices)
    assert surface_rmse(lifted[None], vertices[None], faces) == pytest.approx(2, abs=1e-4)
    assert surface_rmse(slid[None], vertices[None], faces) == pytest.approx(0, abs=1e-3)


def test_extreme_faces_show_every_expression_of_new_people():
    model = ProceduralFace(level=0)
    kept = torch.arange(0, model.num_vertices, 3)
    faces = extreme_faces(model, kept, people=2)
    assert faces.shape == (2 * 12, len(kept), 3) and len(EXTREME_EXPRESSIONS) == 12
    between = torch.cdist(faces[:12].flatten(1), faces[:12].flatten(1)) + 1e9 * torch.eye(12)
    assert between.min() > 10
    assert not torch.equal(faces, extreme_faces(model, kept, people=2, seed=1))
