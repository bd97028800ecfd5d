import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.testing import assert_close

from facekit.render import (
    PerspectiveCamera,
    RenderError,
    WeakPerspectiveCamera,
    perspective,
    rotation_angles,
    rotation_matrix,
    weak_perspective,
)


def random_angles(count: int) -> torch.Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5) * 170


def test_rotation_agrees_with_scipy():
    angles = random_angles(20)
    expected = Rotation.from_euler("ZYX", angles.flip(1).numpy(), degrees=True).as_matrix()
    assert_close(rotation_matrix(angles), torch.from_numpy(expected))


def test_rotation_is_pitch_then_yaw_then_roll():
    pitch, yaw, roll = torch.tensor([[20.0, 0, 0], [0, 30, 0], [0, 0, 40]], dtype=torch.float64)
    parts = [rotation_matrix(part[None])[0] for part in (roll, yaw, pitch)]
    assert_close(rotation_matrix((pitch + yaw + roll)[None])[0], parts[0] @ parts[1] @ parts[2])


@pytest.mark.parametrize(
    ("angles", "start", "end"),
    [
        ((90.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),  # pitch turns the nose down
        ((0.0, 90.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),  # yaw turns the nose to the image's right
        ((0.0, 0.0, 90.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),  # roll turns the right ear side up
    ],
)
def test_directions_of_the_angles(angles, start, end):
    turned = rotation_matrix(torch.tensor([angles]))[0] @ torch.tensor(start)
    assert_close(turned, torch.tensor(end), atol=1e-6, rtol=0)


def test_rotation_angles_inverts():
    angles = random_angles(50)
    assert_close(rotation_angles(rotation_matrix(angles)), angles)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weak_perspective_by_hand(dtype):
    vertices = torch.tensor([[[10.0, 20.0, 30.0]]], dtype=dtype)
    upright = torch.tensor([[0.0, 0.0, 0.0, 2.0, 100.0, 50.0]], dtype=dtype)
    assert_close(weak_perspective(vertices, upright), torch.tensor([[[120.0, 10.0, -30.0]]], dtype=dtype))
    turned = torch.tensor([[0.0, 90.0, 0.0, 2.0, 100.0, 50.0]], dtype=dtype)
    assert_close(weak_perspective(vertices, turned), torch.tensor([[[160.0, 10.0, 10.0]]], dtype=dtype))


def test_one_pose_serves_a_batch():
    vertices = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(1))
    pose = torch.tensor([[5.0, 10.0, 15.0, 2.0, 100.0, 50.0]])
    assert_close(weak_perspective(vertices, pose), weak_perspective(vertices, pose.expand(3, -1)))


def test_perspective_by_hand():
    vertices = torch.tensor([[[10.0, 20.0, 30.0], [0.0, 0.0, 0.0]]], dtype=torch.float64)
    identity = torch.eye(3, dtype=torch.float64)[None]
    away = torch.tensor([[0.0, 0.0, -530.0]], dtype=torch.float64)
    screen = perspective(vertices, identity, away, 1000.0, (200, 300))
    assert_close(screen, torch.tensor([[[170.0, 60.0, 500.0], [150.0, 100.0, 530.0]]], dtype=torch.float64))


def test_far_perspective_is_weak_perspective():
    vertices = 50 * torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    pose = torch.tensor([[10.0, 30.0, -5.0, 0.8, 64.0, 64.0], [0.0, -40.0, 8.0, 0.5, 64.0, 64.0]], dtype=torch.float64)
    distance = 1e7
    translation = torch.tensor([[0.0, 0.0, -distance]], dtype=torch.float64).expand(2, -1)
    far = PerspectiveCamera(pose[:, :3], translation, pose[:, 3] * distance).project(vertices, 128)
    near = WeakPerspectiveCamera(pose).project(vertices, 128)
    assert_close(far[..., :2], near[..., :2], atol=1e-2, rtol=0)
    assert_close(far[..., 2] - distance, near[..., 2], atol=1e-6, rtol=0)


def test_gradients_of_the_cameras():
    generator = torch.Generator().manual_seed(3)
    vertices = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    pose = torch.randn(2, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weak_perspective, (vertices, pose))
    angles = torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    away = torch.tensor([[0.1, 0.2, -9.0], [0.3, 0.1, -8.0]], dtype=torch.float64, requires_grad=True)
    focal = torch.tensor([20.0, 30.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v, a, t, f: PerspectiveCamera(a, t, f).project(v, 16), (vertices, angles, away, focal)
    )


def test_a_vertex_in_the_camera_has_finite_coordinates():
    screen = perspective(torch.zeros(1, 1, 3), torch.eye(3)[None], torch.zeros(1, 3), 100.0, 8)
    assert np.isfinite(screen.numpy()).all()


def test_wrong_shapes_are_named():
    with pytest.raises(RenderError, match=r"pose must be \(2, 6\), found \(2, 5\)"):
        weak_perspective(torch.zeros(2, 4, 3), torch.zeros(2, 5))
    with pytest.raises(RenderError, match=r"vertices must be \(B, V, 3\), found \(4, 3\)"):
        weak_perspective(torch.zeros(4, 3), torch.zeros(1, 6))
    with pytest.raises(RenderError, match="angles"):
        rotation_matrix(torch.zeros(3))
    with pytest.raises(RenderError, match=r"rotation must be \(B, 3, 3\), found \(3, 3\)"):
        rotation_angles(torch.eye(3))
    vertices, rotation, translation = torch.zeros(2, 4, 3), torch.eye(3)[None], torch.zeros(2, 3)
    with pytest.raises(RenderError, match=r"rotation must be \(2, 3, 3\), found \(3, 3, 3\)"):
        perspective(vertices, rotation.expand(3, -1, -1), translation, 9.0, 8)
    with pytest.raises(RenderError, match=r"translation must be \(2, 3\), found \(3,\)"):
        perspective(vertices, rotation, translation[0, :1].expand(3), 9.0, 8)
    with pytest.raises(RenderError, match=r"focal must be \(2,\), found \(3,\)"):
        perspective(vertices, rotation, translation, torch.ones(3), 8)
