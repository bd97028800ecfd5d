"""Small OBJ, PLY and GLB files in the layouts that scanners and programs write."""

import struct
import tempfile
from pathlib import Path

import numpy as np
import torch

from facekit.meshes import save_mesh
from tests.data.formats import scan_files

Polygons = list[list[int]]


def objs() -> list[bytes]:
    """Every way to write a corner: alone, with texture, with normal, with both, counted back; and colours."""
    vertices, polygons = scan_files.sheet()
    rows = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in vertices]
    coloured = [f"{row} 0.5 {k / len(rows):.3f} 1" for k, row in enumerate(rows)]
    texture = [f"vt {k / 10:.2f} {k % 7 / 7:.3f}" for k in range(len(rows) + 2)]
    normals = ["vn 0 0 1"]

    def faces(corner: str, of: Polygons = polygons) -> list[str]:
        return ["f " + " ".join(corner.format(a + 1, a + 2, a - len(rows)) for a in polygon) for polygon in of]

    files = [
        ["# a scan", "mtllib a.mtl", *rows, *texture, "usemtl skin", "g face", *faces("{0}/{1}")],
        [*rows, *texture[: len(rows)], *faces("{0}")],
        [*coloured, *normals, *faces("{0}//1")],
        [*rows, *texture, *normals, *faces("{0}/{1}/1", polygons[:2]), *faces("{2}/{1}", polygons[2:])],
    ]
    return [(end.join([*lines, ""])).encode() for lines, end in zip(files, ("\n", "\r\n", "\n", "\n"), strict=True)]


def ply(vertices: np.ndarray, polygons: Polygons, kind: str = "binary_little_endian", extra: bool = False) -> bytes:
    """A PLY file; with `extra` vertices have colours and texture, and an element of another kind stands between."""
    end = "\r\n" if kind == "ascii" else "\n"
    head = ["ply", f"format {kind} 1.0", "comment made up", f"element vertex {len(vertices)}"]
    head += [f"property float {axis}" for axis in "xyz"]
    if extra:
        head += ["property uchar red", "property uchar green", "property uchar blue", "property double s"]
        head += ["property double t", "element range 2", "property short from"]
    head += [f"element face {len(polygons)}", f"property list uchar {'int' if extra else 'uint'} vertex_indices"]
    head += ["property uchar flags"] if extra else []
    more = [(10, 200, k % 256, k / 50, 0.5) if extra else () for k in range(len(vertices))]
    numbers = [(*row, *rest) for row, rest in zip(np.float32(vertices).tolist(), more, strict=True)]
    tail = (7,) if extra else ()
    if kind == "ascii":
        rows = [" ".join(f"{value:.9g}" for value in row) for row in numbers] + (["-3", "4"] if extra else [])
        rows += [" ".join(map(str, [len(polygon), *polygon, *tail])) for polygon in polygons]
        return (end.join([*head, "end_header", *rows]) + end).encode()
    order = "<" if "little" in kind else ">"
    body = b"".join(struct.pack(order + ("fffBBBdd" if extra else "fff"), *row) for row in numbers)
    body += struct.pack(order + "hh", -3, 4) if extra else b""
    for polygon in polygons:
        body += struct.pack(f"{order}B{len(polygon)}{'i' if extra else 'I'}", len(polygon), *polygon) + bytes(tail)
    return ("\n".join([*head, "end_header"]) + "\n").encode() + body


def plys() -> list[bytes]:
    """Text and both byte orders, triangles alone and polygons of several lengths, with and without more columns."""
    vertices, polygons = scan_files.sheet()
    triangles = scan_files.triangles(polygons).tolist()
    return [
        ply(vertices, triangles),
        ply(vertices, polygons, extra=True),
        ply(vertices, polygons, "binary_big_endian"),
        ply(vertices, triangles, "ascii"),
        ply(vertices, polygons, "ascii", extra=True),
    ]


def glbs() -> list[bytes]:
    """A GLB file with texture coordinates and colours, and one with neither."""
    vertices, polygons = scan_files.sheet()
    arrays = torch.from_numpy(vertices).float(), torch.from_numpy(scan_files.triangles(polygons))
    uv, albedo = (
        torch.rand(len(vertices), 2, generator=torch.Generator().manual_seed(0)),
        torch.full((len(vertices), 3), 0.4),
    )
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for number, more in enumerate(({"uv": uv, "albedo": albedo}, {})):
            path = Path(folder, f"{number}.glb")
            save_mesh(path, *arrays, **more)
            files.append(path.read_bytes())
    return files
