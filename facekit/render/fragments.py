"""What a rasterizer found: which triangle each pixel sees, and where on it.

The covered pixels are kept as a short list, because most of what follows (attributes, normals, light) is needed there
alone; the full images are built when they are asked for.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Fragments:
    """Visible surface points, one for each covered pixel.

    Attributes:
        pixels: (P,) int64 index of the covered pixels in an image batch flattened to (B*H*W,), ascending.
        triangles: (P,) int64 index of the triangle seen there, in [0, F).
        weights: (P, 3) barycentric coordinates on that triangle; they sum to one and carry gradients.
        depths: (P,) depth in millimetres, smaller is nearer; carries gradients.
        shape: (B, H, W).
    """

    pixels: Tensor
    triangles: Tensor
    weights: Tensor
    depths: Tensor
    shape: tuple[int, int, int]

    @cached_property
    def face(self) -> Tensor:
        """(B, H, W) int64: index of the visible triangle, -1 where the background is seen."""
        return self.to_image(self.triangles, background=-1)

    @cached_property
    def barycentric(self) -> Tensor:
        """(B, H, W, 3): barycentric coordinates, zero in the background."""
        return self.to_image(self.weights)

    @cached_property
    def depth(self) -> Tensor:
        """(B, H, W): depth in millimetres, infinite in the background."""
        return self.to_image(self.depths, background=float("inf"))

    @cached_property
    def mask(self) -> Tensor:
        """(B, H, W) bool: whether the pixel sees the mesh."""
        return self.face >= 0

    @cached_property
    def samples(self) -> Tensor:
        """(P,) int64: which sample of the batch each covered pixel belongs to."""
        _, height, width = self.shape
        return torch.div(self.pixels, height * width, rounding_mode="floor")

    def corners(self, faces: Tensor, num_vertices: int) -> Tensor:
        """(P, 3) int64: the corners of the visible triangles as rows of a (B * num_vertices, C) table."""
        corners = faces.index_select(0, self.triangles)
        return corners if self.shape[0] == 1 else corners + (self.samples * num_vertices)[:, None]

    def to_image(self, values: Tensor, background: float = 0) -> Tensor:
        """Spread values of the covered pixels, (P,) or (P, C), over images (B, H, W) or (B, H, W, C)."""
        batch, height, width = self.shape
        images = values.new_full((batch * height * width, *values.shape[1:]), background)
        return images.index_copy(0, self.pixels, values).reshape(batch, height, width, *values.shape[1:])
