"""Multi-view images of the data sets of the paper's tables, in memory: licensed copies, or their twins.

The twin of BU-3DFE comes as meshes, Bosphorus' as range images, BU-4DFE's as sequences of meshes and BP4D's as
sequences of clouds of points, so that every path of ``facekit.mifar.scans`` is on the way to a table. Recordings become
one dynamic image per view. The expression is the label, and nobody's pictures are made without their name, so that
folds can be cut by person.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import PROTOCOLS, DataChoice, DataError, FaceWorld, expression_ids, parse_data
from facekit.meshes import linear_to_srgb, vertex_normals
from facekit.mifar.copies import copied_views, empty_views, frontal_rows, recordings
from facekit.mifar.elicited import elicited
from facekit.mifar.pooling import dynamic_images
from facekit.mifar.scans import PointCloud, ScanError, ScannerNoise, Surface, from_range_images, scanned
from facekit.mifar.settings import ViewSettings
from facekit.mifar.views import EXTENT, view_images
from facekit.render import interpolate, rasterize, shade, weak_perspective
from facekit.training import gather, gather_items, own_share

SENSORS = {"bu3dfe": "mesh", "bosphorus": "range", "bu4dfe": "mesh", "bp4d": "points"}
"""What the scanner of each twin gives."""
RECORDED = ("bu4dfe", "bp4d")
_SPACING, _GRID = 2.0, 96


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

    @property
    def people(self) -> Tensor:
        """(N,) int64: a number for each person."""
        return torch.from_numpy(pd.factorize(self.table["subject"].astype(str))[0])

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Images of these rows, still in 8 bits, and their labels."""
        return {"images": self.images[rows], "labels": self.labels[rows]}

    def select(self, rows: np.ndarray) -> "ViewSet":
        """Some rows: a boolean mask or positions."""
        positions = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        places = torch.from_numpy(positions)
        return replace(self, images=self.images[places], labels=self.labels[places], table=self.table.iloc[positions])


def open_views(settings: ViewSettings, progress: Callable[[int, int], None] = lambda done, total: None) -> ViewSet:
    """Render the views of a data set; the same settings are rendered once in a process, a copy's scans once at all.

    In a run of several processes each renders its share and gets all images: all of them must call this.

    Raises:
        DataError: the data cannot be opened, or comes without 3D scans.
        ScanError: a view of a twin shows no surface, or a recording has one frame.
    """
    if settings.dataset not in SENSORS:
        raise DataError(f"{settings.dataset!r} is none of the paper's data sets, which are {', '.join(SENSORS)}")
    return _rendered(settings, progress)


@lru_cache(maxsize=4)
def _rendered(settings: ViewSettings, progress: Callable[[int, int], None]) -> ViewSet:
    choice, recorded = parse_data(settings.data), settings.dataset in RECORDED
    images, table = (_twin_views if choice.is_world else copied_views)(choice, settings, recorded, progress)
    classes = tuple(name for name in PROTOCOLS[settings.dataset].expressions if name != "neutral")
    labels = torch.from_numpy(expression_ids(table["expression"], classes))
    return ViewSet(images, labels, classes, table)


def _twin_views(
    choice: DataChoice, settings: ViewSettings, recorded: bool, progress: Callable[[int, int], None]
) -> tuple[Tensor, pd.DataFrame]:
    """Images (N, views, C, H, W) uint8 of a twin's scans or recordings, and their rows of the manifest.

    The processes of a run share the blocks that one process would render.
    """
    source = _open_twin(choice, settings, recorded)
    groups = np.stack(recordings(source.table)) if recorded else np.arange(len(source))[:, None]
    block = max(1, 48 // groups.shape[1])
    mine = own_share([groups[start : start + block] for start in range(0, len(groups), block)])
    images, total, problems = [empty_views(settings)], sum(map(len, mine)), []
    try:
        for rows in mine:
            views = _view_block(source, rows.reshape(-1), settings).unflatten(0, rows.shape)
            pooled = dynamic_images(views, settings.pooling) if recorded else views[:, 0]
            images.append((pooled * 255).round().byte())
            progress(sum(map(len, images)), total)
    except ScanError as error:
        problems = [str(error)]
    problems = gather_items(problems)
    if problems:  # raised by all processes, as the first one alone may speak
        raise ScanError(problems[0])
    return gather(torch.cat(images)), source.table.take(groups[:, 0]).reset_index(drop=True)


def _open_twin(choice: DataChoice, settings: ViewSettings, recorded: bool) -> FaceWorld:
    """The frontal, unoccluded rows of the twin, with meshes; recordings with ``frames`` frames each."""
    outputs = ("vertices", "vertex_albedo", "light", "pose")
    sizes = {"frames": settings.frames} if recorded else {}
    source = choice.open(settings.dataset, subjects=settings.subjects or None, outputs=outputs, **sizes)
    source = source.select(frontal_rows(source.table))
    return elicited(source) if settings.dataset == "bp4d" else source


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
    return views.select(labelled_rows(views, levels))


def labelled_rows(views: ViewSet, levels: Sequence[int] | None = None) -> np.ndarray:
    """Which rows (N,) ``with_labels`` keeps.

    Raises:
        DataError: levels are asked for, and the table has none.
    """
    keep = (views.labels >= 0).numpy()
    if levels is None:
        return keep
    if "intensity" not in views.table:
        raise DataError(f"the scans have no column 'intensity', of which levels {', '.join(map(str, levels))} are used")
    return keep & views.table["intensity"].isin(levels).to_numpy()
