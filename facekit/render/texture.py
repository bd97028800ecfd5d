"""Texture look-up."""

import torch
from torch import Tensor
from torch.nn import functional

from facekit.render.checks import RenderError


def sample_texture(texture: Tensor, uv_image: Tensor) -> Tensor:
    """Bilinear texture look-up, differentiable with respect to the texture and the coordinates.

    Args:
        texture: (B, C, H_t, W_t), or (1, C, H_t, W_t) for all samples. Its first row lies at v = 1, its first column at
            u = 0; the centre of texel (i, j) is at u = (j + 0.5) / W_t, v = 1 - (i + 0.5) / H_t.
        uv_image: (B, 2, H, W) texture coordinates in [0, 1]; beyond the border the border's colour goes on.

    Returns:
        (B, C, H, W), of the texture's floating point type.

    Raises:
        RenderError: if a shape or a type does not fit.
    """
    batch = uv_image.shape[0]
    if uv_image.dim() != 4 or uv_image.shape[1] != 2:
        raise RenderError(f"uv_image must be (B, 2, H, W), found {tuple(uv_image.shape)}.")
    if texture.dim() != 4 or texture.shape[0] not in (1, batch):
        raise RenderError(f"texture must be ({batch}, C, H, W), found {tuple(texture.shape)}.")
    if not texture.is_floating_point() or 0 in texture.shape[2:]:
        raise RenderError(f"texture must hold floating point texels, found {texture.dtype} {tuple(texture.shape)}.")
    u, v = uv_image.unbind(1)
    grid = torch.stack([2 * u - 1, 1 - 2 * v], -1).to(texture.dtype)
    texture = texture.expand(batch, -1, -1, -1)
    return functional.grid_sample(texture, grid, mode="bilinear", padding_mode="border", align_corners=False)
