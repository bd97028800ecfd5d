"""Views of a copy: the scans that a reader of ``facekit.data`` gives, or one's own, each with a topology of its own.

A scan that has landmarks is brought into the frame of the book's average face, so that it stands upright in the middle
of the image whatever its scanner did; one without is centred alone. Recordings become one dynamic image per view. The
images are kept in a folder, a file for each scan or recording, and made again where a file of the scan has changed.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import DataChoice, DataError, DataSource
from facekit.data.readers.scan_source import every
from facekit.data.scans import Scan
from facekit.data.scans.cache import read_arrays, write_arrays
from facekit.data.world.framing import Framing
from facekit.meshes import linear_to_srgb, rigid_align
from facekit.mifar.own_scans import OwnScans
from facekit.mifar.pooling import dynamic_images
from facekit.mifar.scans import PointCloud, ScanError, from_meshes
from facekit.mifar.settings import ViewSettings
from facekit.mifar.views import ANGLES, EXTENT, count_channels, view_images
from facekit.morphable import ProceduralFace
from facekit.training import gather, gather_items, own_share, rank

STEADY = (*range(27, 36), 36, 39, 42, 45)
"""Landmarks that expressions hardly move: the nose and the corners of the eyes."""
FEWEST, FARTHEST = 6, 15.0
"""So many of them must be known, and lie so near (mean, in mm) to those of the average face, to be believed."""
_VERSION = 2
_OPTIONS = {"bu3dfe": {"yaws": (0.0,)}, "bosphorus": {"frontal": True}, "bu4dfe": {}, "bp4d": {}}


def copied_views(
    choice: DataChoice, settings: ViewSettings, recorded: bool, progress: Callable[[int, int], None]
) -> tuple[Tensor, pd.DataFrame]:
    """Images (N, views, C, H, W) uint8 of a copy's N scans or recordings, and their rows of the manifest.

    A scan that cannot be read, and a recording of which fewer than two frames can, is left out with a warning. The
    processes of a run share the work.

    Raises:
        DataError: the copy cannot be opened, holds no scans, or none that can be used.
    """
    source = _open_copy(choice, settings, recorded)
    source = source.select(frontal_rows(source.table))
    groups = recordings(source.table) if recorded else [np.array([row]) for row in range(len(source))]
    groups = [np.array(every(rows, settings.frames)) for rows in groups] if recorded else groups
    mine, images, kept, damaged = own_share(groups), [empty_views(settings)], [], []
    for done, rows in enumerate(mine, start=1):
        try:
            images.append(_kept_views(source, rows, settings, recorded)[None])
            kept.append(int(rows[0]))
        except DataError as error:
            damaged.append(str(error))
        progress(done, len(mine))
    kept, damaged = gather_items(kept), gather_items(damaged)
    what = "recordings" if recorded else "scans"
    if not kept:
        raise DataError(f"{source.name}: none of {len(groups)} {what} can be used; the first: {damaged[0]}")
    if damaged and rank() == 0:
        warnings.warn(f"{source.name}: {len(damaged)} of {len(groups)} {what} left out: {damaged[0]}", stacklevel=2)
    return gather(torch.cat(images)), source.table.take(kept).reset_index(drop=True)


def empty_views(settings: ViewSettings) -> Tensor:
    """Images (0, views, C, H, W) uint8 of no scan."""
    size = settings.image_size
    return torch.empty(0, len(ANGLES), count_channels(settings.channels), size, size, dtype=torch.uint8)


def scan_views(scan: Scan, settings: ViewSettings) -> Tensor:
    """Views (views, C, H, W) of a scan; without texture or colours it is grey, and without triangles a cloud.

    Raises:
        ScanError: a view shows no surface.
        FormatError: the texture is damaged.
    """
    vertices, centre = _upright(scan)
    colours = scan.vertex_colours()
    colours = torch.full_like(vertices, 0.5) if colours is None else linear_to_srgb(colours).clamp(0, 1)
    batch = vertices[None], colours[None]
    shown = from_meshes(batch[0], scan.faces, batch[1]) if len(scan.faces) else PointCloud(*batch)
    try:
        return view_images(shown, settings.image_size, settings.channels, extent=EXTENT, centre=centre)[0]
    except ScanError as error:
        raise ScanError(f"{scan.name}: {str(error).removeprefix('sample 0 ')}") from error


def frontal_rows(table: pd.DataFrame) -> np.ndarray:
    """Which rows (N,) show a face that is turned to the scanner and not covered; where nothing is said, it is."""
    frontal = np.ones(len(table), dtype=bool)
    for name in ("pitch", "yaw"):
        frontal &= table[name].fillna(0.0).to_numpy() == 0
    return frontal & (table["occluder"].astype(str) == "").to_numpy() if "occluder" in table else frontal


def recordings(table: pd.DataFrame) -> list[np.ndarray]:
    """Rows of each recording, frames in order."""
    names, recording = np.unique(table["sequence"].astype(str).to_numpy(), return_inverse=True)
    order = np.lexsort((table["frame"].to_numpy(), recording))
    return np.split(order, np.cumsum(np.bincount(recording, minlength=len(names)))[:-1])


def default_folder() -> Path:
    """Where images are kept if nothing else is said: ``~/.cache/facekit/mifar``, or below ``XDG_CACHE_HOME``."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "facekit" / "mifar"


def _open_copy(choice: DataChoice, settings: ViewSettings, recorded: bool) -> DataSource:
    if "own" in choice.folders and settings.dataset not in choice.folders:
        return OwnScans(choice.open(settings.dataset, subjects=settings.subjects or None), recorded)
    options = _OPTIONS[settings.dataset] | ({"frames": settings.frames} if recorded else {})
    choice.require(settings.dataset)
    folder = choice.folders[settings.dataset]
    if (folder / "prepared.json").is_file():
        raise DataError(f"{folder} holds prepared pictures, and MiFaR needs scans: name the data set's own folder")
    return choice.open(settings.dataset, subjects=settings.subjects or None, **options)


def _kept_views(source: DataSource, rows: np.ndarray, settings: ViewSettings, recorded: bool) -> Tensor:
    """Images (views, C, H, W) uint8 of one scan or recording, from the folder where they are kept."""
    folder = Path(settings.cache).expanduser() if settings.cache else default_folder()
    path = folder / f"{_digest([file for row in rows for file in source.files(row)], settings)}.npz"
    kept = read_arrays(path)
    if kept is not None and "images" in kept:
        return torch.from_numpy(kept["images"])
    views = _pooled(source, rows, settings) if recorded else scan_views(source.scan(rows[0]), settings)
    images = (views * 255).round().byte()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_arrays(path, {"images": images.numpy()})
    return images


def _pooled(source: DataSource, rows: Sequence[int], settings: ViewSettings) -> Tensor:
    """One dynamic image per view of a recording; damaged frames are passed over."""
    frames, damaged = [], ""
    for row in rows:
        try:
            frames.append(scan_views(source.scan(row), settings))
        except DataError as error:
            damaged = damaged or f": {error}"
    if len(frames) < 2:
        name = source.table["sequence"].iloc[rows[0]]
        raise ScanError(f"{name}: {len(frames)} of {len(rows)} frames can be used, expected two or more{damaged}")
    return dynamic_images(torch.stack(frames)[None], settings.pooling)[0]


def _upright(scan: Scan) -> tuple[Tensor, Tensor | None]:
    """Vertices (V, 3) with the face upright and forward, and the centre of the images (None: the vertices' median)."""
    if scan.landmarks is None:
        return scan.vertices, None
    own, (average, middle) = scan.landmarks[list(STEADY)], _average_face()
    found = own.isfinite().all(-1)
    if found.sum() < FEWEST:
        return scan.vertices, None
    move = rigid_align(own[found], average[found])
    if (move.apply(own[found]) - average[found]).norm(dim=-1).mean() > FARTHEST:
        return scan.vertices, None
    return move.apply(scan.vertices), middle


@lru_cache(maxsize=1)
def _average_face() -> tuple[Tensor, Tensor]:
    """The steady landmarks (13, 3) of the average face, and the middle (3,) of its head, as in the face world."""
    face = ProceduralFace(level=0)
    vertices = face.shape(torch.zeros(1, face.num_identity), face.neutral_expression())[0].float()
    return vertices[face.landmarks[list(STEADY)]], Framing.of(face, 64).centre


def _digest(files: Sequence[Path], settings: ViewSettings) -> str:
    """A name for the images of these files as they are now, under these settings."""
    about = [_VERSION, ANGLES, EXTENT, settings.image_size, settings.channels, settings.pooling]
    for file in files:
        state = file.stat() if file.is_file() else None
        about.append(f"{file.resolve()} {state.st_size} {state.st_mtime_ns}" if state else f"{file} absent")
    return hashlib.blake2b("\n".join(map(str, about)).encode(), digest_size=16).hexdigest()
