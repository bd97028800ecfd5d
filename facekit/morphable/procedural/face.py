"""The procedural face: anatomy and muscles to a mesh, with no file needed."""

from __future__ import annotations

import torch
from torch import Tensor

from facekit.meshes.precision import full_precision
from facekit.morphable.action_units import NUM_ACTION_UNITS, action_unit_index
from facekit.morphable.face_model import FaceModel, FaceModelError
from facekit.morphable.procedural.anatomy import NAMES, NUM_IDENTITY, Anatomy, sample_traits, soft_bound
from facekit.morphable.procedural.cage import blend, build_cage, surface_matrix
from facekit.morphable.procedural.eyes import Eyes
from facekit.morphable.procedural.landmarks import landmark_vertices, region_masks
from facekit.morphable.procedural.mouth import Mouth
from facekit.morphable.procedural.muscles import Furrows, Muscles
from facekit.morphable.procedural.skin import Skin
from facekit.morphable.procedural.template import build_template

#: Gaze enters the expression code in units of this many degrees.
GAZE_DEGREES = 30.0
NUM_EXPRESSION = 2 * NUM_ACTION_UNITS + 2


class ProceduralFace(FaceModel):
    """A face made of named anatomy and muscles.

    Identity code (NUM_IDENTITY): z-scores of the traits in `anatomy.NAMES`. Expression code (2 A + 2): intensities in
    [0, 1] of the action units, right and left, then gaze (towards +x, towards +y) in units of 30 degrees. Texture code:
    see `skin.Skin`.

    `shape` is smooth and not linear in either code: traits multiply and turn parts about hinges; muscles draw the skin
    along that very face towards their own origins, in the person's own strength and course, saturate and weaken one
    another; the jaw rotates about its joint; lids slide around the eyeballs; lips seal and part; the skin folds.

    Args:
        level: 0, 1 or 2 for about 1,300, 5,300 and 21,000 vertices. The vertices of a level are the first ones of the
            next.
    """

    sex_trait = NAMES.index("sex")

    def __init__(self, level: int = 1, dtype: torch.dtype = torch.float32) -> None:
        template, cage = build_template(level), build_cage()
        skin = Skin(template.plane)
        super().__init__(
            name=f"procedural-{level}",
            faces=torch.tensor(template.faces),
            uv=torch.tensor(template.uv),
            landmarks=torch.tensor(landmark_vertices(template.plane)),
            symmetry=torch.tensor(template.symmetry),
            regions={name: torch.tensor(mask) for name, mask in region_masks(template.plane).items()},
            num_identity=NUM_IDENTITY,
            num_expression=NUM_EXPRESSION,
            num_texture=skin.num_texture,
        )
        self.level = level
        self.skin = skin
        self.anatomy, self.muscles = Anatomy(cage), Muscles(cage, NAMES)
        self.eyes, self.mouth = Eyes(cage, template.plane), Mouth(cage, template.plane)
        self.furrows = Furrows(cage, template.plane, self.regions["skin"].numpy())
        self.register_buffer("plane", torch.tensor(template.plane), persistent=False)
        self.register_buffer("surface", torch.as_tensor(surface_matrix(cage, template.plane)), persistent=False)
        self.to(dtype)

    def sample_identity(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw people (N, NUM_IDENTITY): correlated z-scores of the traits, see `anatomy`."""
        return sample_traits(count, generator).to(device=self.device, dtype=self.dtype)

    def sample_texture(self, count: int, generator: torch.Generator, identity: Tensor | None = None) -> Tensor:
        """Draw skins (N, num_texture) that go with the people's sex and age, where `identity` is given."""
        traits = None if identity is None else {name: identity[:, NAMES.index(name)] for name in ("sex", "age")}
        return self.skin.sample(count, generator, traits).to(device=self.device, dtype=self.dtype)

    def expression_code(self, action_units: Tensor, gaze: Tensor | None = None) -> Tensor:
        if action_units.dim() != 3 or action_units.shape[1:] != (NUM_ACTION_UNITS, 2):
            raise FaceModelError(
                f"face model '{self.name}': action units have shape {tuple(action_units.shape)}, "
                f"expected (B, {NUM_ACTION_UNITS}, 2)"
            )
        if gaze is None:
            gaze = action_units.new_zeros(len(action_units), 2)
        return torch.cat([action_units.flatten(1), gaze / GAZE_DEGREES], dim=1).to(self.dtype)

    def split_expression(self, expression: Tensor) -> tuple[Tensor, Tensor]:
        """Action units (B, A, 2) in [0, 1] and gaze (B, 2) in degrees of expression codes (B, num_expression)."""
        units = expression[:, :-2].unflatten(1, (NUM_ACTION_UNITS, 2)).clamp(0.0, 1.0)
        return units, expression[:, -2:] * GAZE_DEGREES

    @full_precision
    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        self.check_codes(identity=identity, expression=expression)
        return self._pose(identity, expression)[0]

    def _pose(self, identity: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Vertices (B, V, 3), control points (B, K, 3) and eyeball centres (B, 2, 3)."""
        identity, expression = identity.to(self.dtype), expression.to(self.dtype)
        identity = identity.expand(max(len(identity), len(expression)), -1)
        units, gaze = self.split_expression(expression)
        neutral, controls, centres = self._controls(identity, expression)
        vertices = blend(self.surface, controls)
        vertices = self.furrows(vertices, units, self._furrow_depth(identity))
        vertices = self.eyes.place(vertices, controls, centres, gaze)
        return self.mouth.fill(vertices, controls, neutral, self.mouth.jaw_rotation(units)), controls, centres

    def _controls(self, identity: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Control points (B, K, 3) at rest and in the expression, and eyeball centres (B, 2, 3)."""
        units, gaze = self.split_expression(expression)
        neutral = self.anatomy(identity)
        centres = self.eyes.centres(neutral)
        neutral = self.eyes.fit_lids(neutral, centres)
        controls = neutral + self.muscles(neutral, units, soft_bound(identity))
        controls = self.mouth.swing(controls, self.mouth.jaw_rotation(units), self.mouth.weights)
        controls = self.mouth.seal(controls, self._lips_parted(units))
        return neutral, self.eyes.move_lids(controls, centres, units, gaze), centres

    def _lips_parted(self, units: Tensor) -> Tensor:
        """How far the lips let go of each other (B,), 0 sealed to 1 free."""

        def mean(number: int) -> Tensor:
            return units[:, action_unit_index(number)].mean(dim=-1)

        opening = (mean(25), mean(10), mean(16), mean(27), mean(22))
        closed = torch.ones_like(opening[0])
        for unit, weight in zip(opening, (4.0, 1.5, 2.0, 4.0, 1.5), strict=True):
            closed = closed * (1.0 - torch.tanh(weight * unit))
        return 1.0 - closed

    def _furrow_depth(self, identity: Tensor) -> Tensor:
        """Depth factor of creases (B,): deeper with age, shallower with fat."""
        return torch.exp(0.22 * identity[:, NAMES.index("age")] - 0.12 * identity[:, NAMES.index("fat")])

    @full_precision
    def albedo(self, texture: Tensor, expression: Tensor | None = None, identity: Tensor | None = None) -> Tensor:
        """Vertex albedo (B, V, 3), linear RGB.

        The iris is painted where the gaze of `expression` points; with `identity` its size and place are exact for that
        person's eyes, without they are those of the average face.
        """
        self.check_codes(identity=identity, expression=expression, texture=texture)
        expression = self.neutral_expression() if expression is None else expression.to(self.dtype)
        identity = expression.new_zeros(1, self.num_identity) if identity is None else identity.to(self.dtype)
        size = max(len(identity), len(expression))
        _, controls, centres = self._controls(identity.expand(size, -1), expression.expand(size, -1))
        return self._paint(texture, expression, controls, centres)

    @full_precision
    def face(self, identity: Tensor, expression: Tensor, texture: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices and albedo, both (B, V, 3), from one pose of the anatomy; the irises are exact for the person."""
        self.check_codes(identity=identity, expression=expression, texture=texture)
        vertices, controls, centres = self._pose(identity, expression)
        return vertices, self._paint(texture, expression, controls, centres)

    def _paint(self, texture: Tensor, expression: Tensor, controls: Tensor, centres: Tensor) -> Tensor:
        gaze = self.split_expression(expression.to(self.dtype))[1]
        eyeballs = self.eyes.eyeball_points(controls, centres, gaze)
        angle = self.eyes.iris_angle(eyeballs, centres, gaze, self.num_vertices)
        return self.skin(texture.to(self.dtype), angle.expand(max(len(texture), len(angle)), -1))
