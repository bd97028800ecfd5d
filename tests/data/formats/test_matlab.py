"""MATLAB files of both versions, and headers that promise what the file does not hold."""

import io
import struct
import time
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from facekit.data.formats import FormatError, matlab, parse_mat, read_mat, require_numbers

FIT = np.zeros((1, 2), dtype=[("pred", object), ("pose", object)])
FIT[0, 0], FIT[0, 1] = (np.ones((49, 2)), 1.0), (np.zeros((0, 0)), 2.0)
VALUES = {
    "pt2d": np.random.default_rng(0).random((2, 68)), "roi": np.int16([[53, -166, 638, 419]]), "fit": FIT,
    "name": "a façade", "cell": np.array([1.0, "x"], dtype=object), "few": scipy.sparse.csc_matrix(np.eye(4)),
    "complex": np.array([[1 + 2j]]), "none": np.zeros((0, 3)), "flag": np.array([[True, False]]),
}  # fmt: skip


def version5(values: dict, **options) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, values, **options)
    return stream.getvalue()


def array5(kind: int, sizes: tuple[int, ...], parts: bytes) -> bytes:
    """A version 5 file with one array of these sizes, whatever its parts hold."""
    body = struct.pack("<IIII", 6, 8, kind, 0) + struct.pack("<II", 5, 4 * len(sizes))
    body += struct.pack(f"<{len(sizes)}i", *sizes) + b"\0" * (-4 * len(sizes) % 8)
    body += struct.pack("<II", 1, 1) + b"x".ljust(8, b"\0") + parts
    return b"MATLAB".ljust(124, b" ") + b"\0\x01IM" + struct.pack("<II", 14, len(body)) + body


@pytest.mark.parametrize("compressed", [False, True])
def test_version_5(compressed):
    found = parse_mat(version5(VALUES, do_compression=compressed))
    np.testing.assert_array_equal(found["pt2d"], VALUES["pt2d"])
    np.testing.assert_array_equal(found["roi"], VALUES["roi"])
    np.testing.assert_array_equal(found["fit"]["pred"][0, 0], np.ones((49, 2)))
    assert found["fit"]["pred"][0, 1].shape == (0, 0) and found["name"][0] == "a façade"
    assert found["none"].shape == (0, 3) and found["complex"][0, 0] == 1 + 2j
    assert set(found) == set(VALUES) - {"few"}  # sparse arrays are left out
    assert found["cell"][0, 0] == 1.0 and found["cell"][0, 1][0] == "x" and found["flag"].dtype == bool


def test_version_73(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["pts"] = np.arange(6.0).reshape(3, 2)
        file["fit/pred"] = np.ones((2, 5))
        file["empty"] = np.uint64([0, 0])
        file["empty"].attrs["MATLAB_empty"] = 1
        file["#refs#/a"] = np.ones(3)
    found = read_mat(tmp_path / "a.mat")
    assert found["pts"].tolist() == [[0, 2, 4], [1, 3, 5]]  # columns and rows are the other way round in the file
    assert found["fit/pred"].shape == (5, 2) and found["empty"].size == 0 and len(found) == 3


def test_numbers_that_are_asked_for():
    values = parse_mat(version5(VALUES | {"bad": np.array([[np.nan]])}))
    assert require_numbers(values, "pt2d", "a.mat", (2, None)).dtype == np.float64
    for key, shape, message in (
        ("roj", None, "has no variable 'roj', found bad, cell"),
        ("pt2d", (2, 21), r"'pt2d' has the shape \(2, 68\), expected \(2, 21\)"),
        ("name", None, "'name' holds <U8, expected numbers"),
        ("bad", None, "'bad' holds numbers that are not finite"),
    ):
        with pytest.raises(FormatError, match=f"a.mat: {message}"):
            require_numbers(values, key, "a.mat", shape)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04cos\nsystem\n", "expected a MATLAB file"),
        (version5(VALUES)[:128] + b"\x0e\0\0\0\xff\xff\xff\x7f", "announces 2,147,483,647 bytes, 0 are left"),
        (version5(VALUES)[:700], "announces"),
        (array5(6, (2_000_000_000, 200), b""), "announces 400,000,000,000 entries, the file holds 0"),
        (array5(1, (2_000_000_000, 8), b""), "announces 16,000,000,000 entries, the file holds 0"),
        (array5(2, (2_000_000_000, 8), struct.pack("<HHIII", 5, 4, 32, 1, 32) + b"a".ljust(32, b"\0")),
         "announces 16,000,000,000 entries"),
        (array5(2, (1, 1), b""), "a structure without field names"),
        (array5(6, (0, 2_000_000_000, 2_000_000_000), b""), "an array of size"),
        (array5(8, (1, 1), struct.pack("<HHI", 9, 4, 0)), "numbers of type 9 in an array of class 8"),
        (array5(4, (1, 2), struct.pack("<HH", 16, 2) + b"\xff\xff\0\0"), "text that is not UTF-8"),
        (array5(6, (-4, 2), b"\x09\0\0\0\0\0\0\0"), "an array of size"),
    ],
)  # fmt: skip
def test_headers_are_not_believed(content, message):
    with pytest.raises(FormatError, match=f"^a.mat: .*{message}"):
        parse_mat(content, "a.mat")


def test_sparse_arrays_are_left_out():
    assert parse_mat(array5(5, (4, 2_000_000_000), b"\x05\0\0\0\x08\0\0\0" + b"\0" * 8)) == {}


@pytest.mark.parametrize("kind", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_the_same_as_scipy(kind):
    content = version5({"x": (np.arange(24) * 5).astype(kind).reshape(2, 3, 4)})
    found, expected = parse_mat(content)["x"], scipy.io.loadmat(io.BytesIO(content))["x"]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.dtype(kind)


def test_a_bomb_stays_small(monkeypatch):
    monkeypatch.setattr(matlab, "MAX_UNPACKED_BYTES", 2**22)
    packed = zlib.compress(b"\0" * 2**28, 9)
    content = version5({})[:128] + struct.pack("<II", 15, len(packed)) + packed
    start = time.perf_counter()
    with pytest.raises(FormatError, match="unpacks to more bytes than the 4,194,304"):
        parse_mat(content)
    assert time.perf_counter() - start < 1.0


def test_nested_cells_have_an_end():
    inner = b""
    for _ in range(40):
        body = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1) + struct.pack("<II", 1, 0)
        inner = struct.pack("<II", 14, len(body + inner)) + body + inner
    content = b"MATLAB".ljust(124, b" ") + b"\0\x01IM" + inner
    with pytest.raises(FormatError, match="more than 16 deep"):
        parse_mat(content)


def test_hdf5_does_not_reach_outside(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"\x01" * 64)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("x", (8,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 64)])
    with pytest.raises(FormatError, match="lies in another file"):
        read_mat(tmp_path / "a.mat")
    with h5py.File(tmp_path / "b.mat", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "a.mat"), "/x")
        file["y"] = np.ones(3)
    assert set(read_mat(tmp_path / "b.mat")) == {"y"}


def test_hdf5_arrays_must_be_in_the_file(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("x", (2**14, 2**10), "f8", chunks=(64, 64))
    with pytest.raises(FormatError, match="announces 134,217,728 bytes, the file holds 0"):
        read_mat(tmp_path / "a.mat")
