import numpy as np
import pytest
import torch
from render_scenes import random_scene, sphere
from torch.testing import assert_close

from facekit.render import RenderError, WeakPerspectiveCamera, interpolate, rasterize
from facekit.render import pytorch3d_backend as backend


def test_its_absence_is_named(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RenderError, match="needs the package pytorch3d, which is not installed"):
        rasterize(torch.zeros(1, 3, 3), torch.tensor([[0, 1, 2]]), 8, backend="pytorch3d")


def both(screen, faces, size, **options):
    pytest.importorskip("pytorch3d")
    return [rasterize(screen, faces, size, backend=name, **options) for name in ("torch", "pytorch3d")]


def assert_agreement(ours, theirs):
    """The same triangle in 99.5 % of the covered pixels, and there the same point on it."""
    covered = ours.mask | theirs.mask
    same = covered & (ours.face == theirs.face)
    assert covered.any() and same.sum() >= 0.995 * covered.sum()
    assert_close(ours.barycentric[same], theirs.barycentric[same], atol=5e-4, rtol=0)
    assert_close(ours.depth[same], theirs.depth[same], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (40, 24)])
@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("cull", [False, True])
def test_agrees_on_strewn_triangles(size, perspective, cull):
    depth = (-20.0, 300.0) if perspective else (-50.0, 50.0)
    scenes = [random_scene(seed, 40, size, torch.float32, depth) for seed in range(3)]
    screen, faces = torch.cat([scene for scene, _ in scenes]), scenes[0][1]
    assert_agreement(*both(screen, faces, size, perspective=perspective, cull_backfaces=cull, near=5.0))


def test_agrees_on_a_ball_and_its_attributes():
    vertices, faces = sphere(4, 30.0, torch.float32)
    pose = torch.tensor([[10.0, 20.0, 5.0, 0.7, 30.3, 34.1], [0.0, -50.0, 5.0, 0.9, 33.0, 31.0]])
    screen = WeakPerspectiveCamera(pose).project(vertices.expand(2, -1, -1), 64)
    ours, theirs = both(screen, faces, 64)
    assert_agreement(ours, theirs)
    same = (ours.face == theirs.face)[:, None].expand(-1, 3, -1, -1)
    unit = vertices / 30
    drawn = [interpolate(fragments, faces, unit)[same] for fragments in (ours, theirs)]
    assert_close(*drawn, atol=1e-4, rtol=0)


def test_agrees_on_a_real_face(ict_path):
    data = np.load(ict_path)
    vertices, quads = torch.from_numpy(data["neutral"] * 10), torch.from_numpy(data["quads"]).long()
    faces = torch.cat([quads[:, :3], quads[quads[:, 3] >= 0][:, [0, 2, 3]]])
    pose = torch.tensor([[5.0, 30.0, 0.0, 0.16, 28.1, 22.3]])
    screen = WeakPerspectiveCamera(pose).project(vertices[None], 56)
    ours, theirs = both(screen, faces, 56)
    assert_agreement(ours, theirs)
    same = (ours.face == theirs.face)[:, None].expand(-1, 3, -1, -1)
    drawn = [interpolate(fragments, faces, vertices / 100)[same] for fragments in (ours, theirs)]
    assert_close(*drawn, atol=1e-4, rtol=0)


def test_what_differs_is_rounding_of_the_other():
    """Against float64, our float32 weights are right to 1e-6; the other's, in coordinates of +-1, to 1e-4."""
    vertices, faces = sphere(4, 30.0, torch.float32)
    pose = torch.tensor([[10.0, 20.0, 5.0, 0.7, 30.3, 34.1]])
    screen = WeakPerspectiveCamera(pose).project(vertices[None], 64)
    ours, theirs = both(screen, faces, 64)
    exact = rasterize(screen.double(), faces, 64)
    same = (ours.face == theirs.face) & (ours.face == exact.face)
    assert_close(ours.barycentric[same].double(), exact.barycentric[same], atol=1e-6, rtol=0)
    assert_close(theirs.barycentric[same].double(), exact.barycentric[same], atol=1e-4, rtol=0)


@pytest.mark.parametrize("perspective", [False, True])
def test_gradients_agree(perspective):
    screen, faces = random_scene(5, 12, (20, 20), torch.float32, (20.0, 90.0))
    values = torch.randn(1, 36, 2, generator=torch.Generator().manual_seed(0))
    first, second = screen.clone().requires_grad_(), screen.clone().requires_grad_()
    ours, _ = both(first, faces, 20, perspective=perspective)
    _, theirs = both(second, faces, 20, perspective=perspective)
    assert torch.equal(ours.face, theirs.face)
    for fragments in (ours, theirs):
        (interpolate(fragments, faces, values).square().sum() + 0.01 * fragments.depths.sum()).backward()
    assert_close(first.grad, second.grad, atol=1e-2, rtol=1e-3)


def test_triangles_that_are_not_finite_are_left_out_alike():
    screen, faces = random_scene(6, 20, (16, 16), torch.float32)
    screen[0, 4, 0], screen[0, 10, 2] = float("nan"), float("inf")
    ours, theirs = both(screen, faces, 16)
    assert torch.equal(ours.face, theirs.face)
