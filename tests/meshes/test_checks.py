import pytest
import torch

from facekit.meshes import KINDS, MeshError, check_mesh, mesh_problems


def changed(mesh, row, face):
    faces = mesh.faces.clone()
    faces[row] = torch.tensor(face)
    return faces


def kinds(vertices, faces):
    return {problem.kind: (problem.count, problem.first) for problem in mesh_problems(vertices, faces)}


def test_a_sound_mesh_passes(grid, holed, tetrahedron):
    for mesh in (grid, holed, tetrahedron):
        assert mesh_problems(*mesh) == []
        check_mesh(*mesh)


def test_index_out_of_range(grid):
    faces = changed(grid, 5, [0, 1, 42])
    assert kinds(grid.vertices, faces) == {"index": (1, 5)}
    with pytest.raises(MeshError, match=r"scan_7: 1 face with a vertex outside 0..41, first face 5 = \[0, 1, 42\]"):
        check_mesh(grid.vertices, faces, "scan_7")
    assert kinds(grid.vertices, changed(grid, 3, [-1, 0, 1])) == {"index": (1, 3)}


def test_values_that_are_not_finite(grid):
    vertices = grid.vertices.clone()
    vertices[3, 1], vertices[9, 0] = float("nan"), float("inf")
    assert kinds(vertices, grid.faces) == {"not finite": (2, 3)}


def test_one_bad_sample_of_a_batch_is_named(grid):
    batch = grid.vertices.repeat(3, 1, 1)
    batch[2, 4] = float("nan")
    with pytest.raises(MeshError, match="c: 1 vertex not finite, first vertex 4"):
        check_mesh(batch, grid.faces, ["a", "b", "c"])
    with pytest.raises(ValueError, match="3 meshes but 2 names"):
        check_mesh(batch, grid.faces, ["a", "b"])


def test_degenerate_by_index_and_by_position(grid):
    assert kinds(grid.vertices, changed(grid, 4, [7, 7, 8]))["degenerate"] == (1, 4)
    vertices = grid.vertices.clone()
    vertices[grid.faces[0, 1]] = vertices[grid.faces[0, 0]]
    count, first = kinds(vertices, grid.faces)["degenerate"]
    assert count >= 1 and first == 0


def test_duplicate_and_non_manifold(grid):
    repeated = torch.cat([grid.faces, grid.faces[2:3]])
    found = kinds(grid.vertices, repeated)
    assert found["duplicate"] == (1, len(grid.faces))
    rolled = torch.cat([grid.faces, grid.faces[2:3].roll(1, 1)])
    assert kinds(grid.vertices, rolled)["duplicate"] == (1, len(grid.faces))
    edge = grid.faces[10, :2]
    fin = torch.cat([grid.faces, torch.tensor([[int(edge[1]), int(edge[0]), 41]])])
    assert kinds(grid.vertices, fin)["non-manifold"][0] == 1


def test_inconsistent_winding(grid):
    faces = grid.faces.clone()
    faces[12] = faces[12].flip(0)
    found = mesh_problems(grid.vertices, faces)
    assert [problem.kind for problem in found] == ["winding"]
    assert found[0].count in (1, 2, 3)


def test_empty_and_misshapen():
    assert kinds(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64)) == {"empty": (1, 0)}
    assert kinds(torch.zeros(4, 3), torch.zeros(0, 3, dtype=torch.int64)) == {"empty": (1, 0)}
    assert kinds(torch.zeros(4, 3), torch.zeros(2, 4, dtype=torch.int64)) == {"shape": (1, 0)}
    assert kinds(torch.zeros(4, 2), torch.tensor([[0, 1, 2]])) == {"shape": (1, 0)}
    assert kinds(torch.zeros(4, 3), torch.zeros(2, 3)) == {"shape": (1, 0)}


def test_several_defects_are_all_said(grid):
    faces = torch.cat([grid.faces, grid.faces[:1], torch.tensor([[1, 1, 2]])])
    with pytest.raises(MeshError) as caught:
        check_mesh(grid.vertices, faces, "x")
    assert "with a vertex used twice" in str(caught.value) and "repeated from earlier" in str(caught.value)


def test_defects_can_be_allowed(grid):
    faces = torch.cat([grid.faces, torch.tensor([[1, 1, 2]])])
    check_mesh(grid.vertices, faces, allow=("degenerate",))
    with pytest.raises(ValueError, match="holes"):
        check_mesh(*grid, allow=("holes",))
    assert "degenerate" in KINDS


def test_the_real_face_is_sound(ict_face):
    assert mesh_problems(*ict_face) == []


def test_one_point_is_no_mesh(grid):
    with pytest.raises(MeshError, match=r"scan: vertices are \(3,\) .*, expected \(V, 3\) or \(B, V, 3\)"):
        check_mesh(grid.vertices[0], grid.faces, "scan")
