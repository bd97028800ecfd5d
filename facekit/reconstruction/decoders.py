"""Decoders from codes to vertices and albedo, and the mesh critic: Gao et al. (2020), Section 4.1.

A graph decoder is ``FC(l * w_1)``, then for each step of the mesh hierarchy ``US -> GC(6, w_i)``, then ``GC(6, 3)``.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.meshes import MeshHierarchy, SparseOperator, chebyshev_laplacian
from facekit.morphable import LinearFaceModel
from facekit.nn import ChebyshevConv, MeshPool, MeshUnpool

ORDER = 6


def level_laplacians(hierarchy: MeshHierarchy) -> list[SparseOperator]:
    """The rescaled Laplacian of every mesh, finest first."""
    return [SparseOperator(chebyshev_laplacian(level.faces, level.num_vertices)) for level in hierarchy.levels]


def _check_widths(hierarchy: MeshHierarchy, widths: Sequence[int]) -> None:
    if len(widths) != len(hierarchy) - 1:
        raise ValueError(f"{len(widths)} widths for a hierarchy of {len(hierarchy) - 1} steps, expected one for each")


class GraphDecoder(nn.Module):
    """Codes (B, K) to three numbers at every vertex of the finest mesh, (B, V, 3); about zero at first.

    Args:
        code_size: K; 192 for shapes, 128 for albedo.
        hierarchy: meshes, finest first.
        widths: filters after each up-sampling, coarsest first; (128, 64, 32, 16) in the paper.
    """

    def __init__(self, code_size: int, hierarchy: MeshHierarchy, widths: Sequence[int] = (128, 64, 32, 16)) -> None:
        super().__init__()
        _check_widths(hierarchy, widths)
        laplacians = level_laplacians(hierarchy)[:-1]
        self.coarse = (hierarchy.levels[-1].num_vertices, widths[0])
        self.start = nn.Linear(code_size, self.coarse[0] * self.coarse[1])
        self.up, self.convolutions = nn.ModuleList(), nn.ModuleList()
        width = widths[0]
        for level, following in zip(reversed(range(len(widths))), widths, strict=True):
            self.up.append(MeshUnpool(hierarchy, level))
            self.convolutions.append(ChebyshevConv(width, following, ORDER, laplacians[level]))
            width = following
        self.last = ChebyshevConv(width, 3, ORDER, laplacians[0])
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, code: Tensor) -> Tensor:
        x = F.elu(self.start(code)).unflatten(1, self.coarse)
        for up, convolution in zip(self.up, self.convolutions, strict=True):
            x = F.elu(convolution(up(x)))
        return self.last(x)


class ShapeDecoder(nn.Module):
    """f_shape: identity and expression codes to vertices (B, V, 3) in millimetres, the head upright.

    The graph decoder's output is a displacement from the template, in units of ``unit`` millimetres.

    With ``prior`` it is a displacement from a face of this 3DMM instead, whose coefficients are the first numbers of
    the two codes (zero beyond a code's end); it is zero at first. This is not the paper's.
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        template: Tensor,
        unit: float,
        graph: GraphDecoder,
        prior: LinearFaceModel | None = None,
    ) -> None:
        super().__init__()
        self.sizes, self.unit, self.graph, self.prior = sizes, unit, graph, prior
        self.register_buffer("template", template, persistent=False)
        if prior is not None:
            nn.init.zeros_(graph.last.weight)

    def forward(self, identity: Tensor, expression: Tensor) -> Tensor:
        displacement = self.unit * self.graph(torch.cat([identity, expression], dim=1))
        if self.prior is None:
            return self.template + displacement
        counts = self.prior.num_identity, self.prior.num_expression
        codes = (F.pad(code, (0, n - code.shape[1])) for code, n in zip((identity, expression), counts, strict=True))
        return self.prior.shape(*codes) + displacement


class AlbedoDecoder(nn.Module):
    """Identity codes to linear vertex albedo (B, V, 3) in (0, 1); the template's albedo at first."""

    def __init__(self, template: Tensor, graph: GraphDecoder) -> None:
        super().__init__()
        self.graph = graph
        self.register_buffer("template", template.clamp(0.02, 0.98).logit(), persistent=False)

    def forward(self, identity: Tensor) -> Tensor:
        return (self.template + self.graph(identity)).sigmoid()


class ConvolutionalAlbedo(nn.Module):
    """The albedo decoder of the second training step: a texture, with skip connections from the encoder.

    Identity code -> coarsest map; at every stride of the encoder the encoder's map is joined, two convolutions follow
    and the resolution doubles: a U-Net (Ronneberger et al., 2015) whose lowest level also hears the identity.

    Args:
        code_size: of the identity code.
        channels: of the encoder's maps, at strides 2, 4, 8, 16.
        image_size: side of images and of the texture; a multiple of 16.
        skin: mean linear RGB of the template, where the decoder starts.
        width: channels of its own maps at full resolution, doubled twice at most.
    """

    def __init__(self, code_size: int, channels: Sequence[int], image_size: int, skin: Tensor, width: int = 16) -> None:
        super().__init__()
        if image_size % 16:
            raise ValueError(f"image_size is {image_size}, expected a multiple of 16")
        widths = [width, 2 * width, 4 * width, 4 * width]
        if len(channels) != len(widths):
            raise ValueError(f"the encoder gives {len(channels)} maps, expected four, of strides 2, 4, 8 and 16")
        self.coarse = (widths[-1], image_size // 16, image_size // 16)
        self.start = nn.Linear(code_size, self.coarse[0] * self.coarse[1] * self.coarse[2])
        self.blocks, incoming = nn.ModuleList(), widths[-1]
        for skip, own in zip(reversed(channels), reversed(widths), strict=True):
            self.blocks.append(_double_convolution(incoming + skip, own))
            incoming = own
        self.last = nn.Conv2d(incoming, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(skin.clamp(0.02, 0.98).logit())

    def forward(self, identity: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Identity codes (B, K) and the encoder's maps, finest first, to textures (B, 3, S, S), linear RGB."""
        x = self.start(identity).unflatten(1, self.coarse)
        for block, skip in zip(self.blocks, reversed(maps), strict=True):
            x = F.interpolate(block(torch.cat([x, skip], dim=1)), scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(x).sigmoid()


def _double_convolution(incoming: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(incoming, width, 3, padding=1), nn.ELU(), nn.Conv2d(width, width, 3, padding=1), nn.ELU()
    )


class MeshCritic(nn.Module):
    """D of Eq. (11): shapes to scores (B,), a graph convolutional encoder.

    It looks at displacements from the template divided by ``unit`` and by the square root of their number, so that the
    distance between two faces, and with it the slope that the divergence penalises, does not grow with the mesh.

    Args:
        hierarchy, widths: as for ``GraphDecoder``.
        template: (V, 3) in mm.
        unit: millimetres, the usual size of a displacement.
    """

    def __init__(
        self, hierarchy: MeshHierarchy, template: Tensor, unit: float, widths: Sequence[int] = (128, 64, 32, 16)
    ) -> None:
        super().__init__()
        _check_widths(hierarchy, widths)
        laplacians = level_laplacians(hierarchy)
        self.unit, self.root = unit, template.numel() ** 0.5
        self.register_buffer("template", template, persistent=False)
        self.down, self.convolutions, width = nn.ModuleList(), nn.ModuleList(), 3
        for level, following in enumerate(reversed(widths)):
            self.convolutions.append(ChebyshevConv(width, following, ORDER, laplacians[level]))
            self.down.append(MeshPool(hierarchy, level))
            width = following
        self.last = nn.Linear(width * hierarchy.levels[-1].num_vertices, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)  # the sixth power of a slope above one would be all that the critic hears

    def normalize(self, vertices: Tensor) -> Tensor:
        """Vertices in mm to what ``score`` takes."""
        return (vertices - self.template) / (self.unit * self.root)

    def score(self, displacements: Tensor) -> Tensor:
        """Normalised displacements (B, V, 3) to scores (B,)."""
        x = displacements * self.root
        for convolution, down in zip(self.convolutions, self.down, strict=True):
            x = down(F.elu(convolution(x)))
        return self.last(x.flatten(1))[:, 0]

    def forward(self, vertices: Tensor) -> Tensor:
        return self.score(self.normalize(vertices))
