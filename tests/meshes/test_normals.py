import pytest
import torch
import trimesh

from facekit.meshes import MeshError, face_areas, face_normals, vertex_areas, vertex_normals


def test_known_triangle():
    vertices = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]])
    faces = torch.tensor([[0, 1, 2]])
    assert face_areas(vertices, faces).tolist() == [6]
    assert face_normals(vertices, faces).tolist() == [[0, 0, 1]]
    torch.testing.assert_close(vertex_areas(vertices, faces), torch.full((3,), 2.0))


def test_agrees_with_trimesh_and_a_loop(grid):
    oracle = trimesh.Trimesh(grid.vertices.numpy(), grid.faces.numpy(), process=False)
    torch.testing.assert_close(face_normals(*grid), torch.from_numpy(oracle.face_normals.copy()))
    torch.testing.assert_close(face_areas(*grid), torch.from_numpy(oracle.area_faces.copy()))
    expected = torch.zeros_like(grid.vertices)
    for face in grid.faces:
        a, b, c = grid.vertices[face]
        expected[face] += torch.linalg.cross(b - a, c - a)
    torch.testing.assert_close(vertex_normals(*grid), expected / expected.norm(dim=1, keepdim=True))
    assert float(vertex_areas(*grid).sum()) == pytest.approx(oracle.area)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_equals_its_samples(grid, dtype):
    batch = torch.stack([grid.vertices, 2 * grid.vertices, grid.vertices.flip(1)]).to(dtype)
    for function in (face_normals, vertex_normals, face_areas, vertex_areas):
        together = function(batch, grid.faces)
        assert together.dtype == dtype
        torch.testing.assert_close(together, torch.stack([function(one, grid.faces) for one in batch]))


def test_gradients(tetrahedron):
    x = torch.stack([tetrahedron.vertices, 1.5 * tetrahedron.vertices + 0.1]).requires_grad_()
    for function in (face_normals, vertex_normals, face_areas, vertex_areas):
        assert torch.autograd.gradcheck(lambda v, f=function: f(v, tetrahedron.faces), x)


def test_flat_triangles_and_lone_vertices_have_zero_normals_and_gradients():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2]])
    normals = vertex_normals(vertices, faces)
    assert torch.equal(normals, torch.zeros(4, 3))
    (normals.sum() + face_areas(vertices, faces).sum()).backward()
    assert torch.equal(vertices.grad, torch.zeros(4, 3))


def test_ids_of_no_vertex_are_refused():
    vertices = torch.rand(4, 3)
    for corner in (4, -1):
        for function in (face_normals, vertex_normals, face_areas, vertex_areas):
            with pytest.raises(MeshError, match=r"faces hold the vertex ids .* expected 0 to 3"):
                function(vertices, torch.tensor([[0, 1, corner]]))


def test_faces_changed_in_place_are_seen(grid):
    faces = grid.faces.clone()
    before = vertex_normals(grid.vertices, faces)
    faces.copy_(faces.flip(1))
    torch.testing.assert_close(vertex_normals(grid.vertices, faces), -before)


def test_faces_made_and_changed_in_inference_mode_are_seen(grid):
    with torch.inference_mode():
        faces = grid.faces.clone()
        before = vertex_normals(grid.vertices, faces)
        faces.copy_(faces.flip(1))
        torch.testing.assert_close(vertex_normals(grid.vertices, faces), -before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(grid):
    there = vertex_normals(grid.vertices.cuda(), grid.faces.cuda())
    torch.testing.assert_close(there.cpu(), vertex_normals(*grid))
