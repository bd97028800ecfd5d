"""Colours of skin, hair and iris from the pigments in them.

Skin is a scattering layer with absorbing pigments. Kubelka and Munk (1931) give the reflectance of a thick layer from
the ratio of absorption K to scattering S: R = 1 + K/S - sqrt((K/S)^2 + 2 K/S). Absorptions of pigments add. The
ratios below are for the red, green and blue of a camera: melanin absorbs blue six times as much as red, haemoglobin
mainly green (it is why blood looks red), carotene blue alone. All colours are linear RGB.
"""

from __future__ import annotations

import torch
from torch import Tensor

# K/S per unit of pigment (red, green, blue).
MELANIN = (1.0, 3.1, 6.0)
HAEMOGLOBIN = (0.05, 1.0, 0.82)
CAROTENE = (0.0, 0.12, 1.0)
DERMIS = (0.012, 0.03, 0.055)

EUMELANIN_HAIR = (1.5, 3.0, 5.6)
PHEOMELANIN_HAIR = (0.35, 2.6, 7.0)
GREY_HAIR = (0.42, 0.41, 0.40)

BROWN_IRIS, GREEN_IRIS, GREY_IRIS, BLUE_IRIS = (
    (0.085, 0.036, 0.014),
    (0.17, 0.16, 0.065),
    (0.21, 0.24, 0.27),
    (0.13, 0.22, 0.36),
)


def kubelka_munk(ratio: Tensor) -> Tensor:
    """Reflectance of a thick scattering layer with absorption-to-scattering ratio K/S >= 0."""
    return 1.0 / (1.0 + ratio + torch.sqrt(ratio * ratio + 2.0 * ratio + 1e-8))


def skin_color(melanin: Tensor, haemoglobin: Tensor, carotene: Tensor) -> Tensor:
    """Linear RGB (..., 3) of skin from amounts of pigment (...), each >= 0."""
    amounts = ((melanin, MELANIN), (haemoglobin, HAEMOGLOBIN), (carotene, CAROTENE))
    ratio = sum(amount[..., None] * amount.new_tensor(pigment) for amount, pigment in amounts)
    return kubelka_munk(ratio + melanin.new_tensor(DERMIS))


def hair_color(eumelanin: Tensor, pheomelanin: Tensor, grey: Tensor) -> Tensor:
    """Linear RGB (..., 3) of hair: eumelanin makes it brown to black, pheomelanin red; `grey` is a share in [0, 1]."""
    ratio = eumelanin[..., None] * eumelanin.new_tensor(EUMELANIN_HAIR) + pheomelanin[..., None] * eumelanin.new_tensor(
        PHEOMELANIN_HAIR
    )
    pigmented = kubelka_munk(ratio + eumelanin.new_tensor(DERMIS) * 3)
    return torch.lerp(pigmented, eumelanin.new_tensor(GREY_HAIR).expand_as(pigmented), grey[..., None])


def iris_color(melanin: Tensor, green: Tensor) -> Tensor:
    """Linear RGB (..., 3) of the iris: little melanin looks blue or grey, more looks green, most people's is brown.

    Args:
        melanin (...): share in [0, 1]. green (...): in [0, 1], green against grey of light irises.
    """
    blue, grey, leaf, brown = (melanin.new_tensor(color) for color in (BLUE_IRIS, GREY_IRIS, GREEN_IRIS, BROWN_IRIS))
    light = torch.lerp(
        torch.lerp(blue.expand(*melanin.shape, 3), grey.expand(*melanin.shape, 3), 1 - green[..., None]),
        leaf.expand(*melanin.shape, 3),
        smooth_rise(melanin, 0.15, 0.5)[..., None],
    )
    return torch.lerp(light, brown.expand_as(light), smooth_rise(melanin, 0.4, 0.75)[..., None])


def smooth_rise(x: Tensor, start: float, stop: float) -> Tensor:
    """0 before `start`, 1 after `stop`, a smooth cubic between."""
    x = ((x - start) / (stop - start)).clamp(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
