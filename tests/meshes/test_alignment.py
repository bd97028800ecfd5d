import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from facekit.meshes import (
    SimilarityTransform,
    crop_sphere,
    icp,
    procrustes_mean,
    rigid_align,
    rotation_from_vector,
    similarity_align,
)
from tests.meshes.mesh_samples import grid_mesh


def random_points(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def known_transform(scale=1.0, dtype=torch.float64) -> SimilarityTransform:
    rotation = rotation_from_vector(torch.tensor([0.3, -0.5, 0.2], dtype=dtype))
    return SimilarityTransform(rotation, torch.tensor([1.0, -2, 3], dtype=dtype), torch.tensor(scale, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_known_transforms_are_found(dtype):
    points = random_points(20, dtype=dtype)
    for scale, align in ((1.0, rigid_align), (2.5, similarity_align)):
        known = known_transform(scale, dtype)
        found = align(points, known.apply(points))
        torch.testing.assert_close(found.rotation, known.rotation)
        torch.testing.assert_close(found.translation, known.translation, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.scale, known.scale)


def test_agrees_with_trimesh_on_noisy_points():
    source = random_points(30)
    target = known_transform().apply(source) + 0.3 * random_points(30, seed=1)
    _, expected, _ = trimesh.registration.procrustes(source.numpy(), target.numpy(), reflection=False, scale=False)
    torch.testing.assert_close(rigid_align(source, target).apply(source), torch.tensor(expected))


def test_no_small_change_of_the_similarity_fits_better():
    source = random_points(30)
    target = known_transform(1.7).apply(source) + 0.3 * random_points(30, seed=1)
    best = similarity_align(source, target)
    error = (best.apply(source) - target).square().sum()
    for seed in range(20):
        turn, shift, stretch = 1e-3 * random_points(3, seed=seed)
        changed = SimilarityTransform(
            rotation_from_vector(turn) @ best.rotation, best.translation + shift, best.scale * (1 + stretch[0])
        )
        assert (changed.apply(source) - target).square().sum() > error


def test_a_batch_equals_its_samples():
    source, target = random_points(4, 12), random_points(4, 12, seed=1)
    together = similarity_align(source, target).apply(source)
    alone = torch.stack([similarity_align(s, t).apply(s) for s, t in zip(source, target, strict=True)])
    torch.testing.assert_close(together, alone)


def test_a_mirror_image_is_answered_with_a_proper_rotation():
    points = random_points(15)
    found = rigid_align(points, points * torch.tensor([-1.0, 1, 1]))
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1)


def test_weights_of_zero_leave_points_out():
    points = random_points(10)
    target = known_transform().apply(points)
    target[0] += 100
    weights = torch.ones(10)
    weights[0] = 0
    torch.testing.assert_close(rigid_align(points, target, weights).apply(points)[1:], target[1:])


def test_alignment_has_gradients():
    source, target = random_points(2, 5), random_points(2, 5, seed=1)
    source.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: similarity_align(s, target).apply(s), source)


def test_inverse_and_chain():
    points, first, second = random_points(6), known_transform(2.0), known_transform(0.7).inverse()
    torch.testing.assert_close(first.inverse().apply(first.apply(points)), points)
    torch.testing.assert_close(first.then(second).apply(points), second.apply(first.apply(points)))


def test_alignment_keeps_its_precision_within_autocast():
    source = 100 * random_points(30, dtype=torch.float32)
    target = 3 + source @ rotation_from_vector(torch.tensor([0.3, -0.5, 0.2])).mT
    expected = rigid_align(source, target).apply(source)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rigid_align(source, target).apply(source), expected)


def test_what_cannot_be_aligned_is_named():
    points = random_points(5)
    with pytest.raises(ValueError, match="the points are not finite, or all weights are zero"):
        rigid_align(points, points * float("nan"))
    with pytest.raises(ValueError, match="the points are not finite, or all weights are zero"):
        rigid_align(points, points, torch.zeros(5))
    with pytest.raises(ValueError, match=r"expected weights \(5,\), found \(4,\)"):
        rigid_align(points, points, torch.ones(4))


def test_types_follow_the_source_and_the_points():
    points = random_points(5, dtype=torch.float32)
    found = rigid_align(points, points.double())
    assert found.rotation.dtype == torch.float32 and found.apply(points.double()).dtype == torch.float64
    assert rigid_align(points.half(), points.half()).rotation.dtype == torch.float32


def test_rotations_equal_scipys():
    vectors = random_points(7)
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    torch.testing.assert_close(rotation_from_vector(vectors), torch.from_numpy(expected))


def test_rotation_from_vector_turns_by_its_length():
    quarter = rotation_from_vector(torch.tensor([0.0, 0, torch.pi / 2], dtype=torch.float64))
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0, 0], dtype=torch.float64), torch.eye(3).double()[1])


def test_generalised_procrustes_finds_the_common_shape():
    shape = random_points(40)
    poses = [rotation_from_vector(vector) for vector in 0.5 * random_points(8, seed=2)]
    shapes = torch.stack([shape @ pose.T * (1 + 0.1 * k) + k for k, pose in enumerate(poses)])
    aligned, mean = procrustes_mean(shapes, with_scale=True)
    torch.testing.assert_close(aligned, shapes[:1].expand_as(shapes), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(mean, shapes[0], atol=1e-6, rtol=1e-6)
    rigid = torch.stack([shape @ pose.T for pose in poses])
    torch.testing.assert_close(procrustes_mean(rigid)[1], rigid[0], atol=1e-6, rtol=1e-6)


def test_too_few_or_unequal_points_are_refused():
    with pytest.raises(ValueError, match="three points"):
        rigid_align(random_points(2), random_points(2))
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(6, 3\)"):
        rigid_align(random_points(5), random_points(6))


@pytest.fixture
def scene():
    """A wavy sheet of a face's size and a small turn and shift."""
    vertices, faces = grid_mesh(40, 40, seed=8)
    vertices = vertices * torch.tensor([150.0, 200, 200])
    turn = rotation_from_vector(torch.tensor([0.05, -0.08, 0.1], dtype=torch.float64))
    return vertices, faces, SimilarityTransform(turn, torch.tensor([4.0, -3, 5]).double(), torch.tensor(1.0).double())


def test_icp_undoes_a_small_motion(scene):
    vertices, faces, motion = scene
    moved = motion.apply(vertices)
    to_plane, to_points = icp(moved, vertices, faces), icp(moved, vertices)
    for result in (to_plane, to_points):
        assert result.converged
        torch.testing.assert_close(result.transform.apply(moved), vertices, atol=1e-3, rtol=0)
    assert to_plane.steps < to_points.steps / 2


def test_icp_of_a_part_is_not_pulled_by_the_rest(scene):
    vertices, faces, motion = scene
    part = motion.apply(vertices)[vertices[:, 1] > 80]
    result = icp(part, vertices, faces)
    torch.testing.assert_close(result.transform.apply(motion.apply(vertices)), vertices, atol=1e-3, rtol=0)
    whole_on_part_faces = faces[(vertices[faces][..., 1] > 60).all(1)]
    keep = whole_on_part_faces.unique()
    renumber = torch.full((len(vertices),), -1)
    renumber[keep] = torch.arange(len(keep))
    result = icp(motion.apply(vertices), vertices[keep], renumber[whole_on_part_faces])
    torch.testing.assert_close(result.transform.apply(motion.apply(vertices)), vertices, atol=1e-3, rtol=0)


def test_icp_with_scale_from_landmarks(scene):
    vertices, _, motion = scene
    far = 1.1 * motion.apply(vertices) + 500
    corners = torch.tensor([0, 39, 1560, 1599])
    start = similarity_align(far[corners] + 0.5 * random_points(4), vertices[corners])
    result = icp(far, vertices, with_scale=True, initial=start, keep=1.0)
    assert result.converged
    torch.testing.assert_close(result.transform.apply(far), vertices, atol=1e-3, rtol=0)


def test_icp_ignores_sliding_on_a_plane():
    from tests.meshes.mesh_samples import flat_square

    vertices, faces = flat_square()
    result = icp(vertices + torch.tensor([0, 0, 0.3]), vertices, faces)
    assert result.converged and result.error < 1e-9
    torch.testing.assert_close(result.transform.translation, torch.tensor([0, 0, -0.3]).double(), atol=1e-9, rtol=0)


def test_icp_settings_are_checked(scene):
    vertices, faces, _ = scene
    with pytest.raises(ValueError, match="keep"):
        icp(vertices, vertices, keep=0)
    with pytest.raises(ValueError, match="point-to-point"):
        icp(vertices, vertices, faces, with_scale=True)


def test_crop_sphere_keeps_what_lies_within(scene):
    vertices, faces, _ = scene
    centre = vertices[820]
    cropped, new_faces, ids = crop_sphere(vertices, faces, centre, 60)
    assert ((cropped - centre).norm(dim=1) <= 60).all()
    inside = ((vertices[faces] - centre).norm(dim=-1) <= 60).all(1)
    assert torch.equal(cropped[new_faces], vertices[faces[inside]])
    assert torch.equal(vertices[ids], cropped)
