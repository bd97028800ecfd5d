import numpy as np
import pytest
import torch
from render_scenes import grid_mesh, naive_rasterize, random_scene
from torch.testing import assert_close

from facekit.render import RenderError, interpolate, rasterize, zbuffer

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("cull", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", DEVICES)
def test_agrees_with_the_naive_rasterizer(perspective, cull, dtype, device):
    size = (12, 15)
    depth = (-20.0, 300.0) if perspective else (-50.0, 50.0)
    screen, faces = random_scene(3 * perspective + cull, 20, size, dtype, depth)
    found = rasterize(screen.to(device), faces.to(device), size, perspective=perspective, cull_backfaces=cull, near=5.0)
    face, depth, weights = naive_rasterize(screen[0], faces, size, perspective, cull, near=5.0)
    assert (face >= 0).float().mean() > (0.05 if cull else 0.3)
    assert torch.equal(found.face[0].cpu(), face)
    tolerance = {"atol": 1e-3, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 1e-9, "rtol": 1e-9}
    assert_close(found.depth[0].cpu().double(), depth, **tolerance)
    assert_close(found.barycentric[0].cpu().double(), weights, **tolerance)
    assert found.depth.dtype == found.barycentric.dtype == dtype


def test_a_batch_is_its_samples():
    size = (12, 20)
    scenes = [random_scene(seed, 15, size, torch.float32)[0] for seed in range(5)]
    faces = random_scene(0, 15, size)[1]
    together = rasterize(torch.cat(scenes), faces, size, max_fragments=20)
    for index, scene in enumerate(scenes):
        alone = rasterize(scene, faces, size)
        assert torch.equal(together.face[index], alone.face[0])
        assert torch.equal(together.barycentric[index], alone.barycentric[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("jitter", [0.0, 0.7])
def test_neighbours_leave_no_cracks(dtype, jitter):
    size = (64, 48)
    screen, faces = grid_mesh(64, 48, size, jitter=jitter)
    shift = torch.tensor([0.5, 0.5, 0.0]) * (jitter == 0)  # without jitter, every pixel centre is a vertex
    found = rasterize((screen + shift)[None].to(dtype), faces, size)
    inner = found.mask[0, 1:, 1:]
    assert inner.all()


def test_cracks_would_be_seen():
    screen, faces = grid_mesh(16, 16, (16, 16))
    assert not rasterize(screen[None], faces[torch.arange(len(faces)) % 256 != 100], 16).mask.all()


def test_a_pixel_on_the_border_belongs_to_the_triangle():
    corners = torch.tensor([[[2.5, 2.5, 0.0], [2.5, 6.5, 0.0], [6.5, 2.5, 0.0]]])
    mask = rasterize(corners, torch.tensor([[0, 1, 2]]), 8).mask[0]
    expected = torch.tensor([[2 <= i and 2 <= j and i + j <= 8 for j in range(8)] for i in range(8)])
    assert torch.equal(mask, expected)


def test_the_first_of_equally_near_triangles_wins():
    corners = torch.tensor([[[0.0, 0.0, 5.0], [0.0, 9.0, 5.0], [9.0, 0.0, 5.0]]])
    faces = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 1, 0]])
    assert set(rasterize(corners, faces, 6).face.unique().tolist()) <= {-1, 0}
    assert set(rasterize(corners, faces, 6, cull_backfaces=True).face.unique().tolist()) <= {-1, 0}
    assert set(rasterize(corners, faces.flip(0), 6, cull_backfaces=True).face.unique().tolist()) <= {-1, 1}


def test_the_nearer_triangle_wins_also_at_negative_depths():
    corners = torch.tensor([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    depths = torch.tensor([3.0, -2.0, -7.0, 1e-3, -1e-3])
    screen = torch.cat([torch.cat([corners, z.expand(3, 1)], -1) for z in depths])[None]
    found = rasterize(screen, torch.arange(15).view(-1, 3), 6)
    assert found.face.max() == 2
    assert_close(found.depths, torch.full_like(found.depths, -7.0))


def test_counter_clockwise_seen_with_y_up_is_the_front():
    front = torch.tensor([[0, 1, 2]])
    corners = torch.tensor([[[1.0, 7.0, 0.0], [7.0, 7.0, 0.0], [4.0, 1.0, 0.0]]])
    assert rasterize(corners, front, 8, cull_backfaces=True).mask.any()
    assert not rasterize(corners, front.flip(1), 8, cull_backfaces=True).mask.any()
    assert rasterize(corners, front.flip(1), 8).mask.any()


@pytest.mark.parametrize("max_fragments", [1, 7, 100, 4096])
def test_runs_of_fragments_give_the_same_image(max_fragments):
    size = (9, 14)
    screen, faces = random_scene(4, 20, size)
    whole = rasterize(screen, faces, size, max_fragments=1 << 30)
    parts = rasterize(screen, faces, size, max_fragments=max_fragments)
    assert torch.equal(whole.face, parts.face)


def test_large_triangles_are_drawn_in_bounded_runs(monkeypatch):
    sizes = []
    draw = zbuffer._draw

    def watched(target, boxes, part, start, stop, width):
        sizes.append(stop - start)
        draw(target, boxes, part, start, stop, width)

    monkeypatch.setattr(zbuffer, "_draw", watched)
    corners = torch.tensor([[-500.0, -500.0], [-500.0, 1500.0], [1500.0, -500.0]])
    layers = [torch.cat([corners, torch.full((3, 1), float(z))], -1) for z in range(40, 0, -1)]
    found = rasterize(torch.cat(layers)[None], torch.arange(120).view(-1, 3), 96, max_fragments=7_000)
    assert max(sizes) <= 7_000 and sum(sizes) == 40 * 96 * 96
    assert found.face.eq(39).all()


def test_a_box_with_more_pixels_than_float32_counts():
    """The last pixels of a long box of 2^24 pixels and more; those before are hidden from the drawing."""
    height, width = 3, 6_000_000
    corners = torch.tensor([[[-1e7, -10.0, 1.0], [-1e7, 30.0, 1.0], [2e7, 0.0, 1.0]]])
    boxes = zbuffer._bounding_boxes(corners, torch.tensor([0, 1, 2]), (height, width), False, False, 1.0)
    total = height * width
    target = torch.full((total,), zbuffer.EMPTY)
    zbuffer._draw(target, boxes, slice(0, 1), total - 1001, total, width)
    assert target[-1001:].ne(zbuffer.EMPTY).all() and target[:-1001].eq(zbuffer.EMPTY).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("perspective", [False, True])
def test_triangles_that_are_not_finite_are_left_out(bad, axis, perspective):
    screen, faces = random_scene(5, 10, (10, 10), torch.float32, (10.0, 20.0))
    most_seen = int(rasterize(screen, faces, 10).triangles.mode().values)
    hurt = screen.clone()
    hurt[0, 3 * most_seen + 1, axis] = bad
    hurt.requires_grad_()
    left = rasterize(hurt, faces, 10, perspective=perspective)
    expected = rasterize(screen, faces[torch.arange(10) != most_seen], 10, perspective=perspective)
    assert left.face.ne(most_seen).all()
    assert torch.equal(left.mask, expected.mask)
    (left.depths.sum() + left.weights[:, 0].sum()).backward()
    assert torch.isfinite(hurt.grad).all()


def test_degenerate_triangles_are_left_out():
    line = torch.tensor([[[1.5, 1.5, 0.0], [5.5, 5.5, 0.0], [3.5, 3.5, 0.0]]])
    assert not rasterize(line, torch.tensor([[0, 1, 2], [0, 0, 1], [2, 2, 2]]), 8).mask.any()


def test_triangles_at_or_behind_the_near_plane_are_left_out():
    corners = torch.tensor([[1.0, 7.0], [7.0, 7.0], [4.0, 1.0]])
    for depth, drawn in ((2.1, True), (2.0, False), (-3.0, False)):
        z = torch.tensor([[50.0], [50.0], [depth]])
        screen = torch.cat([corners, z], -1)[None]
        assert rasterize(screen, torch.tensor([[0, 1, 2]]), 8, perspective=True, near=2.0).mask.any() == drawn


def test_nothing_to_draw():
    empty = rasterize(torch.zeros(2, 4, 3), torch.zeros(0, 3, dtype=torch.int64), 5)
    assert empty.face.shape == (2, 5, 5) and not empty.mask.any()
    away = rasterize(torch.full((1, 3, 3), 99.0), torch.tensor([[0, 1, 2]]), (4, 6))
    assert not away.mask.any() and away.depth.isinf().all() and away.barycentric.eq(0).all()
    assert rasterize(torch.zeros(0, 3, 3), torch.tensor([[0, 1, 2]]), 5).face.shape == (0, 5, 5)
    assert not rasterize(torch.zeros(2, 0, 3), torch.zeros(0, 3, dtype=torch.int64), 5).mask.any()


def test_interpolated_coordinates_are_the_pixel_centres():
    size = (21, 34)
    screen, faces = random_scene(6, 30, size)
    fragments = rasterize(screen, faces, size)
    found = interpolate(fragments, faces, screen)
    x, y = torch.meshgrid(torch.arange(34.0) + 0.5, torch.arange(21.0) + 0.5, indexing="xy")
    expected = torch.stack([x, y]).double() * fragments.mask
    assert_close(found[0, :2], expected, atol=1e-9, rtol=0)
    assert_close(found[:, 2][fragments.mask], fragments.depths)


@pytest.mark.parametrize("perspective", [False, True])
def test_gradients_to_the_vertices(perspective):
    size = (6, 7)
    screen, faces = random_scene(7, 4, size, depth=(20.0, 60.0))
    visible = rasterize(screen, faces, size, perspective=perspective).face

    def surface(moved):
        fragments = rasterize(moved, faces, size, perspective=perspective)
        assert torch.equal(fragments.face, visible)
        return fragments.weights, fragments.depths

    assert torch.autograd.gradcheck(surface, (screen.requires_grad_(),))
    assert torch.autograd.gradgradcheck(surface, (screen,), fast_mode=True)


def test_what_does_not_fit_is_named():
    screen, faces = torch.zeros(1, 4, 3), torch.tensor([[0, 1, 2]])
    with pytest.raises(RenderError, match=r"screen must be \(B, V, 3\), found \(4, 3\)"):
        rasterize(screen[0], faces, 8)
    with pytest.raises(RenderError, match=r"screen must be floating point, found torch.int64"):
        rasterize(screen.long(), faces, 8)
    with pytest.raises(RenderError, match=r"max_fragments must be positive, found 0"):
        rasterize(screen, faces, 8, max_fragments=0)
    with pytest.raises(RenderError, match=r"faces must be an int64 tensor \(F, 3\), found torch.int32 \(1, 3\)"):
        rasterize(screen, faces.int(), 8)
    with pytest.raises(RenderError, match=r"vertex indices from 0 to 4, expected 0 to 3 for 4 vertices"):
        rasterize(screen, torch.tensor([[0, 1, 4]]), 8)
    with pytest.raises(RenderError, match="backend must be one of torch, pytorch3d, found 'metal'"):
        rasterize(screen, faces, 8, backend="metal")
    with pytest.raises(RenderError, match="image_size"):
        rasterize(screen, faces, (8, 0))
    for size in (8.5, (8, 8, 8), "8", (8, 2.0)):
        with pytest.raises(RenderError, match="image_size must be a whole number of pixels or"):
            rasterize(screen, faces, size)
    assert rasterize(screen, faces, np.int64(8)).shape == (1, 8, 8)
    with pytest.raises(RenderError, match="near must be positive"):
        rasterize(screen, faces, 8, perspective=True, near=0.0)
