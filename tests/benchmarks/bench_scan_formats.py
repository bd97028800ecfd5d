"""Time the readers of 3D scans at the data sets' sizes against the reading that one would write first.

Run it alone (`python tests/benchmarks/bench_scan_formats.py`).  Each line has the medians of processor times of runs
that alternate, so that other work on the machine matters little.
"""

import io
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from facekit.data.formats import parse_bnd, parse_bnt, parse_vl, parse_vrml, range_surface
from facekit.data.scans import Scan, ScanCache
from facekit.meshes.obj import format_obj, parse_obj
from facekit.meshes.ply import parse_ply
from tests.data.formats import scan_files
from tests.data.formats.naive_vrml import naive_vrml

RUNS = 11


def compare(
    what: str, ours: Callable[[], object], peer: str = "", theirs: Callable[[], object] | None = None, repeat: int = 1
) -> None:
    """Print medians in milliseconds of runs in turn, each of `repeat` calls."""
    times: dict[str, list[float]] = {"ours": [], peer: []}
    for _ in range(RUNS):
        for name, function in (("ours", ours), (peer, theirs)):
            if function is not None:
                start = time.process_time()
                for _ in range(repeat):
                    function()
                times[name].append(1e3 * (time.process_time() - start) / repeat)
    own = statistics.median(times["ours"])
    if theirs is None:
        print(f"{what}: {own:.2f} ms")
    else:
        other = statistics.median(times[peer])
        print(f"{what}: {own:.2f} ms, {peer} {other:.2f} ms, {other / own:.1f} times as long")


def vrml() -> None:
    """A scan of BU-3DFE: 7,968 vertices, 8,297 texture coordinates, 15,184 faces, some of them quads and pentagons."""
    generator = np.random.default_rng(0)
    vertices = scan_files.sheet(83, 96)[0] + generator.normal(0, 0.1, (7968, 3))
    ids = np.arange(83 * 96).reshape(83, 96)
    quads = np.stack([ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]], -1).reshape(-1, 4).tolist()
    polygons = [half for quad in quads[248:] for half in (quad[:3], [quad[0], *quad[2:]])][:14_934] + quads[:248]
    polygons += [[*quads[300], 5], [*quads[301], 9]]
    uv_polygons = [[corner + 3 for corner in polygon] for polygon in polygons]
    content = scan_files.bu3dfe_wrl(vertices, polygons, generator.random((8297, 2)), uv_polygons)
    print(f"BU-3DFE: {len(vertices):,} vertices, {len(polygons):,} faces, {len(content):,} bytes")
    surface, naive = parse_vrml(content), naive_vrml(content)
    assert np.array_equal(surface.faces, naive[1]) and np.array_equal(surface.vertices, naive[0].astype(np.float32))
    compare("  .wrl", lambda: parse_vrml(content), "word by word", lambda: naive_vrml(content))
    marks = scan_files.bnd(vertices[:83])
    compare("  .bnd", lambda: parse_bnd(marks), "numpy.loadtxt", lambda: np.loadtxt(io.BytesIO(marks)), repeat=100)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.wrl")
        path.write_bytes(content)
        cache = ScanCache(Path(folder, "cache"))

        def read() -> Scan:
            return Scan.of(parse_vrml(path.read_bytes()), path)

        cache.get("a", [path], read)
        compare("  from the cache", lambda: cache.get("a", [path], read), "parsed again", read)


def large_vrml() -> None:
    """A scan of BU-4DFE: 35,000 vertices, 70,000 triangles."""
    vertices, polygons = scan_files.sheet(187, 188)
    content = scan_files.bu4dfe_wrl(
        vertices, scan_files.triangles(polygons).tolist(), np.random.default_rng(0).random((35156, 2))
    )
    print(f"BU-4DFE: {len(vertices):,} vertices, {len(content):,} bytes")
    compare("  .wrl", lambda: parse_vrml(content), "word by word", lambda: naive_vrml(content))


def range_images() -> None:
    """A scan of Bosphorus of 233 x 186 points."""
    content = scan_files.bnt(*scan_files.range_image(233, 186))
    print(f"Bosphorus: 233 x 186 points, {len(content):,} bytes")

    def usual() -> tuple[np.ndarray, np.ndarray]:
        """Reads the five planes and joins the points of each square, square by square."""
        rows, columns, background, length = struct.unpack_from("<HHdH", content)
        planes = np.frombuffer(content, "<f8", offset=18 + length).reshape(5, rows, columns)
        valid = (planes[2] != background).tolist()
        faces = []
        for r in range(rows - 1):
            for c in range(columns - 1):
                if valid[r][c] and valid[r + 1][c] and valid[r][c + 1] and valid[r + 1][c + 1]:
                    k = r * columns + c
                    faces += [(k, k + 1, k + columns), (k + 1, k + columns + 1, k + columns)]
        return planes, np.array(faces)

    compare("  .bnt", lambda: parse_bnt(content))
    compare("  .bnt with triangles", lambda: range_surface(parse_bnt(content)), "square by square", usual)


def frames() -> None:
    """A frame of Fanelli's corpus: 23,370 vertices."""
    content = scan_files.vl(np.random.default_rng(0).normal(0, 50, (23_370, 3)))

    def usual() -> np.ndarray:
        return np.array([struct.unpack_from("<3f", content, 4 + 12 * k) for k in range(23_370)])

    print(f"Fanelli: 23,370 vertices, {len(content):,} bytes")
    compare("  .vl", lambda: parse_vl(content), "vertex by vertex", usual)


def meshes() -> None:
    """A scan of BP4D's size as OBJ with texture coordinates, and as PLY."""
    vertices, polygons = scan_files.sheet(187, 188)
    faces = scan_files.triangles(polygons)
    text = format_obj(vertices, faces, np.random.default_rng(0).random((len(vertices), 2)), None)
    binary = trimesh.Trimesh(vertices, faces, process=False).export(file_type="ply")
    print(f"Meshes: {len(vertices):,} vertices, {len(faces):,} triangles")

    def loaded(content: bytes, kind: str) -> trimesh.Trimesh:
        return trimesh.load(io.BytesIO(content), file_type=kind, process=False)

    compare("  .obj", lambda: parse_obj(text), "trimesh", lambda: loaded(text.encode(), "obj"))
    compare("  .ply", lambda: parse_ply(binary), "trimesh", lambda: loaded(binary, "ply"))


def main() -> None:
    for measure in (vrml, large_vrml, range_images, frames, meshes):
        measure()


if __name__ == "__main__":
    main()
