"""Simple surfaces for props: tubes along curves, and how their triangles are numbered."""

from __future__ import annotations

import torch
from torch import Tensor


def tube(curve: Tensor, radius: Tensor, sides: int, closed: bool = False) -> Tensor:
    """Vertices (B, K * sides, 3) of a tube of `radius` (B, K) or (K,) along a curve (B, K, 3).

    The ring at each point is square to the curve; its first vertex points as little as possible along x + y + z / 2.
    """
    if closed:
        tangent = curve.roll(-1, dims=1) - curve.roll(1, dims=1)
    else:
        padded = torch.cat([curve[:, :1] * 2 - curve[:, 1:2], curve, curve[:, -1:] * 2 - curve[:, -2:-1]], dim=1)
        tangent = padded[:, 2:] - padded[:, :-2]
    tangent = torch.nn.functional.normalize(tangent, dim=-1)
    helper = tangent.new_tensor([0.25, 0.1, 0.96]).expand_as(tangent)
    side = torch.nn.functional.normalize(torch.linalg.cross(tangent, helper), dim=-1)
    up = torch.linalg.cross(tangent, side)
    angle = torch.arange(sides, dtype=curve.dtype, device=curve.device) * (2 * torch.pi / sides)
    ring = side[:, :, None] * angle.cos()[:, None] + up[:, :, None] * angle.sin()[:, None]
    return (curve[:, :, None] + ring * radius[..., None, None]).flatten(1, 2)


def tube_faces(points: int, sides: int, closed: bool = False) -> Tensor:
    """Triangles (F, 3) of such a tube, counter-clockwise seen from outside."""
    last = points if closed else points - 1
    ring, side = torch.meshgrid(torch.arange(last), torch.arange(sides), indexing="ij")
    following = (ring + 1) % points
    a, b = ring * sides + side, ring * sides + (side + 1) % sides
    c, d = following * sides + side, following * sides + (side + 1) % sides
    return torch.cat([torch.stack([a, b, c], -1).view(-1, 3), torch.stack([b, d, c], -1).view(-1, 3)])


def sheet_faces(rows: int, columns: int) -> Tensor:
    """Triangles (F, 3) of a grid of vertices, row by row from the top, seen from the side where columns run right."""
    row, column = torch.meshgrid(torch.arange(rows - 1), torch.arange(columns - 1), indexing="ij")
    a = row * columns + column
    b, c, d = a + 1, a + columns, a + columns + 1
    return torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])
