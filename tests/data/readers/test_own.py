"""Data of the reader's own: the CSV file, photographs, scans and what can be wrong with them."""

import cv2
import numpy as np
import pytest
import torch

from facekit.data import DataError, parse_data
from facekit.data.readers import own, own_manifest
from facekit.meshes import save_mesh
from facekit.render import rotation_matrix
from tests.data.readers.photo_trees import cut_off, write_picture, write_text


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        write_picture(tmp_path / "photos" / f"{number}.jpg", 60, 80)
    return tmp_path


@pytest.fixture
def egg(tmp_path):
    """A triangulated ellipsoid with a nose towards +z, wider than it is deep."""
    around, up = np.meshgrid(np.linspace(0, 2 * np.pi, 24, endpoint=False), np.linspace(0.05, np.pi - 0.05, 12))
    points = np.stack([60 * np.sin(up) * np.sin(around), 90 * np.cos(up), 50 * np.sin(up) * np.cos(around)], -1)
    place = np.arange(points[..., 0].size).reshape(up.shape)
    right = np.roll(place, -1, axis=1)
    low = np.stack([place[:-1], place[1:], right[:-1]], -1).reshape(-1, 3)
    high = np.stack([right[:-1], place[1:], right[1:]], -1).reshape(-1, 3)
    vertices = torch.from_numpy(points.reshape(-1, 3)).float()
    colours = torch.where(vertices[:, 2:] > 0, torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.8]))
    return vertices, torch.from_numpy(np.concatenate([low, high])), colours


def rows_of(folder, *lines: str, end: str = "\n", **options):
    write_text(folder / "manifest.csv", list(lines), end, **options)
    return own.open_dataset(folder, image_size=16)


def test_a_path_is_enough(folder):
    source = rows_of(folder, "path", "photos/0.jpg", "photos/1.jpg")
    assert len(source) == 2 and source[:]["image"].shape == (2, 3, 16, 16)
    assert (source.table["subject"] == "").all() and source.table["yaw"].isna().all()
    assert source[:]["expression"].tolist() == [-1, -1] and source[:]["person"].tolist() == [-1, -1]


@pytest.mark.parametrize(("separator", "end", "encoding"), [
    (",", "\n", "utf-8"), (";", "\r\n", "utf-8-sig"), ("\t", "\r\n", "utf-16"), (",", "\r", "utf-8"),
])  # fmt: skip
def test_every_column(folder, separator, end, encoding):
    header = (
        "Path Subject SEX expression intensity yaw pitch roll split fold session AU01 au12 mirrored occluder camera"
    )
    first = "photos\\0.jpg Zoë female Happy 3 -30.5 0 1 train 1 2 1 0 no glasses left"
    second = "./photos/1.jpg 007 M neutral 0 0 0 0 Test 2 2.0   yes  "
    lines = [separator.join(line.split(" ")) for line in (header, first, second)]
    source = rows_of(folder, *lines, end=end, encoding=encoding)
    assert not source.inventory.findings
    assert source.table["subject"].tolist() == ["Zoë", "007"] and source.table["sex"].tolist() == ["F", "M"]
    assert source.table["expression"].tolist() == ["happiness", "neutral"] and source.table["fold"].tolist() == [1, 2]
    assert source.table["yaw"].tolist() == [-30.5, 0.0] and source.table["split"].tolist() == ["train", "test"]
    np.testing.assert_array_equal(source.table["AU1"], [1, np.nan])
    assert source.table["mirrored"].tolist() == [False, True] and source[0]["occluder"] == 0
    assert source.table["path"].tolist() == ["photos/0.jpg", "photos/1.jpg"]


def test_quoted_cells_and_decimal_commas(folder):
    source = rows_of(folder, "path;subject;yaw;note", '"photos/0.jpg";"Doe; Jane";-12,5;"a ""quoted"" note"', "")
    assert source.table["subject"].tolist() == ["Doe; Jane"] and source.table["yaw"].tolist() == [-12.5]
    assert [finding.path for finding in source.inventory.of("ignored")] == ["column note"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/etc/passwd,a,0", "line 3, path: '/etc/passwd' is an absolute path"),
        ("C:\\faces\\0.jpg,a,0", "is an absolute path"),
        ("~/0.jpg,a,0", "is an absolute path"),
        ("\\\\server\\share\\0.jpg,a,0", "is an absolute path"),
        ("../photos/0.jpg,a,0", "leaves the folder"),
        ("photos/../../0.jpg,a,0", "leaves the folder"),
        ("photos\\..\\..\\0.jpg,a,0", "leaves the folder"),
        (",a,0", "line 3: the path is empty"),
        ("photos/9.jpg,a,0", "line 3: there is no such file"),
        ("photos,a,0", "line 3: there is no such file"),
        ("photos/1.jpg,a", "line 3: 2 cells, the header has 3"),
        ("photos/1.jpg,a,0,5", "line 3: 4 cells, the header has 3"),
        ("photos/1.jpg,a,inf", "line 3, yaw: 'inf' is not a finite number"),
        ("photos/1.jpg,a,left", "line 3, yaw: 'left' is not a number"),
        ("photos/1.jpg,a,200", "line 3, yaw: 200 lies outside -180 to 180"),
        ("notes.txt,a,0", "line 3: neither a picture, a scan nor a video"),
    ],
)
def test_rows_that_are_wrong_are_left_out_with_their_line(folder, line, reason):
    write_text(folder / "notes.txt", ["hello"])
    source = rows_of(folder, "path,subject,yaw", "photos/0.jpg,a,0", line, "photos/2.jpg,b,5")
    assert source.table["path"].tolist() == ["photos/0.jpg", "photos/2.jpg"]
    (finding,) = [finding for finding in source.inventory.findings if finding.kind in ("corrupt", "missing")]
    assert reason in finding.reason


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("expression", "bored", "'bored' is not an expression"), ("sex", "x", "found 'x'"), ("split", "dev", "found"),
        ("intensity", "9", "not a whole number from 0 to 4"), ("AU12", "6", "6 lies outside 0 to 5"),
        ("occluder", "mask", "none of glasses, hair, hand"), ("frame", "1.5", "not a whole number"),
        ("frame", "9" * 400, "not a whole number"), ("landmarks", "../x.pts", "leaves the folder"),
    ],
)  # fmt: skip
def test_labels_that_do_not_exist(folder, column, cell, reason):
    source = rows_of(folder, f"path,{column}", "photos/0.jpg,", f"photos/1.jpg,{cell}")
    assert len(source) == 1 and reason in next(source.inventory.of("corrupt")).reason


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["photos/0.jpg,ann"], "expected a header with a column 'path'"),
        (["path,expresion"], "column 'expresion' is not known; did you mean 'expression'"),
        (["path,yaw,Yaw"], "column 'Yaw' is there twice"),
        (["path,left,top"], "a face box needs the columns left, top, side"),
        ([""], "expected a header"),
        (["path,subject", "photos/9.jpg,a"], "nothing usable was found"),
        (["path,subject", '"photos/0.jpg,a'], "line 3: is not a table of separated values"),
        (["path,subject", "x" * 200_000 + ",a"], "line 2: is not a table of separated values"),
    ],
)
def test_files_that_are_no_manifest(folder, lines, message):
    with pytest.raises(DataError, match=message) as caught:
        rows_of(folder, *lines)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_wrong_encodings_zero_bytes_and_huge_files(folder, monkeypatch):
    with pytest.raises(DataError, match=r"manifest.csv, line 2: is not UTF-8 text"):
        rows_of(folder, "path,subject", "photos/0.jpg,Zoë", encoding="latin-1")
    with pytest.raises(DataError, match=r"manifest.csv, line 2: holds a zero byte"):
        rows_of(folder, "path,subject", "photos/0.jpg,\0")
    monkeypatch.setattr(own_manifest, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(DataError, match=r"200,005 bytes, expected a text of at most 100"):
        rows_of(folder, "path", "x" * 199_999)


def test_many_wrong_rows_and_many_rows(folder, monkeypatch):
    with pytest.raises(DataError, match="line 1002: 1,001 wrong rows; the rest is not read"):
        rows_of(folder, "path", *["/etc/passwd"] * 5000)
    monkeypatch.setattr(own_manifest, "MAX_ROWS", 10)
    with pytest.raises(DataError, match="line 12: more than 10 rows"):
        rows_of(folder, "path", *["photos/0.jpg"] * 50)
    with pytest.raises(DataError, match="expected a CSV file with a column 'path'"):
        own.open_dataset(folder / "photos")


def test_boxes_and_landmarks(folder):
    points = np.random.default_rng(1).uniform(10, 50, (68, 2))
    lines = [f"{x:.3f} {y:.3f}" for x, y in points]
    write_text(folder / "a.pts", ["version: 1", "n_points:  68", "{", *lines, "}"])
    write_text(folder / "b.csv", [line.replace(" ", ",") for line in lines])
    header, boxed = "path,landmarks,left,top,side", "photos/0.jpg,a.pts,30,10,20"
    source = rows_of(folder, header, boxed, "photos/1.jpg,b.csv,,,")
    sample = source[:]
    expected = torch.from_numpy((points - (30, 10)) * 16 / 20).float()
    torch.testing.assert_close(sample["landmarks"][0], expected, atol=2e-3, rtol=0)
    assert -2 < sample["landmarks"][1].min() and sample["landmarks"][1].max() < 18
    assert sample["image"][0, 0].min() > 0.6  # the box lies in the bright half
    partly = rows_of(folder, "path,landmarks", "photos/0.jpg,a.pts", "photos/1.jpg,")[:]["landmarks"]
    assert partly[0].isfinite().all() and partly[1].isnan().all()
    write_text(folder / "c.pts", lines[:60])
    source = rows_of(folder, header, boxed, "photos/1.jpg,c.pts,,,", "photos/2.jpg,,1,2,0", "photos/3.jpg,,1,,9")
    assert len(source) == 1
    text = " ".join(finding.reason for finding in source.inventory.findings)
    assert "expected 68 lines of two numbers, found 60" in text and "side of 0 pixels" in text and "all three" in text


def test_scans_are_seen_from_the_rows_angle(folder, egg):
    vertices, faces, colours = egg
    save_mesh(folder / "egg.ply", vertices, faces, albedo=colours)
    save_mesh(folder / "egg.obj", vertices @ rotation_matrix(torch.tensor([[0.0, 180.0, 0.0]]))[0].mT, faces)
    source = rows_of(folder, "path,yaw,pitch", "egg.ply,0,0", "egg.ply,180,", "egg.ply,90,0", "egg.obj,,")
    front, back, side, grey = source[:]["image"]
    assert front[0, 8, 8] > front[2, 8, 8] + 0.3 and back[2, 8, 8] > back[0, 8, 8] + 0.3
    assert side[0, 8, 10] > side[2, 8, 10] and side[2, 8, 5] > side[0, 8, 5]  # the face looks to the right
    assert grey.std(0).max() < 0.01 and grey[0, 8, 8] != 0.5
    corner = source[:]["image"][:, :, 0, 0]
    assert (corner - 0.5).abs().max() < 0.01


def test_scans_that_are_broken(folder, egg):
    save_mesh(folder / "egg.ply", *egg[:2])
    cut_off(folder / "egg.ply")
    write_text(folder / "bad.obj", ["v 0 0 nan", "f 1 2 3"])
    write_text(folder / "manifest.csv", ["path", "egg.ply", "bad.obj", "photos/0.jpg"])
    source = own.open_dataset(folder, image_size=16, verify="pixels")
    assert source.table["path"].tolist() == ["photos/0.jpg"] and source.inventory.count("corrupt") == 2
    with pytest.raises(DataError, match=r"egg\.ply"):
        own.open_dataset(folder, image_size=16)[0]


def test_people_make_a_split(folder):
    rows = [f"photos/{number % 4}.jpg,{name}" for number in range(4) for name in "abcdefghij"]
    table = rows_of(folder, "path,subject", *rows).table
    tested = set(table[table["split"] == "test"]["subject"])
    assert len(tested) == 2 and not tested & set(table[table["split"] == "train"]["subject"])
    assert "split" not in rows_of(folder, "path,subject", "photos/0.jpg,a", "photos/1.jpg,a").table
    assert "split" not in rows_of(folder, "path,subject", "photos/0.jpg,a", "photos/1.jpg,").table


def test_own_data_in_the_place_of_a_data_set(folder):
    write_text(
        folder / "manifest.csv", ["path,subject,expression,yaw", "photos/0.jpg,a,anger,0", "photos/1.jpg,b,joy,0"]
    )
    choice = parse_data(f"own={folder / 'manifest.csv'}")
    assert list(choice.folders) == ["own"] and not choice.is_world
    assert choice.open("kdef", image_size=16).table["expression"].tolist() == ["anger", "happiness"]
    assert len(choice.open("own", image_size=16, subjects=1)) == 1
    with pytest.raises(DataError, match="own has no twin in the face world"):
        parse_data("world").open("own")
    with pytest.raises(DataError, match="coma has no twin"):
        parse_data("world").open("coma")


def test_frames_of_videos(tmp_path, monkeypatch):
    video = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for frame in range(6):
        video.write(np.full((48, 64, 3), (90, 90, 40 * frame + 15), dtype=np.uint8))
    video.release()
    (tmp_path / "b.mp4").write_bytes(b"nothing of the kind")
    rows = ["a.avi,film,4", "a.avi,film,1", "a.avi,film,6", "a.avi,film,", "b.mp4,other,0"]
    write_text(tmp_path / "manifest.csv", ["path,sequence,frame", *rows])
    source = own.open_dataset(tmp_path, image_size=16)
    assert (source[:]["image"][:, 0].mean((1, 2)) * 255 - torch.tensor([175.0, 55.0])).abs().max() < 8
    assert source.table["frame"].tolist() == [4, 1] and source.table["sequence"].tolist() == ["film", "film"]
    assert [finding.reason for finding in source.inventory.of("corrupt")] == [
        "line 4: names frame 6, the video has frames 0 to 5", "line 5: names no frame, the video has frames 0 to 5",
        "is not a video that OpenCV can read"]  # fmt: skip
    monkeypatch.setattr(own, "has_opencv", lambda: False)
    with pytest.raises(DataError, match=r"nothing usable was found.*reading a video needs OpenCV"):
        own.open_dataset(tmp_path)
