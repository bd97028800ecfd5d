"""What 3D scanners give: surfaces and clouds of points, with holes, spikes and missing texture.

Real scans share no topology. A mesh, a range image and a set of meshes of different sizes all become a ``Surface``, a
cloud of points becomes a ``PointCloud``; in both, a vertex that is missing is NaN, and so is a colour that is missing.
``scanned`` makes such scans of clean meshes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.data import DataError, row_normal, row_uniform
from facekit.meshes import vertex_normals


class ScanError(DataError):
    """Scans, views or sequences that cannot be used; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Surface:
    """A batch of surfaces in millimetres.

    Attributes:
        vertices: (B, V, 3); NaN where a vertex is missing, and no triangle at it is drawn.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        normals: (B, V, 3) unit normals; NaN where unknown.
        colours: (B, V, 3) sRGB in [0, 1] as the scanner's camera saw them; NaN where missing.
    """

    vertices: Tensor
    faces: Tensor
    normals: Tensor
    colours: Tensor


@dataclass(frozen=True)
class PointCloud:
    """A batch of clouds: ``points`` (B, P, 3) in millimetres, NaN for absent ones, ``colours`` (B, P, 3) as above."""

    points: Tensor
    colours: Tensor


def from_meshes(vertices: Tensor, faces: Tensor, colours: Tensor | None = None) -> Surface:
    """Meshes in one triangulation: vertices (B, V, 3) in millimetres, colours (B, V, 3) sRGB or None for grey."""
    colours = torch.full_like(vertices, 0.5) if colours is None else colours
    return Surface(vertices, faces, vertex_normals(vertices, faces), colours)


def from_mesh_list(meshes: Sequence[tuple[Tensor, Tensor]], colours: Sequence[Tensor] | None = None) -> Surface:
    """Meshes (vertices (V_i, 3), faces (F_i, 3)) of different topologies, as triangles without shared vertices.

    Raises:
        ScanError: there is no mesh, or one has no triangle.
    """
    if not meshes or min(len(faces) for _, faces in meshes) == 0:
        raise ScanError("expected meshes with at least one triangle each, found none or an empty one")
    normals = [vertex_normals(vertices[None], faces)[0] for vertices, faces in meshes]
    colours = [torch.full_like(vertices, 0.5) for vertices, _ in meshes] if colours is None else colours

    def corners(values: Sequence[Tensor]) -> Tensor:
        rows = [value[faces].flatten(0, 1) for value, (_, faces) in zip(values, meshes, strict=True)]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=torch.nan)

    vertices = corners([vertices for vertices, _ in meshes])
    faces = torch.arange(vertices.shape[1], device=vertices.device).view(-1, 3)
    return Surface(vertices, faces, corners(normals), corners(colours))


def from_range_images(
    depth: Tensor, spacing: float, colours: Tensor | None = None, largest_step: float = 12.0
) -> Surface:
    """Range images as surfaces, one vertex per pixel.

    Args:
        depth: (B, H, W) in millimetres, smaller is nearer; NaN where the scanner measured nothing.
        spacing: distance of neighbouring pixels in millimetres; the image's centre is x = y = 0.
        colours: (B, 3, H, W) sRGB, or None for grey.
        largest_step: where neighbours differ by more millimetres, the farther one is taken to lie on another surface
            or on its outline, and is left out.
    """
    batch, height, width = depth.shape
    x = (torch.arange(width, device=depth.device) + 0.5 - width / 2) * spacing
    y = (height / 2 - 0.5 - torch.arange(height, device=depth.device)) * spacing
    known = torch.where(depth.isnan(), torch.inf, depth)
    nearest = -F.max_pool2d(-known[:, None], 3, 1, 1)[:, 0]
    z = torch.where(known - nearest > largest_step * 2**0.5, torch.nan, -depth)
    vertices = torch.stack([x.expand(batch, height, -1), y[:, None].expand(batch, -1, width), z], -1)
    normals = grid_normals(F.avg_pool2d(z[:, None], 3, 1, 1, count_include_pad=False)[:, 0], spacing)
    vertices = torch.where(z[..., None].isnan(), torch.nan, vertices).flatten(1, 2)
    colours = torch.full_like(vertices, 0.5) if colours is None else colours.flatten(2).mT
    return Surface(vertices, _grid_faces(height, width, depth.device), normals.flatten(1, 2), colours)


def without_spikes(surface: Surface, height: float) -> Surface:
    """The surface without the vertices whose every edge is longer than ``height`` millimetres (or than four usual
    shortest edges, on a coarse mesh)."""
    faces = surface.faces
    corners = surface.vertices[:, faces]
    lengths = (corners - corners.roll(-1, 2)).norm(dim=-1).nan_to_num(nan=torch.inf)
    shorter = torch.minimum(lengths, lengths.roll(1, 2)).flatten(1)
    nearest = torch.full_like(surface.vertices[..., 0], torch.inf)
    nearest = nearest.scatter_reduce(1, faces.flatten().expand(len(nearest), -1), shorter, "amin")
    usual = nearest.masked_fill(nearest.isinf(), torch.nan).nanmedian(dim=1, keepdim=True).values
    spikes = nearest > (4 * usual).clamp(min=height)
    return replace(surface, vertices=surface.vertices.masked_fill(spikes[..., None], torch.nan))


def _grid_faces(height: int, width: int, device: torch.device) -> Tensor:
    ids = torch.arange(height * width, device=device).view(height, width)
    a, b, c, d = ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]
    return torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)]).reshape(-1, 3)


def grid_normals(z: Tensor, spacing: float) -> Tensor:
    """Unit normals (B, H, W, 3) of heights z (B, H, W) on a grid, rows downwards."""
    padded = F.pad(z[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    slope_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / (2 * spacing)
    slope_y = (padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1]) / (2 * spacing)
    return F.normalize(torch.stack([-slope_x, -slope_y, torch.ones_like(z)], -1), dim=-1)


@dataclass(frozen=True)
class ScannerNoise:
    """How far a scanner is from perfect. Lengths in millimetres."""

    jitter: float = 0.25
    """Standard deviation of every vertex along the line of sight."""
    holes: int = 2
    """Places at which the scanner saw nothing."""
    hole_radius: float = 6.0
    spikes: float = 0.002
    """Share of vertices that stand far out of the surface."""
    spike_height: float = 30.0
    untextured: int = 1
    """Places without texture."""
    untextured_radius: float = 12.0

    def __post_init__(self) -> None:
        lengths = (self.jitter, self.holes, self.hole_radius, self.spike_height, self.untextured)
        if min(*lengths, self.untextured_radius) < 0 or not 0 <= self.spikes < 1:
            raise ValueError(f"numbers of a scanner's noise must not be negative, and spikes a share, found {self}")


def scanned(vertices: Tensor, faces: Tensor, colours: Tensor, noise: ScannerNoise, seeds: np.ndarray) -> Surface:
    """Clean meshes (B, V, 3) with colours (B, V, 3) as a scanner in front of the face gives them.

    The noise of a scan is a function of its seed (``seeds`` (B,) int64) alone, whatever else is in the batch.
    """
    count = vertices.shape[1]
    shift = noise.jitter * _tensor(row_normal(seeds, "jitter", count), vertices)
    if noise.spikes:
        out = _tensor(row_uniform(seeds, "spikes", count), vertices)
        height = noise.spike_height * (1 + _tensor(row_uniform(seeds, "spike height", count), vertices))
        shift = torch.where(out < noise.spikes, height, shift)
    vertices = torch.cat([vertices[..., :2], vertices[..., 2:] + shift[..., None]], -1)
    normals = vertex_normals(vertices, faces)
    bare = _near_places(vertices, normals, noise.untextured, noise.untextured_radius, seeds, "untextured")
    gone = _near_places(vertices, normals, noise.holes, noise.hole_radius, seeds, "holes")
    return Surface(
        vertices.masked_fill(gone[..., None], torch.nan),
        faces,
        normals,
        colours.masked_fill(bare[..., None], torch.nan),
    )


def _near_places(
    vertices: Tensor, normals: Tensor, count: int, radius: float, seeds: np.ndarray, stream: str
) -> Tensor:
    """True (B, V) for the vertices within ``radius`` of ``count`` random ones that face the scanner."""
    near = torch.zeros(vertices.shape[:2], dtype=torch.bool, device=vertices.device)
    if count == 0:
        return near
    draw = _tensor(row_uniform(seeds, stream, count), vertices)
    order = normals[..., 2].argsort(dim=1, descending=True)
    facing = (normals[..., 2] > 0.3).sum(1, keepdim=True).clamp(min=1)
    chosen = order.gather(1, (draw * facing).long())
    places = vertices.gather(1, chosen[..., None].expand(-1, -1, 3))
    return (torch.cdist(vertices, places) < radius).any(-1)


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like)
