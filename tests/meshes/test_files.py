import os

import pytest
import torch

from facekit.meshes import MeshError, load_mesh, save_mesh


@pytest.fixture
def extras(grid):
    generator = torch.Generator().manual_seed(0)
    return {
        "uv": torch.rand(len(grid.vertices), 2, generator=generator),
        "albedo": torch.rand(len(grid.vertices), 3, generator=generator),
    }


@pytest.mark.parametrize("ending", ["obj", "ply", "glb"])
@pytest.mark.parametrize("wanted", [(), ("uv",), ("albedo",), ("uv", "albedo")])
def test_there_and_back(tmp_path, grid, extras, ending, wanted):
    path = tmp_path / f"face.{ending}"
    given = {key: extras[key] for key in wanted}
    lone = torch.cat([torch.tensor([[9.0, 9, 9]]), grid.vertices])
    faces = grid.faces + 1
    given = {key: torch.cat([value[:1], value]) for key, value in given.items()}
    save_mesh(path, lone, faces, **given)
    mesh = load_mesh(path)
    assert mesh.name == path.name
    torch.testing.assert_close(mesh.vertices, lone.float())
    assert torch.equal(mesh.faces, faces)
    used = faces.unique()
    for key, tolerance in (("uv", 1e-6), ("albedo", 0.006)):
        found = getattr(mesh, key)
        if key in wanted:
            torch.testing.assert_close(found[used], given[key][used], atol=tolerance, rtol=0)
        else:
            assert found is None
    assert os.listdir(tmp_path) == [path.name]


SEAM = """# a strip with a texture seam at vertex 1, an unused vertex, a quad and relative ids
mtllib ../../etc/passwd
o strip
v 0 0 0 255 0 0
v 1 0 0 0 255 0
v 1 1 0 0 0 255
v 0 1 0 0 0 0
v 7 7 7 9 9 9
v 2 0 0 0 0 0
vt 0 0
vt 1 0 0
vt 1 1
vt 0 1
vt 0.5 0.5
vn 0 0 1
usemtl skin
f 1/1/1 2/2/1 3/3/1 4/4/1
f -5/5/1 -1/1/1 -4/3/1
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_obj_keeps_the_numbering_of_the_file(tmp_path, newline):
    path = tmp_path / "strip.OBJ"
    path.write_bytes(SEAM.replace("\n", newline).encode())
    mesh = load_mesh(path)
    assert mesh.vertices.shape == (6, 3) and mesh.vertices[4].tolist() == [7, 7, 7]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [1, 5, 2]]
    assert mesh.corner_uv[2].tolist() == [[0.5, 0.5], [0, 0], [1, 1]]
    assert mesh.uv[1].tolist() == [1, 0]
    assert mesh.albedo[:3].tolist() == torch.eye(3).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 0\nv 1 0 x\nf 1 2 1\n", "line 2: expected at least 3 numbers, found '1 0 x'"),
        ("v 0 0 0\nv 1 0\n", "line 2: expected at least 3 numbers"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n", "line 4: a face needs at least three corners"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 a\n", "line 4: '1 2 a' is not a face"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "line 4: '0 1 2' is not a face"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "outside 0..2"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/7 2/1 3/1\n", "bad.obj"),
        ("v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "1 vertex not finite, first vertex 0"),
        ("", "empty"),
    ],
)
def test_bad_obj_files_are_named_with_the_line(tmp_path, text, message):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(MeshError, match=message.replace("..", r"\.\.")) as caught:
        load_mesh(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ["ply", "glb"])
def test_broken_binary_files_are_named(tmp_path, grid, ending):
    path = tmp_path / f"cut.{ending}"
    save_mesh(path, *grid)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MeshError, match=f"cut.{ending}"):
        load_mesh(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(MeshError, match=f"cut.{ending}: cannot be read"):
        load_mesh(path)


def test_raw_scan_defects_pass_unless_forbidden(tmp_path, grid):
    path = tmp_path / "scan.ply"
    save_mesh(path, grid.vertices, torch.cat([grid.faces, torch.tensor([[3, 3, 4]])]))
    assert len(load_mesh(path).faces) == len(grid.faces) + 1
    with pytest.raises(MeshError, match="with a vertex used twice"):
        load_mesh(path, allow=())


def test_unknown_endings_missing_files_and_wrong_sizes(tmp_path, grid, extras):
    with pytest.raises(MeshError, match=r"found \.stl"):
        load_mesh(tmp_path / "a.stl")
    with pytest.raises(MeshError, match="no ending"):
        save_mesh(tmp_path / "a", *grid)
    with pytest.raises(FileNotFoundError):
        load_mesh(tmp_path / "a.obj")
    with pytest.raises(MeshError, match=r"albedo is \(3, 3\), expected \(42, 3\)"):
        save_mesh(tmp_path / "a.obj", *grid, albedo=extras["albedo"][:3])
    assert os.listdir(tmp_path) == []


def test_what_could_not_be_read_back_is_not_written(tmp_path, grid):
    size = len(grid.vertices)
    for label, width in (("uv", 2), ("albedo", 3)):
        with pytest.raises(MeshError, match=rf"a\.obj: {label} holds a number that is not finite"):
            save_mesh(tmp_path / "a.obj", *grid[:2], **{label: torch.full((size, width), torch.nan)})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "scan.obj").mkdir()
    with pytest.raises(MeshError, match=r"scan\.obj: found a folder there, expected a file"):
        load_mesh(tmp_path / "scan.obj")


def test_a_failed_write_leaves_the_old_file(tmp_path, grid, monkeypatch):
    path = tmp_path / "face.ply"
    save_mesh(path, *grid)
    before = path.read_bytes()

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        save_mesh(path, 2 * grid.vertices, grid.faces)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]
