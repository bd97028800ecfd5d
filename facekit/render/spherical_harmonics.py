"""Light from far away as spherical harmonics, and how a matte surface answers to it.

Ramamoorthi and Hanrahan, *An Efficient Representation for Irradiance Environment Maps* (SIGGRAPH 2001): a Lambertian
surface with normal n and albedo a under the radiance L(w) = sum_lm L_lm Y_lm(w) shines back

    a / pi * E(n),   E(n) = sum_lm A_l L_lm Y_lm(n),   A_0 = pi, A_1 = 2 pi / 3, A_2 = pi / 4,

and the first nine terms hold at least 99 % of E. ``light`` (B, 9, 3) is L_lm for red, green and blue, in the order
Y_00, Y_1-1, Y_10, Y_11, Y_2-2, Y_2-1, Y_20, Y_21, Y_22, in the frame of the camera: x right, y up, z to the viewer.
"""

import math

import torch
from torch import Tensor

from facekit.meshes.precision import full_precision
from facekit.render.checks import RenderError

_BAND_0 = math.sqrt(1 / (4 * math.pi))
_BAND_1 = math.sqrt(3 / (4 * math.pi))
_BAND_2 = math.sqrt(15 / (4 * math.pi))
_COSINE_LOBE = (1.0, *[2 / 3] * 3, *[1 / 4] * 5)


def sh_basis(normals: Tensor) -> Tensor:
    """The nine real, orthonormal spherical harmonics of the bands 0, 1 and 2.

    Args:
        normals: (..., 3) unit vectors.

    Returns:
        (..., 9) Y_lm.

    Raises:
        RenderError: if the last axis has not three entries.
    """
    if not normals.dim() or normals.shape[-1] != 3:
        raise RenderError(f"normals must be (..., 3), found {tuple(normals.shape)}.")
    x, y, z = normals.movedim(-1, 0).contiguous()
    terms = (
        torch.full_like(x, _BAND_0),
        _BAND_1 * y,
        _BAND_1 * z,
        _BAND_1 * x,
        _BAND_2 * x * y,
        _BAND_2 * y * z,
        _BAND_2 / math.sqrt(12) * (3 * z * z - 1),
        _BAND_2 * x * z,
        _BAND_2 / 2 * (x * x - y * y),
    )
    return torch.stack(terms).movedim(0, -1)


@full_precision
def sh_irradiance(normals: Tensor, light: Tensor) -> Tensor:
    """Irradiance over pi, E(n) / pi: what multiplies the albedo. White light from everywhere gives one.

    Args:
        normals: (B, ..., 3) unit vectors.
        light: (B, 9, 3), or (1, 9, 3) for all samples.

    Returns:
        (B, ..., 3), of the normals' floating point type. Nine terms of a sharp light can dip below zero on its far
        side; :func:`shade` clamps.

    Raises:
        RenderError: if a shape does not fit.
    """
    if normals.dim() < 2:
        raise RenderError(f"normals must be (B, ..., 3), found {tuple(normals.shape)}.")
    check_light(light, normals.shape[0])
    lobes = _cosine_lobes(light.to(normals.dtype)).mT.expand(normals.shape[0], -1, -1)
    basis = sh_basis(normals).movedim(-1, 0)[..., None].flatten(2).transpose(0, 1)
    return (lobes @ basis).mT.reshape(normals.shape)


def shade(albedo: Tensor, normals: Tensor, light: Tensor) -> Tensor:
    """Light that a matte surface sends back: albedo * max(E(n) / pi, 0), linear, not limited above.

    Args:
        albedo: (B, ..., 3) linear RGB in [0, 1].
        normals: (B, ..., 3) unit vectors.
        light: (B, 9, 3), or (1, 9, 3) for all samples.

    Returns:
        (B, ..., 3).

    Raises:
        RenderError: if the shape of the normals or the light does not fit.
    """
    return albedo * sh_irradiance(normals, light).clamp(min=0)


def ambient_light(radiance: Tensor) -> Tensor:
    """Light that comes equally from everywhere: (B, 3) radiance to (B, 9, 3). Radiance one shows the albedo itself.

    Raises:
        RenderError: if the radiance is not (B, 3) floating point.
    """
    _check_colours("radiance", radiance)
    light = radiance.new_zeros(radiance.shape[0], 9, 3)
    light[:, 0] = radiance / _BAND_0
    return light


def directional_light(directions: Tensor, irradiance: Tensor) -> Tensor:
    """A distant lamp: its delta function projected on the nine harmonics, L_lm = pi * irradiance * Y_lm(direction).

    Args:
        directions: (B, 3) unit vectors towards the lamp.
        irradiance: (B, 3) what a surface facing the lamp receives, over pi.

    Returns:
        (B, 9, 3); lights add.

    Raises:
        RenderError: if either is not (B, 3) floating point.
    """
    _check_colours("directions", directions)
    _check_colours("irradiance", irradiance)
    return math.pi * sh_basis(directions)[..., None] * irradiance[:, None]


def flip_light(light: Tensor) -> Tensor:
    """The light of a mirrored image (x to -x): terms that are odd in x change sign."""
    signs = light.new_tensor([1, 1, 1, -1, -1, 1, 1, -1, 1])
    return light * signs[:, None]


def sample_light(
    count: int, generator: torch.Generator, contrast: float = 1.0, exposure: tuple[float, float] = (0.8, 1.15)
) -> Tensor:
    """Plausible lights for portraits: a key lamp before the face, a weaker fill from the other side, and the room.

    Args:
        count: how many.
        generator: CPU generator; the same state gives the same lights everywhere.
        contrast: zero for even light, one for the usual range; scales how much of the light is directed.
        exposure: range of the mean irradiance over pi on a face turned to the viewer.

    Returns:
        (count, 9, 3) float32.
    """
    uniform = torch.rand(count, 12, generator=generator)
    key_angle = (uniform[:, 0] * 2 - 1) * math.radians(85)
    height = torch.deg2rad(-15 + 75 * uniform[:, 1])
    fill_angle = -torch.sign(key_angle) * torch.deg2rad(20 + 60 * uniform[:, 2])
    directed = contrast * (0.35 + 0.6 * uniform[:, 3:4])
    key = directional_light(_direction(key_angle, height), directed * _tint(uniform[:, 4:6]))
    fill_share = directed * (0.1 + 0.4 * uniform[:, 6:7])
    fill = directional_light(_direction(fill_angle, 0.3 * height), fill_share * _tint(uniform[:, 7:9]))
    room = ambient_light((1 - directed).clamp(min=0.1) * _tint(uniform[:, 9:11]))
    light = key + fill + room
    low, high = exposure
    level = low + (high - low) * uniform[:, 11]
    return light * (level / _frontal_irradiance(light))[:, None, None]


def _direction(azimuth: Tensor, elevation: Tensor) -> Tensor:
    """Unit vectors (N, 3) at an azimuth from straight ahead (+z) towards +x and an elevation, in radians."""
    return torch.stack([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], -1)


def _tint(uniform: Tensor) -> Tensor:
    """(N, 2) in [0, 1] to RGB factors near one: warm to cool, and a little green to magenta."""
    warm, green = (uniform * 2 - 1).unbind(-1)
    return torch.stack([1 + 0.09 * warm, 1 + 0.02 * green, 1 - 0.1 * warm], -1)


def _frontal_irradiance(light: Tensor) -> Tensor:
    """Mean irradiance over pi, (N,), over normals of a face: nine directions within 50 degrees of the viewer."""
    steps = torch.deg2rad(torch.tensor([-50.0, 0.0, 50.0], dtype=light.dtype, device=light.device))
    normals = _direction(steps.repeat(3), steps.repeat_interleave(3))
    return sh_irradiance(normals.expand(light.shape[0], -1, -1), light).clamp(min=0).mean((1, 2))


def _check_colours(name: str, values: Tensor) -> None:
    if values.dim() != 2 or values.shape[1] != 3 or not values.is_floating_point():
        raise RenderError(f"{name} must be floating point (B, 3), found {values.dtype} {tuple(values.shape)}.")


def _cosine_lobes(light: Tensor) -> Tensor:
    return light * light.new_tensor(_COSINE_LOBE)[:, None]


def check_light(light: Tensor, batch: int) -> None:
    """Check that ``light`` is (batch, 9, 3) or (1, 9, 3).

    Raises:
        RenderError: if it is not.
    """
    if tuple(light.shape) not in ((1, 9, 3), (batch, 9, 3)):
        raise RenderError(f"light must be ({batch}, 9, 3), found {tuple(light.shape)}.")
