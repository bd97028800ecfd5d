"""What OBJ and PLY files may look like, and what must not pass."""

import io
import tracemalloc

import numpy as np
import pytest
import trimesh

from facekit.meshes import MeshError, load_mesh, obj, ply
from facekit.meshes.obj import ObjError, parse_obj
from facekit.meshes.ply import PlyError, parse_ply
from tests.data.formats import mesh_files, scan_files
from tests.data.formats.naive_meshes import naive_obj, naive_ply

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


@pytest.mark.parametrize("content", mesh_files.objs())
def test_obj_as_the_naive_reader(content):
    vertices, triangles = naive_obj(content)
    found = parse_obj(content.decode())
    assert found["vertices"].tolist() == vertices and found["faces"].tolist() == triangles


@pytest.mark.parametrize("text", [
    "v\t0 0 0\nv  1\t0 0\n  v 0 1 0 # a corner\nf\t1 2 3\n", "v 0 0 0\rv 1 0 0\rv 0 1 0\rf 1 2 3\r",
    "#v 9 9 9\nv 0 0 0\nv 1 \\\n0 0\nv 0 1 \\\n 0\nf 1 2\\\n 3", "\n" + TRIANGLE + "f 1 2 3",
    TRIANGLE + "f -3//-1 -2//-1 -1//-1\nvn 0 0 1\n", TRIANGLE + "f 1// 2// 3//",
])  # fmt: skip
def test_obj_in_any_line_structure(text):
    found = parse_obj(text)
    assert found["vertices"].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]] and found["faces"].tolist() == [[0, 1, 2]]
    assert found["texture"] is None and found["faces_texture"] is None


@pytest.mark.parametrize(("text", "message"), [
    (TRIANGLE + "w 1 0 0\nf 1 2 3\n", "line 4: 'w' is no keyword"),
    (TRIANGLE + "v\nf 1 2 3\n", "line 4: expected at least 3 numbers, found ''"),
    (TRIANGLE + "v 1_0 0 0\nf 1 2 3\n", "line 4: expected at least 3 numbers, found '1_0 0 0'"),
    (TRIANGLE + "f 1 2 -4\n", "line 4: '1 2 -4' is not a face (-4 counts back beyond 3)"),
    (TRIANGLE + "f 1 2 3/\nf 1/2/3/4 2 3", "line 5: '1/2/3/4 2 3' is not a face"),
    (TRIANGLE + "vt 0 0\nf 1/1 2/1 3/0\n", "ids start at 1"),
    (TRIANGLE + "vt 0 0\nf 1/1 2/1 3/-2\n", "-2 counts back beyond 1"),
    (TRIANGLE + "f 1 2 3\nf \n", "line 5: a face needs at least three corners, found 0"),
    (TRIANGLE + "f 1 2 99999999999999999999\n", "is not a face"),
])  # fmt: skip
def test_obj_that_does_not_pass(text, message):
    with pytest.raises(ObjError) as caught:
        parse_obj(text)
    assert message in str(caught.value)


def test_obj_with_a_byte_order_mark_and_crlf(tmp_path):
    content = (TRIANGLE + "f 1 2 3\n").replace("\n", "\r\n").encode("utf-8-sig")
    (tmp_path / "a.OBJ").write_bytes(content)
    mesh = load_mesh(tmp_path / "a.OBJ")
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]] and mesh.faces.tolist() == [[0, 1, 2]]


def test_texture_coordinates_that_faces_do_not_repeat(tmp_path):
    """One for each vertex belongs to it; any other number belongs to nobody."""
    path = tmp_path / "a.obj"
    path.write_text(TRIANGLE + "vt 0 0\nvt 1 0\nvt 0 1\nf 1 2 3\n")
    assert load_mesh(path).uv.tolist() == [[0, 0], [1, 0], [0, 1]] and load_mesh(path).corner_uv is None
    path.write_text(TRIANGLE + "vt 0 0\nvt 1 0\nf 1 2 3\n")
    assert load_mesh(path).uv is None
    path.write_text(TRIANGLE + "vt 0 nan\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n")
    with pytest.raises(MeshError, match=r"a\.obj: uv holds a number that is not finite"):
        load_mesh(path)
    path.write_text(TRIANGLE.replace("\n", " inf 0 0\n") + "f 1 2 3\n")
    with pytest.raises(MeshError, match="a colour is not finite"):
        load_mesh(path)


@pytest.mark.parametrize("content", mesh_files.plys())
def test_ply_as_the_naive_reader(content):
    vertices, triangles = naive_ply(content)
    found = parse_ply(content)
    assert np.array_equal(found["vertices"].astype(np.float32), np.float32(vertices))
    assert found["faces"].tolist() == triangles
    if found["colours"] is not None:
        assert found["colours"][3].tolist() == [10 / 255, 200 / 255, 3 / 255] and found["uv"][3].tolist() == [0.06, 0.5]


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_as_trimesh_where_all_are_triangles(kind):
    vertices, polygons = scan_files.sheet()
    content = mesh_files.ply(vertices, scan_files.triangles(polygons).tolist(), kind)
    found, theirs = parse_ply(content), trimesh.load(io.BytesIO(content), file_type="ply", process=False)
    assert np.array_equal(found["faces"], theirs.faces)
    assert np.allclose(found["vertices"], theirs.vertices, atol=1e-5)


def test_ply_with_texture_at_the_corners(tmp_path):
    head = ["ply", "format ascii 1.0", "element vertex 4", *(f"property float {axis}" for axis in "xyz")]
    head += ["element face 1", "property list uchar int vertex_index", "property list uchar float texcoord"]
    rows = ["0 0 0", "1 0 0", "1 1 0", "0 1 0", "4 0 1 2 3 8 0 0 1 0 1 1 0 1"]
    path = tmp_path / "a.ply"
    path.write_text("\n".join([*head, "end_header", *rows]))
    mesh = load_mesh(path)
    assert mesh.corner_uv.tolist() == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]
    assert mesh.uv.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def changed(old: bytes, new: bytes, which: int = 0) -> bytes:
    content = mesh_files.plys()[which]
    assert old in content
    return content.replace(old, new, 1)


@pytest.mark.parametrize(("content", "message"), [
    (b"solid", "expected 'ply'"), (b"ply\nformat ascii 1.0\n", "expected 'ply' and a head"),
    (changed(b"vertex 20", b"vertex 19"), ""), (changed(b"vertex 20", b"vertex 1000000000000"), ""),
    (changed(b"face 25", b"face 24"), "bytes are left over"),
    (changed(b"face 25", b"face 4000000000"), "4,000,000,000"),
    (changed(b"float x", b"float y"), "has the properties y, y, z"), (changed(b"float x", b"flt x"), "'flt x'"),
    (changed(b"list uchar", b"list float"), "list float"), (changed(b"binary_little", b"binary_odd"), "binary_odd"),
    (changed(b"element face", b"elemental face"), "'elemental face 25'"),
    (changed(b"uint vertex", b"float vertex"), "float32"),
    (mesh_files.plys()[0] + b"more", "4 bytes are left over"), (mesh_files.plys()[1][:-3], "it ends within row 12"),
    (mesh_files.plys()[3] + b"1 2 3\n", "announces 45 rows, found 46 lines"),
    (changed(b"-50 60", b"-5_0 60", 3), "groups"), (changed(b"10 200", b"10 300", 4), "too large"),
    (changed(b"\n3 0 4 5\r", b"\n3 0 4 5 6\r", 3), "row 0 of 'face' has 5 numbers, expected 4"),
    (changed(b"\n3 0 4 5\r", b"\n3 0 4 5.5\r", 3), "not whole"),
    (changed(b"\n3 0 4 5\r", b"\n3 0 4 x\r", 3), "no number"),
])  # fmt: skip
def test_ply_that_does_not_pass(content, message):
    with pytest.raises(PlyError) as caught:
        parse_ply(content)
    assert message in str(caught.value)


@pytest.mark.parametrize("which", [0, 3])
def test_counts_are_checked_before_memory_is_asked_for(which):
    for old in (b"vertex 20", b"face 25"):
        content = changed(old, old.split()[0] + b" 900000000000", which)
        tracemalloc.start()
        with pytest.raises(PlyError, match=r"900,000,000,\d\d\d|bytes are left"):
            parse_ply(content)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()


def test_a_length_in_the_middle_is_not_taken_for_the_first():
    content = mesh_files.plys()[0]
    place = len(content) - 13  # of the last triangle, four bytes for each corner
    with pytest.raises(PlyError, match="ends within row 24"):
        parse_ply(content[:place] + b"\4" + content[place + 1 :])
    with pytest.raises(PlyError, match="bytes are left over"):
        parse_ply(content[:place] + b"\2" + content[place + 1 :])


def test_files_of_many_short_lines_are_not_taken_apart(monkeypatch):
    for module in (obj, ply):
        monkeypatch.setattr(module, "MOST_ROWS", 20)
    with pytest.raises(ObjError, match="found 21 lines, expected at most 20"):
        parse_obj("v\n" * 21)
    with pytest.raises(PlyError, match="lists whose lengths differ may be 20"):
        parse_ply(changed(b"face 13", b"face 21", 2))
    with pytest.raises(PlyError, match="more than 20 lines"):
        parse_ply(mesh_files.plys()[3])


def test_glb_whose_texture_coordinates_are_no_pairs(tmp_path):
    path = tmp_path / "a.glb"
    path.write_bytes(mesh_files.glbs()[0].replace(b'"VEC2"', b'"VEC4"', 1))
    with pytest.raises(MeshError, match=r"a\.glb: "):
        load_mesh(path)
