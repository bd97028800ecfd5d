import pytest
import torch
from render_scenes import random_scene
from torch.testing import assert_close

from facekit.render import RenderError, interpolate, rasterize, sample_texture


def scene(dtype=torch.float64):
    first, faces = random_scene(0, 12, (8, 9), dtype)
    second, _ = random_scene(1, 12, (8, 9), dtype)
    screen = torch.cat([first, second])
    return screen, faces, rasterize(screen, faces, (8, 9))


def attributes(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agrees_with_a_loop_over_pixels(dtype):
    _, faces, fragments = scene(dtype)
    values = attributes(2, 36, 4, dtype=dtype)
    found = interpolate(fragments, faces, values)
    expected = torch.zeros(2, 4, 8, 9, dtype=dtype)
    for b, i, j in fragments.mask.nonzero().tolist():
        corners = faces[fragments.face[b, i, j]]
        expected[b, :, i, j] = fragments.barycentric[b, i, j] @ values[b, corners]
    assert_close(found, expected)


def test_attributes_of_all_samples():
    _, faces, fragments = scene()
    values = attributes(36, 4)
    assert_close(interpolate(fragments, faces, values), interpolate(fragments, faces, values.expand(2, -1, -1)))


def test_gradients_to_attributes_and_vertices():
    screen, faces, fragments = scene()
    values = attributes(2, 36, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: interpolate(fragments, faces, v), (values,), fast_mode=True)

    def drawn(moved, values):
        return interpolate(rasterize(moved, faces, (8, 9)), faces, values)

    assert torch.autograd.gradcheck(drawn, (screen.requires_grad_(), values), fast_mode=True)
    assert torch.autograd.gradgradcheck(drawn, (screen, values), fast_mode=True)


def test_wrong_batch_is_named():
    _, faces, fragments = scene()
    with pytest.raises(RenderError, match=r"attributes must be \(2, V, C\) or \(V, C\), found \(3, 36, 4\)"):
        interpolate(fragments, faces, attributes(3, 36, 4))


def test_what_does_not_fit_the_triangles_is_named():
    _, faces, fragments = scene()
    with pytest.raises(RenderError, match=r"faces hold vertex indices from 0 to 35, expected 0 to 8 for 9 vertices"):
        interpolate(fragments, faces, attributes(9, 4))
    with pytest.raises(RenderError, match=r"attributes must be floating point, found torch.int64"):
        interpolate(fragments, faces, attributes(36, 4).long())


def test_the_wider_of_two_types_is_taken():
    screen, faces, fragments = scene()
    values = attributes(36, 4)
    expected = interpolate(fragments, faces, values)
    assert_close(interpolate(fragments, faces, values.float()), expected, atol=1e-6, rtol=0)
    narrow = rasterize(screen.float(), faces, fragments.shape[1:])
    assert interpolate(narrow, faces, values).dtype == torch.float64
    assert interpolate(narrow, faces, values.half()).dtype == torch.float32


def test_texture_is_met_at_its_texel_centres():
    texture = attributes(2, 3, 4, 5)
    i, j = torch.meshgrid(torch.arange(4).double(), torch.arange(5).double(), indexing="ij")
    uv = torch.stack([(j + 0.5) / 5, 1 - (i + 0.5) / 4]).expand(2, -1, -1, -1)
    assert_close(sample_texture(texture, uv), texture)
    assert_close(sample_texture(texture[:1], uv), texture[:1].expand(2, -1, -1, -1))


def test_texture_is_bilinear_and_goes_on_beyond_its_border():
    texture = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    uv = torch.tensor([[0.5, 0.5], [0.25, 0.75], [-3.0, 0.25], [0.5, 9.0]]).T.view(1, 2, 4, 1)
    assert_close(sample_texture(texture, uv).flatten(), torch.tensor([1.5, 0.0, 2.0, 0.5]))


def test_gradients_of_the_texture():
    texture = attributes(1, 2, 4, 4).requires_grad_()
    generator = torch.Generator().manual_seed(3)
    uv = torch.rand(1, 2, 3, 3, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(sample_texture, (texture, uv))


def test_wrong_textures_are_named():
    with pytest.raises(RenderError, match=r"texture must be \(1, C, H, W\), found \(3, 8, 8\)"):
        sample_texture(torch.zeros(3, 8, 8), torch.zeros(1, 2, 4, 4))
    with pytest.raises(RenderError, match=r"uv_image must be \(B, 2, H, W\), found \(1, 3, 4, 4\)"):
        sample_texture(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4))
    for texture in (torch.zeros(1, 3, 0, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(RenderError, match=r"texture must hold floating point texels, found torch\."):
            sample_texture(texture, torch.zeros(1, 2, 4, 4))
    assert sample_texture(torch.zeros(1, 3, 8, 8).double(), torch.zeros(1, 2, 4, 4)).dtype == torch.float64
