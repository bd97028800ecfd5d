"""The jaw, the seal of the lips, and the pocket behind them with both rows of teeth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from facekit.morphable.action_units import action_unit_index
from facekit.morphable.procedural import layout
from facekit.morphable.procedural.cage import Array, Cage, blend, surface_matrix

#: Middle of the line through the jaw's joints, just in front of the ear canals, in mm.
HINGE = (0.0, 2.0, 10.0)
#: Jaw rotation in degrees and forward glide of the joint in mm at full intensity.
JAW_DEGREES = {26: 9.5, 27: 23.0, 25: 0.8}
JAW_LIMIT = 28.0
GLIDE = (0.0, -1.2, 2.0)

#: Heights v in the mouth's opening at which the pocket's profile is given, from the lower to the upper margin.
PROFILE = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MOUTH_HALF_WIDTH = 26.0
#: Overlap in mm that the lips tolerate before they push each other.
CONTACT_SLACK = 0.4
#: Width of the dental arch relative to the lips around it.
TOOTH_ARCH = 0.9


def jaw_weights(places: Array) -> Array:
    """How much of the jaw's movement the skin at canonical places (N, 2) takes part in, in [0, 1]."""
    s, t = layout.fold(places).T
    line = np.where(s < 26.0, -35.0, -35.0 + 0.42 * (s - 26.0))
    reach = 5.0 + 13.0 * layout.smoothstep(s, 22.0, 40.0)
    weight = layout.smoothstep(line - t, -reach, reach)
    corner = np.clip(s / MOUTH_HALF_WIDTH, 0.0, 1.0) ** 4
    upper = (t > -35.0) & (s < 26.0) & (t > layout.height_on("upper_lip_border", s) - 1e-6 - 40.0)
    lip = layout.smoothstep(np.abs(t + 35.0), 14.0, 4.0) * layout.smoothstep(s, 30.0, 25.0)
    on_lip = np.where(upper, 0.42 * corner, 1.0 - 0.58 * corner)
    weight = (1 - lip) * weight + lip * on_lip
    below = layout.project(layout.fold(places), layout.curve("jaw", 200))
    nearest, gap = below[0], below[1]
    throat = np.where(t < nearest[:, 1], layout.smoothstep(gap, 46.0, 4.0), 1.0)
    return weight * throat * layout.smoothstep(s, 116.0, 92.0)


class Mouth(nn.Module):
    """Jaw, lips and mouth pocket of a template."""

    def __init__(self, cage: Cage, plane: Array) -> None:
        super().__init__()
        self._keep("weights", jaw_weights(cage.places))
        self._keep("hinge", np.array(HINGE))
        self._keep("glide", np.array(GLIDE))
        self._build_seal(cage)
        self._build_pocket(cage, plane)

    def _keep(self, name: str, value: Array) -> None:
        self.register_buffer(name, torch.as_tensor(value), persistent=False)

    def _build_seal(self, cage: Cage) -> None:
        upper = np.concatenate([cage.named("upper_margin_0"), cage.named("upper_margin")])
        lower = np.concatenate([cage.named("lower_margin_0"), cage.named("lower_margin")])
        self._keep("upper", upper)
        self._keep("lower", lower)
        self._keep("rest_gap", cage.rest[upper, 1] - cage.rest[lower, 1])
        self._keep("upper_spread", _spread(cage, upper, above=True))
        self._keep("lower_spread", _spread(cage, lower, above=False))

    def _build_pocket(self, cage: Cage, plane: Array) -> None:
        margin = np.minimum(layout.distance("upper_lip_margin", plane), layout.distance("lower_lip_margin", plane))
        index = np.flatnonzero(layout.inside("mouth", plane) & (margin > 1e-3))
        u, v = layout.opening_coordinates("mouth", plane[index])
        u, v = u.clip(0, 1), v.clip(0, 1)
        profile = np.stack([np.interp(v, PROFILE, row) for row in np.eye(len(PROFILE))], axis=1)
        margins = [
            surface_matrix(cage, np.stack([plane[index, 0], layout.height_on(name, plane[index, 0])], axis=1))
            for name in ("lower_lip_margin", "upper_lip_margin")
        ]
        self._keep("pocket", index)
        self._keep("profile", profile)
        self._keep("height", v)
        self._keep("closing_in", layout.smoothstep(u, 0.66, 0.97))
        self._keep("lower_edge", margins[0])
        self._keep("upper_edge", margins[1])
        self._keep("middle", np.concatenate([cage.named("lower_margin_0"), cage.named("upper_margin_0")]))

    def jaw_rotation(self, action_units: Tensor) -> Tensor:
        """Rotation of the jaw (B,) in radians, about the x axis, positive when it opens."""
        both = action_units.mean(dim=-1)
        degrees = sum(amount * both[:, action_unit_index(unit)] for unit, amount in JAW_DEGREES.items())
        return torch.deg2rad(JAW_LIMIT * torch.tanh(degrees / JAW_LIMIT))

    def swing(self, points: Tensor, angle: Tensor, weights: Tensor) -> Tensor:
        """Points (B, N, 3) turned with the jaw by angle (B,) times weights (N,), and carried along its glide."""
        turn = angle[:, None] * weights
        arm = points - self.hinge
        cos, sin = torch.cos(turn), torch.sin(turn)
        y = cos * arm[..., 1] - sin * arm[..., 2]
        z = sin * arm[..., 1] + cos * arm[..., 2]
        turned = torch.stack([arm[..., 0], y, z], dim=-1)
        share = (turn / np.deg2rad(JAW_LIMIT))[..., None]
        return turned + self.hinge + share * self.glide

    def seal(self, controls: Tensor, parted: Tensor) -> Tensor:
        """Keep the lips from passing through each other, and together while nothing parts them.

        Args:
            controls (B, K, 3): control points after muscles and jaw.
            parted (B,): how far the lips' own muscles let go, 0 sealed to 1 free.
        """
        gap = controls[:, self.upper, 1] - controls[:, self.lower, 1] - self.rest_gap
        below = gap + CONTACT_SLACK
        contact = 0.5 * (torch.sqrt(below * below + 0.02) - below)
        stretch = gap.clamp_min(0.0)
        hold = (1.0 - parted)[:, None] * torch.exp(-((stretch / 9.0) ** 4))
        closing = stretch * hold - contact
        forward = (controls[:, self.upper, 2] - controls[:, self.lower, 2]) * hold * (stretch / (stretch + 1.0))
        up = torch.stack([torch.zeros_like(gap), -0.3 * closing, -0.5 * forward], dim=-1)
        down = torch.stack([torch.zeros_like(gap), 0.7 * closing, 0.5 * forward], dim=-1)
        return controls + blend(self.upper_spread, up) + blend(self.lower_spread, down)

    def fill(self, vertices: Tensor, controls: Tensor, neutral: Tensor, angle: Tensor) -> Tensor:
        """Vertices (B, V, 3) with the pocket behind the lips put in place.

        The upper teeth keep to the skull, the lower ones to the jaw; `neutral` (B, K, 3) are the controls at rest.
        """
        lower, upper = blend(self.lower_edge, controls), blend(self.upper_edge, controls)
        bite = self._bite(neutral)
        ones = bite.new_ones(bite.shape[1])

        def behind(y: float, z: float) -> Tensor:
            return bite + bite.new_tensor([0.0, y, z])

        keys = [
            lower,
            lower + lower.new_tensor([0.0, -2.0, -4.5]),
            self.swing(behind(-7.5, -9.2), angle, ones),
            self.swing(behind(0.6, -8.6), angle, ones),
            self.swing(behind(0.0, -13.0), angle, ones),
            self.swing(behind(-5.0, -38.0), angle, 0.5 * ones),
            behind(-1.6, -11.5),
            behind(-2.2, -6.8),
            behind(6.5, -7.2),
            upper + upper.new_tensor([0.0, 2.0, -4.5]),
            upper,
        ]
        inner = sum(self.profile[:, i, None] * key for i, key in enumerate(keys))
        height = self.height[:, None]
        chord = lower * (1 - height) + upper * height - inner.new_tensor([0.0, 0.0, 2.0]) * 4 * height * (1 - height)
        corner = self.closing_in[:, None]
        return vertices.index_copy(1, self.pocket, (1 - corner) * inner + corner * chord)

    def _bite(self, neutral: Tensor) -> Tensor:
        """Where each pocket vertex's column meets the bite (B, N, 3): level, along the arch of the lips at rest."""
        lips = 0.5 * (blend(self.lower_edge, neutral) + blend(self.upper_edge, neutral))
        level = neutral[:, self.middle, 1].mean(dim=1)[:, None].expand(lips.shape[:2])
        return torch.stack([TOOTH_ARCH * lips[..., 0], level, lips[..., 2]], dim=-1)


def _spread(cage: Cage, margin: Array, above: bool) -> Array:
    """Share (K, P) of each margin point's correction that the control points of its own lip take over."""
    t = cage.places[:, 1]
    own = (t > -35.0) if above else (t < -35.0)
    offset = cage.places[:, None] - cage.places[margin]
    along, across = np.abs(offset[..., 0]), np.abs(offset[..., 1])
    fall = layout.smoothstep(across, 15.0, 1.0) * own[:, None]
    hat = np.exp(-0.5 * (along / 3.6) ** 2)
    on_lip = hat / np.maximum(hat.sum(axis=1, keepdims=True), 0.35)
    share = fall * on_lip
    share[margin] = np.eye(len(margin))
    other = np.flatnonzero(np.abs(t + 35.0) < 1e-6)
    share[other] = 0.0
    return share
