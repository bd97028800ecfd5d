"""Scenes and slow, plain reference drawings that the renderer is measured against."""

import math

import numpy as np
import torch
from torch import Tensor


def random_scene(seed: int, triangles: int, size: tuple[int, int], dtype=torch.float64, depth=(-50.0, 50.0)):
    """(1, 3 * triangles, 3) screen and (triangles, 3) faces, strewn over an image and beyond its border."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(triangles, 1, 2, generator=generator) * 1.4 - 0.2
    reach = 0.02 + 0.8 * torch.rand(triangles, 1, 1, generator=generator) ** 2
    plane = (centres + reach * torch.randn(triangles, 3, 2, generator=generator)) * torch.tensor([size[1], size[0]])
    z = depth[0] + (depth[1] - depth[0]) * torch.rand(triangles, 3, 1, generator=generator)
    screen = torch.cat([plane, z], -1).reshape(1, -1, 3).to(dtype)
    return screen, torch.arange(3 * triangles).view(-1, 3)


def naive_rasterize(screen: Tensor, faces: Tensor, size: tuple[int, int], perspective=False, cull=False, near=1.0):
    """One pixel and one triangle at a time: (H, W) face and depth, (H, W, 3) barycentric, for one sample (V, 3)."""
    height, width = size
    face = np.full((height, width), -1)
    depth = np.full((height, width), math.inf)
    weights = np.zeros((height, width, 3))
    points = screen.double().numpy()
    for index, corners in enumerate(faces.numpy()):
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = points[corners]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not np.isfinite(points[corners]).all() or area == 0 or (cull and area > 0):
            continue
        if perspective and min(az, bz, cz) <= near:
            continue
        for i in range(height):
            for j in range(width):
                x, y = j + 0.5, i + 0.5
                first = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area
                second = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area
                bary = np.array([first, second, 1 - first - second])
                if (bary < 0).any():
                    continue
                if perspective:
                    bary = bary / (az, bz, cz)
                    bary = bary / bary.sum()
                z = bary @ (az, bz, cz)
                if z < depth[i, j]:
                    face[i, j], depth[i, j], weights[i, j] = index, z, bary
    return torch.from_numpy(face), torch.from_numpy(depth), torch.from_numpy(weights)


def grid_mesh(rows: int, columns: int, size: tuple[int, int], margin: float = 0.0, jitter: float = 0.0, seed: int = 0):
    """(V, 3) screen and (F, 3) faces of a net over the whole image; the inner vertices are moved at random."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    y = torch.linspace(-margin, height + margin, rows + 1, dtype=torch.float64)
    x = torch.linspace(-margin, width + margin, columns + 1, dtype=torch.float64)
    net = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.zeros(rows + 1, columns + 1)], -1)
    net[1:-1, 1:-1, :2] += jitter * (torch.rand(rows - 1, columns - 1, 2, generator=generator) - 0.5)
    ids = torch.arange((rows + 1) * (columns + 1)).view(rows + 1, columns + 1)
    a, b, c, d = ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:]
    faces = torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])
    return net.view(-1, 3), faces


def sphere(level: int, radius: float, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    """(V, 3) vertices and (F, 3) faces, counter-clockwise seen from outside."""
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=level, radius=radius)
    return torch.tensor(mesh.vertices, dtype=dtype), torch.tensor(mesh.faces, dtype=torch.int64)
