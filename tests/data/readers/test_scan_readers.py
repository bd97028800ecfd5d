"""Readers of 3D data sets on small copies with the known defects."""

import pickle
import re
import shutil

import numpy as np
import pytest
import torch

from facekit.data import DataError, parse_data
from facekit.data.formats import FormatError, check_ends
from facekit.data.readers import EXPECTED, PUBLISHED, Inventory, compare_counts
from facekit.data.scans import Scan
from facekit.meshes import save_mesh
from tests.data.readers import scan_trees


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """One small copy of every data set, by name."""
    root = tmp_path_factory.mktemp("copies")
    for name in ("bu3dfe", "bosphorus", "bp4d", "micc", "fanelli", "coma", "facewarehouse"):
        getattr(scan_trees, name)(root / name)
    scan_trees.bu4dfe(root / "bu4dfe", root / "BU4DFE_BND_V1.1")
    return root


def opened(copies, name, **options):
    return parse_data(f"{name}={copies / name}").open(name, **{"image_size": 40} | options)


NAMES = ("bu3dfe", "bu4dfe", "bosphorus", "bp4d", "micc", "fanelli", "coma", "facewarehouse")


@pytest.mark.parametrize("name", NAMES)
def test_every_row_loads_once_damaged_files_are_left_out(copies, name):
    source = opened(copies, name, verify="pixels")
    batch = source.batch(np.arange(len(source)))
    assert all(len(value) == len(source) for value in batch.values())
    assert batch["image"].shape[1:] == (3, 40, 40) and batch["image"].isfinite().all()
    assert 0 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["row"].tolist() == source.table.index.tolist()
    counts = compare_counts(name, source.table)
    assert counts["found"].tolist()[0] == source.table["subject"].nunique()
    assert name in PUBLISHED and str(source.inventory)


@pytest.mark.parametrize("name", NAMES)
def test_raw_scans(copies, name):
    scan = opened(copies, name).scan(0)
    assert isinstance(scan, Scan) and scan.vertices.dtype == torch.float32 and scan.faces.dtype == torch.int64
    assert scan.vertices.isfinite().all() and 0 <= scan.faces.min() and scan.faces.max() < len(scan.vertices)
    if scan.landmarks is not None:
        assert scan.landmarks.shape == (68, 3)


@pytest.mark.parametrize(("name", "endings"), [
    ("bu3dfe", [".wrl", ".bnd", ".bmp"]), ("bu4dfe", [".wrl", ".bnd", ".jpg", ".bnd"]),
    ("bosphorus", [".bnt", ".lm3", ".png"]), ("bp4d", [".obj", ".jpg", ".tbnd"]),
])  # fmt: skip
def test_the_files_of_a_scan_are_known(copies, name, endings):
    options = {"landmarks": copies / "BU4DFE_BND_V1.1"} if name == "bu4dfe" else {}
    files = opened(copies, name, **options).files(0)
    assert [file.suffix.lower() for file in files] == endings and files[0].is_file() and files[-1].is_file()


@pytest.mark.parametrize("name", NAMES)
def test_sources_go_to_the_workers_of_a_loader(copies, name):
    source = opened(copies, name)
    again = pickle.loads(pickle.dumps(source))
    for key, value in source.batch([1, 0]).items():
        assert torch.equal(again.batch([1, 0])[key], value)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_says_so(tmp_path, name):
    with pytest.raises(DataError, match=f"nothing usable was found in .*, expected {re.escape(EXPECTED[name])}"):
        parse_data(f"{name}={tmp_path}").open(name)
    with pytest.raises(DataError, match="found a file there"):
        (tmp_path / "a").write_text("")
        parse_data(f"{name}={tmp_path / 'a'}").open(name)


def test_bu3dfe(copies):
    source = opened(copies, "bu3dfe", verify="pixels", yaws=(-45.0, 0.0))
    table = source.table
    assert len(table) == 12 and table["yaw"].tolist() == [-45.0, 0.0] * 6
    assert table["subject"].unique().tolist() == ["F0001", "M0001"] and set(table["sex"]) == {"F", "M"}
    rows = table[table["path"].str.contains("HA04")]
    assert (rows["expression"] == "happiness").all() and (rows["intensity"] == 4).all()
    assert (table[table["path"].str.lower().str.contains("_ne00")]["intensity"] == 0).all()
    assert not any("RAW" in path for path in table["path"])
    reasons = {finding.path: finding.reason for finding in source.inventory.of("corrupt")}
    assert "cut off" in reasons["M0001/M0001_HA03BL_F3D.wrl"] and "empty" in reasons["M0001/M0001_SA01BL_F3D.wrl"]
    missing = {finding.path for finding in source.inventory.of("missing")}
    assert missing == {"M0001/M0001_FE02BL_F3D.bnd", "M0001/M0001_FE02BL_F3D.bmp"}
    raw = opened(copies, "bu3dfe", raw=True, yaws=(0.0,))
    assert raw.table["path"].tolist() == ["F0001/F0001_AN01WH_RAW.wrl"]
    assert raw.scan(0).landmarks is not None and raw.scan(0).texture.name == "F0001_AN01WH_F3D.bmp"


def test_a_damaged_scan_raises_when_it_is_used(copies):
    source = opened(copies, "bu3dfe", verify="none", yaws=(0.0,))
    place = source.table["path"].str.contains("HA03").to_numpy().nonzero()[0][0]
    with pytest.raises(FormatError, match=r"M0001_HA03BL_F3D.wrl: .*cut off"):
        source.batch([place])
    assert source.batch([0])["image"].shape == (1, 3, 40, 40)


def test_a_damaged_texture_is_found_beforehand(copies, tmp_path):
    shutil.copytree(copies / "bu3dfe", tmp_path / "bu3dfe")
    texture = tmp_path / "bu3dfe/F0001/F0001_AN01WH_F3D.bmp"
    texture.write_bytes(texture.read_bytes()[:300])
    with pytest.raises(FormatError, match=r"F0001_AN01WH_F3D.bmp: cannot be read as a picture"):
        opened(tmp_path, "bu3dfe", yaws=(0.0,))[0]
    source = opened(tmp_path, "bu3dfe", yaws=(0.0,), verify="pixels")
    reasons = {finding.path: finding.reason for finding in source.inventory.of("corrupt")}
    assert "F3D.bmp: cannot be read as a picture" in reasons["F0001/F0001_AN01WH_F3D.wrl"]
    assert source[:]["image"].isfinite().all()


def test_landmarks_of_a_scan_lie_in_its_picture(copies):
    source = opened(copies, "bu3dfe", yaws=(-60.0, 0.0, 60.0), image_size=96)
    batch = source.batch([0, 1, 2])
    marks = torch.from_numpy(scan_trees.face()[2]).float()
    distance = (batch["landmarks_3d"][1] - marks).norm(dim=-1)
    assert distance.median() < 1.5 and distance[17:27].max() < 5.0 and distance[36:68].max() < 4.5
    assert batch["landmarks_visible"][1].float().mean() > 0.8
    left, right = batch["landmarks_visible"][0], batch["landmarks_visible"][2]
    assert left[42:48].sum() > left[36:42].sum() and right[36:42].sum() > right[42:48].sum()
    points = batch["landmarks"][1]
    inside = batch["mask"][1, 0][points[27:36, 1].long(), points[27:36, 0].long()]
    assert inside.all()
    assert points[8, 1] > points[30, 1] > points[27, 1]  # chin below nose below its root
    # a turn to the image's right carries the tip of the nose to the right of the head's middle
    columns = batch["mask"][:, 0].float().sum(1)
    middle = (columns * torch.arange(96.0)).sum(1) / columns.sum(1)
    assert batch["landmarks"][0, 30, 0] < middle[0] and batch["landmarks"][2, 30, 0] > middle[2]


def test_views_of_a_scan_in_any_order(copies):
    source = opened(copies, "bu3dfe", yaws=(-30.0, 0.0, 30.0))
    together, order = source.batch([4, 0, 5, 2]), [4, 0, 5, 2]
    for place, row in enumerate(order):
        alone = source.batch([row])
        for key in ("image", "depth", "landmarks", "pose", "row"):
            assert torch.equal(together[key][place], alone[key][0])
    assert together["pose"][:, 1].tolist() == [0.0, -30.0, 30.0, 30.0]


def test_a_scan_that_is_cut_off_shows_at_its_ends(copies, tmp_path):
    """Without being read: `verify` is "ends" by default where data sets are small."""
    source = opened(copies, "bu3dfe")
    assert {finding.path for finding in source.inventory.of("corrupt")} == {
        "M0001/M0001_HA03BL_F3D.wrl", "M0001/M0001_SA01BL_F3D.wrl"}  # fmt: skip
    assert "expected 48,0" in next(opened(copies, "bosphorus").inventory.of("corrupt")).reason
    assert "expected" in next(opened(copies, "fanelli", verify="ends").inventory.of("corrupt")).reason
    (tmp_path / "a.wrl").write_bytes(b"#VRML V2.0 utf8 { 1 2 3 " + b"4 5 6, " * 1000)
    (tmp_path / "b.wrl").write_bytes(b"{}")
    for name, message in (("a.wrl", "no bracket is closed"), ("b.wrl", "expected '#VRML"), ("c.wrl", "cannot be read")):
        with pytest.raises(FormatError, match=rf"{name}: .*{message}"):
            check_ends(tmp_path / name)


def test_what_a_source_was_opened_with_is_part_of_what_it_is(copies):
    """A prepared folder is not continued with another unit."""
    assert opened(copies, "micc", unit=10.0).describe() != opened(copies, "micc").describe()
    assert opened(copies, "bosphorus", longest_edge=5.0).describe() != opened(copies, "bosphorus").describe()


def test_a_mesh_of_another_size_is_named(tmp_path):
    root = scan_trees.coma(tmp_path)
    name = "FaceTalk_170728_03272_TA/mouth_open/mouth_open.000003.ply"
    vertices, faces, _ = scan_trees.face()
    more = np.concatenate([vertices, [[0.0, 0.0, 0.0]]]) / 1000
    save_mesh(root / name, torch.from_numpy(more).float(), torch.from_numpy(faces))
    source = parse_data(f"coma={root}").open("coma", image_size=40)
    with pytest.raises(
        FormatError, match=rf"{name}: found {len(more)} vertices, the data set's mesh has {len(vertices)}"
    ):
        source.batch(np.arange(len(source)))


def test_scans_are_cached(copies, tmp_path):
    shutil.copytree(copies / "bu3dfe", tmp_path / "bu3dfe")
    source = opened(tmp_path, "bu3dfe", yaws=(0.0,), cache=tmp_path / "cache")
    path = source.root / source.table["path"].iloc[0]
    first, kept = source.scan(0), list((tmp_path / "cache").glob("*.npz"))
    assert len(kept) == 1
    again = source.scan(0)
    for key in ("vertices", "faces", "landmarks", "own_landmarks", "uv", "uv_faces"):
        assert torch.equal(getattr(first, key), getattr(again, key))
    assert again.texture == first.texture and again.name == first.name
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # a damaged cache is made again
    assert torch.equal(source.scan(0).vertices, first.vertices)
    path.write_bytes(scan_trees.bu_scan(shift=5.0)[0])  # and so is one of another file
    assert not torch.equal(source.scan(0).vertices, first.vertices)
    path.write_bytes(b"#VRML V2.0 utf8\n")
    with pytest.raises(FormatError):
        source.scan(0)
    assert not list((tmp_path / "cache").glob("*.part"))


def test_bu4dfe(copies):
    source = opened(copies, "bu4dfe", landmarks=copies / "BU4DFE_BND_V1.1")
    table = source.table
    assert table["frame"].tolist() == [0, 1, 2, 4] * 2 and set(table["expression"]) == {"anger", "happiness"}
    assert table["sequence"].unique().tolist() == ["F001/Angry", "M043/Happy"]
    assert source.scan(0).landmarks.isfinite().all() and source.scan(0).texture.name == "000.jpg"
    assert [finding.reason for finding in source.inventory.of("missing")] == [
        "1 frames are not there, the first is 003"
    ] * 2
    assert opened(copies, "bu4dfe", frames=2).table["frame"].tolist() == [0, 4] * 2
    without = opened(copies, "bu4dfe")
    assert without.scan(0).landmarks is None and without.inventory.count("missing") == 10
    assert not without.batch([0])["landmarks_visible"].any()


def test_bosphorus(copies):
    source = opened(copies, "bosphorus", verify="pixels")
    table = source.table.set_index(source.table["path"].str.extract(r"/(.*)\.bnt")[0])
    assert len(table) == 7 and "bs003_N_N_0_trim" not in table.index
    assert table.loc["bs000_E_ANGER_0", "expression"] == "anger" and np.isnan(table.loc["bs000_E_ANGER_0", "AU12"])
    assert table.loc["bs000_LFAU_12R_0", ["AU12", "AU22"]].tolist() == [1.0, 0.0]
    assert table.loc["bs000_CAU_A22A25_0", ["AU22", "AU25", "AU12"]].tolist() == [1.0, 1.0, 0.0]
    assert table.loc["bs003_YR_L45_0", "yaw"] == -45.0 and table.loc["bs003_PR_SU_0", "pitch"] == -12.0
    assert table.loc["bs003_O_GLASSES_0", "occluder"] == "glasses"
    assert [finding.path for finding in source.inventory.of("corrupt")] == ["bs003/bs003_E_HAPPY_0.bnt"]
    row = table.index.get_loc("bs003_YR_L45_0")
    scan = source.scan(row)
    assert scan.own_landmarks.isfinite().all(-1).sum() == 10 and scan.landmarks[54].isnan().all()
    assert scan.landmarks[36].isfinite().all()
    batch = source.batch([row])
    assert batch["pose"][0, 1] == -45.0  # the person was turned, the scan is shown as it was taken
    assert len(opened(copies, "bosphorus", frontal=True).table) == len(opened(copies, "bosphorus").table) - 2
    assert set(opened(copies, "bosphorus", kinds=("E",)).table["expression"]) <= {"anger", "happiness"}


def test_bp4d_frames_and_codes(copies):
    """Row f of the codes is picture f - 1; each picture's colour says which it is."""
    source = opened(copies, "bp4d")
    assert source.table["frame"].tolist() == [2, 3, 4, 5, 6] * 2
    assert (source.table["AU1"].to_numpy() == [(frame + 1 + 1) % 2 for frame in source.table["frame"]]).all()
    red = source.batch(np.arange(5))["image"][:, 0].mean((1, 2)) * 255
    assert (red - torch.tensor([60.0, 90, 120, 150, 180])).abs().max() < 4
    assert source.table["fold"].tolist() == [3] * 10 and source.table["task"].tolist() == [1] * 5 + [6] * 5
    other = opened(copies, "bp4d", frame_offset=0)
    assert other.table["frame"].tolist() == [3, 4, 5, 6] * 2
    assert (other.table["AU1"].to_numpy() == [(frame + 1) % 2 for frame in other.table["frame"]]).all()
    assert "1 coded frames have no picture, the first is row 8" in str(source.inventory)
    assert opened(copies, "bp4d", frames=2).table["frame"].tolist() == [2, 6] * 2


def test_bp4d_landmarks_and_scans(copies):
    source = opened(copies, "bp4d")
    batch = source.batch(np.arange(5))
    visible = batch["landmarks_visible"]
    assert visible[0].sum() == 49 and not visible[:, [0, 16, 60, 64]].any()
    assert not visible[2].any() and visible[[0, 1, 3, 4]].any(1).all()  # tracking was lost in frame 4
    for row in (0, 5):  # with and without a number before each point, left-handed
        scan = source.scan(row)
        marks = torch.from_numpy(scan_trees.face()[2]).float()
        assert (scan.landmarks - marks).norm(dim=-1).median() < 1.5
        assert scan.texture.suffix == ".jpg" and scan.texture.stem == scan.name.rpartition("/")[2].partition(".")[0]


def test_bp4d_says_which_recordings_have_no_landmarks(copies, tmp_path):
    shutil.copytree(copies / "bp4d", tmp_path / "bp4d")
    (tmp_path / "bp4d/2DFeatures/M007_T6.mat").unlink()
    source = opened(tmp_path, "bp4d")
    found = {finding.path: finding.reason for finding in source.inventory.of("missing")}
    assert found["2DFeatures/M007_T6.mat"] == "the recording has no landmarks" and len(found) == 3
    assert "landmarks" not in source[0]


def test_bp4d_points_that_are_damaged(copies, tmp_path):
    """Also those that were sound when they were read before; with "pixels" they are found beforehand."""
    shutil.copytree(copies / "bp4d", tmp_path / "bp4d")
    source = opened(tmp_path, "bp4d")
    assert "landmarks" in source[0]
    file = tmp_path / "bp4d/2DFeatures/F001_T1.mat"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(FormatError, match=r"F001_T1\.mat"):
        source[0]
    looked_at = opened(tmp_path, "bp4d", verify="pixels")
    assert [finding.path for finding in looked_at.inventory.of("corrupt")] == ["2DFeatures/F001_T1.mat"]
    assert len(looked_at) == len(source) and "image" in looked_at[0] and "landmarks" not in looked_at[0]


def test_bp4d_levels(copies):
    source = opened(copies, "bp4d", labels="intensity", units=(12,))
    levels = source.table["AU12"].to_numpy()[:5]
    np.testing.assert_array_equal(levels, [3.0, 4.0, np.nan, 0.0, 1.0])
    with pytest.raises(DataError, match="asked for 'levels'"):
        opened(copies, "bp4d", labels="levels")
    for subjects in (0, -1):
        with pytest.raises(DataError, match=f"subjects must be positive, found {subjects}"):
            opened(copies, "bp4d", subjects=subjects)


def test_damaged_codes_leave_the_rest(copies, tmp_path):
    shutil.copytree(copies / "bp4d", tmp_path / "bp4d")
    path = tmp_path / "bp4d/AUCoding/AU_OCC/F001_T1.csv"
    good = path.read_bytes()
    header, first, *rest = good.splitlines()
    damaged = {
        "different lengths": good + b"1,2\n",
        "holds the code 7": b"\n".join([header, first.replace(b",1,", b",7,", 1), *rest]),
        "numbers": good.replace(b"3,", b"x,", 1),
        "repeated": b"\n".join([header, first, first, *rest]),
        "no column for action unit 24": b"\n".join(line.rsplit(b",", 76)[0] for line in good.splitlines()),
        "lines": b"\n",
    }
    for message, content in damaged.items():
        path.write_bytes(content)
        source = opened(tmp_path, "bp4d")
        assert set(source.table["subject"]) == {"M007"}
        assert message in next(source.inventory.of("corrupt")).reason


def test_micc(copies):
    source = opened(copies, "micc")
    assert source.table["subject"].tolist() == ["subject_01", "subject_02"]
    assert "frontal1" in source.table["path"].iloc[0] and "frontal2" in source.table["path"].iloc[1]
    assert source.scan(0).texture is not None and source.scan(1).texture is None
    assert "has no scan frontal1 or frontal2, only sidel" in str(source.inventory)
    assert opened(copies, "micc", unit=10.0).scan(0).vertices.abs().max() > source.scan(0).vertices.abs().max() * 9
    with pytest.raises(DataError, match="asked for \\['top'\\]"):
        opened(copies, "micc", scans=("top",))
    with pytest.raises(DataError, match="nothing usable"):
        opened(copies, "micc", what="videos")


def test_meshes_in_correspondence(copies):
    vertices, faces, _ = scan_trees.face()
    for name, rows, tolerance in (("fanelli", 10, 1e-3), ("coma", 12, 1e-3), ("facewarehouse", 4, None)):
        source = opened(copies, name, outputs=("vertices",))
        assert len(source) == rows and torch.equal(source.faces, torch.from_numpy(faces))
        found = source.batch([0, 1])["vertices"]
        assert found.shape == (2, len(vertices), 3) and set(source.batch([0])) == {"vertices"}
        if tolerance:  # turned upright, and in millimetres
            np.testing.assert_allclose(found[0], vertices, atol=tolerance)
        else:
            assert np.ptp(found[0, :, 1].numpy()) == pytest.approx(250.0, rel=1e-3)


def test_fanelli(copies):
    source = opened(copies, "fanelli", verify="pixels")
    split = dict(zip(source.table["sequence"], source.table["split"], strict=True))
    assert split == {"F1/e01": "test", "F2/33": "val", "F2/e05": "train"}
    assert source.table["frame"].tolist() == [0, 1, 2] * 3
    assert [finding.path for finding in source.inventory.of("corrupt")] == ["faces/F2/e05/frame_004.vl"]
    upside_down = opened(copies, "fanelli", upright=False).scan(0).vertices
    assert torch.allclose(upside_down * torch.tensor([1.0, -1, -1]), source.scan(0).vertices)


def test_a_head_that_promises_too_much(tmp_path):
    shutil.copytree(scan_trees.coma(tmp_path / "coma"), tmp_path / "copy")
    path = tmp_path / "copy/FaceTalk_170728_03272_TA/mouth_open/mouth_open.000003.ply"
    content = path.read_bytes()
    place = content.index(b"element vertex ") + 15
    path.write_bytes(content[:place] + b"999999999999" + content[content.index(b"\n", place) :])
    source = parse_data(f"coma={tmp_path / 'copy'}").open("coma", image_size=40, verify="pixels")
    assert len(source) == 11 and "announces 999,999,999,999 of 'vertex'" in next(source.inventory.of("corrupt")).reason


def test_coma_splits(copies):
    assert (opened(copies, "coma").table["split"] == "test").sum() == 10
    held = opened(copies, "coma", split="expression", held_out="mouth_open").table
    assert set(held["sequence"][held["split"] == "test"].str.split("/").str[1]) == {"mouth_open"}
    held = opened(copies, "coma", split="identity").table
    assert set(held["subject"][held["split"] == "test"]) == {"FaceTalk_170725_00137_TA"}
    with pytest.raises(DataError, match="no identity 'me'"):
        opened(copies, "coma", split="identity", held_out="me")


def test_blendshapes_of_facewarehouse(copies):
    source = opened(copies, "facewarehouse", unit=100.0)
    assert source.table["expression"].tolist() == ["neutral", "", "neutral", ""]
    shapes = source.blendshapes("Tester_002")
    np.testing.assert_allclose(shapes[2], scan_trees.face()[0], atol=1e-3)
    with pytest.raises(FormatError, match=r"no Blendshape/shape.bs of 'Tester_009'"):
        source.blendshapes("Tester_009")


def test_options_that_cannot_be(copies):
    with pytest.raises(DataError, match="verify must be one of none, ends, pixels"):
        opened(copies, "bu3dfe", verify="maybe")
    with pytest.raises(DataError, match="image_size must be at least 8"):
        opened(copies, "bu3dfe", image_size=4)
    with pytest.raises(DataError, match="BU-3DFE has no output 'colour'"):
        opened(copies, "bu3dfe", outputs=("colour",))
    with pytest.raises(DataError, match="frames must be positive"):
        opened(copies, "bu4dfe", frames=0)
    assert set(opened(copies, "bu3dfe", outputs=("expression",)).batch([0])) == {"expression"}
    assert opened(copies, "bu3dfe", subjects=1).table["subject"].unique().tolist() == ["F0001"]


def test_what_an_inventory_keeps(tmp_path):
    inventory = Inventory("x", tmp_path)
    inventory.corrupt(tmp_path / "a" / "b.wrl", f"{tmp_path / 'a' / 'b.wrl'}: cut off")
    for number in range(25):
        inventory.ignore(f"{number}.txt", "a text")
    inventory.skip("c", "black")
    inventory.miss("d")
    assert [inventory.count(kind) for kind in ("corrupt", "missing", "skipped", "ignored")] == [1, 1, 1, 25]
    assert len(inventory.table()) == 13 and inventory.table().iloc[0].tolist() == ["corrupt", "a/b.wrl", "cut off"]
    assert "ignored: 25 files, such as 0.txt (a text); 1.txt" in str(inventory)
    assert str(Inventory("y", tmp_path)) == "nothing was left out"
