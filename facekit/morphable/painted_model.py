"""Give a linear model of real shapes the skin of the procedural face.

Scan-derived models often come without colour. Their faces can still be painted: the mean face is warped onto the
average procedural face by the 68 landmarks, every vertex takes the canonical place of the nearest point there, and the
procedural skin paints it. One texture code then means the same person's skin on either model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from facekit.meshes import closest_points
from facekit.meshes.precision import full_precision
from facekit.morphable.face_model import NUM_LANDMARKS, FaceModelError
from facekit.morphable.linear_model import LinearFaceModel
from facekit.morphable.procedural.skin_code import NUM_TEXTURE, sample_skin

EYEBALL_RADIUS = 12.0
EAR_INNER, EAR_BOTTOM, EAR_TOP = 108.0, -32.0, 46.0  # mm in the canonical plane
ON_SKIN = 180.0  # degrees: no iris here


class PaintedFaceModel(LinearFaceModel):
    """A linear model whose texture code is that of `procedural.skin`.

    Args:
        eye_centres (2, 2): x and y in mm of the middle of the right and the left pupil, gaze straight ahead.
        gaze_matrix (K_exp, 4): gaze of the right eye, then of the left one (degrees towards +x, towards +y), per unit
            of the expression code.
        plain: linear RGB of regions that are painted in one colour (teeth, gums), by region name.
        **linear: see `LinearFaceModel`; "eyes" among the regions says where the irises go.

    The skin is set up when it is first needed (a second or so).
    """

    eye_centres: Tensor
    gaze_matrix: Tensor

    def __init__(
        self,
        *,
        eye_centres: Tensor,
        gaze_matrix: Tensor,
        plain: Mapping[str, tuple[float, float, float]],
        **linear: object,
    ) -> None:
        super().__init__(**linear)
        if len(self.landmarks) != NUM_LANDMARKS:
            raise FaceModelError(f"face model '{self.name}': painting it needs its {NUM_LANDMARKS} landmarks")
        self.num_texture = NUM_TEXTURE
        self.plain = dict(plain)
        self.register_buffer("eye_centres", eye_centres.to(self.dtype))
        self.register_buffer("gaze_matrix", gaze_matrix.to(self.dtype))
        self._skin: torch.nn.Module | None = None

    def sample_texture(self, count: int, generator: torch.Generator, identity: Tensor | None = None) -> Tensor:
        """Draw skins (N, num_texture); the model's statistics know nothing of sex and age, so neither do the skins."""
        return sample_skin(count, generator).to(device=self.device, dtype=self.dtype)

    @full_precision
    def albedo(self, texture: Tensor, expression: Tensor | None = None) -> Tensor:
        """Vertex albedo (B, V, 3), linear RGB; irises follow the gaze in `expression`."""
        self.check_codes(texture=texture, expression=expression)
        if self._skin is None:
            self._skin = self._build_skin()
        skin = self._skin.to(device=self.device, dtype=self.dtype)
        painted = skin(texture.to(self.dtype), self._iris_angle(expression))
        for region, color in self.plain.items():
            painted = torch.where(self.regions[region][:, None], painted.new_tensor(color), painted)
        return painted

    def fit_albedo(self, albedo: Tensor, *, ridge: float = 1e-9) -> Tensor:
        raise FaceModelError(f"face model '{self.name}': its skin is not linear, so there is no closed-form fit")

    def _build_skin(self) -> torch.nn.Module:
        from facekit.morphable.procedural.skin import Skin

        return Skin(canonical_places(self.mean.double().cpu(), self.landmarks.cpu(), self.regions))

    def _iris_angle(self, expression: Tensor | None) -> Tensor:
        """Angle (B, V) in degrees between the gaze and each eye vertex, seen from the eyeball's centre."""
        code = self.neutral_expression() if expression is None else expression.to(self.dtype)
        eyes = self.regions["eyes"].nonzero().flatten()
        side = (self.mean[eyes, 0] > 0).long()
        movement = (code @ self.expression_basis[:, eyes, :2].flatten(1)).unflatten(1, (-1, 2))
        gaze = torch.deg2rad(code @ self.gaze_matrix).unflatten(1, (2, 2))
        centre = self.eye_centres + EYEBALL_RADIUS * torch.sin(gaze)
        offset = self.mean[eyes, :2] + movement - centre[:, side]
        distance = torch.linalg.vector_norm(offset, dim=-1) / EYEBALL_RADIUS
        angle = torch.full((len(code), self.num_vertices), ON_SKIN, dtype=self.dtype, device=self.device)
        return angle.index_copy(1, eyes, torch.rad2deg(torch.asin(distance.clamp(max=1.0))))


def canonical_places(vertices: Tensor, landmarks: Tensor, regions: Mapping[str, Tensor]) -> np.ndarray:
    """Canonical places (V, 2) of a mean face's vertices (V, 3), by its landmarks (68,).

    Vertices of the regions "eyes" and "mouth_interior" are placed between the lids and behind the lips, all others on
    the skin.
    """
    from facekit.morphable.procedural import ProceduralFace
    from facekit.morphable.procedural.layout import EAR_CENTRE

    average = ProceduralFace(level=1, dtype=torch.float64)
    target = average.shape(torch.zeros(1, average.num_identity).double(), average.neutral_expression())[0]
    warp = RBFInterpolator(
        vertices[landmarks].numpy(), target[average.landmarks].numpy(), kernel="linear", degree=1, smoothing=0.5
    )
    warped = torch.from_numpy(warp(vertices.numpy()))
    places = torch.zeros(len(vertices), 2, dtype=torch.float64)
    skin_faces = torch.ones(len(average.faces), dtype=torch.bool)
    skin = torch.ones(len(vertices), dtype=torch.bool)
    parts = []
    for region in ("eyes", "mouth_interior"):
        part_faces = average.regions[region][average.faces].any(dim=1)
        part = regions[region].cpu() if region in regions else torch.zeros_like(skin)
        parts.append((part, part_faces))
        skin_faces, skin = skin_faces & ~part_faces, skin & ~part
    for part, part_faces in [*parts, (skin, skin_faces)]:
        if part.any():
            nearest = closest_points(warped[part], target, average.faces[part_faces])
            corners = average.plane[average.faces[part_faces][nearest.face]].double()
            places[part] = (corners * nearest.barycentric[..., None]).sum(dim=-2)
    # Ears of two models never fit well enough to tell an ear from the hair behind it: all of it gets the ear's skin.
    s, t = places.unbind(1)
    around_ear = (s.abs() > EAR_INNER) & (t > EAR_BOTTOM) & (t < EAR_TOP)
    ear = torch.tensor(EAR_CENTRE, dtype=torch.float64) * torch.stack([s.sign(), torch.ones_like(s)], 1)
    return torch.where(around_ear[:, None], ear, places).numpy()
