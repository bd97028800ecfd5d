"""PyTorch3D as a second rasterizer behind the same interface, where it is installed.

PyTorch3D looks along +z with x to the left and y up, and its shorter image side spans [-1, 1]. It leaves out triangles
with a vertex at a depth near or below zero, which is used here to leave out what :func:`facekit.render.rasterize`
leaves out, and it does not draw a pixel whose centre lies exactly on the border of a triangle.
"""

import importlib.util

import torch
from torch import Tensor

from facekit.render.checks import RenderError
from facekit.render.fragments import Fragments


def rasterize_pytorch3d(
    screen: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull_backfaces: bool, near: float
) -> Fragments:
    """As :func:`facekit.render.rasterize`, by PyTorch3D, which computes in float32.

    Raises:
        RenderError: if PyTorch3D is not installed.
    """
    if importlib.util.find_spec("pytorch3d") is None:
        raise RenderError("backend 'pytorch3d' needs the package pytorch3d, which is not installed.")
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    positions, offset = _normalized_positions(screen.float(), size, perspective, near)
    meshes = Meshes(positions, faces.expand(len(screen), -1, -1))
    face, depth, weights, _ = rasterize_meshes(
        meshes, size, faces_per_pixel=1, perspective_correct=perspective, cull_backfaces=cull_backfaces
    )
    pixels = (face.flatten() >= 0).nonzero().squeeze(1)
    weights = weights.flatten(0, 3).index_select(0, pixels)
    total = weights.sum(-1)  # a little below one, since a small number is added to the area it is divided by
    depths = depth.flatten().index_select(0, pixels) / total + offset
    return Fragments(
        pixels=pixels,
        triangles=face.flatten().index_select(0, pixels) % max(len(faces), 1),
        weights=(weights / total[:, None]).to(screen.dtype),
        depths=depths.to(screen.dtype),
        shape=(len(screen), *size),
    )


def _normalized_positions(
    screen: Tensor, size: tuple[int, int], perspective: bool, near: float
) -> tuple[Tensor, Tensor | float]:
    """Positions (B, V, 3) as PyTorch3D wants them, and the depth that was taken off (in an orthographic view any
    depth may be seen; PyTorch3D draws positive ones alone)."""
    height, width = size
    middle = screen.new_tensor([width / 2, height / 2])
    usable = torch.isfinite(screen).all(-1)
    if perspective:
        offset: Tensor | float = 0.0
        usable = usable & (screen[..., 2] > near)
    else:
        offset = torch.where(usable, screen[..., 2], torch.inf).amin().detach() - 1
    plane = (middle - screen[..., :2]) / (min(height, width) / 2)
    positions = torch.cat([plane, screen[..., 2:] - offset], -1)
    hidden = positions.new_tensor([0.0, 0.0, -1.0])
    return torch.where(usable[..., None], positions, hidden), offset
