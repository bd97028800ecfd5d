"""Wavefront OBJ text to arrays and back, with every vertex where the file has it.

General loaders drop vertices that no face uses and split those with several texture coordinates; a mesh in dense
correspondence must not lose its numbering, so OBJ is read here.
"""

from itertools import chain

import numpy as np


class ObjError(ValueError):
    """A line of an OBJ file that cannot be read; the message has its number."""


def parse_obj(text: str) -> dict[str, np.ndarray | None]:
    """Read the geometry of an OBJ file; materials, groups and normals are skipped, no other file is opened.

    Polygons (a, b, c, d, ...) become the triangles (a, b, c), (a, c, d), ..., in the file's order.

    Returns:
        `vertices (V, 3)` float64; `colours (V, 3)` as written after the positions, or None; `faces (F, 3)` int64;
        `texture (T, 2)` float64 or None; `faces_texture (F, 3)` int64 ids into it (-1 for none) or None.

    Raises:
        ObjError: for a number or an index that cannot be read, naming its line.
    """
    lines = {"v": [], "vt": [], "f": []}
    counts = []
    for number, line in enumerate(text.replace("\\\n", "  ").splitlines(), 1):
        keyword, _, rest = line.strip().partition(" ")
        if keyword in lines:
            lines[keyword].append((number, rest.partition("#")[0].split()))
            if keyword == "f":
                counts.append((len(lines["v"]), len(lines["vt"])))
    vertices = _numbers(lines["v"], 3)
    corners, texture_corners = _polygons(lines["f"], counts)
    texture = _numbers(lines["vt"], 2)[:, :2] if lines["vt"] else None
    return {
        "vertices": vertices[:, :3],
        "colours": vertices[:, 3:6] if vertices.shape[1] >= 6 else None,
        "faces": corners,
        "texture": texture,
        "faces_texture": texture_corners if texture is not None else None,
    }


def _numbers(rows: list[tuple[int, list[str]]], least: int) -> np.ndarray:
    """All rows of one keyword as an array; rows may differ in length, the shortest decides."""
    if not rows:
        return np.zeros((0, least))
    width = min(len(tokens) for _, tokens in rows)
    if width >= least:
        try:
            return np.array([tokens[:width] for _, tokens in rows], dtype=np.float64)
        except ValueError:
            pass
    for number, tokens in rows:
        try:
            enough = len([float(token) for token in tokens]) >= least
        except ValueError:
            enough = False
        if not enough:
            raise ObjError(f"line {number}: expected at least {least} numbers, found {' '.join(tokens)[:60]!r}")
    raise ObjError("the numbers cannot be read")


def _polygons(rows: list[tuple[int, list[str]]], counts: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all polygons: vertex ids and texture ids, each `(F, 3)`, 0-based, texture -1 where there is none."""
    triangles = []
    for (number, tokens), (num_vertices, num_texture) in zip(rows, counts, strict=True):
        if len(tokens) < 3:
            raise ObjError(f"line {number}: a face needs at least three corners, found {len(tokens)}")
        try:
            polygon = [_corner(token, num_vertices, num_texture) for token in tokens]
        except ValueError as error:
            raise ObjError(f"line {number}: {' '.join(tokens)[:60]!r} is not a face") from error
        triangles += [(polygon[0], polygon[k], polygon[k + 1]) for k in range(1, len(polygon) - 1)]
    flat = np.array(list(chain.from_iterable(chain.from_iterable(triangles))), dtype=np.int64).reshape(-1, 3, 2)
    return flat[..., 0], flat[..., 1]


def _corner(token: str, num_vertices: int, num_texture: int) -> tuple[int, int]:
    """`7`, `7/3`, `7//2`, `7/3/2` to 0-based ids; negative ones count back from the last line read."""
    vertex, _, rest = token.partition("/")
    texture = rest.partition("/")[0]
    vertex_id, texture_id = int(vertex), int(texture) if texture else 0
    if vertex_id == 0:
        raise ValueError("ids start at 1")
    vertex_id = vertex_id - 1 if vertex_id > 0 else num_vertices + vertex_id
    if texture_id == 0:
        return vertex_id, -1
    return vertex_id, texture_id - 1 if texture_id > 0 else num_texture + texture_id


def format_obj(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray | None, colours: np.ndarray | None) -> str:
    """OBJ text of `vertices (V, 3)`, `faces (F, 3)`, and if given `uv (V, 2)` and `colours (V, 3)` in [0, 1]."""
    table = vertices if colours is None else np.concatenate([vertices, colours], 1)
    lines = ["v " + " ".join(f"{value:.9g}" for value in row) for row in table.tolist()]
    if uv is not None:
        lines += [f"vt {u:.9g} {v:.9g}" for u, v in uv.tolist()]
    corner = "{0}" if uv is None else "{0}/{0}"
    lines += ["f " + " ".join(corner.format(index + 1) for index in face) for face in faces.tolist()]
    return "\n".join(lines) + "\n"
