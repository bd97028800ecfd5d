"""A raw scan: a mesh of its own topology in millimetres, with what else the scanner gave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facekit.data.formats import MAX_ELEMENTS, FormatError, Surface, inside_path
from facekit.meshes import MeshError, load_mesh, srgb_to_linear

MAX_MESH_BYTES = 128 * 2**20
MAX_TEXTURE_PIXELS = 64_000_000


@dataclass(frozen=True)
class Scan:
    """A scan of one face.

    Attributes:
        vertices: (V, 3) float32 in millimetres, x to the viewer's right, y up, z to the viewer.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        landmarks: (68, 3) float32 in the Multi-PIE / iBUG order, NaN where they are not known; or None.
        own_landmarks: (N, 3) the data set's own landmarks in its own order, NaN where one is missing; or None.
        uv: (T, 2) float32 with v up, and uv_faces (F, 3) int64 into it; or None.
        colours: (V, 3) float32 linear RGB in [0, 1]; or None.
        texture: the file of the texture; or None.
        name: what to call the scan in messages.
    """

    vertices: Tensor
    faces: Tensor
    landmarks: Tensor | None = None
    own_landmarks: Tensor | None = None
    uv: Tensor | None = None
    uv_faces: Tensor | None = None
    colours: Tensor | None = None
    texture: Path | None = None
    name: str = "scan"

    @classmethod
    def of(cls, surface: Surface, path: Path, unit: float = 1.0) -> Scan:
        """A scan from what a parser found in the file `path`; `unit` is the file's unit in millimetres.

        A texture that is named but not there is left out.
        """
        uv, uv_faces = (None if x is None else torch.from_numpy(x) for x in (surface.uv, surface.uv_faces))
        texture = path.parent / surface.texture if surface.texture else None
        return cls(
            torch.from_numpy(surface.vertices * np.float32(unit)),
            torch.from_numpy(surface.faces),
            uv=uv,
            uv_faces=uv_faces,
            texture=texture if texture is not None and texture.is_file() else None,
            name=str(path),
        )

    def moved(self, rotation: Tensor, translation: Tensor) -> Scan:
        """The scan and its landmarks after x -> R x + t, with `rotation` (3, 3) and `translation` (3,)."""

        def move(points: Tensor | None) -> Tensor | None:
            return None if points is None else points @ rotation.to(points).T + translation.to(points)

        return replace(
            self,
            vertices=move(self.vertices),
            landmarks=move(self.landmarks),
            own_landmarks=move(self.own_landmarks),
        )

    def texture_image(self) -> Tensor | None:
        """(3, H, W) float32, linear RGB in [0, 1], its first row at v = 1; None if there is no texture.

        Raises:
            FormatError: if the file cannot be read.
        """
        if self.texture is None or self.uv is None:
            return None
        return srgb_to_linear(torch.from_numpy(read_texture(self.texture)).permute(2, 0, 1).float() / 255.0)

    def vertex_colours(self) -> Tensor | None:
        """(V, 3) float32, linear RGB in [0, 1]: `colours`, or the texture where each vertex lies; None without either.

        Along a seam of the texture a vertex takes its first corner's colour; vertices without triangle are grey.
        """
        texture = self.texture_image() if self.colours is None else None
        if texture is None:
            return self.colours
        uv = torch.full((len(self.vertices), 2), torch.nan)
        uv[self.faces.flip(0).flatten()] = self.uv[self.uv_faces.flip(0).flatten()]
        grid = (uv * torch.tensor([2.0, -2.0]) + torch.tensor([-1.0, 1.0])).view(1, 1, -1, 2)
        sampled = torch.nn.functional.grid_sample(
            texture[None], grid.nan_to_num(), padding_mode="border", align_corners=False
        )
        return torch.where(uv[:, :1].isnan(), 0.5, sampled[0, :, 0].T)


def read_texture(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8.

    Raises:
        FormatError: if the file is no picture, is damaged, or has more than MAX_TEXTURE_PIXELS.
    """
    try:
        with Image.open(path, formats=("BMP", "JPEG", "PNG")) as image:
            if image.width * image.height > MAX_TEXTURE_PIXELS:
                raise FormatError(f"{path}: {image.width} x {image.height} pixels, expected {MAX_TEXTURE_PIXELS:,}")
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: cannot be read as a picture ({error})") from error


def read_obj_or_ply(path: str | Path, texture: str = "") -> Surface:
    """The surface of an OBJ or PLY file, vertex by vertex in the file's order; `texture` is its texture's file name.

    Raises:
        FormatError: if there is no such file, it is larger than MAX_MESH_BYTES, or cannot be read.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > MAX_MESH_BYTES:
        found = f"{path.stat().st_size:,} bytes" if path.is_file() else "no file"
        raise FormatError(f"{path}: found {found}, expected a mesh of at most {MAX_MESH_BYTES:,} bytes")
    try:
        mesh = load_mesh(path)
    except MeshError as error:
        raise FormatError(str(error)) from error
    if max(len(mesh.vertices), len(mesh.faces)) > MAX_ELEMENTS:
        raise FormatError(f"{path}: found {len(mesh.vertices):,} vertices, expected at most {MAX_ELEMENTS:,}")
    uv = uv_faces = None
    if mesh.corner_uv is not None:
        uv = np.ascontiguousarray(mesh.corner_uv.numpy().reshape(-1, 2))
        uv_faces = np.arange(len(uv), dtype=np.int64).reshape(-1, 3)
    elif mesh.uv is not None:
        uv, uv_faces = mesh.uv.numpy(), mesh.faces.numpy()
    if uv is not None and not np.isfinite(uv).all():
        raise FormatError(f"{path}: a texture coordinate is not finite")
    return Surface(
        mesh.vertices.numpy(), mesh.faces.numpy(), uv, uv_faces, inside_path(texture, str(path)) if texture else ""
    )
