import pytest
import torch

from facekit.meshes import GeometryImage, MeshError, harmonic_uv, pixel_centres, vertex_normals
from tests.meshes.mesh_samples import flat_square


def naive_image(vertices, uv, faces, size):
    """Eq. (5) pixel by pixel and triangle by triangle; NaN where no triangle covers the centre."""
    image = torch.full((3, size, size), float("nan"), dtype=vertices.dtype)
    systems = torch.cat([uv[faces].mT, torch.ones(len(faces), 1, 3, dtype=uv.dtype)], 1)
    upright = [(face, system.inverse()) for face, system in zip(faces, systems, strict=True) if system.det() > 1e-12]
    for i in range(size):
        for j in range(size):
            centre = torch.tensor([(j + 0.5) / size, 1 - (i + 0.5) / size, 1], dtype=uv.dtype)
            for face, to_barycentric in upright:
                weights = to_barycentric @ centre
                if (weights >= -1e-9).all():
                    image[:, i, j] = weights @ vertices[face]
                    break
    return image


def test_agrees_with_the_naive_loop(holed):
    uv = harmonic_uv(*holed, "mean_value")
    layer = GeometryImage(uv, holed.faces, 9)
    expected = naive_image(holed.vertices, uv, holed.faces, 9)
    image = layer(holed.vertices[None])[0]
    assert torch.equal(layer.mask, ~expected[0].isnan())
    assert not layer.mask.all()
    torch.testing.assert_close(image[:, layer.mask], expected[:, layer.mask])


def test_the_image_of_the_map_itself_is_the_pixel_grid(grid):
    uv = harmonic_uv(*grid, "mean_value")
    layer = GeometryImage(uv, grid.faces, 32)
    assert layer.mask.all()
    shown = layer(uv[None]).flatten(2)[0].T
    torch.testing.assert_close(shown, pixel_centres(32), atol=1e-12, rtol=0)
    torch.testing.assert_close(layer.barycentric.sum(-1), torch.ones(32, 32, dtype=torch.float64))
    assert (layer.barycentric >= 0).all()


def test_top_left_pixel_is_the_forehead_at_low_x():
    vertices, faces = flat_square()
    image = GeometryImage(vertices[:, :2].clone(), faces, 4)(vertices[None])[0]
    torch.testing.assert_close(image[:2, 0, 0], torch.tensor([0.125, 0.875], dtype=torch.float64))
    torch.testing.assert_close(image[:2, 3, 1], torch.tensor([0.375, 0.125], dtype=torch.float64))


def test_holes_show_the_nearest_surface_point(holed):
    uv = harmonic_uv(*holed, "mean_value")
    layer = GeometryImage(uv, holed.faces, 24)
    shown, centres = layer(uv[None]).flatten(2)[0].T, pixel_centres(24)
    hidden = ~layer.mask.flatten()
    distance = (shown - centres)[hidden].norm(dim=1)
    samples = torch.cat([uv, uv[holed.faces].mean(1)])
    bound = torch.cdist(centres[hidden], samples).amin(1)
    assert hidden.sum() > 5 and (distance > 0).all() and (distance <= bound + 1e-12).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_types_and_other_signals(grid, dtype):
    uv = harmonic_uv(*grid).to(dtype)
    layer = GeometryImage(uv, grid.faces, 8)
    batch = torch.stack([grid.vertices, grid.vertices * 2]).to(dtype)
    images = layer(batch)
    assert images.shape == (2, 3, 8, 8) and images.dtype == dtype
    torch.testing.assert_close(images[1], 2 * images[0])
    normals = layer(torch.cat([batch, vertex_normals(batch, grid.faces)], -1))
    torch.testing.assert_close(normals[:, :3], images)


def test_gradients_once_and_twice(tetrahedron):
    faces = tetrahedron.faces[1:]
    uv = torch.tensor([[0.5, 0.4], [0.0, 0], [0, 1], [1, 0.5]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 3], [0, 3, 2], [0, 2, 1]])
    layer = GeometryImage(uv, faces, 3)
    x = torch.stack([tetrahedron.vertices, tetrahedron.vertices * 2]).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(lambda v: layer(v).pow(3), x)


def test_there_and_back_gets_better_with_more_pixels(grid):
    uv = harmonic_uv(*grid, "mean_value")
    errors = []
    for size in (8, 32, 128):
        layer = GeometryImage(uv, grid.faces, size)
        back = layer.inverse(layer(grid.vertices[None]))
        assert back.shape == (1, len(grid.vertices), 3)
        errors.append(float((back[0] - grid.vertices).norm(dim=1).mean()))
    assert errors[1] < errors[0] / 2 and errors[2] < errors[1] / 2


def test_bilinear_functions_come_back_exactly_inside():
    vertices, faces = flat_square()
    layer = GeometryImage(vertices[:, :2].clone(), faces, 16)
    inner = ((vertices[:, :2] - 0.5).abs() < 0.5 - 1 / 32).all(1)
    back = layer.inverse(layer(vertices[None]))[0]
    torch.testing.assert_close(back[inner], vertices[inner])


def test_nothing_in_the_checkpoint_and_everything_moves(grid):
    layer = GeometryImage(harmonic_uv(*grid), grid.faces, 8)
    assert layer.state_dict() == {}
    assert layer.float()(grid.vertices[None].float()).dtype == torch.float32


def test_flipped_maps_are_refused_unless_allowed(grid):
    uv = harmonic_uv(*grid)
    uv[20] = torch.tensor([0.01, 0.01])
    with pytest.raises(MeshError, match="turned over"):
        GeometryImage(uv, grid.faces, 8)
    assert GeometryImage(uv, grid.faces, 8, allow_flipped=True)(grid.vertices[None]).isfinite().all()


def test_wrong_inputs_are_refused(grid):
    layer = GeometryImage(harmonic_uv(*grid), grid.faces, 8)
    with pytest.raises(ValueError, match=r"expected vertices \(B, 42, C\), found \(1, 41, 3\)"):
        layer(grid.vertices[None, 1:])
    with pytest.raises(ValueError, match="size"):
        GeometryImage(harmonic_uv(*grid), grid.faces, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(grid):
    layer = GeometryImage(harmonic_uv(*grid), grid.faces, 8)
    here = layer(grid.vertices[None])
    torch.testing.assert_close(layer.cuda()(grid.vertices[None].cuda()).cpu(), here)


def test_the_real_face_fills_its_image(ict_face):
    layer = GeometryImage(harmonic_uv(*ict_face, "mean_value"), ict_face.faces, 64)
    image = layer(ict_face.vertices[None])[0]
    assert layer.mask.float().mean() > 0.98
    assert (image[1, 0] > image[1, -1]).all()
    assert (image[0, :, 0] < image[0, :, -1]).all()
    highest = image[2].flatten().argmax()
    assert abs(int(highest % 64) - 31.5) < 2
