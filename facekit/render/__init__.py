"""Pictures of meshes: cameras, a rasterizer with gradients, light as spherical harmonics, and what joins them."""

from facekit.meshes import linear_to_srgb, srgb_to_linear
from facekit.render.camera import (
    PerspectiveCamera,
    WeakPerspectiveCamera,
    perspective,
    rotation_angles,
    rotation_matrix,
    weak_perspective,
)
from facekit.render.checks import RenderError
from facekit.render.fragments import Fragments
from facekit.render.interpolation import interpolate
from facekit.render.rasterizer import rasterize
from facekit.render.rendering import Rendering, render_mesh
from facekit.render.silhouettes import antialias
from facekit.render.spherical_harmonics import (
    ambient_light,
    directional_light,
    flip_light,
    sample_light,
    sh_basis,
    sh_irradiance,
    shade,
)
from facekit.render.texture import sample_texture

__all__ = [
    "Fragments",
    "PerspectiveCamera",
    "RenderError",
    "Rendering",
    "WeakPerspectiveCamera",
    "ambient_light",
    "antialias",
    "directional_light",
    "flip_light",
    "interpolate",
    "linear_to_srgb",
    "perspective",
    "rasterize",
    "render_mesh",
    "rotation_angles",
    "rotation_matrix",
    "sample_light",
    "sample_texture",
    "sh_basis",
    "sh_irradiance",
    "shade",
    "srgb_to_linear",
    "weak_perspective",
]
