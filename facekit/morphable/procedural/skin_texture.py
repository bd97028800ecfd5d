"""The skin as a picture over the unit square, finer than the mesh: single hairs, freckles, pores."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from facekit.meshes import GeometryImage
from facekit.morphable.procedural.skin import Skin
from facekit.morphable.procedural.skin_fields import point_spacing

ON_SKIN = 180.0  # degrees: no iris here


class SkinTexture(nn.Module):
    """Albedo of the procedural face at every texel of a square texture.

    Args:
        plane (V, 2): canonical coordinates of the template's vertices. uv (V, 2), faces (F, 3): its flattening.
        size: texels along a side.
    """

    def __init__(self, plane: Tensor, uv: Tensor, faces: Tensor, size: int) -> None:
        super().__init__()
        self.size = size
        self.layout = GeometryImage(uv.double(), faces, size)
        places = self.layout(plane.double()[None])[0].flatten(1).T.cpu().numpy()
        self.skin = Skin(places, np.maximum(point_spacing(places), 0.05))
        self.to(uv.dtype)

    def forward(self, texture: Tensor, iris_angle: Tensor | None = None) -> Tensor:
        """Textures (B, 3, size, size), linear RGB in [0, 1], row 0 at v = 1, of texture codes (B, T).

        `iris_angle` (B, V) is given at the vertices as in `Skin`; eyes without an iris if None.
        """
        texels = None if iris_angle is None else self._between_lids(iris_angle.to(texture))
        return self.skin(texture, texels).transpose(1, 2).unflatten(2, (self.size, self.size))

    def _between_lids(self, angle: Tensor) -> Tensor:
        """Iris angles (B, n * n) of the texels from those of the eyeball's vertices; the lids have none to give."""
        known = (angle < ON_SKIN).to(angle)
        total, weight = self.layout(torch.stack([angle * known, known], dim=-1)).flatten(2).unbind(1)
        return torch.where(weight > 1e-3, total / weight.clamp_min(1e-3), ON_SKIN)
