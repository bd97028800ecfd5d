"""Multi-view images of the data sets of the paper's tables, in memory.

BU-3DFE comes as meshes, Bosphorus as range images, BU-4DFE as sequences of meshes and BP4D as sequences of clouds of
points, so that every path of ``facekit.mifar.scans`` is on the way to a table. Recordings become one dynamic image per
view. The expression is the label, and nobody's pictures are made without their name, so that folds can be cut by
person.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import PROTOCOLS, DataError, DataSource, FaceWorld, expression_ids, parse_data
from facekit.meshes import linear_to_srgb, vertex_normals
from facekit.mifar.pooling import as_image, rank_pool
from facekit.mifar.scans import PointCloud, ScannerNoise, Surface, from_range_images, scanned
from facekit.mifar.views import view_images
from facekit.render import interpolate, rasterize, shade, weak_perspective

SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
SENSORS = {"bu3dfe": "mesh", "bosphorus": "range", "bu4dfe": "mesh", "bp4d": "points"}
"""What the scanner of each data set gives."""
RECORDED = ("bu4dfe", "bp4d")
EXTENT = 190.0
"""Width of the images in millimetres."""
_SPACING, _GRID = 2.0, 96


@dataclass(frozen=True)
class ViewSettings:
    """What the images of a data set depend on.

    Attributes:
        data: ``world`` or another text that ``facekit.data.parse_data`` reads.
        dataset: one of ``SENSORS``.
        subjects: people; the published number if 0.
        image_size: side of the images in pixels.
        channels: names of ``facekit.mifar.CHANNELS``.
        noise: of the scanner.
        frames: of each recording that are pooled.
        pooling: ``svm`` or ``approximate``.
    """

    data: str = "world"
    dataset: str = "bu3dfe"
    subjects: int = 0
    image_size: int = 64
    channels: tuple[str, ...] = ("texture", "depth", "normals")
    noise: ScannerNoise = field(default_factory=ScannerNoise)
    frames: int = 12
    pooling: str = "approximate"


@dataclass(frozen=True)
class ViewSet:
    """Images of N scans or recordings.

    Attributes:
        images: (N, views, C, H, W) uint8.
        labels: (N,) int64, positions in ``classes``; -1 where there is none.
        classes: names of the expressions.
        table: N rows with subject and what else the manifest says.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Images of these rows, still in 8 bits, and their labels."""
        return {"images": self.images[rows], "labels": self.labels[rows]}

    def select(self, rows: np.ndarray) -> "ViewSet":
        """Some rows: a boolean mask or positions."""
        positions = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        places = torch.from_numpy(positions)
        return replace(self, images=self.images[places], labels=self.labels[places], table=self.table.iloc[positions])


def open_views(settings: ViewSettings, progress: Callable[[int, int], None] = lambda done, total: None) -> ViewSet:
    """Render the views of a data set; the same settings are rendered once in a process.

    Raises:
        DataError: the data cannot be opened, or comes without 3D scans.
        ScanError: a view shows no surface, or a recording has one frame.
    """
    if settings.dataset not in SENSORS:
        raise DataError(f"{settings.dataset!r} is none of the paper's data sets, which are {', '.join(SENSORS)}")
    return _rendered(settings, progress)


@lru_cache(maxsize=4)
def _rendered(settings: ViewSettings, progress: Callable[[int, int], None]) -> ViewSet:
    source = _open_source(settings)
    recorded = settings.dataset in RECORDED
    groups = _recordings(source.table) if recorded else np.arange(len(source))[:, None]
    block = max(1, 48 // groups.shape[1])
    images = []
    for start in range(0, len(groups), block):
        rows = groups[start : start + block]
        views = _view_block(source, rows.reshape(-1), settings).unflatten(0, rows.shape)
        pooled = as_image(rank_pool(views, settings.pooling)) if recorded else views[:, 0]
        images.append((pooled * 255).round().byte())
        progress(min(start + block, len(groups)), len(groups))
    table = source.table.take(groups[:, 0]).reset_index(drop=True)
    classes = tuple(name for name in PROTOCOLS[settings.dataset].expressions if name != "neutral")
    labels = torch.from_numpy(expression_ids(table["expression"], classes))
    return ViewSet(torch.cat(images), labels, classes, table)


def _open_source(settings: ViewSettings) -> DataSource:
    """The frontal, unoccluded rows of the data set, with meshes; recordings with ``frames`` frames each."""
    outputs = ("vertices", "vertex_albedo", "light", "pose")
    choice = parse_data(settings.data)
    sizes = {"frames": settings.frames} if settings.dataset in RECORDED else {}
    if choice.is_world:
        options = {"subjects": settings.subjects or None, "outputs": outputs, **sizes}
        source = choice.open(settings.dataset, **options)
    else:
        source = choice.open(settings.dataset)
    if not isinstance(source, FaceWorld):
        raise DataError(f"{source.name}: views are rendered from the face world's scans alone; use --data world")
    table = source.table
    keep = ((table["yaw"] == 0) & (table["pitch"] == 0)).to_numpy(copy=True)
    if settings.dataset == "bosphorus":
        keep &= (table["occluder"].astype(str) == "").to_numpy()
    return source.select(keep)


def _recordings(table: pd.DataFrame) -> np.ndarray:
    """Rows (S, T) of the S recordings, frames in order."""
    names, recording = np.unique(table["sequence"].astype(str).to_numpy(), return_inverse=True)
    order = np.lexsort((table["frame"].to_numpy(), recording))
    return order.reshape(len(names), -1)


def _view_block(source: FaceWorld, rows: np.ndarray, settings: ViewSettings) -> Tensor:
    """Views (B, views, C, H, W) of some rows."""
    sample, faces = source.batch(rows), source.model.faces
    vertices, normals = sample["vertices"], vertex_normals(sample["vertices"], faces)
    colours = linear_to_srgb(shade(sample["vertex_albedo"], normals, sample["light"])).clamp(0, 1)
    seeds = source.table["seed"].to_numpy()[rows]
    centre = source.framing.centre.to(vertices)
    scans = _SENSORS[SENSORS[settings.dataset]](vertices, faces, colours, settings.noise, seeds)
    return view_images(
        scans, settings.image_size, settings.channels, extent=EXTENT, centre=centre, turned=sample["pose"][:, :3]
    )


def range_scanned(vertices: Tensor, faces: Tensor, colours: Tensor, noise: ScannerNoise, seeds: np.ndarray) -> Surface:
    """Meshes seen by a range camera in front of the face, as surfaces of its pixels (one every two millimetres)."""
    surface = scanned(vertices, faces, colours, noise, seeds)
    pose = vertices.new_tensor([[0.0, 0.0, 0.0, 1 / _SPACING, _GRID / 2, _GRID / 2]])
    fragments = rasterize(weak_perspective(surface.vertices, pose), faces, _GRID)
    depth = fragments.to_image(fragments.depths, background=torch.nan)
    return from_range_images(depth, _SPACING, interpolate(fragments, faces, surface.colours))


def _points(vertices: Tensor, faces: Tensor, colours: Tensor, noise: ScannerNoise, seeds: np.ndarray) -> PointCloud:
    surface = scanned(vertices, faces, colours, noise, seeds)
    return PointCloud(surface.vertices, surface.colours)


_SENSORS = {"mesh": scanned, "range": range_scanned, "points": _points}


def with_labels(views: ViewSet, levels: Sequence[int] | None = None) -> ViewSet:
    """The rows that have one of the classes; with ``levels``, those of these intensities alone."""
    keep = (views.labels >= 0).numpy()
    if levels is not None:
        keep &= views.table["intensity"].isin(levels).to_numpy()
    return views.select(keep)
