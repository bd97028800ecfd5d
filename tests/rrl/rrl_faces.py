"""A face of 68 landmarks for the tests, symmetric about the vertical through the middle of the picture."""

import torch

from facekit.data import LANDMARK_MIRROR

SIZE = 112


def symmetric_face(roll: float = 0.0, zoom: float = 1.0, shift=(0.0, 0.0)) -> torch.Tensor:
    """Landmarks (1, 68, 2) in pixels of a 112-pixel picture; ``roll`` in degrees about the middle."""
    right = {
        17: (26, 40), 18: (30, 36), 19: (35, 34), 20: (41, 35), 21: (47, 37), 31: (50, 66), 32: (53, 68),
        36: (32, 45), 37: (36, 42), 38: (41, 42), 39: (45, 46), 40: (41, 48), 41: (36, 48),
        48: (42, 80), 49: (47, 77), 50: (53, 75), 60: (44, 80), 61: (52, 79), 67: (52, 82), 59: (47, 85), 58: (52, 87),
        **{number: (20 + 3 * number, 50 + 6 * number) for number in range(8)},
    }  # fmt: skip
    middle = {8: (56, 100), 27: (56, 45), 28: (56, 50), 29: (56, 55), 30: (56, 60), 33: (56, 69), 51: (56, 75.5)}
    middle |= {57: (56, 88), 62: (56, 79), 66: (56, 82)}
    points = torch.zeros(68, 2)
    for number, place in (right | middle).items():
        points[number] = torch.tensor(place, dtype=torch.float32)
        points[LANDMARK_MIRROR[number]] = torch.tensor([SIZE - place[0], place[1]], dtype=torch.float32)
    angle = torch.deg2rad(torch.tensor(roll))
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    return ((points - SIZE / 2) @ turn.T * zoom + SIZE / 2 + torch.tensor(shift))[None]
