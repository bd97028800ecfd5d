"""Fitting a face model to a few landmarks of expressions that it has never seen.

Fernandez Abrevaya et al. (2019), Section 5.5, "Reconstruction of sparse data": 12 people with 12 extreme expressions,
85 landmarks each, Eq. (13), and the error against the whole surface.
"""

import torch
from torch import Tensor

from facekit.decoupled_gan.evaluation import FaceSampler
from facekit.meshes import closest_points
from facekit.morphable import FaceModel, action_unit_vector

EXTREME_EXPRESSIONS = {
    "bare teeth": {10: 1.0, 16: 1.0, 20: 0.8, 25: 1.0},
    "cheeks in": {18: 0.8, 14: 0.9},
    "eyebrows": {1: 1.0, 2: 1.0, 5: 0.6},
    "high smile": {6: 1.0, 12: 1.0, 25: 0.8},
    "lips back": {20: 1.0, 14: 0.7, 25: 0.3},
    "lips up": {9: 0.5, 10: 1.0, 17: 1.0},
    "mouth down": {15: 1.0, 17: 0.8},
    "mouth extreme": {5: 1.0, 20: 1.0, 25: 1.0, 26: 1.0, 27: 1.0},
    "mouth middle": {18: 1.0, 22: 1.0, 25: 0.6},
    "mouth open": {25: 1.0, 26: 1.0, 27: 1.0},
    "mouth side": {12: (1.0, 0.0), 14: (1.0, 0.0), 15: (0.0, 0.6)},
    "mouth up": {15: 0.4, 17: 1.0, 24: 0.8},
}
"""Action units of twelve expressions like those of the CoMA data set; none is a prototype of the training data."""


def extreme_faces(model: FaceModel, kept: Tensor, people: int = 12, seed: int = 0) -> Tensor:
    """Meshes (12 * people, V, 3) in millimetres of new people, each with every extreme expression.

    Args:
        model: the face model of the training meshes.
        kept: (V,) vertices of the model that the training meshes have, see ``topology``.
        people: how many.
        seed: which.
    """
    units = torch.stack([action_unit_vector(units) for units in EXTREME_EXPRESSIONS.values()])
    expression = model.expression_code(units)
    identity = model.sample_identity(people, torch.Generator().manual_seed(10_000 + seed))
    faces = [model.shape(one.expand(len(units), -1), expression)[:, kept] for one in identity]
    return torch.cat(faces)


def landmark_vertices(vertices: Tensor, points: Tensor, count: int = 85) -> Tensor:
    """Vertices (count,) nearest to given landmarks (L, 3) of a mesh (V, 3), filled up with vertices far from them all.

    Two landmarks with the same nearest vertex give one.
    """
    chosen = torch.cdist(points, vertices).argmin(dim=1).unique()[:count]
    distance = torch.cdist(vertices[chosen], vertices).amin(dim=0)
    while len(chosen) < count:
        farthest = distance.argmax()[None]
        chosen = torch.cat([chosen, farthest])
        distance = torch.minimum(distance, (vertices - vertices[farthest]).norm(dim=1))
    return chosen


def fit_landmarks(
    sampler: FaceSampler,
    landmarks: Tensor,
    targets: Tensor,
    weight: float,
    steps: int = 400,
    learning_rate: float = 0.05,
    seed: int = 0,
) -> Tensor:
    """Meshes (B, V, 3) of the codes that minimise Eq. (13), each by Adam from a random code.

    Args:
        sampler: the face model; its codes must be standard normal.
        landmarks: (L,) vertex numbers.
        targets: (B, L, 3) millimetres, where the landmarks should be.
        weight: lambda, of the squared length of the whole code.
        steps, learning_rate: of Adam; the rate falls to zero along a cosine.
        seed: of the codes to start from.
    """
    codes = sampler.sample_codes(len(targets), torch.Generator().manual_seed(seed))
    codes = {name: code.detach().clone().requires_grad_() for name, code in codes.items()}
    adam = torch.optim.Adam(codes.values(), learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        misfit = (sampler(codes)[:, landmarks] - targets).square().sum()
        loss = misfit + weight * sum(code.square().sum() for code in codes.values())
        for code, slope in zip(codes.values(), torch.autograd.grad(loss, list(codes.values())), strict=True):
            code.grad = slope
        adam.step()
        schedule.step()
    with torch.no_grad():
        return sampler(codes).detach()


def surface_rmse(fitted: Tensor, truth: Tensor, faces: Tensor) -> float:
    """Root mean square distance in millimetres of the vertices of meshes (B, V, 3) from the true surfaces."""
    squares = [
        closest_points(one, true, faces).distance.square().mean() for one, true in zip(fitted, truth, strict=True)
    ]
    return float(torch.stack(squares).mean().sqrt())
