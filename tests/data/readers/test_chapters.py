"""A copy of a data set, or data of one's own, in a chapter: what the papers' rooms ask for is there."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from facekit.data import DataError
from facekit.decoupled_gan import MeshDataset
from facekit.dmlnet.data import load_faces, open_sources
from facekit.rrl import UNIT_PROTOCOLS, LaptopRecipe, labelled_faces, open_labelled, unlabelled_faces
from facekit.training import ConfigError
from tests.data.readers import photo_trees as trees
from tests.data.readers import scan_trees
from tests.data.readers.photo_trees import write_picture, write_text


@pytest.mark.parametrize("prepared", [False, True])
def test_kdef_in_dmlnet(tmp_path, prepared):
    from facekit.__main__ import main
    from facekit.dmlnet.data import MARGIN

    people = [f"A{sex}{number:02d}" for sex in "FM" for number in range(1, 5)]
    path = trees.kdef_tree(tmp_path / "kdef", people=people)
    if prepared:
        size = str(round(MARGIN * 32))
        assert main(["data", "prepare", f"kdef={path}", "--out", str(tmp_path / "out"), "--image_size", size]) == 0
        path = tmp_path / "out"
    train, test = open_sources(f"kdef={path}", "kdef", 32)
    assert not set(train.table["subject"]) & set(test.table["subject"])
    faces = load_faces(train, "kdef", 32)
    assert faces.images.shape == (len(train), 3, 32, 32) and faces.images.std() > 20
    assert set(faces.labels.pose.tolist()) == set(range(5)) and set(faces.labels.expression.tolist()) == set(range(7))


def test_sfew_in_dmlnet(tmp_path):
    train, val = open_sources(f"sfew={trees.sfew_tree(tmp_path)}", "sfew", 32)
    assert len(train) == len(val) == 7


def test_multipie_in_dmlnet_has_the_protocols_cameras(tmp_path):
    train, test = open_sources(f"multipie={trees.multipie_tree(tmp_path)}", "multipie", 32, subjects=2)
    assert set(train.table["yaw"]) | set(test.table["yaw"]) <= {-30.0, -15.0, 0.0, 15.0, 30.0}


def test_own_data_in_dmlnet(tmp_path):
    rows = ["path,subject,expression,yaw"]
    for name in ("ann", "bob", "eve"):
        for number, (expression, yaw) in enumerate([("anger", 0), ("happy", 45), ("sad", -90), ("grin", 0)]):
            write_picture(tmp_path / name / f"{number}.jpg")
            rows.append(f"{name}/{number}.jpg,{name},{expression},{yaw}")
    write_text(tmp_path / "manifest.csv", rows)
    train, test = open_sources(f"own={tmp_path}", "kdef", 32)
    assert len(train) == 6 and len(test) == 3
    assert load_faces(train, "kdef", 32).labels.pose.tolist() == [2, 3, 0] * 2


def test_disfa_in_rrl(tmp_path):
    trees.disfa_tree(tmp_path)
    for folder in ("ActionUnit_Labels", "Frames", "Landmark_Points"):  # a third person, for three folds
        (tmp_path / folder / "SN001").rename(tmp_path / folder / "SN006")
        for file in (tmp_path / folder / "SN006").rglob("SN001*"):
            file.rename(file.with_name(file.name.replace("SN001", "SN006")))
    trees.disfa_tree(tmp_path)
    faces = labelled_faces(f"disfa={tmp_path}", "disfa", 32)
    assert faces.images.shape == (18, 3, 32, 32) and faces.landmarks.shape == (18, 68, 2) and faces.coded.all()
    assert len(faces.folds) == 3 and all(len(test) == 6 for _, test in faces.folds)
    levels = np.array([(1 + unit) % 6 for unit in faces.units])
    assert faces.present[0].tolist() == (levels >= 2).tolist()


@pytest.mark.parametrize(
    ("units", "people", "sentence"),
    [
        ((1, 2), "abc", "own data in the place of bp4d: action unit 4 is not coded in this table, which has"),
        (UNIT_PROTOCOLS["bp4d"].units, "ab", "own data in the place of bp4d: 3 folds cannot be made of 2 persons"),
        (UNIT_PROTOCOLS["bp4d"].units, "abc", "own data: has no landmarks, by which the regions"),
    ],
)
def test_own_data_in_rrl_that_lack_something(tmp_path, units, people, sentence):
    write_picture(tmp_path / "a.jpg")
    rows = [f"a.jpg,{name}," + ",".join("1" for _ in units) for name in people]
    write_text(tmp_path / "manifest.csv", ["path,subject," + ",".join(f"AU{unit}" for unit in units), *rows])
    with pytest.raises(DataError, match=sentence):
        labelled_faces(f"own={tmp_path}", "bp4d", 32)
    with pytest.raises(ConfigError, match=sentence):
        open_labelled(LaptopRecipe(data=f"own={tmp_path}", image_size=32))


def test_occurrences_are_no_levels_in_rrl(tmp_path):
    write_picture(tmp_path / "a.jpg")
    units = UNIT_PROTOCOLS["disfa"].units
    rows = [f"a.jpg,{name}," + ",".join("01"[unit % 2] for unit in units) for name in "abc"]
    write_text(tmp_path / "manifest.csv", ["path,subject," + ",".join(f"AU{unit}" for unit in units), *rows])
    with pytest.raises(DataError, match="own data in the place of disfa: the action units are 0 or 1, expected levels"):
        labelled_faces(f"own={tmp_path}", "disfa", 32)


def test_bp4d_in_rrl_knows_which_landmarks_it_has(tmp_path):
    """Neither the inner corners of the mouth nor a frame that was not tracked pull a region towards the corner."""
    scan_trees.bp4d(tmp_path)
    for file in list(tmp_path.rglob("F001*")):  # a third person
        copy = shutil.copytree if file.is_dir() else shutil.copy
        copy(file, file.with_name(file.name.replace("F001", "F002")))
    faces = labelled_faces(f"bp4d={tmp_path}", "bp4d", 32)
    known = faces.landmarks.isfinite().all(dim=2)
    tracked = torch.tensor([True, True, False, True, True] * 3)
    assert (known.any(dim=1) == tracked).all() and (known[tracked].sum(dim=1) == 49).all()
    assert not known[:, [0, 16, 60, 64]].any()
    maps = faces.attention()
    assert (maps.amax(dim=(1, 2, 3)) > 0).tolist() == tracked.tolist()


def test_emotionet_in_rrl_needs_landmarks(tmp_path):
    trees.emotionet_tree(tmp_path)
    with pytest.raises(DataError, match="EmotioNet: has no landmarks, by which the regions"):
        unlabelled_faces(f"emotionet={tmp_path}", 32, None)
    for picture in (tmp_path / "images").iterdir():
        write_text(picture.with_suffix(".pts"), [f"{10 + n % 20} {10 + n / 4}" for n in range(68)])
    source = unlabelled_faces(f"emotionet={tmp_path}", 32, None)
    batch = source.batch(torch.arange(2))
    assert batch["landmarks"].shape == (2, 68, 2) and (batch["landmarks"] > 0).all() and (batch["landmarks"] < 32).all()
    own = ["path,landmarks", *[f"images/{p.name},images/{p.stem}.pts" for p in (tmp_path / "images").glob("*.jpg")]]
    write_text(tmp_path / "manifest.csv", own)
    assert len(unlabelled_faces(f"own={tmp_path}", 32, None)) == 3


def test_scans_in_the_decoupled_gan(tmp_path, monkeypatch):
    """As the page on one's own data says."""
    monkeypatch.chdir(tmp_path)
    root = scan_trees.bu3dfe(tmp_path / "BU_3DFE")
    page = Path(__file__).resolve().parents[3] / "book" / "your_own_data.md"
    blocks = re.findall(r"```\{code-block\} python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "register_all" in block]
    names = {}
    exec(compile(code.replace("/data/BU_3DFE", str(root)), "the page", "exec"), names)
    meshes, found = MeshDataset.load(tmp_path / "meshes"), names["found"]
    assert len(meshes) == 5 and list(found.failures) == [3] and found.errors.max() < 1.0
    assert meshes.label_names["identity"] == ("F0001", "M0001")
    assert [meshes.label_names["expression"][k] for k in meshes.labels["expression"]] == [
        "anger", "anger", "neutral", "happiness", "neutral"]  # fmt: skip
