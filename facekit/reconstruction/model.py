"""From one photograph to a face: Gao et al. (2020), Section 4.1 and Figure 2.

An encoder reads four codes from the image, two decoders make shape and albedo from them, and a renderer draws
the face into the image again. The shape depends on identity and expression alone, the albedo on identity alone, until
the convolutional albedo decoder of the second training step takes over, which also hears the encoder's maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from facekit.data import normalize
from facekit.meshes import MeshHierarchy
from facekit.morphable import LinearFaceModel
from facekit.nn import Encoder
from facekit.reconstruction.decoders import AlbedoDecoder, ConvolutionalAlbedo, GraphDecoder, ShapeDecoder
from facekit.reconstruction.prior import spread
from facekit.render import Rendering, ambient_light, directional_light, render_mesh, sample_texture

CODE_SIZES = {"identity": 128, "expression": 64, "pose": 6, "light": 27}
"""Lengths of the four codes: identity 128, expression 64, pose 6, light 27."""

POSE_STEP = (30.0, 45.0, 20.0, 0.3, 0.15, 0.15)
"""What one unit of the pose code means: degrees of pitch, yaw and roll, the logarithm of the scale, image widths."""


class Codes(NamedTuple):
    """Codes of a batch: identity (B, 128), expression (B, 64), pose (B, 6), light (B, 27)."""

    identity: Tensor
    expression: Tensor
    pose: Tensor
    light: Tensor


@dataclass(frozen=True)
class Face:
    """A reconstructed batch.

    ``vertices (B, V, 3)`` mm; ``albedo`` linear RGB at the vertices (B, V, 3) or as a texture (B, 3, S, S);
    ``pose (B, 6)`` and ``light (B, 9, 3)`` as the renderer takes them.
    """

    codes: Codes
    vertices: Tensor
    albedo: Tensor
    pose: Tensor
    light: Tensor


class FaceEncoder(nn.Module):
    """Images (B, 3, S, S) in [0, 1] to ``Codes``: a backbone and a fully connected layer for each code.

    Pose and light start at zero, which stands for the usual pose and light, whatever the image.
    """

    def __init__(self, backbone: str, weights: str, sizes: dict[str, int]) -> None:
        super().__init__()
        self.backbone = Encoder(backbone, weights=weights)
        self.heads = nn.ModuleDict({name: nn.Linear(self.backbone.dim, size) for name, size in sizes.items()})
        for name in ("pose", "light"):
            nn.init.zeros_(self.heads[name].weight)
            nn.init.zeros_(self.heads[name].bias)

    def forward(self, images: Tensor) -> Codes:
        return self.with_maps(images)[0]

    def with_maps(self, images: Tensor) -> tuple[Codes, list[Tensor]]:
        """The codes, and the last map of each of the strides 2, 4, 8 and 16, for skip connections."""
        x, maps = normalize(images), []
        for layer in self.backbone.early:
            following = layer(x)
            if following.shape[-1] < x.shape[-1] and x.shape[-1] < images.shape[-1]:
                maps.append(x)
            x = following
        vector = self.backbone.late(x)
        return Codes(*(self.heads[name](vector) for name in Codes._fields)), [*maps, x]


class Reconstructor(nn.Module):
    """Encoder, decoders and renderer for one template.

    Args:
        prior: 3DMM of the face region; its mean is the template.
        encoder: the four-headed encoder.
        shape_decoder: ``(identity, expression) -> vertices (B, V, 3)``.
        albedo_decoder: ``identity -> linear albedo (B, V, 3)``.
        image_size: side S of the images in pixels.
        texture_decoder: the convolutional albedo decoder of the second step, or None.
    """

    def __init__(
        self,
        prior: LinearFaceModel,
        encoder: FaceEncoder,
        shape_decoder: nn.Module,
        albedo_decoder: nn.Module,
        image_size: int,
        texture_decoder: ConvolutionalAlbedo | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.shape_decoder, self.albedo_decoder = encoder, shape_decoder, albedo_decoder
        self.texture_decoder, self.image_size = texture_decoder, image_size
        for name in ("faces", "landmarks", "symmetry", "uv"):
            self.register_buffer(name, getattr(prior, name), persistent=False)
        self.register_buffer("template", prior.mean, persistent=False)
        self.register_buffer("usual_pose", _usual_pose(prior, image_size), persistent=False)
        self.register_buffer("usual_light", _usual_light(), persistent=False)

    def forward(self, images: Tensor, texture: bool = False) -> Face:
        """Reconstruct images (B, 3, S, S) in [0, 1]; ``texture`` asks for the convolutional albedo decoder."""
        codes, maps = self.encoder.with_maps(images)
        return self.decode(codes, maps if texture else None)

    def decode(self, codes: Codes, maps: Sequence[Tensor] | None = None) -> Face:
        """The face of some codes; its albedo is a texture where the encoder's ``maps`` are given."""
        if maps is None:
            albedo = self.albedo_decoder(codes.identity)
        elif self.texture_decoder is None:
            raise ValueError("this model was built without a convolutional albedo decoder")
        else:
            albedo = self.texture_decoder(codes.identity, maps)
        vertices = self.shape_decoder(codes.identity, codes.expression)
        return Face(codes, vertices, albedo, self.pose(codes.pose), self.light(codes.light))

    def pose(self, code: Tensor) -> Tensor:
        """The camera (B, 6), degrees and pixels, of pose codes; the scale is positive whatever the code."""
        size = self.image_size
        step = code * code.new_tensor(POSE_STEP)
        angles = self.usual_pose[:3] + step[:, :3]
        scale = self.usual_pose[3] * step[:, 3:4].clamp(-3, 3).exp()
        return torch.cat([angles, scale, self.usual_pose[4:] + size * step[:, 4:]], dim=1)

    def light(self, code: Tensor) -> Tensor:
        """Spherical harmonics (B, 9, 3) of light codes (B, 27)."""
        return self.usual_light + code.unflatten(1, (9, 3))

    def vertex_albedo(self, face: Face) -> Tensor:
        """Linear RGB (B, V, 3) at the vertices; of a texture, what it holds at their UV coordinates."""
        if face.albedo.dim() == 3:
            return face.albedo
        places = self.uv.T[None, :, :, None].expand(len(face.albedo), -1, -1, -1)
        return sample_texture(face.albedo, places)[..., 0].transpose(1, 2)

    def render(self, face: Face, background: Tensor | float = 0.0) -> Rendering:
        """Draw faces into images of the model's size; the landmarks come along."""
        return render_mesh(
            face.vertices, self.faces, face.albedo, face.pose, face.light, self.image_size,
            uv=self.uv, landmarks=self.landmarks, background=background,
        )  # fmt: skip


def _usual_pose(prior: LinearFaceModel, image_size: int, share: float = 0.62) -> Tensor:
    """The frontal pose (6,) in which the template's landmarks are ``share`` of the image high, in its middle."""
    points = prior.mean[prior.landmarks]
    low, high = points.amin(dim=0), points.amax(dim=0)
    scale = share * image_size / float(high[1] - low[1])
    x, y, _ = ((low + high) / 2).tolist()
    return torch.tensor([0.0, 0.0, 0.0, scale, image_size / 2 - scale * x, image_size / 2 + scale * y])


def _usual_light() -> Tensor:
    """A lamp behind the camera, somewhat above, and as much light from everywhere: (9, 3)."""
    lamp = torch.nn.functional.normalize(torch.tensor([[0.0, 0.4, 1.0]]), dim=1)
    return (directional_light(lamp, torch.full((1, 3), 0.5)) + ambient_light(torch.full((1, 3), 0.5)))[0]


def build_reconstructor(
    prior: LinearFaceModel,
    image_size: int = 224,
    backbone: str = "resnet50",
    weights: str = "cached",
    factors: Sequence[float] = (4, 4, 4, 4),
    widths: Sequence[int] = (128, 64, 32, 16),
    sizes: dict[str, int] | None = None,
    from_prior: bool = False,
) -> tuple[Reconstructor, MeshHierarchy]:
    """The paper's model for a 3DMM of the face region, and the mesh hierarchy that it stands on.

    Args:
        prior: see ``face_prior``; 37,202 vertices in the paper.
        image_size: side of the images in pixels, a multiple of 16.
        backbone, weights: of the encoder, see ``facekit.nn.Encoder``.
        factors: by how much each step of the hierarchy divides the vertices, finest first.
        widths: filters of the graph convolutions, coarsest first.
        sizes: lengths of the codes, ``CODE_SIZES`` if not given.
        from_prior: let the shape decoder add to faces of the 3DMM instead of the template, see ``ShapeDecoder``.
    """
    sizes = dict(CODE_SIZES) | (sizes or {})
    hierarchy = MeshHierarchy.build(prior.mean, prior.faces, factors)
    encoder = FaceEncoder(backbone, weights, sizes)
    codes = (sizes["identity"], sizes["expression"])
    graph = GraphDecoder(sum(codes), hierarchy, widths)
    shape = ShapeDecoder(codes, prior.mean, spread(prior), graph, prior if from_prior else None)
    skin = prior.albedo(torch.zeros(1, prior.num_texture))[0]
    albedo = AlbedoDecoder(skin, GraphDecoder(sizes["identity"], hierarchy, widths))
    with torch.no_grad():
        training = encoder.training
        maps = encoder.eval().with_maps(torch.zeros(1, 3, image_size, image_size))[1]
        encoder.train(training)
    texture = ConvolutionalAlbedo(sizes["identity"], [m.shape[1] for m in maps], image_size, skin.mean(dim=0))
    return Reconstructor(prior, encoder, shape, albedo, image_size, texture), hierarchy
