import pytest
import torch

from facekit.meshes import (
    MeshError,
    boundary_loops,
    check_uv,
    cotangent_laplacian,
    flipped_triangles,
    harmonic_uv,
    square_boundary,
    vertex_neighbours,
)
from tests.meshes.mesh_samples import flat_square, squashed_sheet, symmetric_sheet


def test_a_flat_square_is_its_own_harmonic_map():

    vertices, faces = flat_square()
    torch.testing.assert_close(harmonic_uv(vertices, faces), vertices[:, :2], atol=1e-9, rtol=0)


@pytest.mark.parametrize("weights", ["cotangent", "mean_value", "uniform"])
def test_inside_every_vertex_rests_at_the_weighted_mean_of_its_neighbours(holed, weights):
    uv = harmonic_uv(*holed, weights)
    outer = boundary_loops(holed.faces, holed.vertices)[0]
    free = torch.ones(len(uv), dtype=torch.bool)
    free[outer] = False
    if weights == "cotangent":
        rest = (cotangent_laplacian(*holed) @ uv)[free]
        assert rest.abs().max() < 1e-12
    else:
        for vertex in free.nonzero().flatten().tolist():
            expected = naive_mean(holed, uv, vertex, weights)
            torch.testing.assert_close(uv[vertex], expected, atol=1e-9, rtol=0)
    if weights != "cotangent":
        check_uv(uv, holed.faces)


def naive_mean(mesh, uv, vertex, weights):
    """Floater's mean-value weights (or equal ones), triangle by triangle around one vertex."""
    total, mean = 0.0, torch.zeros(2, dtype=uv.dtype)
    for face in mesh.faces[(mesh.faces == vertex).any(1)].tolist():
        at = face.index(vertex)
        ends = face[(at + 1) % 3], face[(at + 2) % 3]
        arms = [mesh.vertices[end] - mesh.vertices[vertex] for end in ends]
        cosine = arms[0] @ arms[1] / (arms[0].norm() * arms[1].norm())
        half_angle = torch.tan(torch.acos(cosine) / 2)
        for end, arm in zip(ends, arms, strict=True):
            weight = 1.0 if weights == "uniform" else float(half_angle / arm.norm())
            total, mean = total + weight, mean + weight * uv[end]
    return mean / total


def test_the_boundary_fills_the_square_by_arc_length():
    angle = torch.linspace(0, 2 * torch.pi, 101, dtype=torch.float64)[:-1] + 0.01
    circle = torch.stack([torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)], 1)
    places = square_boundary(circle)
    for corner in ([0, 0], [0, 1], [1, 0], [1, 1]):
        assert (places == torch.tensor(corner)).all(1).sum() == 1
    steps = (places.roll(-1, 0) - places).norm(dim=1)
    assert steps.min() > 0.9 * 0.04 and steps.max() < 1.1 * 0.04
    top = circle[:, 1].argmax()
    assert places[top, 1] == 1 and abs(places[top, 0] - 0.5) < 0.03
    left = circle[:, 0].argmin()
    assert places[left, 0] == 0 and abs(places[left, 1] - 0.5) < 0.03


def test_chains_that_go_round_nothing_are_refused():
    for loop, found in ((torch.rand(3, 3), "found 3 of length"), (torch.zeros(5, 3), "found 5 of length 0")):
        with pytest.raises(ValueError, match=f"expected a closed chain of four points or more, {found}"):
            square_boundary(loop)
    assert square_boundary(torch.rand(6, 3, requires_grad=True)).shape == (6, 2)


def test_unequal_steps_keep_their_proportions():
    square = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0.25, 0], [0, 0, 0], [1, 0, 0]], dtype=torch.float64)
    expected = [[1, 1], [0, 1], [0, 0.25], [0, 0], [1, 0]]
    torch.testing.assert_close(square_boundary(square), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("weights", ["cotangent", "mean_value"])
def test_a_symmetric_face_gives_a_symmetric_map(weights):

    vertices, faces, mirror = symmetric_sheet()
    uv = harmonic_uv(vertices, faces, weights)
    torch.testing.assert_close(uv[mirror], uv * torch.tensor([-1.0, 1]) + torch.tensor([1.0, 0]), atol=1e-10, rtol=0)


def test_averaging_with_the_mirror_image_makes_any_diagonals_symmetric(grid):
    columns = 6
    mirror = torch.arange(len(grid.vertices)).view(-1, columns).flip(1).flatten()
    vertices = grid.vertices
    vertices = (vertices + vertices[mirror] * torch.tensor([-1.0, 1, 1]) + torch.tensor([1.0, 0, 0])) / 2
    alone = harmonic_uv(vertices, grid.faces)
    assert (alone[mirror, 1] - alone[:, 1]).abs().max() > 1e-4
    uv = harmonic_uv(vertices, grid.faces, symmetry=mirror)
    torch.testing.assert_close(uv[mirror], uv * torch.tensor([-1.0, 1]) + torch.tensor([1.0, 0]))


def test_flipped_triangles_are_found_and_flat_ones_are_not():
    uv = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0]])
    faces = torch.tensor([[0, 1, 2], [1, 2, 3], [0, 4, 1]])
    assert flipped_triangles(uv, faces).tolist() == [1]
    with pytest.raises(MeshError, match="scan: 1 of 3 triangles are turned over in the uv map, first face 1"):
        check_uv(uv, faces, "scan")


def test_maps_outside_the_square_are_refused():
    with pytest.raises(MeshError, match="2 uv outside"):
        check_uv(torch.tensor([[0.0, 0], [1.2, 0], [0, float("nan")]]), torch.tensor([[0, 1, 2]]))


def test_meshes_that_cannot_be_flattened_are_refused(tetrahedron, grid):
    with pytest.raises(MeshError, match="no boundary"):
        harmonic_uv(*tetrahedron)
    with pytest.raises(MeshError, match=r"found 2 pieces \(1 of them vertices without a triangle\)"):
        harmonic_uv(torch.cat([grid.vertices, torch.zeros(1, 3)]), grid.faces)
    with pytest.raises(ValueError, match="mean_value"):
        harmonic_uv(*grid, "conformal")


def test_a_very_obtuse_mesh_flips_with_cotangents_and_never_with_mean_values():

    vertices, faces = squashed_sheet()
    assert flipped_triangles(harmonic_uv(vertices, faces), faces).numel() > 0
    assert flipped_triangles(harmonic_uv(vertices, faces, "mean_value"), faces).numel() == 0


def test_the_real_face(ict_face):
    by_cotangent = harmonic_uv(*ict_face)
    by_mean_value = harmonic_uv(*ict_face, "mean_value")
    assert 0 < flipped_triangles(by_cotangent, ict_face.faces).numel() < 60
    assert flipped_triangles(by_mean_value, ict_face.faces).numel() == 0
    check_uv(by_mean_value.float(), ict_face.faces)
    nose = ict_face.vertices[:, 2].argmax()
    assert abs(by_mean_value[nose, 0] - 0.5) < 0.02
    assert by_mean_value[ict_face.vertices[:, 1].argmax(), 1] > 0.95
    indptr, _ = vertex_neighbours(ict_face.faces, len(by_mean_value))
    assert (indptr.diff() > 0).all()
