"""Small meshes with known answers."""

from typing import NamedTuple

import torch

from facekit.meshes import submesh, triangulate


class Sample(NamedTuple):
    vertices: torch.Tensor
    faces: torch.Tensor


def grid_mesh(rows: int, columns: int, seed: int | None = None) -> Sample:
    """A wavy sheet of `rows x columns` vertices over [0, 1]^2, y up; with a seed, its inner vertices are jittered."""
    y, x = torch.meshgrid(
        torch.linspace(0, 1, rows, dtype=torch.float64),
        torch.linspace(0, 1, columns, dtype=torch.float64),
        indexing="ij",
    )
    vertices = torch.stack([x, y, 0.3 * torch.sin(3 * x) * torch.cos(2 * y)], -1).reshape(-1, 3)
    ids = torch.arange(rows * columns).view(rows, columns)
    quads = torch.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    if seed is not None:
        inner = ids[1:-1, 1:-1].flatten()
        noise = torch.rand(len(inner), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
        vertices[inner] += 0.3 / max(rows, columns) * noise
    return Sample(vertices, triangulate(quads))


def holed_mesh() -> Sample:
    """A jittered sheet with two holes."""
    vertices, faces = grid_mesh(15, 15, seed=1)
    centre = vertices[faces].mean(1)[:, :2]
    first, second = torch.tensor([0.3, 0.6]), torch.tensor([0.7, 0.3])
    holes = ((centre - first).norm(dim=1) < 0.12) | ((centre - second).norm(dim=1) < 0.1)
    faces, ids = submesh(faces[~holes], torch.ones(len(vertices), dtype=torch.bool))
    return Sample(vertices[ids], faces)


def flat_square(size: int = 9) -> Sample:
    """A flat jittered sheet: already the unit square."""
    vertices, faces = grid_mesh(size, size, seed=2)
    return Sample(vertices * torch.tensor([1.0, 1, 0]), faces)


def symmetric_sheet(half: int = 5, rows: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A sheet whose left half mirrors its right half in shape and triangles, and the mirror partner of each vertex."""
    right = grid_mesh(rows, half, seed=3)
    middle = right.vertices[:, 0] == 0
    count = len(right.vertices)
    partner = torch.where(middle, torch.arange(count), count + (~middle).cumsum(0) - 1)
    left = right.vertices[~middle] * torch.tensor([-1.0, 1, 1])
    vertices = torch.cat([right.vertices, left])
    faces = torch.cat([right.faces, partner[right.faces].flip(1)])
    mirror = torch.arange(len(vertices))
    mirror[:count] = partner
    mirror[partner] = torch.arange(count)
    return vertices, faces, mirror


def squashed_sheet() -> Sample:
    """A jittered sheet squashed to a twentieth of its height: full of obtuse triangles."""
    vertices, faces = grid_mesh(9, 9, seed=4)
    noise = torch.rand(len(vertices), generator=torch.Generator().manual_seed(5), dtype=torch.float64) - 0.5
    inner = ((vertices[:, :2] > 1e-9) & (vertices[:, :2] < 1 - 1e-9)).all(1)
    vertices[:, 2] += torch.where(inner, noise, 0)
    return Sample(vertices * torch.tensor([1.0, 0.05, 0.05]), faces)
