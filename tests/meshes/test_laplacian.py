import math

import pytest
import torch

from facekit.meshes import (
    apply_sparse,
    chebyshev_laplacian,
    corner_cotangents,
    cotangent_laplacian,
    smooth,
    uniform_laplacian,
    unique_edges,
    vertex_areas,
)


def naive_cotangent(vertices, faces):
    """The textbook double loop: half the cotangent of the angle opposite each edge."""
    laplacian = torch.zeros(len(vertices), len(vertices), dtype=vertices.dtype)
    for face in faces.tolist():
        for turn in range(3):
            i, j, k = face[turn], face[(turn + 1) % 3], face[(turn + 2) % 3]
            p, q = vertices[i] - vertices[k], vertices[j] - vertices[k]
            angle = math.acos(float(p @ q / (p.norm() * q.norm())))
            weight = 0.5 / math.tan(angle)
            laplacian[i, j] -= weight
            laplacian[j, i] -= weight
            laplacian[i, i] += weight
            laplacian[j, j] += weight
    return laplacian


def test_uniform_is_degree_minus_adjacency(grid):
    count = len(grid.vertices)
    expected = torch.zeros(count, count)
    for i, j in unique_edges(grid.faces).tolist():
        expected[i, j] = expected[j, i] = -1
        expected[i, i] += 1
        expected[j, j] += 1
    assert torch.equal(uniform_laplacian(grid.faces, count).to_dense(), expected)
    degree = expected.diagonal()
    walk = uniform_laplacian(grid.faces, count, "random_walk").to_dense()
    torch.testing.assert_close(walk, expected / degree[:, None])
    symmetric = uniform_laplacian(grid.faces, count, "symmetric").to_dense()
    torch.testing.assert_close(symmetric, expected / (degree[:, None] * degree).sqrt())
    torch.testing.assert_close(chebyshev_laplacian(grid.faces, count).to_dense(), symmetric - torch.eye(count))


def test_chebyshev_laplacian_has_eigenvalues_in_minus_one_to_one(grid):
    eigenvalues = torch.linalg.eigvalsh(chebyshev_laplacian(grid.faces, len(grid.vertices), torch.float64).to_dense())
    assert eigenvalues[0] == pytest.approx(-1, abs=1e-12)
    assert eigenvalues[-1] <= 1 + 1e-12


def test_cotangents_of_a_right_triangle():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    cotangents = corner_cotangents(vertices, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(cotangents, torch.tensor([[0.0, 1, 1]], dtype=torch.float64))
    assert torch.autograd.gradcheck(
        lambda v: corner_cotangents(v, torch.tensor([[0, 1, 2]])), vertices.requires_grad_()
    )


def test_cotangent_agrees_with_the_textbook_loop(grid):
    laplacian = cotangent_laplacian(*grid)
    assert laplacian.is_coalesced()
    torch.testing.assert_close(laplacian.to_dense(), naive_cotangent(*grid))


def test_cotangent_is_symmetric_semidefinite_and_blind_to_constants_and_planes(grid):
    flat = grid.vertices * torch.tensor([1.0, 1, 0], dtype=torch.float64)
    laplacian = cotangent_laplacian(flat, grid.faces).to_dense()
    torch.testing.assert_close(laplacian, laplacian.T)
    assert torch.linalg.eigvalsh(laplacian)[0] > -1e-12
    assert (laplacian @ torch.ones(len(flat), dtype=torch.float64)).abs().max() < 1e-12
    inner = ((flat[:, :2] > 1e-9) & (flat[:, :2] < 1 - 1e-9)).all(1)
    assert (laplacian @ flat)[inner].abs().max() < 1e-12


def test_mass_normalised_rows_give_the_curvature_of_a_sphere():
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=5.0)
    vertices, faces = torch.tensor(ball.vertices), torch.tensor(ball.faces)
    curvature = cotangent_laplacian(vertices, faces, "mass") @ vertices
    expected = 2 / 5.0 * vertices / vertices.norm(dim=1, keepdim=True)
    relative = (curvature - expected).norm(dim=1) / (2 / 5.0)
    assert relative.median() < 0.02


def test_mass_normalisation_divides_rows_by_vertex_areas(grid):
    expected = cotangent_laplacian(*grid).to_dense() / vertex_areas(*grid)[:, None]
    torch.testing.assert_close(cotangent_laplacian(*grid, "mass").to_dense(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flat_triangles_add_nothing(dtype):
    vertices = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]], dtype=dtype)
    with_flat = cotangent_laplacian(vertices, torch.tensor([[0, 1, 3], [0, 1, 2]])).to_dense()
    assert torch.equal(with_flat, cotangent_laplacian(vertices, torch.tensor([[0, 1, 3]])).to_dense())
    assert with_flat.dtype == dtype


def test_a_sliver_within_rounding_counts_as_flat():
    line = torch.tensor([[0.1, 0.7, 0.3]]) + torch.tensor([[0.0], [1.3], [3.1]]) * torch.tensor([[0.3, 0.77, -0.41]])
    assert corner_cotangents(line, torch.tensor([[0, 1, 2]])).abs().max() == 0


def test_unknown_normalisations_are_refused(grid):
    with pytest.raises(ValueError, match="'symmetric'"):
        uniform_laplacian(grid.faces, len(grid.vertices), "other")
    with pytest.raises(ValueError, match="'mass'"):
        cotangent_laplacian(*grid, "other")


def test_smoothing_flattens_noise_and_taubin_keeps_size():
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3, radius=10.0)
    vertices, faces = torch.tensor(ball.vertices), torch.tensor(ball.faces)
    noise = torch.randn(len(vertices), 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noisy = vertices * (1 + 0.02 * noise)
    laplacian = uniform_laplacian(faces, len(vertices), "random_walk", torch.float64)
    radii = {shrinkage: smooth(noisy, laplacian, 20, 0.5, shrinkage).norm(dim=1) for shrinkage in (0.0, 0.53)}
    spread = noisy.norm(dim=1).std()
    assert all(radius.std() < spread / 3 for radius in radii.values())
    assert radii[0.0].mean() < 9.6
    assert abs(radii[0.53].mean() - 10) < 0.1
    one = noisy - 0.5 * apply_sparse(laplacian, noisy)
    torch.testing.assert_close(smooth(noisy, laplacian, 1), one)
