"""Meshes from and to files: OBJ, PLY and GLB, vertex by vertex in the file's order.

Nothing is merged, reordered or dropped, so what is known about vertex i (a landmark, a region, its mirror image) stays
true. Colours in files are sRGB-coded (linear in GLB, as its standard says); in memory `albedo` is linear. OBJ and PLY
are read here, as general loaders lose that numbering or let damaged files pass; trimesh reads GLB and writes.
"""

import io
import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from torch import Tensor

from facekit.meshes.checks import MeshError, check_mesh
from facekit.meshes.colour import linear_to_srgb, srgb_to_linear
from facekit.meshes.obj import format_obj, parse_obj
from facekit.meshes.ply import parse_ply

FORMATS = (".obj", ".ply", ".glb")
RAW_SCAN_DEFECTS = ("degenerate", "duplicate", "non-manifold", "winding")


@dataclass(frozen=True)
class Mesh:
    """A mesh as a file holds it.

    Attributes:
        vertices: `(V, 3)` float32, in the file's own unit.
        faces: `(F, 3)` int64; polygons are cut into fans.
        uv: `(V, 2)` float32, or None. Where a seam gives a vertex several, the first; `corner_uv` has them all.
        corner_uv: `(F, 3, 2)` float32 per triangle corner, or None.
        albedo: `(V, 3)` float32 linear RGB in [0, 1] from vertex colours, or None.
        name: the file's name.
    """

    vertices: Tensor
    faces: Tensor
    uv: Tensor | None = None
    corner_uv: Tensor | None = None
    albedo: Tensor | None = None
    name: str = "mesh"


def load_mesh(path: str | Path, allow: Collection[str] = RAW_SCAN_DEFECTS) -> Mesh:
    """Read an OBJ, PLY or GLB file.

    Args:
        path: the file; its ending decides how it is read. Materials and textures are not opened.
        allow: kinds of defect (see `check_mesh`) that are let through; by default those that raw scans have. Bad
            indices, values that are not finite, and empty meshes never pass unless named here.

    Raises:
        FileNotFoundError: if there is no such file.
        MeshError: if the ending is unknown, the file cannot be read, or the mesh has a defect; it names the file.
    """
    path = Path(path)
    if path.is_dir():
        raise MeshError(f"{path}: found a folder there, expected a file ending in {', '.join(FORMATS)}")
    return parse_mesh(path.read_bytes() if path.suffix.lower() in FORMATS else b"", path, allow)


def parse_mesh(content: bytes, path: str | Path, allow: Collection[str] = RAW_SCAN_DEFECTS) -> Mesh:
    """As `load_mesh`, from the content of a file; nothing is read at `path`, its ending and name are taken from it."""
    path = Path(path)
    readers = {".obj": _read_obj, ".ply": _read_ply, ".glb": _read_glb}
    ending = path.suffix.lower()
    if ending not in readers:
        raise MeshError(f"{path}: expected a file ending in {', '.join(FORMATS)}, found {ending or 'no ending'}")
    try:
        with np.errstate(all="ignore"):  # numbers beyond single precision become infinite, which is noticed below
            mesh = readers[ending](content, path.name)
    except Exception as error:
        raise MeshError(f"{path}: cannot be read as {ending[1:].upper()}: {error or type(error).__name__}") from error
    check_mesh(mesh.vertices, mesh.faces, str(path), allow)
    shapes = {"uv": (len(mesh.vertices), 2), "corner_uv": (len(mesh.faces), 3, 2), "albedo": (len(mesh.vertices), 3)}
    for label, shape in shapes.items():
        values = getattr(mesh, label)
        if values is not None and tuple(values.shape) != shape:
            raise MeshError(f"{path}: {label} has the shape {tuple(values.shape)}, expected {shape}")
        if values is not None and not values.isfinite().all():
            raise MeshError(f"{path}: {label} holds a number that is not finite")
    return mesh


def save_mesh(
    path: str | Path, vertices: Tensor, faces: Tensor, uv: Tensor | None = None, albedo: Tensor | None = None
) -> None:
    """Write an OBJ, PLY or GLB file, whole or not at all: it appears under its name only when complete.

    Args:
        path: where; the ending decides the format, the folder must exist.
        vertices: `(V, 3)`.
        faces: `(F, 3)`.
        uv: `(V, 2)`.
        albedo: `(V, 3)` linear RGB in [0, 1], written as vertex colours.

    Raises:
        MeshError: if the ending is unknown, shapes do not fit, or the mesh has bad indices or values.
    """
    path = Path(path)
    writers = {".obj": _write_obj, ".ply": _write_ply, ".glb": _write_glb}
    ending = path.suffix.lower()
    if ending not in writers:
        raise MeshError(f"{path}: expected a file ending in {', '.join(FORMATS)}, found {ending or 'no ending'}")
    check_mesh(vertices, faces, str(path), RAW_SCAN_DEFECTS)
    for label, signal, width in (("uv", uv, 2), ("albedo", albedo, 3)):
        if signal is not None and tuple(signal.shape) != (len(vertices), width):
            raise MeshError(f"{path}: {label} is {tuple(signal.shape)}, expected ({len(vertices)}, {width})")
        if signal is not None and not signal.isfinite().all():
            raise MeshError(f"{path}: {label} holds a number that is not finite")
    arrays = [None if x is None else x.detach().cpu().numpy() for x in (vertices, faces, uv, albedo)]
    _write_whole(path, writers[ending](*arrays))


def _encoded(linear: np.ndarray) -> np.ndarray:
    return linear_to_srgb(torch.as_tensor(linear).clamp(0, 1)).numpy()


def _decoded(stored: np.ndarray) -> np.ndarray:
    if not np.isfinite(stored).all():
        raise ValueError("a colour is not finite")
    return srgb_to_linear(torch.as_tensor(stored).clamp(0, 1)).numpy()


def _read_obj(content: bytes, name: str) -> Mesh:
    parts = parse_obj(content.decode("utf-8-sig", errors="replace"))
    vertices, faces, colours = parts["vertices"], parts["faces"], parts["colours"]
    if colours is not None:
        colours = _decoded(colours / 255 if colours.size and colours.max() > 1 else colours)
    uv = corner_uv = None
    ids = parts["faces_texture"]
    if ids is not None and (ids == -1).all() and len(parts["texture"]) == len(vertices):
        uv = parts["texture"]  # one for each vertex, which the faces do not repeat
    elif ids is not None and ids.size and (ids >= 0).all():
        corner_uv = parts["texture"][ids]
        uv = _first_uv(len(vertices), faces, corner_uv)
    return _mesh(vertices, faces, uv, corner_uv, colours, name)


def _first_uv(num_vertices: int, faces: np.ndarray, corner_uv: np.ndarray) -> np.ndarray:
    """Texture coordinates `(V, 2)`: of each vertex those of its first corner, zeros where it has none."""
    uv = np.zeros((num_vertices, 2))
    inside = (faces >= 0) & (faces < num_vertices)
    uv[faces[inside][::-1]] = corner_uv[inside][::-1]
    return uv


def _read_ply(content: bytes, name: str) -> Mesh:
    parts = parse_ply(content)
    vertices, faces, uv, corner_uv = (parts[key] for key in ("vertices", "faces", "uv", "corner_uv"))
    if uv is None and corner_uv is not None:
        uv = _first_uv(len(vertices), faces, corner_uv)
    colours = None if parts["colours"] is None else _decoded(parts["colours"])
    return _mesh(vertices, faces, uv, corner_uv, colours, name)


def _read_glb(content: bytes, name: str) -> Mesh:
    """All meshes of the scene in its frame, one after the other; uv and colours only if every one has them."""
    scene = trimesh.load(io.BytesIO(content), file_type="glb", process=False)
    parts = [(scene.graph[node], scene.geometry[scene.graph[node][1]]) for node in scene.graph.nodes_geometry]
    parts = [(place[0], mesh) for place, mesh in parts if isinstance(mesh, trimesh.Trimesh)]
    if not parts:
        raise ValueError("it holds no mesh")
    offsets = np.cumsum([0] + [len(mesh.vertices) for _, mesh in parts])
    vertices = np.concatenate([trimesh.transform_points(mesh.vertices, place) for place, mesh in parts])
    faces = np.concatenate([mesh.faces + offset for (_, mesh), offset in zip(parts, offsets, strict=False)])
    uv = [getattr(mesh.visual, "uv", None) for _, mesh in parts]
    colours = [_glb_colours(mesh.visual) for _, mesh in parts]
    uv, colours = (None if any(x is None for x in column) else np.concatenate(column) for column in (uv, colours))
    return _mesh(vertices, faces, uv, None, colours, name)


def _glb_colours(visual) -> np.ndarray | None:
    attributes = getattr(visual, "vertex_attributes", {})
    stored = visual.vertex_colors if visual.kind == "vertex" else attributes.get("color")
    return None if stored is None else np.asarray(stored, dtype=np.float64)[:, :3] / 255


def _mesh(vertices, faces, uv, corner_uv, albedo, name: str) -> Mesh:
    floats = [
        None if x is None else torch.from_numpy(np.array(x, dtype=np.float32))
        for x in (vertices, uv, corner_uv, albedo)
    ]
    triangles = torch.from_numpy(np.array(faces, dtype=np.int64).reshape(-1, 3))
    return Mesh(floats[0], triangles, *floats[1:], name=name)


def _write_obj(vertices, faces, uv, albedo) -> bytes:
    return format_obj(vertices, faces, uv, None if albedo is None else _encoded(albedo)).encode()


def _write_ply(vertices, faces, uv, albedo) -> bytes:
    mesh = trimesh.Trimesh(vertices, faces, process=False, vertex_colors=_bytes(albedo, _encoded))
    if uv is not None:
        mesh.vertex_attributes.update(s=uv[:, 0].astype(np.float32), t=uv[:, 1].astype(np.float32))
    return mesh.export(file_type="ply")


def _write_glb(vertices, faces, uv, albedo) -> bytes:
    colours = _bytes(albedo, lambda linear: np.clip(linear, 0, 1))
    mesh = trimesh.Trimesh(vertices, faces, process=False, vertex_colors=colours)
    if uv is not None:
        mesh.visual = trimesh.visual.TextureVisuals(uv=uv)
        if colours is not None:
            mesh.visual.vertex_attributes["color"] = colours
    return mesh.export(file_type="glb")


def _bytes(albedo: np.ndarray | None, encode) -> np.ndarray | None:
    if albedo is None:
        return None
    opaque = np.ones((len(albedo), 1))
    return np.round(255 * np.concatenate([encode(albedo), opaque], 1)).astype(np.uint8)


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside the target, flush, then rename over it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
