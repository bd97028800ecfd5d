"""The geometry mapping layer of the decoupled GAN (Section 4.1): from mesh to image, differentiably.

Where each pixel falls on the flattened mesh is worked out once. After that an image is three look-ups and a weighted
sum per pixel, Eq. (5): `I = I_U * I_v1 + I_V * I_v2 + (1 - I_U - I_V) * I_v3`, which is a sparse matrix with three
entries per row times the vertices.
"""

from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.meshes.distance import closest_points
from facekit.meshes.sparse import SparseOperator, sparse_matrix
from facekit.meshes.uv import check_uv


class GeometryImage(nn.Module):
    """`layer(vertices (B, V, C)) -> images (B, C, n, n)`; C is 3 for positions, any other signal on the vertices works.

    Row 0 of the image is v = 1, the forehead; column 0 is u = 0. Pixel (i, j) shows the point with
    u = (j + 0.5) / n and v = 1 - (i + 0.5) / n. A pixel that no triangle covers (inside an eye or mouth opening) shows
    the nearest point of the flattened mesh, and is False in `mask`.

    Args:
        uv: `(V, 2)` in [0, 1], for instance from `harmonic_uv`.
        faces: `(F, 3)`.
        size: height and width n of the images, in pixels.
        allow_flipped: take a map with turned-over triangles; where triangles overlap, the lowest face id shows.

    Attributes:
        face: `(n, n)` int64 triangle of each pixel.
        barycentric: `(n, n, 3)` weights of its corners, Eq. (5)'s I_U, I_V and 1 - I_U - I_V.
        mask: `(n, n)` bool, True where a triangle covers the pixel's centre.

    Raises:
        MeshError: if the map leaves the unit square, is not finite, or turns triangles over.
        ValueError: if `size` is no positive whole number.
    """

    def __init__(self, uv: Tensor, faces: Tensor, size: int, allow_flipped: bool = False):
        super().__init__()
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"size must be a whole number of pixels, at least 1, found {size}")
        check_uv(uv, faces[:0] if allow_flipped else faces)
        self.size = size
        uv = uv.detach()
        centres = pixel_centres(size).to(uv)
        face, barycentric, covered = _locate(uv, faces, size)
        missed = (~covered).nonzero().flatten()
        if missed.numel():
            nearest = closest_points(F.pad(centres[missed], (0, 1)), F.pad(uv, (0, 1)), faces)
            face[missed], barycentric[missed] = nearest.face, nearest.barycentric
        self.register_buffer("uv", uv.clone(), persistent=False)
        self.register_buffer("face", face.view(size, size), persistent=False)
        self.register_buffer("barycentric", barycentric.view(size, size, 3), persistent=False)
        self.register_buffer("mask", covered.view(size, size), persistent=False)
        corners = faces[face]
        used, local = corners.unique(return_inverse=True)
        pixels = torch.arange(size * size, device=uv.device)[:, None].expand(-1, 3)
        shape = (size * size, used.numel())
        places = torch.full((uv.shape[0],), used.numel(), device=uv.device)
        places[used] = torch.arange(used.numel(), device=uv.device)
        self.register_buffer("used", used, persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.operator = SparseOperator(sparse_matrix(pixels.flatten(), local.flatten(), barycentric.flatten(), shape))

    def forward(self, vertices: Tensor) -> Tensor:
        if vertices.dim() != 3 or vertices.shape[1] != self.uv.shape[0]:
            raise ValueError(f"expected vertices (B, {self.uv.shape[0]}, C), found {tuple(vertices.shape)}")
        pixels = self.operator(_Pick.apply(vertices, self.used, self.places))
        return pixels.movedim(1, 2).unflatten(2, (self.size, self.size))

    def inverse(self, images: Tensor) -> Tensor:
        """Sample images `(B, C, n, n)` back at the vertices, bilinearly: `(B, V, C)`.

        Not exact: detail finer than a pixel is lost, and a boundary vertex lies half a pixel outside the outermost
        pixel centres and takes their value. This is the loss that the paper's Figure 2 shows.
        """
        u, v = self.uv.unbind(1)
        grid = torch.stack([2 * u - 1, 1 - 2 * v], -1).to(images)[None, None].expand(len(images), -1, -1, -1)
        samples = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return samples[:, :, 0].movedim(1, 2)

    def extra_repr(self) -> str:
        return f"{self.uv.shape[0]} vertices, {self.size} x {self.size} pixels"


class _Pick(torch.autograd.Function):
    """`x[:, used]` for ids without repetition; its gradient is looked up too, where indexing adds entry by entry."""

    @staticmethod
    def forward(ctx, x: Tensor, used: Tensor, places: Tensor) -> Tensor:
        ctx.places = places
        return x.index_select(1, used)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return F.pad(gradient, (0, 0, 0, 1)).index_select(1, ctx.places), None, None


def pixel_centres(size: int) -> Tensor:
    """`(n * n, 2)` uv of the pixel centres, row by row from the top left; float64."""
    steps = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    v, u = torch.meshgrid(1 - steps, steps, indexing="ij")
    return torch.stack([u, v], -1).view(-1, 2)


def _locate(uv: Tensor, faces: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle and barycentric coordinates of every pixel centre, and whether there is one.

    Every triangle is laid over all pixel centres of its bounding box at once; of the pairs that hit, each pixel keeps
    the lowest face id.
    """
    corners = uv.double()[faces]
    grid = torch.stack([corners[..., 0], 1 - corners[..., 1]], -1) * size - 0.5
    first = (grid.amin(1) - 1e-6).ceil().long().clamp(0, size - 1)
    last = (grid.amax(1) + 1e-6).floor().long().clamp(-1, size - 1)
    span = (last - first + 1).clamp(min=0)
    counts = span.prod(1)
    triangle = torch.arange(len(faces), device=uv.device).repeat_interleave(counts)
    within = torch.arange(len(triangle), device=uv.device) - (counts.cumsum(0) - counts)[triangle]
    column = first[triangle, 0] + within % span[triangle, 0].clamp(min=1)
    row = first[triangle, 1] + within // span[triangle, 0].clamp(min=1)
    weights = _plane_barycentric(torch.stack([column, row], -1).double(), grid[triangle])
    hit = (weights >= -1e-9).all(1)
    pixel, triangle, weights = (row * size + column)[hit], triangle[hit], weights[hit]
    keep = torch.argsort(pixel * len(faces) + triangle)
    pixel, triangle, weights = pixel[keep], triangle[keep], weights[keep].clamp(min=0)
    leading = torch.ones_like(pixel, dtype=torch.bool)
    leading[1:] = pixel[1:] != pixel[:-1]
    face = torch.zeros(size * size, dtype=torch.int64, device=uv.device)
    barycentric = torch.zeros(size * size, 3, dtype=uv.dtype, device=uv.device)
    covered = torch.zeros(size * size, dtype=torch.bool, device=uv.device)
    place = pixel[leading]
    face[place] = triangle[leading]
    barycentric[place] = (weights / weights.sum(1, keepdim=True))[leading].to(uv.dtype)
    covered[place] = True
    return face, barycentric, covered


def _plane_barycentric(points: Tensor, corners: Tensor) -> Tensor:
    """Barycentric coordinates `(N, 3)` of points `(N, 2)` in triangles `(N, 3, 2)`; -1 for triangles without area."""
    a, b, c = corners.unbind(1)
    total = _cross(b - a, c - a)
    flat = total.abs() < 1e-14
    weights = torch.stack([_cross(b - points, c - points), _cross(c - points, a - points)], 1)
    weights = weights / torch.where(flat, 1, total)[:, None]
    weights = torch.cat([weights, 1 - weights.sum(1, keepdim=True)], 1)
    return torch.where(flat[:, None], -1, weights)


def _cross(p: Tensor, q: Tensor) -> Tensor:
    return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
