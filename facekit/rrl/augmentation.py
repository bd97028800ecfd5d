"""Random changes of pictures, a whole batch at once: flips, colour, grey, blur, and crops for those who want them.

Song et al. (RRL), Section 3.1: two views of each picture, whose colours are distorted by different amounts. Every
number belongs to a row's seed, so that a view does not depend on workers, processes or the rest of the batch. Landmarks
move with the pixels, and the attention maps are made from the moved landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facekit.data import crop, row_uniform
from facekit.data.transforms import mirror_some

GREY = (0.299, 0.587, 0.114)
BLUR_OF_WIDTH = (0.0005, 0.009)
"""Standard deviation of the blur as shares of the picture's width: BYOL's 0.1 to 2 pixels of 224."""


@dataclass(frozen=True)
class ViewSettings:
    """How one view is distorted; probabilities, and largest relative changes."""

    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    """Largest turn of the hue, in turns."""
    grey: float = 0.2
    blur: float = 1.0
    smallest_crop: float = 1.0
    """Least share of the width that a random crop keeps; the paper does not crop."""


FIRST_VIEW = ViewSettings()
"""The first view, with strong changes of colour and always blurred."""
SECOND_VIEW = ViewSettings(brightness=0.2, contrast=0.2, saturation=0.1, hue=0.05, blur=0.1)
"""The second view, with weaker changes of colour and seldom blurred."""
UNCHANGED = ViewSettings(flip=0.0, jitter=0.0, grey=0.0, blur=0.0)
"""The picture as it is."""


def random_view(sample: Mapping[str, Tensor], seeds: Tensor, settings: ViewSettings, name: str) -> dict[str, Tensor]:
    """One view of a batch.

    Args:
        sample: ``image (B, 3, H, W)`` in [0, 1], and whatever else ``facekit.data.mirror`` and ``crop`` carry along
            (landmarks, pose, ...).
        seeds: (B,) int64.
        settings: how strongly.
        name: of the view; another name draws other numbers from the same seeds.
    """
    draw = row_uniform(seeds.numpy(), f"rrl {name}", 13)
    view = mirror_some(sample, torch.from_numpy(draw[:, 0] < settings.flip))
    if settings.smallest_crop < 1.0:
        view = crop(
            view, _boxes(draw[:, 1:4], view["image"].shape[-1], settings.smallest_crop), view["image"].shape[-1]
        )
    images = _colours(view["image"], draw[:, 4:10], settings)
    width = images.shape[-1]
    sigma = width * (BLUR_OF_WIDTH[0] + (BLUR_OF_WIDTH[1] - BLUR_OF_WIDTH[0]) * draw[:, 11])
    sigma = torch.from_numpy(np.where(draw[:, 10] < settings.blur, sigma, 0.0)).to(images)
    if settings.blur:
        images = gaussian_blur(images, sigma)
    return view | {"image": images.clamp(0.0, 1.0)}


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Images (B, C, H, W), each blurred with its own standard deviation (B,) in pixels; 0 leaves one as it is."""
    height, width = images.shape[-2:]
    return _blur_matrix(height, sigma)[:, None] @ images @ _blur_matrix(width, sigma)[:, None].transpose(-1, -2)


def _blur_matrix(size: int, sigma: Tensor) -> Tensor:
    """(B, size, size), rows summing to one: near the border the missing part is left out."""
    place = torch.arange(size, device=sigma.device, dtype=sigma.dtype)
    distance = (place[:, None] - place).square()
    weight = torch.exp(-0.5 * distance / sigma.clamp(min=1e-3).square()[:, None, None])
    return weight / weight.sum(dim=2, keepdim=True)


def _boxes(draw: np.ndarray, width: int, smallest: float) -> Tensor:
    side = width * (smallest + (1.0 - smallest) * draw[:, 0])
    return torch.from_numpy(np.stack([(width - side) * draw[:, 1], (width - side) * draw[:, 2], side], axis=1))


def _colours(images: Tensor, draw: np.ndarray, settings: ViewSettings) -> Tensor:
    """Brightness, contrast, saturation and hue, each by a random amount in its range; some pictures in grey."""
    chosen = draw[:, 4] < settings.jitter
    amounts = [settings.brightness, settings.contrast, settings.saturation, settings.hue]
    change = np.where(chosen[:, None], (2.0 * draw[:, :4] - 1.0) * np.array(amounts), 0.0)
    brightness, contrast, saturation, hue = torch.from_numpy(change).to(images).unbind(1)
    saturation = torch.where(torch.from_numpy(draw[:, 5] < settings.grey).to(images.device), -1.0, saturation)
    matrix = (1.0 + brightness)[:, None, None] * (_saturation(1.0 + saturation) @ _hue(hue))
    images = torch.einsum("bij,bjhw->bihw", matrix, images)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return middle + (1.0 + contrast)[:, None, None, None] * (images - middle)


def _saturation(factor: Tensor) -> Tensor:
    """Matrices (B, 3, 3): 1 keeps the colours, 0 makes grey."""
    grey = factor.new_tensor(GREY).expand(3, 3)
    return grey + factor[:, None, None] * (torch.eye(3).to(factor) - grey)


def _hue(turns: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that turn colours about the grey axis."""
    axis = turns.new_full((3,), 3.0**-0.5)
    cross = torch.linalg.cross(torch.eye(3).to(turns), axis.expand(3, 3), dim=1)
    angle = (2.0 * torch.pi * turns)[:, None, None]
    along = axis[:, None] * axis
    return angle.cos() * torch.eye(3).to(turns) + angle.sin() * cross + (1.0 - angle.cos()) * along
