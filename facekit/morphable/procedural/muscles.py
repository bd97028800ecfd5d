"""From action units to motion of control points and to creases of the skin.

The motion is linear neither in the intensities nor in the person. A contraction saturates; a muscle draws the skin
along this very face, towards its own origin, with its owner's strength and course, so that the same unit moves
different people differently; units weaken each other where their muscles pull against one another; and the total way of
a patch of skin is limited.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facekit.morphable.action_units import NUM_ACTION_UNITS, action_unit_index
from facekit.morphable.procedural import layout
from facekit.morphable.procedural.cage import Array, Cage, blend, rest_normals, surface_matrix
from facekit.morphable.procedural.muscle_traits import MUSCLE_TRAITS, effects
from facekit.morphable.procedural.pulls import FURROWS, PULLS, Furrow, Pull

SATURATION = 1.2
WAY_LIMIT = 17.0
#: Half-widths, in the canonical plane, of the differences that give the frame of the skin.
FRAME_STEPS = np.array([(6.0, 0.0), (0.0, 6.0)])


def contraction(intensity: Tensor) -> Tensor:
    """Shortening of a muscle at an intensity in [0, 1]: rises fast, then saturates; 0 at 0 and 1 at 1."""
    return (1.0 - torch.exp(-SATURATION * intensity)) / (1.0 - np.exp(-SATURATION))


class Muscles(nn.Module):
    """Every pull of `pulls.PULLS` on both sides of a cage.

    A pull's direction is written for the average face and carried over to the person's own by the frame of the skin
    there (how far a millimetre of the canonical plane reaches, and which way the skin faces). The traits of the
    person's muscles then scale and turn it.

    Args:
        cage: the control points.
        names: names of the identity code's entries, among them those of `muscle_traits.MUSCLE_TRAITS`.
    """

    def __init__(self, cage: Cage, names: tuple[str, ...]) -> None:
        super().__init__()
        both = [(pull, side) for pull in PULLS for side in (0, 1)]
        signs = np.array([-1.0 if side == 0 else 1.0 for _, side in both])
        tips = np.array([pull.at for pull, _ in both]) * _mirrored(signs)
        self._keep("unit", np.array([action_unit_index(pull.unit) for pull, _ in both]))
        self._keep("side", np.array([side for _, side in both]))
        fields = [_field(pull, cage.places * [sign, 1.0]) for (pull, _), sign in zip(both, signs, strict=True)]
        self._keep("field", np.stack(fields, axis=1))
        self._keep("weaken", np.stack([_weakening(pull) for pull, _ in both]))
        self._keep("drawn", _drawn([pull for pull, _ in both], tips, signs, cage))
        across, up = (surface_matrix(cage, tips + h) - surface_matrix(cage, tips - h) for h in FRAME_STEPS)
        self._keep("across", across)
        self._keep("up", up)
        fixed = np.stack([_direction(pull) * [sign, 1.0, 1.0] for (pull, _), sign in zip(both, signs, strict=True)])
        frame = _frame(torch.as_tensor(across @ cage.rest), torch.as_tensor(up @ cage.rest))
        self._keep("fixed", torch.linalg.solve(frame, torch.as_tensor(fixed)[..., None])[..., 0].numpy())
        self._keep("traits", np.array([names.index(trait.name) for trait in MUSCLE_TRAITS]))
        gains, turns = zip(*(effects(pull, left=side == 1) for pull, side in both), strict=True)
        self._keep("gains", np.stack(gains))
        self._keep("turns", np.stack(turns))

    def _keep(self, name: str, value: Array) -> None:
        self.register_buffer(name, torch.as_tensor(value), persistent=False)

    def forward(self, neutral: Tensor, action_units: Tensor, identity: Tensor) -> Tensor:
        """Displacements (B, K, 3) in mm of a neutral face's controls (B, K, 3).

        Args:
            neutral (B, K, 3): the person's control points at rest.
            action_units (B, A, 2): intensities in [0, 1].
            identity (B, num_identity): the person's code, bounded.
        """
        own = contraction(action_units[:, self.unit, self.side])
        others = action_units[:, :, self.side].transpose(1, 2)
        active = own * (1.0 - self.weaken * others).prod(dim=-1)
        traits = identity[:, self.traits]
        frame = _frame(blend(self.across, neutral), blend(self.up, neutral))
        vector = blend(self.drawn, neutral) + (frame @ self.fixed[..., None])[..., 0]
        vector = _turned(vector, traits @ self.turns.T) * (active * torch.exp(traits @ self.gains.T))[..., None]
        way = blend(self.field, vector)
        length = (way * way).sum(dim=-1, keepdim=True)
        return way / (1.0 + (length / WAY_LIMIT**2) ** 2) ** 0.25


def _mirrored(signs: Array) -> Array:
    return np.stack([signs, np.ones_like(signs)], axis=1)


def _drawn(pulls: list[Pull], tips: Array, signs: Array, cage: Cage) -> Array:
    """Rows (P, K) that give, times the controls, the way from the tip towards the origin; zero for other pulls."""
    towards = np.array([len(pull.to) == 2 for pull in pulls])
    origins = np.stack([pull.to if len(pull.to) == 2 else pull.at for pull in pulls]) * _mirrored(signs)
    rows = surface_matrix(cage, origins) - surface_matrix(cage, tips)
    reach = np.linalg.norm(rows @ cage.rest, axis=1)
    way = np.array([pull.mm for pull in pulls])
    return rows * np.where(towards, way / np.maximum(reach, 1e-6), 0.0)[:, None]


def _direction(pull: Pull) -> Array:
    """Way (3,) of a left-side pull with a direction on the average face, in mm; zero for one with an origin."""
    if len(pull.to) == 2:
        return np.zeros(3)
    return np.array(pull.to) / np.linalg.norm(pull.to) * pull.mm


def _frame(across: Tensor, up: Tensor) -> Tensor:
    """Frames (..., 3, 3) of the skin, as columns: two tangents (..., 3) and a normal of their mean length."""
    normal = torch.linalg.cross(across, up, dim=-1)
    size = (normal * normal).sum(dim=-1, keepdim=True).clamp_min(1e-12) ** 0.25
    return torch.stack([across, up, normal / size], dim=-1)


def _turned(vector: Tensor, angle: Tensor) -> Tensor:
    """Vectors (B, P, 3) turned about the z axis by angles (B, P) in radians."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    x, y, z = vector.unbind(dim=-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=-1)


def _field(pull: Pull, places: Array) -> Array:
    """Share (K,) of a left-side pull that each control takes part in."""
    field = layout.bump(places, pull.at, pull.radii)
    if not pull.lip:
        return field
    s, t = np.abs(places[:, 0]), places[:, 1]
    blur = 0.6 + 12.0 * layout.smoothstep(s, 23.0, 38.0)
    upper = layout.smoothstep(t + 35.0, -blur, blur)
    return field * (upper if pull.lip == "upper" else 1.0 - upper)


def _weakening(pull: Pull) -> Array:
    row = np.zeros(NUM_ACTION_UNITS)
    for unit, amount in pull.less:
        row[action_unit_index(unit)] = amount
    return row


class Furrows(nn.Module):
    """Creases and bulges that action units bring out, as displacements along the average face's normals."""

    def __init__(self, cage: Cage, plane: Array, skin: NDArray[np.bool_]) -> None:
        super().__init__()
        profiles, activation = [], []
        for furrow in FURROWS:
            for sign in (-1.0, 1.0):
                profiles.append(_profile(furrow, plane * [sign, 1.0]))
                row = np.zeros((NUM_ACTION_UNITS, 2))
                for unit, amount in furrow.units:
                    row[action_unit_index(unit), int(sign > 0)] = amount
                activation.append(row.ravel())
        profile = np.stack(profiles) * skin
        vertices = np.flatnonzero(np.abs(profile).max(axis=0) > 0.005)
        self._keep("vertices", vertices)
        self._keep("profile", profile[:, vertices])
        self._keep("normals", rest_normals(cage, plane[vertices]))
        self._keep("activation", np.stack(activation))

    def _keep(self, name: str, value: Array) -> None:
        self.register_buffer(name, torch.as_tensor(value), persistent=False)

    def forward(self, vertices: Tensor, action_units: Tensor, depth: Tensor) -> Tensor:
        """Vertices (B, V, 3) with the creases of action units (B, A, 2), scaled by each person's depth factor (B,)."""
        active = action_units.flatten(1) @ self.activation.T
        # Creases appear only once the skin is gathered: quadratic onset, saturating.
        grown = active * active / (0.25 + active) * 1.1
        height = (grown * depth[:, None]) @ self.profile
        return vertices.index_add(1, self.vertices, height[..., None] * self.normals)


def _profile(furrow: Furrow, plane: Array) -> Array:
    """Height (V,) of a left-side furrow at full activation, fading at its ends."""
    line = np.array(furrow.line, dtype=float)
    at = np.linspace(0, 1, 60)
    fine = np.stack([np.interp(at, np.linspace(0, 1, len(line)), line[:, i]) for i in (0, 1)], axis=1)
    crosses = line[0, 0] == 0.0
    _, gap, along = layout.project(plane, fine)
    ends = layout.smoothstep(1.0 - along, 0.0, 0.3)
    if crosses:
        share = np.where(plane[:, 0] > 0, 1.0, np.where(plane[:, 0] < 0, 0.0, 0.5))
        return furrow.mm * ends * share * np.exp(-0.5 * (gap / furrow.width) ** 2)
    return furrow.mm * ends * layout.smoothstep(along, 0.0, 0.25) * np.exp(-0.5 * (gap / furrow.width) ** 2)
