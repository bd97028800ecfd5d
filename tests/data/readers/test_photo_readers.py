"""Every reader of photographs on a tiny folder in its data set's layout, defects included."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch

from facekit.data import EXPRESSION_LABELS, DataError, au_matrix, check_manifest, parse_data, subject_folds
from facekit.data.readers import EXPECTED, aflw2000, celeba, disfa, emotionet, kdef, micc, multipie, sfew, wlp300
from facekit.data.readers.fitted import book_poses
from facekit.data.readers.videos import read_frame
from facekit.render import rotation_matrix
from tests.data.readers import photo_trees as trees
from tests.data.readers.photo_trees import write_picture, write_text


def reasons(source, kind: str) -> dict[str, str]:
    return {Path(finding.path).name: finding.reason for finding in source.inventory.of(kind)}


@pytest.mark.parametrize("name", ["kdef", "multipie", "sfew", "celeba", "wlp300", "aflw2000", "emotionet", "disfa"])
def test_all_readers_give_manifests_and_crops(tmp_path, name):
    getattr(trees, f"{name}_tree")(tmp_path)
    asked = "300wlp" if name == "wlp300" else name
    source = parse_data(f"{asked}={tmp_path}").open(asked, image_size=24)
    check_manifest(source.table)
    sample = source[:]
    assert sample["image"].shape == (len(source), 3, 24, 24) and sample["image"].std() > 0.05
    assert (sample["image"] * 255).frac().abs().max() < 1e-3 and sample["row"].tolist() == source.table.index.tolist()
    words = [EXPRESSION_LABELS[number] if number >= 0 else "" for number in sample["expression"]]
    assert words == source.table["expression"].astype(str).tolist()
    assert not any(Path(path).is_absolute() for path in source.table["path"])
    folds = subject_folds(source.table, 2) if len(source) > 3 else []
    assert all(len(test) for _, test in folds)
    assert len(source.select([0])) == 1
    fewer = parse_data(f"{asked}={tmp_path}").open(asked, image_size=24, subjects=1, outputs=("image",))
    assert 0 < len(fewer) < len(source) and list(fewer[0]) == ["image"]
    with pytest.raises(DataError, match="has no output 'depth'"):
        parse_data(f"{asked}={tmp_path}").open(asked, outputs=("depth",))[0]


@pytest.mark.parametrize("name", ["kdef", "multipie", "sfew", "celeba", "wlp300", "aflw2000", "emotionet", "disfa"])
def test_empty_absent_and_foreign_folders(tmp_path, name):
    open_dataset = {
        "kdef": kdef, "multipie": multipie, "sfew": sfew, "celeba": celeba, "wlp300": wlp300, "aflw2000": aflw2000,
        "emotionet": emotionet, "disfa": disfa,
    }[name].open_dataset  # fmt: skip
    expected = re.escape(EXPECTED[name.replace("wlp300", "300wlp")])
    with pytest.raises(DataError, match=f"nothing usable was found in .*, expected {expected}"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="found nothing there, expected the folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match="found a file there"):
        open_dataset(write_text(tmp_path / "file.txt", ["hello"]))


@pytest.mark.parametrize("upper", [True, False])
def test_kdef(tmp_path, upper):
    source = kdef.open_dataset(trees.kdef_tree(tmp_path, upper=upper), image_size=16)
    table = source.table.assign(name=[Path(path).stem.upper() for path in source.table["path"]]).set_index("name")
    assert sorted(table["subject"].unique()) == ["F01", "F31", "M01", "M05", "M31"] or not upper
    misnamed = table.loc["AF31V"]
    assert (misnamed["subject"], misnamed["expression"], misnamed["yaw"]) == ("F31", "sadness", -45.0)
    assert table.loc["AM31H", ["expression", "camera", "yaw"]].tolist() == ["surprise", "HR", 45.0]
    assert table.loc["BF01HAS", ["subject", "session", "sex", "yaw"]].tolist() == ["F01", 2, "F", 0.0]
    assert table.loc["BM01AFFR", ["expression", "yaw"]].tolist() == ["fear", 90.0]
    assert "AF01SUFR" not in table.index and list(reasons(source, "skipped").values()) == ["the picture is black"]
    if upper:
        assert set(reasons(source, "corrupt")) == {"AM01HAS.JPG", "AM01HAHL.JPG"}
    assert "FAFS.JPG" in reasons(source, "ignored")
    people = {name: set(part["subject"]) for name, part in source.table.groupby("split", observed=True)}
    assert not people["train"] & people["test"]


def test_kdef_keeps_a_listed_picture_that_is_not_black(tmp_path):
    write_picture(tmp_path / "AM20" / "AM20DIHL.JPG", 28, 38)
    assert kdef.open_dataset(tmp_path).table["subject"].tolist() == ["M20"]


def test_multipie(tmp_path):
    source = multipie.open_dataset(trees.multipie_tree(tmp_path), image_size=16)
    table = source.table
    assert len(table) == 2 * 4 * 2 * 2 and set(table["camera"]) == {"05_1", "14_0"}
    assert set(table["yaw"]) == {0.0, -15.0} and set(table["lighting"]) == {0, 7}
    shown = {(s, r): e for s, r, e in zip(table["session"], table["recording"], table["expression"], strict=True)}
    assert shown == {(1, 1): "neutral", (1, 2): "smile", (2, 2): "surprise", (4, 3): "scream"}
    every = multipie.open_dataset(tmp_path, cameras=None, lights=1).table
    above = every[every["camera"] == "19_1"]
    assert len(above) == 8 and above["yaw"].isna().all() and set(every["lighting"]) == {0}
    assert set(reasons(source, "ignored").values()) == {
        "not a name of a multiview picture", "session 1 has no recording 9"}  # fmt: skip
    with pytest.raises(DataError, match="no camera '99_0'"):
        multipie.open_dataset(tmp_path, cameras=["99_0"])
    with pytest.raises(DataError, match="20 lights, asked for 0"):
        multipie.open_dataset(tmp_path, lights=0)


@pytest.mark.parametrize("folder", ["Val_Aligned_Faces_new", "Val_Aligned_Faces", "val_aligned_faces"])
def test_sfew(tmp_path, folder):
    source = sfew.open_dataset(trees.sfew_tree(tmp_path, folder), image_size=16)
    assert source.table.groupby("split", observed=True).size().to_dict() == {"train": 7, "val": 7, "test": 7}
    assert set(source.split("train").table["group"]) == {"A_Long_Film"}
    assert (source.split("test").table["expression"] == "").all()
    assert set(source.split("val").table["expression"]) == set(sfew.SEVEN)
    assert set(reasons(source, "ignored").values()) == {
        "not among the aligned faces", "'Bored' is none of the seven expressions"}  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("as_csv", [False, True])
def test_celeba(tmp_path, end, as_csv):
    source = celeba.open_dataset(trees.celeba_tree(tmp_path, end, as_csv), image_size=32)
    table = source.table
    assert table["sex"].tolist() == ["M", *["F"] * 5] and table["occluder"].tolist() == ["glasses", *[""] * 5]
    assert table["split"].tolist() == ["train"] * 4 + ["val", "test"]
    if as_csv:
        assert reasons(source, "missing") == {"identity_CelebA.txt": "there is no such list; its labels stay unknown"}
    else:
        assert table["subject"].tolist() == ["2880", "2880", "7", "7", "11", "12"]
        assert not source.inventory.findings
    _, box = source.crop(next(table.itertuples()))
    assert box[0] < 69 and box[0] + box[2] > 108 and box[1] < 111 and box[1] + box[2] > 152 and box[2] < 178


def test_celeba_with_damaged_lists(tmp_path):
    trees.celeba_tree(tmp_path)
    (tmp_path / "img_align_celeba" / "000002.jpg").unlink()
    write_text(tmp_path / "identity_CelebA.txt", ["000001.jpg 5", "000003.jpg seven", "000004.jpg", "rubbish 3"])
    write_text(tmp_path / "list_eval_partition.txt", [f"00000{number}.jpg 9" for number in range(1, 7)] * 100)
    (tmp_path / "list_attr_celeba.txt").write_bytes(b"6\n\xff\xfe\x00 bad")
    with open(tmp_path / "list_landmarks_align_celeba.txt", "a") as file:
        file.write("000009.jpg 1 2 3 4 5 6 7 8 9 nan\n")
    source = celeba.open_dataset(tmp_path, image_size=16)
    assert len(source) == 5 and source.table["subject"].tolist() == ["5", "", "", "", ""]
    text = "\n".join(f"{finding.path}: {finding.reason}" for finding in source.inventory.findings)
    assert "identity_CelebA.txt: line 2: 'seven' is not a whole number from 1 to 1000000" in text
    assert "identity_CelebA.txt: line 3: expected the name of a picture and 1 values" in text
    assert "list_eval_partition.txt: the rest is left out after 100 damaged lines" in text
    assert "list_attr_celeba.txt: line 2: is not UTF-8 text" in text
    assert "'nan' is not a finite number" in text and "announces 6 rows, but 7 follow" in text


def test_poses_of_fits_are_the_same_rotations():
    stored = np.random.default_rng(3).uniform(-1.4, 1.4, (40, 7))
    stored[:10, 1] *= 1.6  # beyond the profile
    stored[:, 3:] = [120.0, 300.0, -60.0, 1.4e-3]
    poses = book_poses(stored, 450)
    for (pitch, yaw, roll), found in zip(stored[:, :3], rotation_matrix(poses[:, :3]).double(), strict=True):
        c, s = np.cos, np.sin
        about_x = np.array([[1, 0, 0], [0, c(pitch), s(pitch)], [0, -s(pitch), c(pitch)]])
        about_y = np.array([[c(yaw), 0, -s(yaw)], [0, 1, 0], [s(yaw), 0, c(yaw)]])
        about_z = np.array([[c(roll), s(roll), 0], [-s(roll), c(roll), 0], [0, 0, 1]])
        assert np.abs(about_x @ about_y @ about_z - found.numpy()).max() < 1e-5
    assert (poses[:, 0].abs() <= 90).all()
    torch.testing.assert_close(poses[0, 3:], torch.tensor([1.4, 119.5, 150.5]))


def test_wlp300(tmp_path):
    source = wlp300.open_dataset(trees.wlp300_tree(tmp_path), image_size=45)
    table = source.table
    assert len(table) == 8 and table["mirrored"].sum() == 4 and set(table["frame"]) == {0, 3}
    assert set(table["subject"]) == {"AFW/AFW_134212_1", "LFPW/LFPW_image_train_0737"}
    turned = table[table["frame"] == 3].set_index(["subject", "mirrored"])["yaw"]
    assert (turned.xs(False, level=1) > 45).all() and (turned.xs(True, level=1) < -45).all()
    assert set(reasons(source, "corrupt")) == {"AFW_134212_1_5.mat", "AFW_134212_1_6.mat"}
    assert set(reasons(source, "missing")) == {"AFW_134212_1_4.jpg"}
    assert len(wlp300.open_dataset(tmp_path, mirrored=False)) == 4


def test_fits_follow_the_crop(tmp_path):
    source = wlp300.open_dataset(trees.wlp300_tree(tmp_path), image_size=45)
    sample = source[:]
    points = torch.from_numpy(trees.fit_arrays()["pt2d"].T - 0.5).float()
    middle = (points.amin(0) + points.amax(0)) / 2
    torch.testing.assert_close(
        (sample["landmarks"].amin(1) + sample["landmarks"].amax(1))[0] / 2, torch.full((2,), 22.5)
    )
    zoom = 45 / float((points.amax(0) - points.amin(0)).max() * 1.35)
    torch.testing.assert_close(sample["landmarks"][0], (points - middle) * zoom + 22.5, atol=1e-3, rtol=0)
    expected = torch.tensor([1.4 * zoom, (199.5 - middle[0]) * zoom + 22.5, (270.5 - middle[1]) * zoom + 22.5])
    torch.testing.assert_close(sample["pose"][0, 3:], expected, atol=1e-3, rtol=0)
    assert sample["shape_para"].shape == (8, 199) and sample["exp_para"].shape == (8, 29)
    assert sample["published_angles"][:, 0].sub(np.rad2deg(0.1)).abs().max() < 1e-4


def test_aflw2000(tmp_path):
    source = aflw2000.open_dataset(trees.aflw2000_tree(tmp_path), image_size=16)
    assert source.table["subject"].tolist() == ["image00002", "image00004", "image00006"]
    assert source.table["yaw"].round().tolist() == [-23.0, 57.0, -115.0] and (source.table["split"] == "test").all()
    fewer = aflw2000.open_dataset(tmp_path, max_angle=99)
    assert len(fewer) == 2 and reasons(fewer, "skipped") == {"image00006.jpg": "an angle beyond 99 degrees"}
    missing = trees.fit_arrays()
    del missing["Exp_Para"]
    scipy.io.savemat(tmp_path / "AFLW2000" / "image00004.mat", missing)
    assert "Exp_Para" in reasons(aflw2000.open_dataset(tmp_path), "corrupt")["image00004.mat"]


def test_celeba_with_an_empty_list(tmp_path):
    (trees.celeba_tree(tmp_path) / "identity_CelebA.txt").write_text("\n")
    source = celeba.open_dataset(tmp_path)
    assert reasons(source, "corrupt") == {"identity_CelebA.txt": "the list is empty; its labels stay unknown"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_emotionet(tmp_path, end):
    source = emotionet.open_dataset(trees.emotionet_tree(tmp_path, end), image_size=16)
    table = source.table
    assert len(table) == 3 and table["group"].nunique() == 3 and (table["subject"] == "").all()
    np.testing.assert_array_equal(table["AU1"], [1, 0, np.nan])
    np.testing.assert_array_equal(table["AU12"], [0, 1, np.nan])
    assert reasons(source, "missing") == {"n_0000000002.jpg": "listed, but not there"}
    assert len(emotionet.open_dataset(tmp_path, annotated_only=True)) == 2
    assert "landmarks" not in source[0]
    for picture in (tmp_path / "images").iterdir():
        write_text(
            picture.with_suffix(".pts"), ["version: 1", "n_points: 68", "{", *["10.0 20.5"] * 67, "30 40.5", "}"]
        )
    sample = emotionet.open_dataset(tmp_path, image_size=27)[0]
    assert sample["landmarks"].shape == (68, 2) and 0 < sample["landmarks"].min() < sample["landmarks"].max() < 27
    pts = tmp_path / "images" / "N_0000000001.pts"
    pts.rename(pts.with_suffix(".txt"))  # as `facekit.reconstruction.write_landmarks` names them
    (tmp_path / "images" / "unlisted.pts").unlink()  # the detector found no face
    source = emotionet.open_dataset(tmp_path, image_size=27)
    assert source[:]["landmarks"].isnan().all(dim=(1, 2)).tolist() == [False, False, True]
    assert reasons(source, "ignored") == {"readme.txt": "not a name of a list (dataFile_*.txt, emotionet*.csv)"}
    assert reasons(source, "missing")["unlisted.jpg"] == "there are no landmarks beside the picture"


@pytest.mark.parametrize("name", ["kdef", "multipie", "sfew", "celeba", "wlp300", "aflw2000", "emotionet", "disfa"])
def test_names_in_upper_case_are_the_same_names(tmp_path, name):
    reader = {"kdef": kdef, "multipie": multipie, "sfew": sfew, "celeba": celeba, "wlp300": wlp300,
              "aflw2000": aflw2000, "emotionet": emotionet, "disfa": disfa}[name]  # fmt: skip
    root = getattr(trees, f"{name}_tree")(tmp_path / "copy")
    if name == "emotionet":
        for picture in (root / "images").iterdir():
            write_text(picture.with_suffix(".pts"), [f"{10 + n % 20} {10 + n / 4}" for n in range(68)])
    before = reader.open_dataset(root, image_size=16)
    expected = before[:]
    for file in sorted(root.rglob("*"), key=lambda file: -len(file.parts)):
        file.rename(file.with_name(file.name.upper()))
    again = reader.open_dataset(root, image_size=16)
    assert again.inventory.counts.total() == before.inventory.counts.total()
    found = again[:]
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], equal_nan=True)


def test_emotionet_as_a_table_with_commas_in_addresses(tmp_path):
    write_picture(tmp_path / "a.jpg", 40, 40)
    rows = [f'"http://some.host/x,y/a.jpg","http://some.host/x,y/a.jpg",{",".join(["1"] * 60)}', "x" * 200_000]
    write_text(tmp_path / "emotionet.csv", rows)
    source = emotionet.open_dataset(tmp_path, image_size=16)
    assert source.table["AU60"].tolist() == [1.0]
    assert "line 2: is no row of separated values" in next(source.inventory.of("corrupt")).reason


def test_emotionet_with_damaged_lists(tmp_path):
    trees.emotionet_tree(tmp_path)
    write_text(tmp_path / "dataFile_0001.txt", [
        "a.jpg\ta.jpg\t1", "\t".join(["b.jpg"] * 2 + ["7"] * 60), "\t".join(["c.jpg"] * 2 + ["x"] * 60),
        "\t".join(["http://[", "d", *["1"] * 60]),
    ])  # fmt: skip
    found = [f.reason for f in emotionet.open_dataset(tmp_path).inventory.of("corrupt")]
    assert found == [
        "line 1: 3 columns, expected 62", "line 2: found the code 7, expected 0, 1 or 999",
        "line 3, AU1: 'x' is not a whole number from 0 to 999", "line 4: 'http://[' is not an address",
    ]  # fmt: skip
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    (tmp_path / "EmotioNet_FACS.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"save them as \.csv"):
        emotionet.open_dataset(tmp_path)


@pytest.mark.parametrize(("end", "base"), [("\n", 0), ("\r\n", 1)])
def test_disfa(tmp_path, end, base):
    source = disfa.open_dataset(trees.disfa_tree(tmp_path, end, base=base), image_size=16)
    table = source.table
    assert (
        len(table) == 12 and table["frame"].tolist() == list(range(6)) * 2 and table["fold"].unique().tolist() == [3, 1]
    )
    row = table[(table["subject"] == "SN003") & (table["frame"] == 3)].iloc[0]
    assert row["AU4"] == (4 + 4) % 6 and row["path"].endswith(f"SN003/{3 + base}.jpg")
    present, coded = au_matrix(table, (1, 2, 4, 6, 9, 12, 25, 26), positive_from=2)
    assert coded.all() and present[0].tolist() == [1, 1, 1, 0, 1, 0, 1, 1]
    sample = source[:6]
    assert sample["landmarks"].shape == (6, 68, 2)
    assert sample["landmarks_visible"][:, 0].tolist() == [True, False] * 3


def test_disfa_says_which_files_are_short_or_damaged(tmp_path):
    labels = trees.disfa_tree(tmp_path) / "ActionUnit_Labels"
    (labels / "SN001" / "SN001_au4.txt").write_text("")
    write_text(labels / "SN003" / "SN003_au12.txt", [f"{frame},1" for frame in range(1, 4)])
    write_text(labels / "SN003" / "SN003_au1.txt", [f"{frame},1" for frame in range(1, 6)])  # as in the release
    marks = tmp_path / "Landmark_Points" / "SN001" / "tmp_frame_lm"
    (marks / "SN001_0002_lm.mat").write_bytes(b"")
    source = disfa.open_dataset(tmp_path, image_size=16, verify="pixels")
    assert reasons(source, "missing") == {
        "SN001_au4.txt": "6 of 6 frames have no level", "SN003_au12.txt": "3 of 6 frames have no level",
    }  # fmt: skip
    assert reasons(source, "corrupt") == {"SN001_0002_lm.mat": "the file is empty"}
    assert source[:6]["landmarks_visible"][:, 0].tolist() == [True, False, False, False, True, False]


def test_disfa_says_who_has_no_landmarks(tmp_path):
    shutil.rmtree(trees.disfa_tree(tmp_path) / "Landmark_Points" / "SN003")
    source = disfa.open_dataset(tmp_path, image_size=16)
    assert reasons(source, "missing") == {"SN003": "the person has no landmarks"} and "landmarks" not in source[0]


def test_disfa_pictures_are_those_of_the_frame(tmp_path):
    for base in (0, 1):
        folder = tmp_path / str(base)
        sample = disfa.open_dataset(trees.disfa_tree(folder, base=base), image_size=16)[:6]
        red = sample["image"][:, 0, :, 0].mean(1) * 255  # the darker half
        assert (2 * red - torch.arange(6.0) * 40 - 15).abs().max() < 12


def test_disfa_pictures_of_both_cameras(tmp_path):
    trees.disfa_tree(tmp_path)
    (tmp_path / "Frames").rename(tmp_path / "Frames_LeftCamera")
    shutil.copytree(tmp_path / "Frames_LeftCamera", tmp_path / "Frames_RightCamera")
    for camera in ("left", "right"):
        table = disfa.open_dataset(tmp_path, image_size=16, camera=camera).table
        assert len(table) == 12 and table["path"].str.lower().str.contains(f"{camera}camera").all()


def test_disfa_videos(tmp_path):
    trees.disfa_tree(tmp_path, pictures=False)
    for subject, name in (("SN001", "LeftVideoSN001_comp.avi"), ("SN003", "LeftVideoSN003_Comp.avi")):
        path = tmp_path / "Videos_LeftCamera" / name
        path.parent.mkdir(exist_ok=True)
        video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (64, 48))
        for frame in range(5 if subject == "SN001" else 6):
            video.write(np.full((48, 64, 3), (90, 90, 40 * frame + 15), dtype=np.uint8))
        video.release()
    source = disfa.open_dataset(tmp_path, image_size=16)
    assert len(source) == 11 and reasons(source, "missing") == {"SN001, frame 6": "labelled, but not shown"}
    for order in (range(5), (4, 0, 2, 2, 3)):
        red = source[list(order)]["image"][:, 0].mean((1, 2)) * 255
        assert (red - torch.tensor(list(order)) * 40 - 15).abs().max() < 12
    (tmp_path / "Videos_LeftCamera" / "LeftVideoSN003_Comp.avi").write_bytes(b"RIFFnothing")
    broken = disfa.open_dataset(tmp_path, image_size=16)
    assert len(broken) == 5 and "LeftVideoSN003_Comp.avi" in reasons(broken, "corrupt")


def test_disfa_leaves_wrong_landmarks_out(tmp_path):
    trees.disfa_tree(tmp_path)
    found = disfa._landmark_files(tmp_path)
    assert sorted(found["SN001"]) == sorted(found["SN003"]) == [0, 2, 4]
    folder = tmp_path / "Landmark_Points" / "SN001" / "tmp_frame_lm"
    for frame in (396, 397, 419, 420):
        shutil.copy(folder / "SN001_0000_lm.mat", folder / f"SN001_{frame:04d}_lm.mat")
    assert sorted(disfa._landmark_files(tmp_path)["SN001"]) == [0, 2, 4, 396, 420]


def test_disfa_with_damaged_labels(tmp_path):
    trees.disfa_tree(tmp_path)
    labels = tmp_path / "ActionUnit_Labels" / "SN001"
    write_text(labels / "SN001_au1.txt", ["1,3", "2;1", "3,9", "4,nan", "5,2", "5,3", "6,1,1"])
    (labels / "SN001_au2.txt").unlink()
    source = disfa.open_dataset(tmp_path, image_size=16)
    first = source.table[source.table["subject"] == "SN001"]
    np.testing.assert_array_equal(first["AU1"], [3, np.nan, np.nan, np.nan, 2, np.nan])
    assert first["AU2"].isna().all() and (first["AU4"] >= 0).all()
    assert source.inventory.count("corrupt") == 5 and "SN001_au2.txt" in reasons(source, "missing")
    with pytest.raises(DataError, match="cameras left and right"):
        disfa.open_dataset(tmp_path, camera="top")


def test_a_detector_of_the_users(tmp_path):
    write_picture(tmp_path / "AF01" / "AF01ANS.JPG", 60, 80)

    def right_half(picture):
        width = picture.shape[1]
        return width / 2, 0, width / 2

    light = kdef.open_dataset(tmp_path, image_size=16, detector=right_half)[0]["image"]
    dark = kdef.open_dataset(tmp_path, image_size=16, detector=lambda picture: (0, 0, 25))[0]["image"]
    none = kdef.open_dataset(tmp_path, image_size=16, detector=lambda picture: None)[0]["image"]
    assert light.mean() > 1.8 * dark.mean() and dark.mean() < none.mean() < light.mean()


def test_a_picture_that_breaks_later_is_named(tmp_path):
    path = write_picture(tmp_path / "AF01" / "AF01ANS.JPG")
    source = kdef.open_dataset(tmp_path)
    path.write_bytes(b"gone")
    with pytest.raises(DataError, match=r"AF01ANS.JPG: is not a picture"):
        source[0]
    with pytest.raises(DataError, match="verify must be one of"):
        kdef.open_dataset(tmp_path, verify="loud")
    with pytest.raises(DataError, match="image_size must be at least 8"):
        kdef.open_dataset(tmp_path, image_size=4, verify="none")


def test_videos_in_several_processes(tmp_path):
    """Workers that were forked while a video was open read their own frames."""
    trees.disfa_tree(tmp_path, pictures=False, frames=40)
    for subject in ("SN001", "SN003"):
        path = tmp_path / "Videos_LeftCamera" / f"LeftVideo{subject}_comp.avi"
        path.parent.mkdir(exist_ok=True)
        video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (64, 48))
        for frame in range(40):
            video.write(np.full((48, 64, 3), 6 * frame + 5, dtype=np.uint8))
        video.release()
    source = disfa.open_dataset(tmp_path, image_size=16)
    source[0]
    sampler = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(source), 5, drop_last=False)
    loader = torch.utils.data.DataLoader(source, sampler=sampler, batch_size=None, num_workers=2)
    shown = torch.cat([batch["image"].mean((1, 2, 3)) for batch in loader]) * 255
    assert (shown - (6 * torch.arange(40.0) + 5).repeat(2)).abs().max() < 4


def test_videos_that_do_not_say_how_long_they_are(tmp_path):
    """Streams of pictures without a head, as MICC's."""
    path = tmp_path / "subject_01" / "Video" / "Indoor-Cooperative.mjpg"
    path.parent.mkdir(parents=True)
    frames = [cv2.imencode(".jpg", np.full((48, 64, 3), 6 * frame + 5, np.uint8))[1].tobytes() for frame in range(40)]
    path.write_bytes(b"".join(frames))
    (path.parent / "PTZ-Outdoor.mjpeg").write_bytes(b"\xff\xd8\xff")
    source = micc.open_dataset(tmp_path, what="videos", frames=5, image_size=16)
    assert source.table["frame"].tolist() == [0, 10, 20, 29, 39] and set(source.table["condition"]) == {"cooperative"}
    assert reasons(source, "corrupt").keys() == {"PTZ-Outdoor.mjpeg"}
    for order in ([0, 1, 2, 3, 4], [4, 0, 3, 3, 1]):
        shown = source[order]["image"].mean((1, 2, 3)) * 255
        assert (shown - (6 * torch.tensor(source.table["frame"].to_numpy()[order]) + 5)).abs().max() < 4
    with pytest.raises(DataError, match="there is no frame 40"):
        read_frame(path, 40)
