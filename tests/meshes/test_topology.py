import pytest
import torch
import trimesh

from facekit.meshes import (
    boundary_edges,
    boundary_loops,
    connected_components,
    edge_face_counts,
    euler_characteristic,
    submesh,
    triangulate,
    unique_edges,
    vertex_degrees,
    vertex_neighbours,
)


def test_edges_of_a_tetrahedron(tetrahedron):
    expected = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert unique_edges(tetrahedron.faces).tolist() == expected
    assert edge_face_counts(tetrahedron.faces)[1].tolist() == [2] * 6
    assert boundary_edges(tetrahedron.faces).shape == (0, 2)
    assert boundary_loops(tetrahedron.faces) == []


def test_edges_agree_with_trimesh(holed):
    oracle = trimesh.Trimesh(holed.vertices.numpy(), holed.faces.numpy(), process=False)
    expected = torch.tensor(oracle.edges_unique).sort(1).values.unique(dim=0)
    assert torch.equal(unique_edges(holed.faces), expected)
    assert euler_characteristic(holed.faces) == oracle.euler_number == -1


def test_neighbours_agree_with_a_loop_over_faces(grid):
    expected = [set() for _ in grid.vertices]
    for a, b, c in grid.faces.tolist():
        expected[a] |= {b, c}
        expected[b] |= {a, c}
        expected[c] |= {a, b}
    indptr, indices = vertex_neighbours(grid.faces, len(grid.vertices))
    for vertex, around in enumerate(expected):
        assert indices[indptr[vertex] : indptr[vertex + 1]].tolist() == sorted(around)
    assert vertex_degrees(grid.faces, len(grid.vertices)).tolist() == [len(around) for around in expected]


def test_an_unused_vertex_has_no_neighbours():
    indptr, indices = vertex_neighbours(torch.tensor([[0, 1, 3]]), 5)
    assert indptr.tolist() == [0, 2, 4, 4, 6, 6]
    assert indices.tolist() == [1, 3, 0, 3, 0, 1]


def test_boundary_loops_walk_with_the_surface_on_their_left(holed):
    outer, first, second = boundary_loops(holed.faces, holed.vertices)
    assert len(outer) == 4 * 14
    assert set(outer.tolist()) == set(
        (holed.vertices[:, :2].sub(0.5).abs().amax(1) == 0.5).nonzero().flatten().tolist()
    )
    areas = []
    for loop in (outer, first, second):
        x, y = holed.vertices[loop, 0], holed.vertices[loop, 1]
        areas.append(float((x * y.roll(-1) - y * x.roll(-1)).sum() / 2))
        directed = torch.stack([loop, loop.roll(-1)], 1).tolist()
        assert all(edge in boundary_edges(holed.faces).tolist() for edge in directed)
    assert areas[0] == pytest.approx(1.0)
    assert areas[1] < 0 and areas[2] < 0


def test_loops_that_share_a_vertex_are_cut_there():
    bow_tie = torch.tensor([[0, 1, 2], [0, 3, 4]])
    assert sorted(loop.tolist() for loop in boundary_loops(bow_tie)) == [[0, 1, 2], [0, 3, 4]]
    touching_halfway = torch.tensor([[0, 1, 3], [0, 3, 7], [3, 2, 4]])
    assert sorted(loop.tolist() for loop in boundary_loops(touching_halfway)) == [[0, 1, 3, 7], [2, 4, 3]]


def test_longest_loop_by_length_or_by_count():
    faces = torch.tensor([[0, 1, 2], [3, 4, 5], [3, 5, 6]])
    vertices = torch.zeros(7, 3)
    vertices[:3] = torch.tensor([[0.0, 0, 0], [100, 0, 0], [0, 100, 0]])
    vertices[3:] = torch.tensor([[0.0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 1, 5]])
    assert len(boundary_loops(faces)[0]) == 4
    assert len(boundary_loops(faces, vertices)[0]) == 3


def test_connected_components(grid):
    faces = torch.cat([grid.faces, grid.faces + len(grid.vertices)])
    labels = connected_components(faces, 2 * len(grid.vertices) + 1)
    assert labels.unique().tolist() == [0, 1, 2]
    assert labels[: len(grid.vertices)].unique().tolist() == [0]
    assert labels[-1] == 2


def test_submesh_renumbers(grid):
    keep = grid.vertices[:, 0] < 0.7
    faces, ids = submesh(grid.faces, keep)
    inside = grid.faces[keep[grid.faces].all(1)]
    assert torch.equal(grid.vertices[ids][faces], grid.vertices[inside])
    assert faces.unique().tolist() == list(range(len(ids)))


def test_triangulate_splits_quads_and_keeps_triangles():
    quads = torch.tensor([[0, 1, 2, 3], [4, 5, 6, -1]])
    assert triangulate(quads).tolist() == [[0, 1, 2], [4, 5, 6], [0, 2, 3]]


def test_the_real_face_is_a_disc_with_two_eyes_and_a_mouth(ict_face):
    assert euler_characteristic(ict_face.faces) == 1 - 3
    assert [len(loop) for loop in boundary_loops(ict_face.faces, ict_face.vertices)] == [203, 74, 42, 42]
