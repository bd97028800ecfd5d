"""Eyeballs and lids.

The lids are curves that slide around the eyeball: an opening fraction per lid turns each point of a margin along the
arc between the two lids, at its own distance from the eyeball's centre. Skin over the lids is kept outside the
eyeball; the vertices between the margins lie on it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from facekit.morphable.action_units import NUM_ACTION_UNITS, action_unit_index
from facekit.morphable.procedural import layout
from facekit.morphable.procedural.cage import Array, Cage, blend, surface_matrix
from facekit.morphable.procedural.cage_points import EYE_CENTRE, EYE_RADIUS, LID_RADIUS

#: How far each action unit turns the upper lid down and the lower lid up, as fractions of the rest opening.
UPPER_CLOSING = {43: 1.0, 7: 0.16, 6: 0.10, 9: 0.10, 5: -0.36}
LOWER_CLOSING = {43: 0.06, 7: 0.26, 6: 0.20, 9: 0.14, 12: 0.05, 5: -0.04}
#: Opening fractions per degree of upward gaze: the lids follow the eye.
LID_FOLLOWS_GAZE = 0.013
#: Share of the margin's turn that the skin rows behind it take part in.
ROW_SHARES = {
    "upper": {"upper_lid": 1.0, "lid_plate": 0.78, "lid_crease": 0.22},
    "lower": {"lower_lid": 1.0, "lower_plate": 0.55, "lower_fold": 0.12},
}
SKIN_CLEARANCE = 1.0
CORNEA_HEIGHT, IRIS_ANGLE = 0.8, 29.0


class Eyes(nn.Module):
    """Both eyes of a template: lids as control points, eyeball vertices."""

    def __init__(self, cage: Cage, plane: Array) -> None:
        super().__init__()
        canthi = [cage.named("endocanthion", "exocanthion", side=side) for side in (-1, 1)]
        middle = cage.rest[canthi[1]].mean(axis=0)
        offset = np.array(EYE_CENTRE) - middle
        self._keep("canthi", torch.as_tensor(np.stack(canthi)))
        self._keep("offset", torch.as_tensor(np.stack([offset * [-1, 1, 1], offset])))
        closing = torch.zeros(2, NUM_ACTION_UNITS, dtype=torch.float64)
        for lid, table in enumerate((UPPER_CLOSING, LOWER_CLOSING)):
            for unit, amount in table.items():
                closing[lid, action_unit_index(unit)] = amount
        self._keep("closing", closing)
        self._build_rows(cage)
        self._build_eyeball(cage, plane)

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def _build_rows(self, cage: Cage) -> None:
        """Control points that turn with a lid: their index, eye, and shares of the upper and lower lid's turn."""
        index, eye, shares = [], [], []
        for lid, rows in enumerate(ROW_SHARES.values()):
            for name, share in rows.items():
                for side in (-1, 1):
                    for control in cage.named(name, side=side):
                        index.append(control)
                        eye.append((side + 1) // 2)
                        shares.append([share, 0.0] if lid == 0 else [0.0, share])
        folded = layout.fold(cage.places[index])
        lids = [
            np.stack([folded[:, 0], layout.height_on(name, folded[:, 0])], axis=1)
            for name in ("upper_lid", "lower_lid")
        ]
        sign = np.where(np.array(eye) == 1, 1.0, -1.0)[:, None] * [1.0, 0.0] + [0.0, 1.0]
        self._keep("row_index", torch.as_tensor(np.array(index)))
        self._keep("row_eye", torch.as_tensor(np.array(eye)))
        self._keep("row_shares", torch.as_tensor(np.array(shares)))
        self._keep("row_upper", torch.as_tensor(surface_matrix(cage, lids[0] * sign)))
        self._keep("row_lower", torch.as_tensor(surface_matrix(cage, lids[1] * sign)))

    def _build_eyeball(self, cage: Cage, plane: Array) -> None:
        within = layout.inside("eye", plane)
        folded = layout.fold(plane)
        on_margin = _margin_gap(folded) < 1e-3
        index = np.flatnonzero(within & ~on_margin)
        _, v = layout.opening_coordinates("eye", plane[index])
        margins = []
        for name in ("lower_lid", "upper_lid"):
            places = np.stack([plane[index, 0], layout.height_on(name, plane[index, 0])], axis=1)
            margins.append(surface_matrix(cage, places))
        near = np.hypot(folded[:, 0] - 31.0, 1.1 * (folded[:, 1] - 35.0)) < 26.0
        near[index] = False
        skin = np.flatnonzero(near)
        self._keep("eyeball", torch.as_tensor(index))
        self._keep("eyeball_side", torch.as_tensor((plane[index, 0] > 0).astype(np.int64)))
        self._keep("across", torch.as_tensor(v.clip(0.0, 1.0)))
        self._keep("lower_margin", torch.as_tensor(margins[0]))
        self._keep("upper_margin", torch.as_tensor(margins[1]))
        self._keep("skin", torch.as_tensor(skin))
        self._keep("skin_side", torch.as_tensor((plane[skin, 0] > 0).astype(np.int64)))

    def centres(self, controls: Tensor) -> Tensor:
        """Eyeball centres (B, 2, 3), right and left, of neutral faces with control points (B, K, 3)."""
        return controls[:, self.canthi].mean(dim=2) + self.offset

    def move_lids(self, controls: Tensor, centres: Tensor, action_units: Tensor, gaze: Tensor) -> Tensor:
        """Turn the lids' control points (B, K, 3) about the eyeballs; gaze (B, 2) in degrees."""
        amount = torch.einsum("la,bas->bsl", self.closing, action_units)
        follow = LID_FOLLOWS_GAZE * gaze[:, 1]
        upper = amount[..., 0] - follow[:, None]
        lower = amount[..., 1] + 0.6 * follow[:, None]
        lower = lower.clamp(-0.3, 0.6)
        upper = torch.minimum(upper, 1.0 - lower)
        turn = torch.stack([upper, lower], dim=-1)[:, self.row_eye] * self.row_shares
        centre = centres[:, self.row_eye]
        point = controls[:, self.row_index] - centre
        upper_edge, lower_edge = (blend(matrix, controls) - centre for matrix in (self.row_upper, self.row_lower))
        way = (lower_edge - upper_edge) * (turn[..., :1] - turn[..., 1:])
        moved = point + way
        radius = torch.linalg.vector_norm(point, dim=-1, keepdim=True)
        moved = moved * (radius / torch.linalg.vector_norm(moved, dim=-1, keepdim=True).clamp_min(1.0))
        return controls.index_copy(1, self.row_index, moved + centre)

    def fit_lids(self, controls: Tensor, centres: Tensor) -> Tensor:
        """Lid margins at least at the lids' distance from the eyeballs' centres."""
        centre = centres[:, self.row_eye]
        outward = controls[:, self.row_index] - centre
        radius = torch.linalg.vector_norm(outward, dim=-1, keepdim=True)
        fitted = outward * (_soft_max(radius, LID_RADIUS, 0.15) / radius)
        return controls.index_copy(1, self.row_index, fitted + centre)

    def place(self, vertices: Tensor, controls: Tensor, centres: Tensor, gaze: Tensor) -> Tensor:
        """Lid skin of vertices (B, V, 3) outside the eyeballs, and the vertices between the lids on them."""
        centre = centres[:, self.skin_side]
        outward = vertices[:, self.skin] - centre
        radius = torch.linalg.vector_norm(outward, dim=-1, keepdim=True)
        lifted = outward * (_soft_max(radius, EYE_RADIUS + SKIN_CLEARANCE, 0.3) / radius)
        vertices = vertices.index_copy(1, self.skin, lifted + centre)

        return vertices.index_copy(1, self.eyeball, self.eyeball_points(controls, centres, gaze))

    def eyeball_points(self, controls: Tensor, centres: Tensor, gaze: Tensor) -> Tensor:
        """Positions (B, E, 3) of the vertices between the lids, on the eyeball and its cornea that follows the gaze."""
        centre = centres[:, self.eyeball_side]
        across = self.across[:, None]
        lower, upper = blend(self.lower_margin, controls), blend(self.upper_margin, controls)
        chord = lower * (1 - across) + upper * across - centre
        distance = torch.linalg.vector_norm(chord, dim=-1, keepdim=True)
        recess = 2.2 * (4.0 * across * (1.0 - across)).clamp_min(0.0).sqrt()
        direction = chord / distance
        cornea = 1.0 - (_angle(direction, gaze_direction(gaze)[:, None]) / IRIS_ANGLE).clamp(max=1.0) ** 2
        radius = _soft_max(distance - recess, EYE_RADIUS, 0.2) + CORNEA_HEIGHT * cornea[..., None]
        return centre + direction * radius

    def iris_angle(self, points: Tensor, centres: Tensor, gaze: Tensor, num_vertices: int) -> Tensor:
        """Angle (B, V) in degrees between the gaze and each eyeball vertex, seen from the eyeball's centre.

        `points` (B, E, 3) are the eyeball vertices; all others get 180.
        """
        direction = torch.nn.functional.normalize(points - centres[:, self.eyeball_side], dim=-1)
        angle = _angle(direction, gaze_direction(gaze)[:, None])
        skin = points.new_full((len(points), num_vertices), 180.0)
        return skin.index_copy(1, self.eyeball, angle)


def _margin_gap(folded: Array) -> Array:
    """Distance (N,) of folded canonical points to the nearer lid margin."""
    return np.minimum(layout.distance("upper_lid", folded), layout.distance("lower_lid", folded))


def gaze_direction(gaze: Tensor) -> Tensor:
    """Unit directions (B, 3) of gaze (B, 2): degrees towards +x and towards +y."""
    horizontal, vertical = torch.deg2rad(gaze).unbind(dim=-1)
    return torch.stack(
        [torch.sin(horizontal) * torch.cos(vertical), torch.sin(vertical), torch.cos(horizontal) * torch.cos(vertical)],
        dim=-1,
    )


def _angle(direction: Tensor, axis: Tensor) -> Tensor:
    """Angle in degrees between unit vectors, smooth where they agree."""
    chord = torch.linalg.vector_norm(direction - axis, dim=-1)
    return torch.rad2deg(2.0 * torch.asin((0.5 * chord).clamp(1e-6, 1.0 - 1e-6)))


def _soft_max(value: Tensor, floor: float, softness: float) -> Tensor:
    """max(value, floor) with a rounded corner of the given width."""
    over = value - floor
    return floor + 0.5 * (over + torch.sqrt(over * over + 4.0 * softness * softness))
