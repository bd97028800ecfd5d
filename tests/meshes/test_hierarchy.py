import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay

from facekit.meshes import (
    MeshError,
    MeshHierarchy,
    apply_sparse,
    boundary_loops,
    closest_points,
    euler_characteristic,
    mesh_problems,
)
from tests.meshes.mesh_samples import grid_mesh


@pytest.fixture(scope="module")
def hierarchy() -> MeshHierarchy:
    return MeshHierarchy.build(*grid_mesh(25, 25, seed=6), factors=(4, 3))


def test_sizes_follow_the_factors(hierarchy):
    assert [level.num_vertices for level in hierarchy.levels] == [625, 157, 53]
    assert len(hierarchy) == 3
    for matrix, (fine, coarse) in zip(hierarchy.up, itertools.pairwise(hierarchy.levels), strict=True):
        assert matrix.shape == (fine.num_vertices, coarse.num_vertices)


def test_down_picks_vertices(hierarchy):
    for index, matrix in enumerate(hierarchy.down):
        fine, coarse = hierarchy.levels[index : index + 2]
        assert torch.equal(matrix.values(), torch.ones_like(matrix.values()))
        assert torch.equal(matrix.indices()[0], torch.arange(coarse.num_vertices))
        assert torch.equal(apply_sparse(matrix, fine.vertices), coarse.vertices)
        assert (matrix.indices()[1].diff() > 0).all()


def test_up_interpolates(hierarchy):
    for index, matrix in enumerate(hierarchy.up):
        fine, coarse = hierarchy.levels[index : index + 2]
        rows = matrix.indices()[0]
        assert torch.bincount(rows, minlength=fine.num_vertices).amax() <= 3
        assert (matrix.values() > 0).all()
        sums = torch.sparse.sum(matrix, 1).to_dense()
        torch.testing.assert_close(sums, torch.ones_like(sums))
        identity = hierarchy.down[index].to_dense() @ matrix.to_dense()
        torch.testing.assert_close(identity, torch.eye(coarse.num_vertices, dtype=identity.dtype))
        reached = (apply_sparse(matrix, coarse.vertices) - fine.vertices).norm(dim=1)
        nearest = closest_points(fine.vertices, coarse.vertices, coarse.faces).distance
        torch.testing.assert_close(reached, nearest, atol=1e-9, rtol=0)


def test_coarse_meshes_are_sound_and_keep_their_topology(hierarchy):
    for level in hierarchy.levels:
        assert mesh_problems(level.vertices, level.faces) == []
        assert euler_characteristic(level.faces) == 1
        assert level.faces.unique().numel() == level.num_vertices


def test_pool_and_unpool_a_batch_with_gradients(hierarchy):
    x = torch.randn(2, 625, 5, dtype=torch.float64, requires_grad=True)
    small = hierarchy.pool(x, 0)
    back = hierarchy.unpool(small, 0)
    assert small.shape == (2, 157, 5) and back.shape == x.shape
    back.sum().backward()
    kept = hierarchy.down[0].indices()[1]
    assert torch.equal(x.grad[0, :, 0].nonzero().flatten(), kept)


def test_deterministic(hierarchy):
    again = MeshHierarchy.build(*grid_mesh(25, 25, seed=6), factors=(4, 3))
    for one, other in zip(hierarchy.levels, again.levels, strict=True):
        assert torch.equal(one.faces, other.faces) and torch.equal(one.vertices, other.vertices)
    for one, other in zip(hierarchy.up, again.up, strict=True):
        assert torch.equal(one.to_dense(), other.to_dense())


def test_to_changes_the_type(hierarchy):
    single = hierarchy.to(torch.float32)
    assert single.levels[1].vertices.dtype == single.up[0].dtype == torch.float32
    assert single.levels[1].faces.dtype == torch.int64


def test_close_lips_do_not_hang_on_each_other():
    """Two sheets a hair apart: every vertex is carried by its own sheet."""
    sheet = grid_mesh(15, 15, seed=7)
    vertices = torch.cat([sheet.vertices, sheet.vertices - torch.tensor([0, 0, 1e-3])])
    faces = torch.cat([sheet.faces, sheet.faces.flip(1) + 225])
    built = MeshHierarchy.build(vertices, faces, (4,))
    kept = built.down[0].indices()[1]
    rows, columns = built.up[0].indices()
    assert torch.equal(rows < 225, kept[columns] < 225)


def test_loose_pieces_that_vanish_are_carried_by_the_nearest_surface(tetrahedron):
    sheet = grid_mesh(15, 15, seed=9)
    corners = torch.tensor([[0.1, 0.1, 0.2], [0.9, 0.1, 0.2], [0.1, 0.9, 0.1]])
    crumbs = (0.01 * tetrahedron.vertices + corners[:, None]).flatten(0, 1)
    crumb_faces = torch.cat([tetrahedron.faces + 4 * k for k in range(3)])
    built = MeshHierarchy.build(torch.cat([crumbs, sheet.vertices]), torch.cat([crumb_faces, sheet.faces + 12]), (4, 4))
    assert (built.levels[2].faces.unique() >= 0).all()
    for matrix, (fine, coarse) in zip(built.up, itertools.pairwise(built.levels), strict=True):
        reached = (apply_sparse(matrix, coarse.vertices) - fine.vertices).norm(dim=1)
        nearest = closest_points(fine.vertices, coarse.vertices, coarse.faces).distance
        assert (reached - nearest).amax() < 0.05


def test_a_mesh_of_few_vertices_stops_where_no_edge_collapses():
    reached = set()
    for seed in range(20):
        points = np.random.default_rng(seed).random((16, 3))
        faces = torch.from_numpy(Delaunay(points[:, :2]).simplices).long()
        built = MeshHierarchy.build(torch.from_numpy(points), faces, (4,))
        reached.add(built.levels[1].num_vertices)
        identity = built.down[0].to_dense() @ built.up[0].to_dense()
        torch.testing.assert_close(identity, torch.eye(built.levels[1].num_vertices, dtype=torch.float64))
    assert 4 in reached and 4 < max(reached) <= 8


def test_impossible_requests_are_refused(tetrahedron, grid):
    with pytest.raises(MeshError, match="cannot be decimated to 2"):
        MeshHierarchy.build(*tetrahedron, factors=(2,))
    with pytest.raises(ValueError, match="above 1"):
        MeshHierarchy.build(*grid, factors=(1,))
    with pytest.raises(MeshError, match="1 of 43 vertices belong to no triangle"):
        MeshHierarchy.build(torch.cat([grid.vertices, torch.zeros(1, 3)]), grid.faces)


def test_the_real_face(ict_face):
    built = MeshHierarchy.build(ict_face.vertices.float(), ict_face.faces, (4, 4, 4))
    counts = [level.num_vertices for level in built.levels]
    assert counts == [9409, *[math.ceil(math.ceil(9409 / 4) / 4**k) for k in range(3)]]
    for index, mean_error in enumerate((0.15, 0.6, 2.2)):
        fine, coarse = built.levels[index : index + 2]
        assert len(boundary_loops(coarse.faces)) == 4
        error = (built.unpool(coarse.vertices[None], index)[0] - fine.vertices).norm(dim=1)
        assert error.mean() < mean_error
