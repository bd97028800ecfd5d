"""A tiny population for the tests: square sheets whose width is who they are and whose bump is what they do."""

import torch

from facekit.decoupled_gan import MeshDataset


def sheet(side):
    """Vertices (side * side, 3) of a square of 100 mm and its triangles."""
    steps = torch.linspace(0, 1, side)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    first = torch.arange(side * side).view(side, side)[:-1, :-1].flatten()
    right, up = first + 1, first + side
    faces = torch.cat([torch.stack([first, right, up], 1), torch.stack([right, up + 1, up], 1)])
    vertices = torch.stack([100 * (u.flatten() - 0.5), 100 * (v.flatten() - 0.5), torch.zeros(side * side)], dim=1)
    return vertices, faces


def sheet_dataset(side=6, count=8, people=4, expressions=3):
    """``count`` sheets; every second one has no expression label."""
    vertices, faces = sheet(side)
    number = torch.arange(count)
    identity, expression = number % people, number % expressions
    bump = 15 * torch.sin(vertices[:, 0] / 30)[None] * expression[:, None]
    data = vertices.repeat(count, 1, 1)
    data[..., 1] *= 1 + 0.1 * identity[:, None]
    data[..., 2] += bump
    return MeshDataset(
        vertices=data,
        faces=faces,
        labels={"identity": identity, "expression": torch.where(number % 2 == 0, expression, -1)},
        label_names={
            "identity": tuple(f"person {k}" for k in range(people)),
            "expression": tuple(f"bump {k}" for k in range(expressions)),
        },
        sequence=number // 2,
        names=tuple(f"sheet {k}" for k in range(count)),
    )
