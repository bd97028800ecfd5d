"""Things before the face, as meshes: they turn with the head, are lit with it, and are cut by it where they touch.

Each is fitted to the person by the 68 landmarks in 3D, so that it works on any face model.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from facekit.data.manifest import OCCLUDERS
from facekit.data.nuisance.solids import sheet_faces, tube, tube_faces
from facekit.data.randomness import row_uniform

_RIM, _SIDES = 28, 6
_FINGER, _FINGER_SIDES = 10, 8
_STRANDS, _STRAND_ROWS = 33, 10
_EYES = (slice(36, 42), slice(42, 48))


class Occluders:
    """Glasses, hair over the forehead and a hand, each with a fixed number of vertices, one after another.

    `faces` (F, 3) are their triangles; `build` places them; whatever a row does not wear shrinks to a point inside
    the head and is never seen.
    """

    def __init__(self) -> None:
        rim, rod = tube_faces(_RIM, _SIDES, closed=True), tube_faces(5, _SIDES)
        finger = tube_faces(_FINGER, _FINGER_SIDES)
        self._parts = {
            "glasses": [(rim, _RIM * _SIDES)] * 2 + [(rod, 5 * _SIDES)] * 3 + [(_fan_faces(_RIM), _RIM + 1)] * 2,
            "hair": [(sheet_faces(_STRAND_ROWS, _STRANDS), _STRAND_ROWS * _STRANDS)],
            "hand": [(finger, _FINGER * _FINGER_SIDES)] * 6,
        }
        shifted, self.sizes, start = [], {}, 0
        for name in OCCLUDERS:
            first = start
            for faces, count in self._parts[name]:
                shifted.append(faces + start)
                start += count
            self.sizes[name] = start - first
        self.faces = torch.cat(shifted)
        self.num_vertices = start

    def build(
        self, kind: ArrayLike, takes: ArrayLike, landmarks: Tensor, skin: Tensor, hair: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Vertices (B, P, 3) in millimetres and albedo (B, P, 3), linear RGB.

        `kind` (B,) is a position in OCCLUDERS or -1; `landmarks` (B, 68, 3) are the person's, before the head is
        turned; `skin` and `hair` (B, 3) are the person's colours.
        """
        kind, takes = np.asarray(kind), np.asarray(takes)
        makers = {"glasses": (_glasses, skin), "hair": (_hair, hair), "hand": (_hand, skin)}
        inside = landmarks[:, [0, 16]].mean(dim=1)
        vertices = inside[:, None].expand(-1, self.num_vertices, -1).clone()
        albedo = torch.zeros_like(vertices)
        start = 0
        for number, name in enumerate(OCCLUDERS):
            rows, end = np.flatnonzero(kind == number), start + self.sizes[name]
            if len(rows):
                make, colour = makers[name]
                vertices[rows, start:end], albedo[rows, start:end] = make(takes[rows], landmarks[rows], colour[rows])
            start = end
        return vertices, albedo


def _fan_faces(count: int) -> Tensor:
    """Triangles of a disc: a closed outline of `count` vertices, then its centre."""
    i = torch.arange(count)
    return torch.stack([i, (i + 1) % count, torch.full_like(i, count)], dim=1)


def _draw(takes: np.ndarray, stream: str, count: int, like: Tensor) -> Tensor:
    """Uniform numbers (B, count) in the type of `like`."""
    return torch.from_numpy(row_uniform(takes, stream, count)).to(like)


def _glasses(takes: np.ndarray, landmarks: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    """Two rims, a bridge, two arms and two lenses; the lenses are dark in a third of the pairs, else away."""
    draw = _draw(takes, "glasses", 8, landmarks)
    eyes = [landmarks[:, part].mean(dim=1) for part in _EYES]
    apart = (eyes[1] - eyes[0]).norm(dim=1)
    width, height = apart * (0.36 + 0.06 * draw[:, 0]), apart * (0.25 + 0.12 * draw[:, 1])
    front = torch.maximum(landmarks[:, 17:27, 2].amax(dim=1) + 1.0, torch.stack(eyes)[..., 2].amax(dim=0) + 12.0)
    square = (1.0 + draw[:, 2])[:, None]
    angle = torch.arange(_RIM).to(landmarks) * (2 * math.pi / _RIM)
    cos, sin = (wave.sign() * wave.abs() ** (1 / square) for wave in (angle.cos(), angle.sin()))
    middle = (eyes[0] + eyes[1])[:, None, 0] / 2
    rims = []
    for eye in eyes:
        x = eye[:, None, 0] + (eye[:, None, 0] - middle) * 0.06 + width[:, None] * cos
        y = eye[:, None, 1] - 2.0 + height[:, None] * sin
        rims.append(torch.stack([x, y, front[:, None] - 0.0028 * (x - middle) ** 2], dim=-1))
    thickness = (0.8 + 1.4 * draw[:, 3])[:, None]
    inner, outer = (rims[0][:, 0], rims[1][:, _RIM // 2]), (rims[0][:, _RIM // 2], rims[1][:, 0])
    rods = [_arch(*inner, lift=3.0)]
    for hinge, ear in zip(outer, (0, 16), strict=True):
        target = landmarks[:, ear] * landmarks.new_tensor([1.06, 0.0, 0.85])
        target[:, 1] = hinge[:, 1]
        rods.append(_arch(hinge, target, lift=0.0))
    solid = [tube(rim, thickness.expand(-1, _RIM), _SIDES, closed=True) for rim in rims]
    solid += [tube(rod, thickness.expand(-1, 5) * 0.9, _SIDES) for rod in rods]
    dark = draw[:, 4] < 0.33
    lenses = []
    for rim in rims:
        lens = torch.cat([rim, rim.mean(dim=1, keepdim=True)], dim=1)
        lenses.append(torch.where(dark[:, None, None], lens, lens[:, -1:]))
    vertices = torch.cat([*solid, *lenses], dim=1)
    colour = (0.02 + 0.25 * draw[:, 5:8] ** 3)[:, None].expand(vertices.shape).clone()
    colour[:, -2 * (_RIM + 1) :] = 0.015
    return vertices, colour


def _arch(start: Tensor, end: Tensor, lift: float) -> Tensor:
    """Five points (B, 5, 3) from start to end, raised and brought forward in the middle."""
    share = torch.linspace(0, 1, 5).to(start)[:, None]
    bump = (4 * share * (1 - share)) * lift * start.new_tensor([0.0, 1.0, 1.0])
    return start[:, None] * (1 - share) + end[:, None] * share + bump


def _hair(takes: np.ndarray, landmarks: Tensor, hair: Tensor) -> tuple[Tensor, Tensor]:
    """A fringe: a curved sheet from the top of the head to a ragged edge over the forehead, the brows or one eye."""
    draw = _draw(takes, "hair", 4, landmarks)
    ragged = _draw(takes, "strands", _STRANDS, landmarks)
    brow, root = landmarks[:, 17:27].mean(dim=1), landmarks[:, 27]
    sides = landmarks[:, [0, 16]]
    radius_x = (sides[:, 1, 0] - sides[:, 0, 0]) / 2 * 1.10
    back = sides[:, :, 2].mean(dim=1)
    radius_z = torch.maximum(brow[:, 2], root[:, 2]) - back + 14.0
    low, high = brow[:, 1], brow[:, 1] + 78.0
    across = torch.linspace(-1.25, 1.25, _STRANDS).to(landmarks)
    parting = (draw[:, :1] - 0.5) * 1.4
    one_side = torch.sigmoid((across - parting) * 6 * (draw[:, 1:2] - 0.5).sign())
    reach = -0.15 + 0.45 * draw[:, 2:3] - (0.30 + 0.35 * draw[:, 3:4]) * one_side - 0.10 * ragged
    down = torch.linspace(1, 0, _STRAND_ROWS).to(landmarks)[:, None] ** 0.8
    height = reach[:, None] + (1 - reach[:, None]) * down
    flat = (1 - height.clamp(-0.7, 1).abs() ** 4).clamp(min=0.0) ** 0.25
    azimuth = (across * (1 - 0.25 * (1 - down)))[None]
    x = radius_x[:, None, None] * flat * azimuth.sin()
    z = back[:, None, None] + radius_z[:, None, None] * flat * azimuth.cos() - 10.0 * height.clamp(min=0)
    y = low[:, None, None] + (high - low)[:, None, None] * height
    shine = 0.6 + 0.8 * _draw(takes, "shine", _STRANDS, landmarks)
    colour = hair[:, None, None] * shine[:, None, :, None].expand(-1, _STRAND_ROWS, -1, 1)
    return torch.stack([x, y, z], dim=-1).flatten(1, 2), colour.flatten(1, 2)


_FINGERS = ((-30.0, 40.0, 0.10, 66.0, 8.5), (-10.5, 45.0, 0.03, 76.0, 9.0), (10.5, 44.0, -0.04, 72.0, 8.8),
            (30.0, 37.0, -0.12, 56.0, 7.8), (-32.0, -22.0, 0.85, 72.0, 10.5))  # fmt: skip
"""Fingers of a left hand seen from its back: base x and y, lean in radians, length and radius in millimetres."""


def _hand(takes: np.ndarray, landmarks: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    """The back of a hand that covers the mouth, a cheek or an eye, reaching in from below."""
    draw = _draw(takes, "hand", 5, landmarks)
    share = 0.5 - 0.5 * torch.cos(torch.linspace(0, math.pi, _FINGER)).to(landmarks)
    taper = (1 - (2 * share - 1).abs() ** 9).clamp(min=0).sqrt() * (1 - 0.15 * share)
    parts = []
    for x, y, lean, length, radius in _FINGERS:
        along = share * length
        curve = torch.stack([x - math.sin(lean) * along, y + math.cos(lean) * along, -10.0 * share**2], dim=-1)
        parts.append(tube(curve[None], radius * taper, _FINGER_SIDES))
    along = torch.linspace(-150, 58, _FINGER).to(landmarks)
    broad = 32.0 + 12.0 * torch.sigmoid((along + 40.0) / 12.0)
    palm = torch.stack([0 * share, along, -2.0 + 0 * share], dim=-1)
    palm = tube(palm[None], broad * ((60.0 - along) / 14.0).clamp(max=1.0).sqrt(), _FINGER_SIDES)
    palm = palm * palm.new_tensor([1.0, 1.0, 0.34])
    hand = torch.cat([*parts, palm], dim=1) - landmarks.new_tensor([0.0, 62.0, 0.0])
    side = torch.where(draw[:, 0] < 0.5, -1.0, 1.0).to(landmarks)
    spots = torch.stack([landmarks[:, 48:68].mean(dim=1), landmarks[:, 3] * 0.75 + landmarks[:, 30] * 0.25,
                         landmarks[:, 36:42].mean(dim=1)], dim=1)  # fmt: skip
    spot = spots[torch.arange(len(side)), (draw[:, 1] * 3).long().clamp(max=2)]
    spot = torch.stack([spot[:, 0].abs() * side, spot[:, 1], spot[:, 2]], dim=1)
    turn = side * (0.15 + 0.75 * draw[:, 2])
    hand = hand * torch.stack([side, torch.ones_like(side), torch.ones_like(side)], dim=1)[:, None]
    cos, sin = turn.cos()[:, None], turn.sin()[:, None]
    turned = torch.stack([cos * hand[..., 0] - sin * hand[..., 1], sin * hand[..., 0] + cos * hand[..., 1],
                          hand[..., 2]], dim=-1)  # fmt: skip
    lift = landmarks.new_tensor([0.0, 0.0, 1.0]) * (16.0 + 8.0 * draw[:, 3:4])
    colour = (skin * (0.85 + 0.3 * draw[:, 4:5])).clamp(0.0, 1.0)
    return turned + (spot + lift)[:, None], colour[:, None].expand(-1, turned.shape[1], -1)
