"""Throw damaged files at the parsers: ``python tests/data/formats/fuzz.py --inputs 100000 vrml bnt``.

Every input is a valid small file with a few random changes, made by a seeded generator, so that a failure can be made
again.  A parser may accept what is left or raise FormatError.  Anything else counts as a failure: another exception,
more than LIMIT seconds, more than ROOM bytes, or a result with numbers that are not finite, indices out of range or a
path that leaves its folder.  Numbers, VRML, OBJ and PLY are also compared with a slow reading, word by word.
"""

import argparse
import io
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import scipy.io

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from facekit.data import formats
from facekit.data.formats.numbers import parse_floats, parse_integers
from facekit.meshes import MeshError
from facekit.meshes.files import Mesh, parse_mesh
from tests.data.formats import mesh_files, scan_files
from tests.data.formats.naive_meshes import naive_obj, naive_ply
from tests.data.formats.naive_vrml import naive_vrml

LIMIT = 5.0
ROOM = 4 * 2**30
WORDS = (
    b"nan", b"inf", b"-inf", b"1e999", b"-1", b"-2", b"999999999", b"99999999999999999999", b"1.5", b"0x10", b"--3",
    b"+", b"1-2", b".", b"[", b"]", b"{", b"}", b'"', b"#", b"\n", b"\r\n", b"\0", b"\xff\xfe", b"point [",
    b"coordIndex [", b'url "../x.bmp"', b'url "/etc/passwd"', b"C:\\x.bmp", b"ccw FALSE", b",", b"22 landmarks",
    b"1//2", b"-1/-1/-1", b"1e39", b"element vertex 4000000000\n", b"property list uint int x\n", b"\\\n", b"1_0",
    b"\xc3\xa9", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0\xc0\x7f", b"\0\0\0\0\0\0\xf0\x7f",
)  # fmt: skip

Parser = Callable[[bytes], object]


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """The content after one to four random changes."""
    for _ in range(int(generator.integers(1, 5))):
        kind = int(generator.integers(8))
        place = int(generator.integers(len(content) + 1))
        length = int(generator.integers(1, 1 + min(64, 1 + len(content))))
        data = bytearray(content)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << int(generator.integers(8))
        elif kind == 1 and data:
            data[place % len(data)] = int(generator.integers(256))
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            data[place:place] = WORDS[int(generator.integers(len(WORDS)))]
        elif kind == 5:
            word = WORDS[int(generator.integers(len(WORDS)))]
            data[place : place + len(word)] = word
        elif kind == 6:
            source = int(generator.integers(len(content) + 1))
            data[place:place] = content[source : source + length]
        else:
            data[place : place + length] = generator.bytes(length)
        content = bytes(data)
    return content


def _mat(compressed: bool) -> bytes:
    fit = np.zeros((1, 2), dtype=[("pred", object), ("pose", object)])
    fit[0, 0], fit[0, 1] = (np.ones((3, 2)), "text"), (np.zeros((0, 0)), np.array([[1, "x"]], dtype=object))
    stream = io.BytesIO()
    values = {"pt2d": np.arange(6.0).reshape(2, 3), "roi": np.int16([[1, 2]]), "fit": fit, "name": "face"}
    scipy.io.savemat(stream, values, do_compression=compressed)
    return stream.getvalue()


def _mat73() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        file["pts"] = np.arange(6.0).reshape(3, 2)
        file.create_dataset("fit/pred", data=np.ones((4, 4)), chunks=(2, 2), compression="gzip")
    return b"MATLAB 7.3".ljust(512, b"\0") + stream.getvalue()[512:]


def _vrml() -> list[bytes]:
    vertices, polygons = scan_files.sheet(4, 3)
    uv = np.random.default_rng(0).random((len(vertices) + 2, 2))
    shifted = [[corner + 2 for corner in polygon] for polygon in polygons]
    return [
        scan_files.bu3dfe_wrl(vertices, polygons, uv, shifted),
        scan_files.bu4dfe_wrl(vertices, polygons, uv[: len(vertices)]),
    ]


def _marks(count: int = 22) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 40, (count, 3)).round(3)


def _like_python(parse: Callable[[bytes, str, str], np.ndarray], kind: type) -> Parser:
    """The parser, whose numbers must be those that Python reads."""

    def checked(content: bytes) -> np.ndarray:
        found = parse(content, "text", "values")
        expected = [kind(word) for word in content.replace(b",", b" ").split()]
        if kind is int:
            expected = [min(max(value, -(2**63)), 2**63 - 1) for value in expected]
        assert found.tolist() == expected, f"{found.tolist()} instead of {expected}"
        return found

    return checked


def _like_naive(content: bytes) -> formats.Surface:
    """The VRML parser, whose surface must be that of the naive one wherever both understand a file."""
    surface = formats.parse_vrml(content)
    try:
        vertices, faces, uv, uv_faces = naive_vrml(content.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, IndexError, KeyError):
        return surface
    assert np.array_equal(surface.vertices, vertices.astype(np.float32)), "other vertices"
    assert np.array_equal(surface.faces, faces), "other faces"
    if surface.uv is not None and uv is not None:
        assert np.array_equal(surface.uv, uv.astype(np.float32)), "other texture coordinates"
        assert np.array_equal(surface.uv_faces, uv_faces), "other texture faces"
    return surface


def _mesh(ending: str, naive: Callable[[bytes], tuple[list, list]] | None = None) -> Parser:
    """The reader of meshes, which must read what the naive one does wherever that understands a file."""

    def parse(content: bytes) -> Mesh:
        name = f"a{ending}"
        try:
            mesh = parse_mesh(content, name)
        except MeshError as error:
            assert str(error).startswith(f"{name}: "), f"does not begin with the file: {error}"
            raise formats.FormatError(str(error)) from error
        if naive is not None:
            vertices, triangles = naive(content)
            assert np.array_equal(mesh.vertices.numpy(), np.array(vertices).astype(np.float32)), "other vertices"
            assert mesh.faces.tolist() == triangles, "other faces"
        return mesh

    return parse


CORPUS: dict[str, tuple[Parser, list[bytes]]] = {
    "vrml": (_like_naive, _vrml()),
    "bnt": (formats.parse_bnt, [scan_files.bnt(*scan_files.range_image(4, 3))]),
    "bnd": (formats.parse_bnd, [scan_files.bnd(_marks(83)), scan_files.bnd(_marks(83), tabs=False, end="\r\n")]),
    "tbnd": (formats.parse_tbnd, [scan_files.tbnd(_marks(83)), scan_files.tbnd(_marks(83), with_index=True)]),
    "lm2": (formats.parse_lm2, [scan_files.lm2(_marks()[:, :2]), scan_files.lm2(_marks()[:, :2], end="\r\n")]),
    "lm3": (formats.parse_lm3, [scan_files.lm3(_marks()), scan_files.lm3(_marks(10), scan_files.LABELS[:10], "\n")]),
    "vl": (formats.parse_vl, [scan_files.vl(_marks(9))]),
    "bs": (formats.parse_bs, [scan_files.bs(_marks(10).reshape(2, 5, 3))]),
    "mat": (formats.parse_mat, [_mat(False), _mat(True)]),
    "mat73": (formats.parse_mat, [_mat73()]),
    "obj": (_mesh(".obj", naive_obj), mesh_files.objs()),
    "ply": (_mesh(".ply", naive_ply), mesh_files.plys()),
    "glb": (_mesh(".glb"), mesh_files.glbs()),
    "floats": (_like_python(parse_floats, float), [b"1.5, -2 3e4\n.25 7. 123456789.123", b"0.1 " * 9]),
    "integers": (_like_python(parse_integers, int), [b"1, -1 2 3\r\n44 5", b"0 1 2 -1, " * 5]),
}
"""Name of a format -> its parser, and valid files to begin with."""


def complaint(result: object) -> str:
    """What is wrong with a result; empty if it is sound."""
    if isinstance(result, formats.Surface):
        return _surface(result)
    if isinstance(result, Mesh):
        return _mesh_complaint(result)
    if isinstance(result, formats.RangeImage):
        return _finite(result.points, result.uv) or _inside(result.picture) or _surface(formats.range_surface(result))
    if isinstance(result, formats.Landmarks):
        known = result.points[~np.isnan(result.points).all(axis=1)]
        return _finite(known, *(x for x in (result.angles,) if x is not None))
    if isinstance(result, dict):
        landmarks = [value for value in result.values() if getattr(value, "dtype", None) == np.float32]
        return _finite(*landmarks)
    return _finite(result)


def _surface(surface: formats.Surface) -> str:
    for indices, points in ((surface.faces, surface.vertices), (surface.uv_faces, surface.uv)):
        if indices is not None and len(indices) and not 0 <= indices.min() <= indices.max() < len(points):
            return "an index out of range"
    return _finite(surface.vertices, *(x for x in (surface.uv,) if x is not None)) or _inside(surface.texture)


def _mesh_complaint(mesh: Mesh) -> str:
    if not (0 <= mesh.faces.min() and mesh.faces.max() < len(mesh.vertices)):
        return "an index out of range"
    shapes = {"uv": (len(mesh.vertices), 2), "corner_uv": (len(mesh.faces), 3, 2), "albedo": (len(mesh.vertices), 3)}
    there = {key: getattr(mesh, key) for key in shapes if getattr(mesh, key) is not None}
    if any(tuple(value.shape) != shapes[key] for key, value in there.items()):
        return "an array of another size"
    return _finite(mesh.vertices.numpy(), *(value.numpy() for value in there.values()))


def _finite(*arrays: np.ndarray) -> str:
    return "" if all(np.isfinite(array).all() for array in arrays) else "a number that is not finite"


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    return "a path outside the folder" if path.is_absolute() or ".." in path.parts or "\\" in name else ""


def run(name: str, inputs: int, seed: int = 0, report: Callable[[str], None] = print) -> Counter[str]:
    """How many inputs were accepted, refused and failed; each failure is reported with the seed that makes it again."""
    parser, corpus = CORPUS[name]
    counts: Counter[str] = Counter()
    for number in range(inputs):
        generator = np.random.default_rng([seed, number])
        content = mutated(corpus[number % len(corpus)], generator)
        outcome, detail = attempt(parser, content)
        counts[outcome] += 1
        if outcome == "failed":
            report(f"{name}: input {number} of seed {seed}: {detail}")
    return counts


def attempt(parser: Parser, content: bytes) -> tuple[str, str]:
    """ "accepted", "refused" or "failed", and why."""
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        detail = complaint(parser(content))
        return ("failed", detail) if detail else ("accepted", "")
    except formats.FormatError as error:
        return ("refused", str(error)) if len(str(error)) > 12 else ("failed", f"says nothing: {error!r}")
    except TimeoutError:
        return "failed", f"took more than {LIMIT} s"
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _too_late(*_: object) -> None:
    raise TimeoutError


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("formats", nargs="*", choices=[*CORPUS, []], help="all if none is named")
    options.add_argument("--inputs", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options = options.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGALRM, _too_late)
    failed = 0
    for name in options.formats or CORPUS:
        start = time.perf_counter()
        counts = run(name, options.inputs, options.seed)
        seconds = time.perf_counter() - start
        parts = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in ("accepted", "refused", "failed"))
        print(f"{name}: {options.inputs:,} inputs in {seconds:.0f} s: {parts}", flush=True)
        failed += counts["failed"]
    return int(failed > 0)


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, _too_late)
    sys.exit(main())
