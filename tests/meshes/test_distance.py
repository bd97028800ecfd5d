import numpy as np
import pytest
import torch
import trimesh

from facekit.meshes import (
    closest_points,
    nearest_vertices,
    point_to_plane_distance,
    point_to_triangle_distance,
    vertex_normals,
)


def brute_force(points, vertices, faces):
    """Distance of every point to every triangle by trimesh, the smallest."""
    corners = vertices[faces].numpy()
    rows = []
    for point in points.numpy():
        nearest = trimesh.triangles.closest_point(corners, np.repeat(point[None], len(corners), 0))
        rows.append(np.linalg.norm(nearest - point, axis=1).min())
    return torch.tensor(rows)


@pytest.mark.parametrize("spread", [0.01, 0.3, 5.0])
def test_distances_agree_with_brute_force(holed, spread):
    noise = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = holed.vertices[:200] + spread * noise
    found = closest_points(points, *holed)
    torch.testing.assert_close(found.distance, brute_force(points, *holed))
    torch.testing.assert_close((points - found.points).norm(dim=1), found.distance)
    on_face = (found.barycentric[..., None] * holed.vertices[holed.faces[found.face]]).sum(1)
    torch.testing.assert_close(on_face, found.points)
    assert (found.barycentric >= 0).all()
    torch.testing.assert_close(found.barycentric.sum(1), torch.ones(200, dtype=torch.float64))


def test_one_long_triangle_among_small_ones(grid):
    far = torch.tensor([[-50, -50, 2], [50, -50, 2], [0, 80, 2]], dtype=torch.float64)
    vertices = torch.cat([grid.vertices, far])
    faces = torch.cat([grid.faces, len(grid.vertices) + torch.tensor([[0, 1, 2]])])
    points = torch.tensor([[0.5, 0.5, 1.8], [0.5, 0.5, 0.3], [30, -45, 3]], dtype=torch.float64)
    found = closest_points(points, vertices, faces)
    torch.testing.assert_close(found.distance, brute_force(points, vertices, faces))
    assert found.face[[0, 2]].tolist() == [len(faces) - 1] * 2


def test_all_regions_of_one_triangle():
    vertices = torch.tensor([[0, 0, 0], [2, 0, 0], [0, 2, 0]], dtype=torch.float64)
    cases = {
        (0.5, 0.5, 3): (0.5, 0.5, 0), (-1, -1, 0): (0, 0, 0), (5, -1, 1): (2, 0, 0), (-1, 9, 0): (0, 2, 0),
        (1, -4, 2): (1, 0, 0), (-3, 1, 0): (0, 1, 0), (2, 2, 1): (1, 1, 0),
    }  # fmt: skip
    points = torch.tensor(list(cases), dtype=torch.float64)
    found = closest_points(points, vertices, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(found.points, torch.tensor(list(cases.values()), dtype=torch.float64))


def test_triangles_that_are_a_line_or_a_point():
    vertices = torch.tensor([[0, 0, 0], [1, 0, 0], [3, 0, 0], [9, 9, 9]], dtype=torch.float64)
    points = torch.tensor([[2, 1, 0], [9, 9, 8]], dtype=torch.float64)
    found = closest_points(points, vertices, torch.tensor([[0, 1, 2], [3, 3, 3]]))
    torch.testing.assert_close(found.distance, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_types(grid, dtype):
    found = closest_points(grid.vertices.to(dtype) + 0.1, grid.vertices.to(dtype), grid.faces)
    assert found.points.dtype == found.distance.dtype == dtype


def test_distance_gradients(grid):
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    vertices = grid.vertices.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, v: point_to_triangle_distance(p, v, grid.faces), (points, vertices))
    assert torch.autograd.gradcheck(lambda p: point_to_plane_distance(p, *grid), points)


def test_a_point_on_the_surface_has_zero_gradient(grid):
    points = grid.vertices[:3].clone().requires_grad_()
    point_to_triangle_distance(points, *grid).sum().backward()
    assert points.grad.isfinite().all()


def test_point_to_plane_is_the_height_over_the_nearest_vertex_plane(grid):
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    nearest = torch.cdist(points, grid.vertices).argmin(1)
    assert torch.equal(nearest_vertices(points, grid.vertices), nearest)
    normals = vertex_normals(*grid)
    expected = torch.stack([((p - grid.vertices[n]) @ normals[n]).abs() for p, n in zip(points, nearest, strict=True)])
    torch.testing.assert_close(point_to_plane_distance(points, *grid), expected)
    torch.testing.assert_close(point_to_plane_distance(points, *grid, normals=normals), expected)


def test_sliding_on_a_plane_costs_nothing():
    from tests.meshes.mesh_samples import flat_square

    vertices, faces = flat_square()
    moved = vertices + torch.tensor([0.013, 0.02, 0.0])
    assert point_to_plane_distance(moved, vertices, faces).max() < 1e-12
    lifted = vertices + torch.tensor([0.013, 0.02, 0.5])
    torch.testing.assert_close(
        point_to_plane_distance(lifted, vertices, faces), torch.full((len(vertices),), 0.5, dtype=torch.float64)
    )


def test_wrong_inputs_are_refused(grid):
    with pytest.raises(ValueError, match="no triangle"):
        closest_points(grid.vertices, grid.vertices, grid.faces[:0])
    with pytest.raises(ValueError, match=r"\(1, 42, 3\)"):
        closest_points(grid.vertices[None], *grid)


def test_coordinates_that_are_not_finite_are_named(grid):
    points = torch.zeros(3, 3)
    points[1, 2] = torch.nan
    for measure in (lambda p, v: closest_points(p, v, grid.faces), nearest_vertices):
        with pytest.raises(ValueError, match="1 of 3 points are not finite, the first is number 1"):
            measure(points, grid.vertices)
        with pytest.raises(ValueError, match=r"\d+ of \d+ vertices are not finite, the first is number 0"):
            measure(points[:1], grid.vertices * torch.inf)
    with pytest.raises(ValueError, match="there is no vertex to be nearest"):
        nearest_vertices(points[:1], points[:0])
