import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from facekit.render import (
    RenderError,
    ambient_light,
    directional_light,
    flip_light,
    sample_light,
    sh_basis,
    sh_irradiance,
    shade,
)


def sphere_points(count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, 3) and weights (N,) that integrate over the unit sphere."""
    z, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(count // 2))
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    ring = (1 - z * z).sqrt()[:, None]
    points = torch.stack([ring * angle.cos(), ring * angle.sin(), z[:, None].expand(-1, count)], -1)
    return points.reshape(-1, 3), (weights[:, None] * (2 * math.pi / count)).expand(-1, count).reshape(-1)


def unit_vectors(*shape: int, dtype=torch.float64) -> torch.Tensor:
    vectors = torch.randn(*shape, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return vectors / vectors.norm(dim=-1, keepdim=True)


def test_basis_is_orthonormal():
    points, weights = sphere_points()
    basis = sh_basis(points)
    assert_close(basis.T @ (basis * weights[:, None]), torch.eye(9, dtype=torch.float64))


def test_known_values():
    up = sh_basis(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    expected = [0.282095, 0, 0.488603, 0, 0, 0, 0.630783, 0, 0]
    assert_close(up, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)
    diagonal = sh_basis(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64) / math.sqrt(2))
    expected = [0.282095, 0.345494, 0, 0.345494, 0.546274, 0, -0.315392, 0, 0]
    assert_close(diagonal, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


def test_irradiance_is_the_cosine_integral_of_the_radiance():
    points, weights = sphere_points(400)
    light = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    normals = unit_vectors(2, 6)
    radiance = torch.einsum("nk,bkc->bnc", sh_basis(points), light)
    cosine = (normals @ points.T).clamp(min=0) * weights
    expected = torch.einsum("bmn,bnc->bmc", cosine, radiance) / math.pi
    assert_close(sh_irradiance(normals, light), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ambient_light_shows_the_albedo(dtype):
    normals = unit_vectors(2, 3, 5, dtype=dtype)
    albedo = torch.rand(2, 3, 5, 3, generator=torch.Generator().manual_seed(2), dtype=dtype)
    radiance = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.25, 2.0]], dtype=dtype)
    assert_close(shade(albedo, normals, ambient_light(radiance)), albedo * radiance[:, None, None])


def test_nine_terms_of_a_lamp_are_close_to_its_clamped_cosine():
    points, weights = sphere_points(100)
    lamp = unit_vectors(1)
    found = sh_irradiance(points[None], directional_light(lamp, torch.ones(1, 3, dtype=torch.float64)))[0, :, 0]
    cosine = (points @ lamp[0]).clamp(min=0)
    kept = 1 - ((found - cosine).square() * weights).sum() / (cosine.square() * weights).sum()
    assert 0.99 < kept < 0.998  # Ramamoorthi and Hanrahan 2001: about 99.2 % of the energy


def test_flipped_light_lights_the_mirrored_normal():
    normals = unit_vectors(2, 9)
    light = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    mirrored = normals * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert_close(sh_irradiance(mirrored, flip_light(light)), sh_irradiance(normals, light))


def test_gradients_to_normals_and_light():
    normals = unit_vectors(2, 3).requires_grad_()
    light = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(sh_irradiance, (normals, light))


def test_sampled_lights():
    first = sample_light(300, torch.Generator().manual_seed(6))
    assert torch.equal(first, sample_light(300, torch.Generator().manual_seed(6)))
    assert not torch.equal(first, sample_light(300, torch.Generator().manual_seed(7)))
    towards = torch.tensor([0.0, 0.0, 1.0]).expand(300, 1, 3)
    frontal = sh_irradiance(towards, first)
    assert frontal.min() > 0.2 and 0.7 < frontal.mean() < 1.4
    side = torch.tensor([[0.8, 0.0, 0.6], [-0.8, 0.0, 0.6]]).expand(300, 2, 3)
    left_right = sh_irradiance(side, first).mean(-1)
    difference = left_right[:, 0] - left_right[:, 1]
    assert difference.abs().mean() > 0.2 and difference.mean().abs() < 0.1
    even = sample_light(10, torch.Generator().manual_seed(6), contrast=0.0)
    assert_close(even[:, 1:], torch.zeros(10, 8, 3))


def test_one_normal_for_each_sample():
    normals = unit_vectors(2, 5)
    light = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    assert_close(sh_irradiance(normals[:, 3], light), sh_irradiance(normals, light)[:, 3])
    assert sh_irradiance(normals.float(), light).dtype == torch.float32


def test_wrong_directions_and_colours_are_named():
    with pytest.raises(RenderError, match=r"radiance must be floating point \(B, 3\), found torch.float32 \(3,\)"):
        ambient_light(torch.ones(3))
    with pytest.raises(RenderError, match=r"radiance must be floating point \(B, 3\), found torch.int64 \(1, 3\)"):
        ambient_light(torch.ones(1, 3).long())
    with pytest.raises(RenderError, match=r"directions must be floating point \(B, 3\), found torch.float32 \(3,\)"):
        directional_light(torch.ones(3), torch.ones(1, 3))
    with pytest.raises(RenderError, match=r"irradiance must be floating point \(B, 3\), found .* \(1, 1\)"):
        directional_light(torch.ones(1, 3), torch.ones(1, 1))
    with pytest.raises(RenderError, match=r"normals must be \(\.\.\., 3\), found \(4, 2\)"):
        sh_basis(torch.ones(4, 2))
    with pytest.raises(RenderError, match=r"normals must be \(B, \.\.\., 3\), found \(3,\)"):
        sh_irradiance(torch.ones(3), torch.ones(1, 9, 3))


def test_wrong_light_is_named():
    with pytest.raises(RenderError, match=r"light must be \(2, 9, 3\), found \(2, 27\)"):
        sh_irradiance(torch.zeros(2, 4, 3), torch.zeros(2, 27))
