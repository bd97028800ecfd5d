"""Simple skins for face models that come without one, so that any model can live in the face world.

Skin, lips, brows, eyes and short hair are painted on the vertices by where they lie on the model's average face, which
its 68 landmarks tell; the tones belong to the person.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facekit.data.randomness import row_normal, row_uniform
from facekit.morphable import FaceModel

_SKIN = ((0.72, 0.47, 0.37), (0.58, 0.35, 0.25), (0.36, 0.20, 0.13), (0.16, 0.085, 0.055), (0.07, 0.038, 0.028))
_HAIR = ((0.010, 0.008, 0.007), (0.045, 0.025, 0.015), (0.14, 0.075, 0.035), (0.42, 0.28, 0.13))
_IRIS = ((0.05, 0.025, 0.012), (0.10, 0.05, 0.02), (0.08, 0.12, 0.06), (0.08, 0.17, 0.28))
_IRIS_RADIUS, _PUPIL_RADIUS, _EYEBALL_RADIUS = 6.0, 2.6, 12.0  # millimetres


class PlainPaint:
    """Paints people onto a face model; the masks (V,) in [0, 1] are made once."""

    def __init__(self, model: FaceModel):
        identity = torch.zeros(1, model.num_identity, dtype=model.dtype, device=model.device)
        face = model.shape(identity, model.neutral_expression())[0].float().cpu()
        self.landmarks, self.face = face[model.landmarks.cpu()], face
        regions = {name: mask.cpu() for name, mask in model.regions.items()}
        nothing = torch.zeros(len(face), dtype=torch.bool)
        self.eyes = regions.get("eyes", nothing)
        self.mouth = regions.get("mouth_interior", nothing)
        front = face[:, 2] > self.landmarks[[0, 16], 2].mean()
        painted = front & ~self.eyes & ~self.mouth
        self.lips = (_inside(face[:, :2], self.landmarks[48:60, :2]) & painted).float()
        brows = torch.minimum(_to_line(face, self.landmarks[17:22]), _to_line(face, self.landmarks[22:27]))
        self.brows = torch.sigmoid((4.2 - brows) / 0.8) * painted
        hairline = self.landmarks[17:27, 1].max() + 50.0 - 0.011 * face[:, 0] ** 2
        self.hair = torch.sigmoid((face[:, 1] - hairline) / 1.5)

    def __call__(self, people: np.ndarray, gaze: Tensor) -> Tensor:
        """Linear RGB (B, V, 3) of people (B,) by their seeds, looking along gaze (B, 2) in degrees."""
        draw = row_uniform(people, "paint", 4)
        vary = torch.from_numpy(row_normal(people, "paint tones", 3)).float()
        skin = _tone(_SKIN, draw[:, 0]) * (1.0 + vary * torch.tensor([0.05, 0.03, 0.05]))
        hair = _tone(_HAIR, np.maximum(draw[:, 1] ** 1.5 * (1.2 - draw[:, 0]), 0.0).clip(0, 1))
        lips = skin * torch.tensor([0.95, 0.62, 0.66])
        colour = skin[:, None].expand(-1, len(self.face), -1)
        for mask, paint in ((self.lips, lips), (self.brows, hair * 1.2), (self.hair, hair)):
            colour = colour + mask[:, None] * (paint[:, None] - colour)
        colour = torch.where(self.mouth[:, None], torch.tensor([0.06, 0.015, 0.012]), colour)
        return self._with_eyes(colour, _tone(_IRIS, draw[:, 2]), gaze.cpu()).clamp(0.0, 1.0)

    def _with_eyes(self, colour: Tensor, iris: Tensor, gaze: Tensor) -> Tensor:
        if not self.eyes.any():
            return colour
        points = self.face[self.eyes]
        lids = torch.stack([self.landmarks[36:42].mean(dim=0), self.landmarks[42:48].mean(dim=0)])
        nearest = lids[(points[:, 0] > 0).long()]
        shift = torch.tan(torch.deg2rad(gaze)) * _EYEBALL_RADIUS
        distance = (points[None, :, :2] - nearest[None, :, :2] - shift[:, None]).norm(dim=-1, keepdim=True)
        white = torch.tensor([0.62, 0.58, 0.55])
        in_iris = torch.sigmoid((_IRIS_RADIUS - distance) / 0.35)
        in_pupil = torch.sigmoid((_PUPIL_RADIUS - distance) / 0.35)
        eye = torch.lerp(torch.lerp(white, iris[:, None], in_iris), torch.full((3,), 0.008), in_pupil)
        colour = colour.clone()
        colour[:, self.eyes] = eye
        return colour


def _tone(palette: tuple[tuple[float, ...], ...], place: np.ndarray) -> Tensor:
    """Colours (B, 3) at a place (B,) in [0, 1] along a palette, interpolated."""
    colours = torch.tensor(palette)
    position = torch.from_numpy(place * (len(palette) - 1)).float()
    low = position.floor().long().clamp(0, len(palette) - 2)
    return torch.lerp(colours[low], colours[low + 1], (position - low)[:, None])


def _to_line(points: Tensor, line: Tensor) -> Tensor:
    """Distance (N,) of points (N, 3) to a polyline (K, 3)."""
    start, along = line[:-1], line[1:] - line[:-1]
    share = ((points[:, None] - start) * along).sum(-1) / along.square().sum(-1)
    nearest = start + share.clamp(0.0, 1.0)[..., None] * along
    return (points[:, None] - nearest).norm(dim=-1).amin(dim=1)


def _inside(points: Tensor, polygon: Tensor) -> Tensor:
    """Whether points (N, 2) lie in a polygon (K, 2): a ray to the right crosses its sides an odd number of times."""
    x, y = points[:, 0, None], points[:, 1, None]
    (x1, y1), (x2, y2) = polygon.T, polygon.roll(-1, 0).T
    crosses = ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return crosses.sum(dim=1) % 2 == 1
