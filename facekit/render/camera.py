"""Cameras: from vertices in millimetres to pixels and depth.

Space is right-handed with x to the viewer's right, y up and z out of the face towards the viewer. Images have x to the
right and y down, and the pixel in row i and column j has its centre at (j + 0.5, i + 0.5). A camera turns vertices
(B, V, 3) into ``screen`` (B, V, 3): x and y in pixels, and depth in millimetres, smaller is nearer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from facekit.meshes.precision import full_precision, single_at_least
from facekit.render.checks import RenderError, check_points, image_shape


def rotation_matrix(angles: Tensor) -> Tensor:
    """R = R_z(roll) R_y(yaw) R_x(pitch), each by the right-hand rule.

    Positive yaw turns the face towards +x (image right), positive pitch turns it down, positive roll turns it
    counter-clockwise as seen in the image.

    Args:
        angles: (B, 3) pitch, yaw and roll in degrees.

    Returns:
        (B, 3, 3) rotation matrices, to be applied as ``vertices @ R.mT``.

    Raises:
        RenderError: if the shape does not fit.
    """
    if angles.dim() != 2 or angles.shape[-1] != 3:
        raise RenderError(f"angles must be (B, 3) pitch, yaw, roll in degrees, found {tuple(angles.shape)}.")
    cos_x, cos_y, cos_z = torch.cos(torch.deg2rad(angles)).unbind(-1)
    sin_x, sin_y, sin_z = torch.sin(torch.deg2rad(angles)).unbind(-1)
    rows = (
        torch.stack([cos_z * cos_y, cos_z * sin_y * sin_x - sin_z * cos_x, cos_z * sin_y * cos_x + sin_z * sin_x], -1),
        torch.stack([sin_z * cos_y, sin_z * sin_y * sin_x + cos_z * cos_x, sin_z * sin_y * cos_x - cos_z * sin_x], -1),
        torch.stack([-sin_y, cos_y * sin_x, cos_y * cos_x], -1),
    )
    return torch.stack(rows, -2)


def rotation_angles(rotation: Tensor) -> Tensor:
    """Pitch, yaw and roll of rotation matrices: the inverse of :func:`rotation_matrix` for yaw within (-90, 90).

    Args:
        rotation: (B, 3, 3).

    Returns:
        (B, 3) degrees; pitch and roll in (-180, 180], yaw in [-90, 90].

    Raises:
        RenderError: if the shape does not fit.
    """
    if rotation.dim() != 3 or rotation.shape[1:] != (3, 3):
        raise RenderError(f"rotation must be (B, 3, 3), found {tuple(rotation.shape)}.")
    pitch = torch.atan2(rotation[:, 2, 1], rotation[:, 2, 2])
    yaw = torch.asin((-rotation[:, 2, 0]).clamp(-1, 1))
    roll = torch.atan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return torch.rad2deg(torch.stack([pitch, yaw, roll], -1))


@full_precision
def weak_perspective(vertices: Tensor, pose: Tensor) -> Tensor:
    """Weak-perspective (scaled orthographic) camera: x = t_x + s X, y = t_y - s Y, depth = -Z after rotation.

    Args:
        vertices: (B, V, 3) in millimetres.
        pose: (B, 6) pitch, yaw, roll in degrees, scale s in pixels per millimetre, and t_x, t_y, the pixel at which
            the origin is seen. One row serves the whole batch.

    Returns:
        screen (B, V, 3), of the vertices' floating point type, float32 at least.

    Raises:
        RenderError: if a shape or a type does not fit.
    """
    check_points(vertices)
    _check_rows("pose", pose, vertices.shape[0], (6,))
    dtype = single_at_least(vertices)
    vertices, pose = vertices.to(dtype), pose.to(dtype)
    rotated = vertices @ rotation_matrix(pose[:, :3]).mT
    scale = pose[:, 3:4]
    x = torch.addcmul(pose[:, 4:5], rotated[..., 0], scale)
    y = torch.addcmul(pose[:, 5:6], rotated[..., 1], scale, value=-1)
    return torch.stack([x, y, -rotated[..., 2]], -1)


@full_precision
def perspective(
    vertices: Tensor,
    rotation: Tensor,
    translation: Tensor,
    focal: Tensor | float,
    image_size: int | tuple[int, int],
) -> Tensor:
    """Full-perspective (pinhole) camera at the origin that looks along -z, with the principal point in mid-image.

    With p = R v + t the camera sees x = W/2 + f p_x / d and y = H/2 - f p_y / d at the depth d = -p_z. Triangles with
    a vertex at or behind the near plane are left out by ``rasterize(..., perspective=True)``; here depths are kept as
    they are, and only kept away from zero for the division.

    Args:
        vertices: (B, V, 3) in millimetres.
        rotation: (B, 3, 3); here and in the next two, one row serves the whole batch.
        translation: (B, 3) in millimetres; t_z is negative for a face in front of the camera.
        focal: focal length in pixels, one number or (B,).
        image_size: side of a square image, or (height, width).

    Returns:
        screen (B, V, 3), of the vertices' floating point type, float32 at least.

    Raises:
        RenderError: if a shape or a type does not fit.
    """
    check_points(vertices)
    height, width = image_shape(image_size)
    batch = vertices.shape[0]
    _check_rows("rotation", rotation, batch, (3, 3))
    _check_rows("translation", translation, batch, (3,))
    if isinstance(focal, Tensor) and focal.dim():
        _check_rows("focal", focal, batch, ())
    dtype = single_at_least(vertices)
    vertices, rotation, translation = vertices.to(dtype), rotation.to(dtype), translation.to(dtype)
    focal = focal.to(dtype) if isinstance(focal, Tensor) else focal
    seen = vertices @ rotation.mT + translation[:, None]
    depth = -seen[..., 2]
    tiny = torch.finfo(depth.dtype).eps
    divisor = torch.where(depth.abs() < tiny, torch.full_like(depth, tiny), depth)
    focal = focal[:, None] if isinstance(focal, Tensor) and focal.dim() else focal
    x = width / 2 + focal * seen[..., 0] / divisor
    y = height / 2 - focal * seen[..., 1] / divisor
    return torch.stack([x, y, depth], -1)


def _check_rows(name: str, values: Tensor, batch: int, row: tuple[int, ...]) -> None:
    if tuple(values.shape) not in ((1, *row), (batch, *row)):
        raise RenderError(f"{name} must be {(batch, *row)}, found {tuple(values.shape)}.")


@dataclass(frozen=True)
class WeakPerspectiveCamera:
    """Scaled orthographic camera; ``pose`` (B, 6) as in :func:`weak_perspective`."""

    pose: Tensor
    is_perspective = False

    def rotation(self) -> Tensor:
        """(B, 3, 3) rotation from face to camera."""
        return rotation_matrix(self.pose[:, :3])

    def project(self, vertices: Tensor, image_size: int | tuple[int, int]) -> Tensor:
        """Vertices (B, V, 3) in millimetres to screen (B, V, 3)."""
        return weak_perspective(vertices, self.pose)


@dataclass(frozen=True)
class PerspectiveCamera:
    """Pinhole camera: ``angles`` (B, 3) pitch, yaw, roll in degrees, ``translation`` (B, 3) in millimetres with a
    negative z, and ``focal`` length in pixels, as in :func:`perspective`.
    """

    angles: Tensor
    translation: Tensor
    focal: Tensor | float
    is_perspective = True

    def rotation(self) -> Tensor:
        """(B, 3, 3) rotation from face to camera."""
        return rotation_matrix(self.angles)

    def project(self, vertices: Tensor, image_size: int | tuple[int, int]) -> Tensor:
        """Vertices (B, V, 3) in millimetres to screen (B, V, 3)."""
        return perspective(vertices, self.rotation(), self.translation, self.focal, image_size)
