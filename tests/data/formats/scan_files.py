"""Small files in exactly the layouts of the 3D data sets, made up from a smooth surface."""

import struct

import numpy as np

LABELS = (
    "Outer left eyebrow", "Middle left eyebrow", "Inner left eyebrow", "Inner right eyebrow", "Middle right eyebrow",
    "Outer right eyebrow", "Outer left eye corner", "Inner left eye corner", "Inner right eye corner",
    "Outer right eye corner", "Nose saddle left", "Nose saddle right", "Left nose peak", "Nose tip", "Right nose peak",
    "Left mouth corner", "Upper lip outer middle", "Right mouth corner", "Upper lip inner middle",
    "Lower lip inner middle", "Lower lip outer middle", "Chin middle",
)  # fmt: skip


def sheet(rows: int = 5, columns: int = 4) -> tuple[np.ndarray, list[list[int]]]:
    """Vertices (V, 3) of a curved sheet and its faces: quads, one of them as two triangles, and a pentagon."""
    y, x = np.meshgrid(np.linspace(60, -60, rows), np.linspace(-50, 50, columns), indexing="ij")
    vertices = np.stack([x, y, 40 - x**2 / 60 - y**2 / 90], -1).reshape(-1, 3).round(4)
    ids = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]], -1).reshape(-1, 4).tolist()
    first = quads[0]
    pentagon = [*quads[1], quads[1][3] + 1] if columns > 3 else quads[1]
    return vertices, [first[:3], [first[0], first[2], first[3]], pentagon, *quads[2:]]


def triangles(polygons: list[list[int]]) -> np.ndarray:
    """The fans of polygons, one by one."""
    return np.array([[p[0], p[k], p[k + 1]] for p in polygons for k in range(1, len(p) - 1)])


def bu3dfe_wrl(vertices, polygons, uv, uv_polygons, texture="F0001_AN01WH_F3D.bmp", end="\n") -> bytes:
    """As the scanner of BU-3DFE writes: every keyword and bracket on its own line, no comma after the last entry."""

    def rows(entries: list[str]) -> list[str]:
        return [f"            {entry}," for entry in entries[:-1]] + [f"            {entries[-1]}"]

    def numbers(values: np.ndarray) -> list[str]:
        return rows([" ".join(f"{value:.6f}" for value in row) for row in values])

    def faces(lists: list[list[int]]) -> list[str]:
        return rows([" ".join(map(str, [*polygon, -1])) for polygon in lists])

    lines = [
        "#VRML V2.0 utf8", "#Tricorder Technology plc - 2000", "DEF Tricorder_object", "Transform", "{", "  children",
        "  [", "    Shape", "    {", "      appearance", "      Appearance", "      {", "        texture",
        "        ImageTexture", "        {", f'          url "{texture}"', "          repeatS FALSE",
        "          repeatT FALSE", "        }", "      }", "      geometry", "      IndexedFaceSet", "      {",
        "        ccw TRUE", "        solid FALSE", "        convex TRUE", "        creaseAngle 1.57", "        coord",
        "        Coordinate", "        {", "          point", "          [", *numbers(vertices), "          ]",
        "        }", "        coordIndex", "        [", *faces(polygons), "        ]", "        texCoord",
        "        TextureCoordinate", "        {", "          point", "          [", *numbers(uv), "          ]",
        "        }", "        texCoordIndex", "        [", *faces(uv_polygons), "        ]", "      }", "    }",
        "  ]", "}",
    ]  # fmt: skip
    for side in ("Front", "Back", "Left", "Right", "Top", "Bottom"):
        lines += [f"DEF Tricorder_Camera_{side} Viewpoint", "{", "  position 0 0 800", "  orientation 0 1 0 0",
                  "  fieldOfView 0.5", f'  description "{side}"', "}"]  # fmt: skip
    return (end.join(lines) + end).encode()


def bu4dfe_wrl(vertices, polygons, uv, texture="000.jpg", end="\r\n") -> bytes:
    """As BU-4DFE: brackets on the keyword's line, one texture coordinate for each vertex, no indices of their own."""
    lines = [
        "#VRML V2.0 utf8", "Shape {", "appearance Appearance { texture ImageTexture { url [ \"" + texture + "\" ] } }",
        "geometry IndexedFaceSet {", "coord Coordinate { point [",
        *(" ".join(f"{value:.4f}" for value in row) + "," for row in vertices), "] }", "coordIndex [",
        *(", ".join(map(str, [*polygon, -1])) + "," for polygon in polygons), "]",
        "texCoord TextureCoordinate { point [", *(f"{u:.5f} {v:.5f}," for u, v in uv), "] }", "} }",
    ]  # fmt: skip
    return (end.join(lines) + end).encode()


def bnt(points: np.ndarray, valid: np.ndarray, uv: np.ndarray, picture: str = "bs000_N_N_0.png") -> bytes:
    """A range image (R, C, 3) whose first row is the top of the face; files have it the other way round."""
    rows, columns = valid.shape
    background = -1e9
    planes = np.where(valid[..., None], points, background)
    planes = np.concatenate([planes, uv], axis=-1)[::-1].transpose(2, 0, 1)
    head = struct.pack("<HHdH", rows, columns, background, len(picture)) + picture.encode()
    return head + struct.pack("<I", 5 * rows * columns) + planes.astype("<f8").tobytes()


def range_image(rows: int = 12, columns: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, validity and texture coordinates of a curved sheet with a hole and a cut-off corner."""
    points = sheet(rows, columns)[0].reshape(rows, columns, 3)
    valid = np.ones((rows, columns), dtype=bool)
    valid[4:6, 3:5] = False
    valid[0, 0] = False
    v, u = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    return points, valid, np.stack([u, v], -1)


def bnd(points: np.ndarray, indices=None, tabs: bool = True, end: str = "\n") -> bytes:
    """Lines of a vertex number, two tabs (BU-3DFE) or a blank (BU-4DFE), and x, y, z."""
    indices = np.arange(len(points)) * 7 + 11 if indices is None else indices
    gap = "\t\t" if tabs else " "
    lines = [f"{index}{gap}{x:.6f} {y:.6f} {z:.6f}" for index, (x, y, z) in zip(indices, points, strict=True)]
    return (end.join(lines) + end + (end if tabs else "")).encode()


def tbnd(points: np.ndarray, angles=(1.5, -20.25, 3.0), with_index: bool = False, end: str = "\r\n") -> bytes:
    """A line of angles, then the points, with or without a number before them."""
    lines = [" ".join(f"{angle:.4f}" for angle in angles)]
    lines += [(f"{k} " if with_index else "") + " ".join(f"{value:.4f}" for value in p) for k, p in enumerate(points)]
    return (end.join(lines) + end).encode()


def lm3(points: np.ndarray, labels=LABELS, end: str = "\r\n") -> bytes:
    """A heading, the number of landmarks with a colon, then labels and coordinates in turn."""
    lines = ["# 3D Landmark File", "", f"{len(labels)} landmarks:"]
    for label, point in zip(labels, points, strict=True):
        lines += [label, " ".join(f"{value:g}" for value in point)]
    return (end.join(lines) + end).encode()


def lm2(points: np.ndarray, labels=LABELS, end: str = "\n", information: tuple[str, ...] = ()) -> bytes:
    """A heading, the number of landmarks without a colon, all labels, all places."""
    lines = ["# 2D Landmark File", *information, "", f"{len(labels)} landmarks", "", "Labels:", *labels, "",
             "2D Image coordinates:"]  # fmt: skip
    return (end.join([*lines, *(f"{x:g} {y:g}" for x, y in points)]) + end).encode()


def vl(vertices: np.ndarray) -> bytes:
    return struct.pack("<I", len(vertices)) + vertices.astype("<f4").tobytes()


def bs(shapes: np.ndarray, quads: int = 12) -> bytes:
    """Shapes (1 + K, V, 3), the neutral face first."""
    return struct.pack("<3i", len(shapes) - 1, shapes.shape[1], quads) + shapes.astype("<f4").tobytes()
