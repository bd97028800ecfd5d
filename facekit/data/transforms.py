"""Flips, crops and colours of whole batches, with the labels carried along.

A picture that is flipped shows another pose, swaps left and right landmarks and action units, and is lit from the
other side.  Every function here takes a batch as a dictionary (the names of `facekit.data.world.OUTPUTS`), changes all
entries that the change touches, passes on what it does not know, and draws from an explicit generator.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.render import flip_light

IMAGES = ("image", "mask", "occluder_mask", "depth", "normals", "albedo")
_NEAREST = ("mask", "occluder_mask", "depth")

_MIRROR_PAIRS = (
    *((i, 16 - i) for i in range(8)), *((17 + i, 26 - i) for i in range(5)), (31, 35), (32, 34),
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67),
)  # fmt: skip


def _landmark_mirror() -> Tensor:
    order = torch.arange(68)
    for left, right in _MIRROR_PAIRS:
        order[left], order[right] = right, left
    return order


LANDMARK_MIRROR = _landmark_mirror()
"""(68,) int64: the landmark that takes each landmark's place in the mirror."""


def mirror(sample: Mapping[str, Tensor], symmetry: Tensor | None = None) -> dict[str, Tensor]:
    """The mirror image of a batch and its labels.

    `symmetry` (V,) is the face model's mirror map, needed where the batch holds `vertices` or `vertex_albedo`.  Codes
    of a face model (identity, expression, texture) are dropped: the mirrored person has others.

    Raises:
        ValueError: if the batch has vertices but no `symmetry` was given, or pixel labels but no image that says how
            wide it is.
    """
    mirrored = {key: value for key, value in sample.items() if not key.endswith("_code")}
    order = LANDMARK_MIRROR
    for key in IMAGES:
        if key in mirrored:
            mirrored[key] = mirrored[key].flip(-1)
    if "normals" in mirrored:
        mirrored["normals"] = mirrored["normals"] * mirrored["normals"].new_tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)
    if "landmarks" in mirrored:
        x, y = mirrored["landmarks"][:, order].unbind(-1)
        mirrored["landmarks"] = torch.stack([_width(sample) - x, y], dim=-1)
    if "landmarks_3d" in mirrored:
        mirrored["landmarks_3d"] = _negate_x(mirrored["landmarks_3d"][:, order])
    if "landmarks_visible" in mirrored:
        mirrored["landmarks_visible"] = mirrored["landmarks_visible"][:, order]
    if "pose" in mirrored:
        pitch, yaw, roll, scale, t_x, t_y = mirrored["pose"].unbind(-1)
        mirrored["pose"] = torch.stack([pitch, -yaw, -roll, scale, _width(sample) - t_x, t_y], dim=-1)
    if "action_units" in mirrored:
        mirrored["action_units"] = mirrored["action_units"].flip(-1)
    if "gaze" in mirrored:
        mirrored["gaze"] = mirrored["gaze"] * mirrored["gaze"].new_tensor([-1.0, 1.0])
    if "light" in mirrored:
        mirrored["light"] = flip_light(mirrored["light"])
    for key in ("vertices", "vertex_albedo"):
        if key in mirrored:
            if symmetry is None:
                raise ValueError(f"mirroring {key} needs the face model's symmetry map")
            mirrored[key] = mirrored[key][:, symmetry]
    if "vertices" in mirrored:
        mirrored["vertices"] = _negate_x(mirrored["vertices"])
    return mirrored


def mirror_some(sample: Mapping[str, Tensor], chosen: Tensor, symmetry: Tensor | None = None) -> dict[str, Tensor]:
    """A batch in which the samples with `chosen` (B,) bool are mirrored."""
    mirrored = mirror(sample, symmetry)
    return {
        key: torch.where(chosen.view(-1, *[1] * (value.dim() - 1)), value, sample[key])
        for key, value in mirrored.items()
    }


def random_mirror(
    sample: Mapping[str, Tensor], generator: torch.Generator, symmetry: Tensor | None = None, share: float = 0.5
) -> dict[str, Tensor]:
    """A batch in which each sample is mirrored with probability `share`."""
    size = len(next(iter(sample.values())))
    return mirror_some(sample, torch.rand(size, generator=generator) < share, symmetry)


def crop(sample: Mapping[str, Tensor], boxes: Tensor, size: int) -> dict[str, Tensor]:
    """Square boxes cut out and resized to `size` pixels; landmarks and pose follow.

    `boxes` (B, 3) are left edge, top edge and side in pixels; a box may reach beyond the image, whose border is then
    repeated.
    """
    cropped = dict(sample)
    left, top, side = boxes.to(torch.float32).unbind(-1)
    for key in IMAGES:
        if key in cropped:
            cropped[key] = _resample(cropped[key], left, top, side, size, nearest=key in _NEAREST)
    zoom = (size / side)[:, None]
    corner = torch.stack([left, top], dim=-1)
    if "landmarks" in cropped:
        cropped["landmarks"] = (cropped["landmarks"] - corner[:, None]) * zoom[:, None]
    if "pose" in cropped:
        pose = cropped["pose"]
        cropped["pose"] = torch.cat([pose[:, :3], pose[:, 3:4] * zoom, (pose[:, 4:] - corner) * zoom], dim=-1)
    return cropped


def random_crop(
    sample: Mapping[str, Tensor], generator: torch.Generator, size: int, scale: tuple[float, float] = (0.8, 1.0)
) -> dict[str, Tensor]:
    """Square boxes of a random share of the image's width, anywhere inside it."""
    width = _width(sample)
    draw = torch.rand(len(sample["image"]), 3, generator=generator)
    side = width * (scale[0] + (scale[1] - scale[0]) * draw[:, 0])
    boxes = torch.stack([(width - side) * draw[:, 1], (width - side) * draw[:, 2], side], dim=-1)
    return crop(sample, boxes, size)


def landmark_boxes(landmarks: Tensor, margin: float = 0.2) -> Tensor:
    """Boxes (B, 3) for `crop`: the smallest squares around landmarks (B, L, 2), wider by `margin` of their side."""
    low, high = landmarks.amin(dim=1), landmarks.amax(dim=1)
    side = (high - low).amax(dim=1, keepdim=True) * (1.0 + margin)
    return torch.cat([(low + high - side) / 2.0, side], dim=-1)


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalize(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] as torchvision's backbones expect them.

    Raises:
        ValueError: if the images are not floating point, such as the 8-bit ones of `load_all`.
    """
    if not images.is_floating_point():
        raise ValueError(f"images must be floating point in [0, 1], found {images.dtype}; divide 8-bit ones by 255")
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def _width(sample: Mapping[str, Tensor]) -> int:
    for key in IMAGES:
        if key in sample:
            return sample[key].shape[-1]
    raise ValueError(f"pixel labels can only be changed beside an image, found {', '.join(sample)}")


def _negate_x(points: Tensor) -> Tensor:
    return points * points.new_tensor([-1.0, 1.0, 1.0])


def _resample(image: Tensor, left: Tensor, top: Tensor, side: Tensor, size: int, nearest: bool) -> Tensor:
    height, width = image.shape[-2:]
    place = (torch.arange(size, device=image.device) + 0.5) / size
    x = (left[:, None] + side[:, None] * place) / width * 2.0 - 1.0
    y = (top[:, None] + side[:, None] * place) / height * 2.0 - 1.0
    grid = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1).to(image.device)
    mode = "nearest" if nearest else "bilinear"
    values = image if image.is_floating_point() else image.float()
    sampled = F.grid_sample(values, grid.to(values.dtype), mode=mode, padding_mode="border", align_corners=False)
    return sampled if image.is_floating_point() else sampled.round().to(image.dtype)
