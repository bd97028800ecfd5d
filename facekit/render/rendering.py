"""From a mesh, its colours, a camera and a light to a picture."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from facekit.meshes import linear_to_srgb, vertex_normals
from facekit.meshes.precision import full_precision, single_at_least
from facekit.render.camera import PerspectiveCamera, WeakPerspectiveCamera
from facekit.render.checks import (
    RenderError,
    check_background,
    check_faces,
    check_landmarks,
    check_points,
    check_uv,
    image_shape,
)
from facekit.render.fragments import Fragments
from facekit.render.interpolation import interpolate
from facekit.render.rasterizer import rasterize
from facekit.render.silhouettes import antialias
from facekit.render.spherical_harmonics import check_light, shade
from facekit.render.texture import sample_texture


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered batch.

    Attributes:
        image: (B, 3, H, W) in [0, 1], sRGB unless linear light was asked for.
        mask: (B, 1, H, W) in [0, 1]: the part of the pixel that the mesh covers; 0 or 1 without antialiasing.
        normals: (B, 3, H, W) unit normals in the frame of the camera; zero in the background.
        albedo: (B, 3, H, W) linear albedo in [0, 1]; zero in the background.
        screen: (B, V, 3) projected vertices: pixels, and depth in millimetres.
        fragments: what each pixel sees.
        landmarks: (B, L, 2) in pixels, or None if no landmark vertices were given.
    """

    image: Tensor
    mask: Tensor
    normals: Tensor
    albedo: Tensor
    screen: Tensor
    fragments: Fragments
    landmarks: Tensor | None

    @cached_property
    def depth(self) -> Tensor:
        """(B, 1, H, W) depth in millimetres, smaller is nearer; zero in the background."""
        return self.fragments.to_image(self.fragments.depths)[:, None]


@full_precision
def render_mesh(
    vertices: Tensor,
    faces: Tensor,
    albedo: Tensor,
    pose: Tensor | WeakPerspectiveCamera | PerspectiveCamera,
    light: Tensor,
    image_size: int | tuple[int, int],
    *,
    uv: Tensor | None = None,
    uv_faces: Tensor | None = None,
    background: Tensor | float = 0.0,
    landmarks: Tensor | None = None,
    antialiased: bool = True,
    cull_backfaces: bool = False,
    linear: bool = False,
    backend: str = "torch",
) -> Rendering:
    """Draw a batch of meshes in one triangulation; gradients reach every floating point argument.

    Everything is computed in the vertices' floating point type (float32 at least), also within ``torch.autocast``; the
    other arguments follow it.

    Args:
        vertices: (B, V, 3) in millimetres.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        albedo: linear RGB in [0, 1], either at the vertices, (B, V, 3) or (1, V, 3), or a texture (B, 3, H_t, W_t) or
            (1, 3, H_t, W_t), which needs ``uv``.
        pose: (B, 6) of a weak-perspective camera, or a camera.
        light: (B, 9, 3) or (1, 9, 3) spherical harmonics in the frame of the camera.
        image_size: side of a square image, or (height, width).
        uv: (V', 2) texture coordinates in [0, 1].
        uv_faces: (F, 3) int64 indices into ``uv`` for textures with seams; ``faces`` if not given.
        background: (B, 3, H, W) picture or a number, in the same space as the image (sRGB unless ``linear``).
        landmarks: (L,) int64 vertex indices to be projected.
        antialiased: blend outlines, which also gives them gradients.
        cull_backfaces: leave out triangles that show their inside: right for closed meshes, and faster.
        linear: return linear light instead of sRGB; it is not limited to 1.
        backend: of the rasterizer, "torch" or "pytorch3d".

    Raises:
        RenderError: if a shape, type or index does not fit.
    """
    height, width = image_shape(image_size)
    check_points(vertices)
    check_faces(faces, vertices.shape[1])
    check_light(light, vertices.shape[0])
    check_background(background, (vertices.shape[0], 3, height, width))
    if landmarks is not None:
        check_landmarks(landmarks, vertices.shape[1])
    dtype = single_at_least(vertices)
    vertices, albedo, light = vertices.to(dtype), albedo.to(dtype), light.to(dtype)
    background = background.to(dtype) if isinstance(background, Tensor) else background
    camera = WeakPerspectiveCamera(pose) if isinstance(pose, Tensor) else pose
    screen = camera.project(vertices, (height, width))
    fragments = rasterize(
        screen, faces, (height, width), backend, perspective=camera.is_perspective, cull_backfaces=cull_backfaces
    )
    normals = vertex_normals(vertices, faces) @ camera.rotation().mT.to(dtype)
    normals, albedo = _surface(fragments, faces, normals, albedo, uv, uv_faces)
    image = shade(albedo.movedim(1, -1), normals.movedim(1, -1), light).movedim(-1, 1)
    covered = fragments.mask[:, None]
    image = torch.where(covered, image if linear else linear_to_srgb(image), background)
    mask = covered.to(image.dtype)
    if antialiased:
        layers = antialias(torch.cat([image, mask], 1), fragments, screen, faces)
        image, mask = layers[:, :3], layers[:, 3:]
    return Rendering(
        image=image if linear else image.clamp(0, 1),
        mask=mask,
        normals=normals,
        albedo=albedo,
        screen=screen,
        fragments=fragments,
        landmarks=None if landmarks is None else screen[:, landmarks, :2],
    )


def _surface(
    fragments: Fragments, faces: Tensor, normals: Tensor, albedo: Tensor, uv: Tensor | None, uv_faces: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) unit normals and (B, 3, H, W) linear albedo."""
    if albedo.dim() == 4:
        if uv is None:
            raise RenderError("an albedo texture (B, 3, H, W) needs uv (V, 2), found none.")
        uv_faces = faces if uv_faces is None else uv_faces
        check_uv(uv, uv_faces, len(faces))
        if albedo.shape[1] != 3:
            raise RenderError(f"an albedo texture must be (B, 3, H, W), found {tuple(albedo.shape)}.")
        normals = interpolate(fragments, faces, normals)
        uv_image = interpolate(fragments, uv_faces, uv.to(albedo.dtype))
        texels = sample_texture(albedo, uv_image)
        return functional.normalize(normals, dim=1), texels * fragments.mask[:, None]
    if albedo.shape[-2:] != normals.shape[-2:] or albedo.shape[0] not in (1, len(normals)):
        raise RenderError(f"albedo must be {tuple(normals.shape)} or a texture, found {tuple(albedo.shape)}.")
    both = interpolate(fragments, faces, torch.cat([normals, albedo.expand_as(normals)], -1))
    return functional.normalize(both[:, :3], dim=1), both[:, 3:]
