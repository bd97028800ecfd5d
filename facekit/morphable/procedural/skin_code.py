"""The texture code: what makes one skin differ from another, dimension by dimension.

Every dimension is ~ N(0, 1) and independent over a population; what goes together in people (dark skin with dark hair
and eyes, freckles with fair skin) is written where the code is decoded. A few dimensions lean on the person's sex and
age, see `sample_skin`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NUM_PATTERNS = 8


class TextureDimension(NamedTuple):
    """Name and meaning of one entry of the texture code; `masculinity` and `age` are its correlations with those."""

    name: str
    meaning: str
    masculinity: float = 0.0
    age: float = 0.0


TEXTURE_DIMENSIONS: tuple[TextureDimension, ...] = (
    TextureDimension("melanin", "skin pigment: palest to darkest human skin"),
    TextureDimension("haemoglobin", "blood in the skin all over"),
    TextureDimension("carotene", "yellowness of the fat under the skin"),
    TextureDimension("cheek_flush", "blood in the cheeks"),
    TextureDimension("nose_flush", "blood in the tip and wings of the nose", 0.15, 0.25),
    TextureDimension("ear_flush", "blood in the ears"),
    TextureDimension("forehead_tan", "pigment of forehead and nose against the lower face"),
    TextureDimension("under_eye", "darkness under the eyes", 0.0, 0.3),
    TextureDimension("lip_flush", "blood in the lips", -0.3),
    TextureDimension("lip_melanin", "pigment of the lips"),
    TextureDimension("mottling", "unevenness of the skin", 0.0, 0.4),
    TextureDimension("freckles", "number and strength of freckles", 0.0, -0.15),
    TextureDimension("moles", "number of moles", 0.0, 0.2),
    TextureDimension("blemishes", "number of red spots", 0.1, -0.35),
    TextureDimension("hair_melanin", "darkness of hair and brows"),
    TextureDimension("hair_red", "red in the hair"),
    TextureDimension("hair_grey", "grey in hair and beard", 0.1, 0.75),
    TextureDimension("hair_cover", "how densely the scalp shows hair", -0.35, -0.3),
    TextureDimension("hair_recession", "how far the hairline has moved back", 0.5, 0.4),
    TextureDimension("brow_density", "how densely hairs stand in the brows", 0.35, -0.1),
    TextureDimension("brow_width", "height of the brows", 0.45),
    TextureDimension("brow_reach", "length of the brows"),
    TextureDimension("lashes", "strength of the lash line", -0.45),
    TextureDimension("iris_melanin", "iris colour from blue over green to brown"),
    TextureDimension("iris_green", "green against grey in light irises"),
    TextureDimension("pupil", "width of the pupil"),
    TextureDimension("sclera", "warmth of the white of the eye", 0.0, 0.4),
    TextureDimension("beard", "beard shadow on jaw and chin", 0.8),
    TextureDimension("moustache", "beard shadow on the upper lip", 0.75),
    TextureDimension("teeth", "darkness of the teeth", 0.0, 0.4),
    *(TextureDimension(f"pattern_{i + 1}", "where the person's spots and unevenness lie") for i in range(NUM_PATTERNS)),
)
"""The entries of the texture code, in order."""
NUM_TEXTURE = len(TEXTURE_DIMENSIONS)
_POSITION = {dimension.name: index for index, dimension in enumerate(TEXTURE_DIMENSIONS)}


def texture_index(name: str) -> int:
    """Place of a named dimension in the texture code; `ValueError` names the known ones."""
    if name not in _POSITION:
        raise ValueError(f"no texture dimension '{name}'; there are {', '.join(_POSITION)}")
    return _POSITION[name]


def sample_skin(
    count: int, generator: torch.Generator, masculinity: Tensor | None = None, age: Tensor | None = None
) -> Tensor:
    """Texture codes (N, T) of `count` people.

    `masculinity` and `age` (N,), each ~ N(0, 1) over the population, shift what goes with sex and age (beard, brows,
    grey hair) by the correlations of `TEXTURE_DIMENSIONS`; every dimension stays ~ N(0, 1).
    """
    code = torch.randn(count, NUM_TEXTURE, generator=generator, device=generator.device)
    own = torch.ones(NUM_TEXTURE, device=code.device)
    shift = torch.zeros_like(code)
    for latent, attribute in ((masculinity, "masculinity"), (age, "age")):
        if latent is not None:
            load = code.new_tensor([getattr(dimension, attribute) for dimension in TEXTURE_DIMENSIONS])
            shift = shift + latent.to(code)[:, None] * load
            own = own - load**2
    return shift + own.sqrt() * code
