import math

import pytest
import torch
from render_scenes import grid_mesh, sphere
from torch.testing import assert_close

from facekit.render import RenderError, antialias, rasterize
from facekit.render.silhouettes import mesh_edges

TRIANGLE = torch.tensor([[[3.2, 2.6, 0.0], [5.9, 20.3, 0.0], [24.7, 9.1, 0.0]]], dtype=torch.float64)
FACE = torch.tensor([[0, 1, 2]])


def coverage(screen, faces, size):
    fragments = rasterize(screen, faces, size)
    mask = fragments.mask[:, None].to(screen.dtype)
    return antialias(mask, fragments, screen, faces)[:, 0]


def triangle_area(corners):
    a, b, c = corners[0, :, :2]
    return ((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]).abs() / 2


def disc(radius, centre, segments=200, depth=0.0):
    angle = torch.arange(segments, dtype=torch.float64) * (2 * math.pi / segments)
    rim = torch.stack([centre[0] + radius * angle.cos(), centre[1] + radius * angle.sin(), angle * 0 + depth], -1)
    middle = torch.tensor([[*centre, depth]], dtype=torch.float64)
    ids = torch.arange(segments)
    faces = torch.stack([torch.full_like(ids, segments), (ids + 1) % segments, ids], -1)
    return torch.cat([rim, middle])[None], faces


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_covered_area_of_a_triangle(dtype):
    found = coverage(TRIANGLE.to(dtype), FACE, 28)
    assert found.min() >= 0 and found.max() <= 1
    assert abs(found.sum() - triangle_area(TRIANGLE)) < 0.8
    hard = rasterize(TRIANGLE.to(dtype), FACE, 28).mask
    assert (found != hard).sum() > 20


def test_soft_mask_is_close_to_the_true_coverage():
    screen, faces = disc(11.3, (16.4, 15.7))
    fine = rasterize(screen * torch.tensor([8.0, 8.0, 1.0]), faces, 256).mask.double()
    true = torch.nn.functional.avg_pool2d(fine[:, None], 8)[:, 0]
    soft, hard = coverage(screen, faces, 32), rasterize(screen, faces, 32).mask.double()
    assert (soft - true).abs().sum() < 0.4 * (hard - true).abs().sum()
    assert abs(soft.sum() - math.pi * 11.3**2) < 1.0


def test_outline_moves_the_covered_area():
    """dA / dr of a disc is its circumference; hard masks have no gradient at all."""
    screen, faces = disc(11.3, (16.4, 15.7))
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    centre = torch.tensor([16.4, 15.7, 0.0], dtype=torch.float64)
    coverage(centre + (screen - centre) * factor, faces, 32).sum().backward()
    assert_close(factor.grad.item(), 2 * math.pi * 11.3 * 11.3, rtol=0.02, atol=0)


def test_small_triangles_are_served_too():
    """A sphere of triangles much smaller than a pixel: the outline is made of many short edges."""
    vertices, faces = sphere(4, 9.7)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    screen = vertices * torch.tensor([1.0, -1.0, -1.0]) * factor + torch.tensor([12.2, 11.9, 0.0])
    area = coverage(screen[None], faces, 24).sum()
    area.backward()
    assert abs(area.item() - math.pi * 9.7**2) < 1.5
    assert_close(factor.grad.item(), 2 * math.pi * 9.7**2, rtol=0.03, atol=0)


def test_gradients_against_finite_differences():
    screen = TRIANGLE.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda moved: coverage(moved, FACE, 28), (screen,))
    colours = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fragments = rasterize(TRIANGLE, FACE, 28)
    assert torch.autograd.gradcheck(
        lambda image: antialias(image, fragments, TRIANGLE, FACE), (colours.requires_grad_(),), fast_mode=True
    )


def test_hidden_outlines_do_nothing():
    behind, faces = disc(5.0, (12.3, 12.1), segments=30, depth=10.0)
    wall = torch.tensor([[[-9.0, -9.0, -30.0], [-9.0, 90.0, 0.0], [90.0, -9.0, -10.0]]], dtype=torch.float64)
    screen = torch.cat([behind, wall], 1)
    faces = torch.cat([faces, torch.tensor([[31, 32, 33]])])
    fragments = rasterize(screen, faces, 24)
    image = torch.rand(1, 2, 24, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(antialias(image, fragments, screen, faces), image)


def test_outlines_before_a_surface_blend_its_colour():
    front, faces = disc(5.0, (12.3, 12.1), segments=30, depth=-10.0)
    wall = torch.tensor([[[-9.0, -9.0, 0.0], [-9.0, 90.0, 0.0], [90.0, -9.0, 0.0]]], dtype=torch.float64)
    screen = torch.cat([front, wall], 1)
    faces = torch.cat([faces, torch.tensor([[31, 32, 33]])])
    fragments = rasterize(screen, faces, 24)
    image = (fragments.face < 30)[:, None].double()
    assert abs(antialias(image, fragments, screen, faces).sum() - math.pi * 25) < 1.0


def test_folds_inside_a_surface_and_flat_nets_do_nothing():
    net, faces = grid_mesh(5, 5, (16, 16), margin=4.0, jitter=2.0)
    screen = torch.cat([net[:, :2], net[:, :1] * 0.3], -1)[None]
    fragments = rasterize(screen, faces, 16)
    image = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.equal(antialias(image, fragments, screen, faces), image)


def test_a_batch_is_its_samples():
    other = TRIANGLE + torch.tensor([1.3, 0.4, 0.0])
    together = coverage(torch.cat([TRIANGLE, other]), FACE, (26, 31))
    assert_close(together[0], coverage(TRIANGLE, FACE, (26, 31))[0])
    assert_close(together[1], coverage(other, FACE, (26, 31))[0])


def test_edges_and_their_triangles():
    faces = torch.tensor([[0, 1, 2], [2, 1, 3], [5, 4, 6]])
    edges = mesh_edges(faces)
    found = {frozenset(pair) for pair in edges.corners[:2].T.tolist()}
    assert found == {frozenset(p) for p in [(0, 1), (1, 2), (2, 0), (1, 3), (2, 3), (4, 5), (5, 6), (4, 6)]}
    inner = (edges.triangles[1] >= 0).nonzero().squeeze(1)
    assert edges.triangles[:, inner].T.tolist() == [[0, 1]]
    for (start, end, third), (triangle, _) in zip(edges.corners.T.tolist(), edges.triangles.T.tolist(), strict=True):
        assert {start, end, third} == set(faces[triangle].tolist())


def test_kept_edges_follow_a_change_of_the_faces():
    faces = torch.tensor([[0, 1, 2], [2, 1, 3]])
    assert mesh_edges(faces) is mesh_edges(faces)
    assert mesh_edges(faces).corners.shape[1] == 5
    faces[1, 2] = 0
    assert mesh_edges(faces).corners.shape[1] == 3


def test_edges_made_in_inference_mode_follow_a_change_too():
    with torch.inference_mode():
        faces = torch.tensor([[0, 1, 2], [2, 1, 3]])
        assert mesh_edges(faces) is mesh_edges(faces)
        faces[1, 2] = 0
        assert mesh_edges(faces).corners.shape[1] == 3


def test_a_picture_of_another_size_is_named():
    fragments = rasterize(TRIANGLE, FACE, (26, 31))
    for image in (torch.zeros(1, 2, 26, 30), torch.zeros(2, 2, 26, 31), torch.zeros(1, 2, 26, 31, dtype=torch.uint8)):
        with pytest.raises(RenderError, match=r"image must be floating point \(1, C, 26, 31\) as the fragments, found"):
            antialias(image, fragments, TRIANGLE, FACE)
    half = antialias(fragments.mask[:, None].half(), fragments, TRIANGLE, FACE)
    assert half.dtype == torch.float16 and ((half > 0) & (half < 1)).any()
