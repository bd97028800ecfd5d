"""Pictures of many meshes at one scale: clay for the eye, normals for the networks that measure decoupling.

Fernandez Abrevaya et al. (2019), supplement: "orthographic projection of the facial mesh, and the values in the RGB
channels encode the normal direction".
"""

import torch
from torch import Tensor

from facekit.render import ambient_light, directional_light, render_mesh

CLAY = (0.62, 0.54, 0.48)
CHUNK = 32


@torch.no_grad()
def portraits(
    vertices: Tensor,
    faces: Tensor,
    size: int = 128,
    *,
    yaw: float = 0.0,
    height: float = 220.0,
    normals: bool = False,
    centre: Tensor | None = None,
) -> Tensor:
    """Pictures (B, 3, size, size) in [0, 1] of meshes (B, V, 3), seen from the front or turned by ``yaw`` degrees.

    All meshes are drawn at one scale around one point, so that sizes compare.

    Args:
        vertices: (B, V, 3) in millimetres.
        faces: (F, 3).
        size: side of the pictures in pixels.
        yaw: degrees, positive to the right.
        height: millimetres that fill a picture.
        normals: show unit normals as (n + 1) / 2 on black instead of lit clay on white.
        centre: (3,) millimetres, the point in the middle of the pictures; that of the first mesh's box if None.
    """
    middle = (vertices[0].amin(dim=0) + vertices[0].amax(dim=0)) / 2 if centre is None else centre
    pose = torch.tensor([0.0, yaw, 0.0, size / height, size / 2, size / 2]).to(vertices)
    light = _studio().to(vertices)
    clay = torch.tensor(CLAY).to(vertices).expand(1, vertices.shape[1], 3)
    pictures = []
    for chunk in (vertices - middle).split(CHUNK):
        drawn = render_mesh(chunk, faces, clay, pose.expand(len(chunk), 6), light, size, background=1.0)
        pictures.append((drawn.normals + 1) / 2 * drawn.mask if normals else drawn.image)
    return torch.cat(pictures).clamp(0, 1)


def _studio() -> Tensor:
    """A main light from the upper left, a weak one from the right, and some from everywhere: (1, 9, 3)."""
    directions = torch.nn.functional.normalize(torch.tensor([[-0.5, 0.6, 0.8], [0.9, 0.1, 0.4]]), dim=1)
    lamps = directional_light(directions, torch.tensor([[0.75], [0.25]]).expand(2, 3))
    return lamps.sum(dim=0, keepdim=True) + ambient_light(torch.full((1, 3), 0.15))
