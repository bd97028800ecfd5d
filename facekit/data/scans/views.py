"""Pictures of raw scans: a frontal or turned view with the book's camera, and the landmarks in it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facekit.data.formats import FormatError
from facekit.data.scans.scan import Scan
from facekit.data.world.outputs import DEPTH_TOLERANCE
from facekit.render import ambient_light, directional_light, render_mesh, rotation_matrix

FILL = 0.72
"""Height from the brows to the chin as a share of the image's height, as in the face world."""
GREY = 0.5

VIEW_OUTPUTS = ("image", "mask", "depth", "normals", "landmarks", "landmarks_visible", "landmarks_3d", "pose")
"""What `render_scan` gives, each with a leading axis of one entry per view, as in the face world."""


def render_scan(
    scan: Scan, image_size: int, yaws: Sequence[float] = (0.0,), pitches: Sequence[float] | None = None
) -> dict[str, Tensor]:
    """Views of a scan: `VIEW_OUTPUTS`, each (N, ...) for N angles in degrees (pitches are zero if left out).

    Textures and colours are shown under even light, as the scanner's lamps put theirs into them already; a scan without
    any is grey and lit from the front.  The camera is framed by the landmarks, without them by the scan's extent.

    Raises:
        FormatError: if the texture cannot be read, or the scan has no extent.
    """
    angles = torch.zeros(len(yaws), 3)
    angles[:, 1] = torch.tensor(list(yaws))
    if pitches is not None:
        angles[:, 0] = torch.tensor(list(pitches))
    pose = frame_scan(scan, angles, image_size)
    vertices = scan.vertices.expand(len(angles), -1, -1)
    texture = scan.texture_image()
    colours = scan.colours if scan.colours is not None else torch.full_like(scan.vertices, GREY)
    plain = texture is None and scan.colours is None
    picture = render_mesh(
        vertices, scan.faces, colours[None] if texture is None else texture[None], pose,
        _front_light() if plain else ambient_light(torch.ones(1, 3)), image_size,
        uv=None if texture is None else scan.uv, uv_faces=None if texture is None else scan.uv_faces,
        antialiased=False,
    )  # fmt: skip
    view = {"image": picture.image, "mask": picture.mask > 0.5, "depth": picture.depth, "normals": picture.normals}
    return view | _landmarks(scan, pose, view) | {"pose": pose}


def frame_scan(scan: Scan, angles: Tensor, image_size: int) -> Tensor:
    """Pose (N, 6) of cameras that see the scan turned by `angles` (N, 3) degrees, of the face's size in the image."""
    top, bottom, centre = _extent(scan)
    if not top - bottom > 1.0:
        raise FormatError(f"{scan.name}: the face is {top - bottom:.2f} mm high, expected millimetres")
    scale = torch.full((len(angles), 1), FILL * image_size / (top - bottom))
    x, y, _ = (centre @ rotation_matrix(angles).mT).unbind(-1)
    middle = image_size / 2
    return torch.cat([angles, scale, middle - scale * x[:, None], middle + scale * y[:, None]], dim=1)


def _extent(scan: Scan) -> tuple[float, float, Tensor]:
    """Height of the brows and of the chin, and the point (3,) that is seen in the middle of the image.

    That point lies 58 % up from chin to brow, and in depth where the head turns: about 55 mm behind the lips.
    """
    marks = scan.landmarks
    if marks is not None and marks[[8, 17, 26]].isfinite().all():
        brows, chin = marks[17:27], marks[8]
        top, bottom = float(brows[:, 1].nan_to_num(-torch.inf).max()), float(chin[1])
        across = float(marks[[17, 26], 0].mean())
        depth = float(chin[2]) - 55.0
    else:
        low, high = scan.vertices.amin(0), scan.vertices.amax(0)
        top, bottom = float(high[1] - 0.2 * (high[1] - low[1])), float(low[1] + 0.1 * (high[1] - low[1]))
        across, depth = float((low[0] + high[0]) / 2), float((low[2] + high[2]) / 2)
    return top, bottom, torch.tensor([across, bottom + 0.58 * (top - bottom), depth])


def _landmarks(scan: Scan, pose: Tensor, view: dict[str, Tensor]) -> dict[str, Tensor]:
    """Landmarks in pixels (0 where unknown), in millimetres, and whether the picture shows them."""
    marks = torch.full((68, 3), torch.nan) if scan.landmarks is None else scan.landmarks
    turned = marks @ rotation_matrix(pose[:, :3]).mT
    screen = pose[:, None, 4:] + pose[:, 3, None, None] * turned[..., :2] * torch.tensor([1.0, -1.0])
    size = view["mask"].shape[-1]
    known = screen.isfinite().all(-1)
    column, row = screen.nan_to_num().floor().long().clamp(0, size - 1).unbind(-1)
    depth = torch.where(view["mask"], view["depth"], -torch.inf)
    depth = torch.nn.functional.max_pool2d(depth, 3, stride=1, padding=1)[:, 0].flatten(1)
    seen = -turned[..., 2] <= depth.gather(1, row * size + column) + DEPTH_TOLERANCE
    inside = ((screen >= 0) & (screen < size)).all(-1)
    return {
        "landmarks": screen.nan_to_num(),
        "landmarks_visible": known & inside & seen,
        "landmarks_3d": marks.expand(len(pose), -1, -1).nan_to_num(),
    }


def _front_light() -> Tensor:
    lamp = directional_light(torch.tensor([[0.15, 0.3, 0.94]]), torch.full((1, 3), 0.75))
    return ambient_light(torch.full((1, 3), 0.35)) + lamp
