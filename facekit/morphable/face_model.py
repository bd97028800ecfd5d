"""What every face model offers: codes in, a mesh in dense correspondence and its albedo out.

A face model fixes one triangle mesh for everyone: vertex 1234 is the same anatomical spot on every person and in every
expression. A person is a vector of identity coefficients, a facial movement a vector of expression coefficients, a skin
a vector of texture coefficients. `ProceduralFace`, `LinearFaceModel` and the readers of published models are all
`FaceModel`s, so that everything downstream (rendering, the face world, the papers' rooms) takes any of them.

Space: right-handed, millimetres, x to the viewer's right (the subject's left), y up, z out of the face; the origin lies
inside the head on the mid-sagittal plane, near the middle between the ear canals.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

NUM_LANDMARKS = 68


class FaceModelError(ValueError):
    """A face model, its codes or its file do not have the shape or content they must have."""


class FaceModel(nn.Module):
    """Base class of all face models. The buffers follow `.to(device)`.

    Buffers:
        faces (F, 3) int64: triangles, counter-clockwise seen from outside.
        uv (V, 2): texture coordinates in [0, 1], v up.
        landmarks (68,) int64: vertices of the Multi-PIE/iBUG landmarks, the first at the image-left end of the jaw
            line (x < 0); (0,) when a model's files do not say.
        symmetry (V,) int64: each vertex's mirror partner (x -> -x); an involution wherever the mesh is symmetric.

    Attributes:
        regions: named vertex masks, bool (V,); usually "skin", "eyes", "mouth_interior", "lips", "nose", "brows".
        num_vertices, num_identity, num_expression, num_texture: sizes of a face and of its three codes.
        name: short name for tables and file names.
        sex_trait: entry of the identity code that is positive for men and negative for women, if there is one; the
            population must be symmetric in the sense that -code is as likely as code.
    """

    faces: Tensor
    uv: Tensor
    landmarks: Tensor
    symmetry: Tensor
    sex_trait: int | None = None

    def __init__(
        self,
        *,
        name: str,
        faces: Tensor,
        uv: Tensor,
        landmarks: Tensor,
        symmetry: Tensor,
        regions: Mapping[str, Tensor],
        num_identity: int,
        num_expression: int,
        num_texture: int,
    ) -> None:
        super().__init__()
        num_vertices = len(uv)
        _check_topology(name, num_vertices, faces, uv, landmarks, symmetry, regions)
        self.name = name
        self.num_vertices = num_vertices
        self.num_identity = int(num_identity)
        self.num_expression = int(num_expression)
        self.num_texture = int(num_texture)
        self.register_buffer("faces", faces.long())
        self.register_buffer("uv", uv)
        self.register_buffer("landmarks", landmarks.long())
        self.register_buffer("symmetry", symmetry.long())
        self._region_names = tuple(regions)
        for region, mask in regions.items():
            self.register_buffer(f"region_{region}", mask)

    @property
    def regions(self) -> dict[str, Tensor]:
        """Named vertex masks, bool (V,), on the model's device."""
        return {region: getattr(self, f"region_{region}") for region in self._region_names}

    @property
    def device(self) -> torch.device:
        return self.faces.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of vertices and codes; change it with `.to(torch.float64)`."""
        return self.uv.dtype

    def sample_identity(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw `count` people: identity codes (N, num_identity) from the model's population, standard normal here."""
        return self._standard_normal(count, self.num_identity, generator)

    def sample_texture(self, count: int, generator: torch.Generator, identity: Tensor | None = None) -> Tensor:
        """Draw `count` skins: texture codes (N, num_texture).

        A model in which skin goes with shape (stubble with sex, wrinkles with age) conditions on `identity`
        (N, num_identity); the others ignore it.
        """
        return self._standard_normal(count, self.num_texture, generator)

    def expression_code(self, action_units: Tensor, gaze: Tensor | None = None) -> Tensor:
        """Expression codes (B, num_expression) that perform the given action units.

        Args:
            action_units (B, A, 2): intensities in [0, 1] in the order of `action_units.ACTION_UNITS`; last axis the
                subject's right (image left) and the subject's left.
            gaze (B, 2): horizontal and vertical gaze angle in degrees (towards +x, towards +y), straight ahead if None.
        """
        raise NotImplementedError(f"face model '{self.name}' does not know action units")

    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices (B, V, 3) in millimetres of people (B, num_identity) with expressions (B, num_expression)."""
        raise NotImplementedError

    def albedo(self, texture: Tensor, expression: Tensor | None = None) -> Tensor:
        """Vertex albedo (B, V, 3), linear RGB in [0, 1], of skins (B, num_texture).

        `expression` (B, num_expression) matters where paint moves with the expression (the iris with the gaze).
        """
        raise NotImplementedError

    def face(self, identity: Tensor, expression: Tensor, texture: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices and albedo, both (B, V, 3): `shape` and `albedo` together, which some models make faster."""
        return self.shape(identity, expression), self.albedo(texture, expression)

    def forward(self, identity: Tensor, expression: Tensor) -> Tensor:
        """The same as `shape`."""
        return self.shape(identity, expression)

    def neutral_expression(self, count: int = 1) -> Tensor:
        """Expression codes (N, num_expression) of the neutral face: zeros."""
        return torch.zeros(count, self.num_expression, dtype=self.dtype, device=self.device)

    def mirror(self, vertices: Tensor) -> Tensor:
        """Vertices (B, V, 3) of the mirrored faces: x changes sign and every vertex takes its partner's place."""
        flipped = vertices[..., self.symmetry, :]
        return flipped * flipped.new_tensor([-1.0, 1.0, 1.0])

    def check_codes(
        self, *, identity: Tensor | None = None, expression: Tensor | None = None, texture: Tensor | None = None
    ) -> None:
        """Raise `FaceModelError` unless every given code is (B, K) with this model's K, and all have one B, or 1."""
        given = {"identity": identity, "expression": expression, "texture": texture}
        for kind, code in given.items():
            size = getattr(self, f"num_{kind}")
            if code is not None and (code.dim() != 2 or code.shape[1] != size):
                raise FaceModelError(
                    f"face model '{self.name}': {kind} code has shape {tuple(code.shape)}, expected (B, {size})"
                )
        counts = {kind: len(code) for kind, code in given.items() if code is not None}
        if len(set(counts.values()) - {1}) > 1:
            found = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            raise FaceModelError(f"face model '{self.name}': found {found} codes, expected as many of each, or one")

    def _standard_normal(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """Draws on the generator's device and in float32, so that a seed gives the same code everywhere."""
        code = torch.randn(count, size, generator=generator, device=generator.device)
        return code.to(device=self.device, dtype=self.dtype)


def _check_topology(
    name: str,
    num_vertices: int,
    faces: Tensor,
    uv: Tensor,
    landmarks: Tensor,
    symmetry: Tensor,
    regions: Mapping[str, Tensor],
) -> None:
    def require(condition: bool, what: str) -> None:
        if not condition:
            raise FaceModelError(f"face model '{name}': {what}")

    require(uv.dim() == 2 and uv.shape[1] == 2, f"uv has shape {tuple(uv.shape)}, expected (V, 2)")
    require(faces.dim() == 2 and faces.shape[1] == 3, f"faces have shape {tuple(faces.shape)}, expected (F, 3)")
    require(
        landmarks.shape in {(NUM_LANDMARKS,), (0,)},
        f"landmarks have shape {tuple(landmarks.shape)}, expected ({NUM_LANDMARKS},) or (0,)",
    )
    require(
        tuple(symmetry.shape) == (num_vertices,),
        f"symmetry has shape {tuple(symmetry.shape)}, expected ({num_vertices},)",
    )
    for what, index in {"faces": faces, "landmarks": landmarks, "symmetry": symmetry}.items():
        inside = index.numel() == 0 or (int(index.min()) >= 0 and int(index.max()) < num_vertices)
        require(inside, f"{what} name vertices outside 0..{num_vertices - 1}")
    for region, mask in regions.items():
        require(
            mask.dtype == torch.bool and tuple(mask.shape) == (num_vertices,),
            f"region '{region}' is {mask.dtype} {tuple(mask.shape)}, expected torch.bool ({num_vertices},)",
        )
