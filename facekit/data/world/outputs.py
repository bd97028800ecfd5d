"""What a sample of the face world holds, and which landmarks its picture shows."""

from __future__ import annotations

import torch
from torch import Tensor

from facekit.data.sources import DataError
from facekit.morphable import FaceModel, LinearFaceModel
from facekit.render import Rendering

OUTPUTS: dict[str, str] = {
    "image": "(B, 3, H, W) float32 in [0, 1], sRGB, 8-bit values",
    "mask": "(B, 1, H, W) bool: pixels that show the person (and nothing before them)",
    "occluder_mask": "(B, 1, H, W) bool: pixels that show glasses, hair or a hand before the face",
    "depth": "(B, 1, H, W) float32: depth in millimetres, smaller is nearer; 0 in the background",
    "normals": "(B, 3, H, W) float32: unit normals in the camera's frame; 0 in the background",
    "albedo": "(B, 3, H, W) float32: linear RGB in [0, 1]; 0 in the background",
    "landmarks": "(B, 68, 2) float32: landmarks in pixels",
    "landmarks_visible": "(B, 68) bool: neither turned away, nor behind something, nor outside the image",
    "landmarks_3d": "(B, 68, 3) float32: landmarks in millimetres, head upright",
    "vertices": "(B, V, 3) float32: the face in millimetres, head upright",
    "vertex_albedo": "(B, V, 3) float32: linear RGB in [0, 1]",
    "identity_code": "(B, num_identity) float32: the face model's code of the person's shape",
    "expression_code": "(B, num_expression) float32: its code of the expression",
    "texture_code": "(B, num_texture) float32: its code of the skin",
    "fitted_identity_code": "(B, K) float32: best codes of the linear model given as `fit_with`",
    "fitted_expression_code": "(B, K) float32",
    "action_units": "(B, A, 2) float32 in [0, 1]: intensities of ACTION_UNITS, subject's right and left",
    "gaze": "(B, 2) float32: degrees towards +x and +y",
    "pose": "(B, 6) float32: pitch, yaw, roll in degrees, scale in pixels per mm, t_x, t_y in pixels",
    "light": "(B, 9, 3) float32: spherical harmonics of the light",
    "expression": "(B,) int64: the published label, a position in EXPRESSION_LABELS; -1 where not published",
    "performed": "(B,) int64: what was asked of the person, -1 for single action units and spontaneous recordings",
    "intensity": "(B,) int64: published level 0 to 4, -1 where not published",
    "activation": "(B,) float32: 0 to 1; NaN for spontaneous recordings",
    "occluder": "(B,) int64: a position in OCCLUDERS, -1 for none",
    "person": "(B,) int64: the person's seed",
    "row": "(B,) int64: the row's label in the index of the table",
}
"""Name of every output of the face world -> its shape, type, unit and meaning."""

PICTURES = ("image", "mask", "occluder_mask", "depth", "normals", "albedo", "landmarks_visible")
_OPTIONAL = ("fitted_identity_code", "fitted_expression_code")


def checked_outputs(outputs: tuple[str, ...] | None, fit_with: LinearFaceModel | None, name: str) -> tuple[str, ...]:
    """The outputs asked for, or all that can be made.  Raises DataError for one that does not exist or needs more."""
    if outputs is None:
        return tuple(key for key in OUTPUTS if key not in _OPTIONAL or fit_with is not None)
    for key in outputs:
        if key not in OUTPUTS:
            raise DataError(f"{name}: {key!r} is not an output; known are {', '.join(OUTPUTS)}")
        if key in _OPTIONAL and fit_with is None:
            raise DataError(f"{name}: the output {key!r} needs a linear model, given as fit_with")
    return tuple(outputs)


DEPTH_TOLERANCE = 6.0  # millimetres between a landmark and the surface that its pixel shows


def visible_landmarks(picture: Rendering, model: FaceModel, mask: Tensor) -> Tensor:
    """Whether each landmark is seen (B, 68): its pixel or one beside it shows a surface about as far away."""
    height, width = mask.shape[-2:]
    depth = torch.where(mask, picture.depth, -torch.inf)
    farthest = torch.nn.functional.max_pool2d(depth, 3, stride=1, padding=1)[:, 0]
    x, y, own = picture.screen[:, model.landmarks].unbind(-1)
    column, row = x.floor().long(), y.floor().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    return inside & (own <= farthest.flatten(1).gather(1, place) + DEPTH_TOLERANCE)
