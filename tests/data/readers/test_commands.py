"""`python -m facekit data check` and `data prepare`, as typed."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from facekit.__main__ import main
from facekit.data import open_prepared
from tests.data.readers import photo_trees as trees
from tests.data.readers import scan_trees
from tests.data.readers.photo_trees import write_picture, write_text


def test_check_counts_and_compares(tmp_path, capsys):
    trees.kdef_tree(tmp_path / "kdef")
    findings = tmp_path / "findings.csv"
    assert main(["data", "check", f"kdef={tmp_path / 'kdef'}", "--findings", str(findings)]) == 1
    said = capsys.readouterr().out
    assert "subjects" in said and "published: 70" in said and "published: 4,900" in said
    assert "-90: 28 of 980, -45: 28 of 980, 0: 27 of 980, 45: 29 of 980, 90: 28 of 980" in said
    assert "anger: 21 of 700" in said and "FL: 28, FR: 28" in said
    assert "1 x the file is empty, such as KDEF_and_AKDEF/KDEF/AM01/AM01HAHL.JPG" in said
    assert "the picture is black" in said and "not a name of KDEF" in said
    table = pd.read_csv(findings)
    assert sorted(table["kind"]) == ["corrupt", "corrupt", "ignored", "skipped"] and set(table["data"]) == {"kdef"}


def test_check_of_a_sound_copy(tmp_path, capsys):
    trees.sfew_tree(tmp_path / "sfew")
    trees.celeba_tree(tmp_path / "celeba")
    assert main(["data", "check", f"sfew={tmp_path / 'sfew'}", f"celeba={tmp_path / 'celeba'}"]) == 0
    said = capsys.readouterr().out
    assert "test: 7 of 372, train: 7 of 958, val: 7 of 436" in said and "glasses: 1, 5 without" in said


def test_check_counts_scans_once_and_names_what_is_not_there(tmp_path, capsys):
    """Each scan has nine views; nobody is disgusted; units that are levels are not compared with occurrences."""
    main(["data", "check", f"bu3dfe={scan_trees.bu3dfe(tmp_path / 'bu3dfe')}"])
    said = capsys.readouterr().out
    assert "anger: 2 of 400, disgust: 0 of 400, fear: 1 of 400" in said and "-90: 6," in said
    scan_trees.bp4d(tmp_path / "bp4d")
    main(["data", "check", f"bp4d={tmp_path / 'bp4d'}"])
    assert "0: 4, 1: 6 of 82,530" in capsys.readouterr().out
    main(["data", "check", f"bp4d={tmp_path / 'bp4d'}", "--option", "labels=intensity", "--option", "units=(12,)"])
    assert " of 82,530" not in capsys.readouterr().out


def test_check_of_pixels(tmp_path, capsys):
    write_picture(tmp_path / "a.jpg", colour=(1, 1, 1))
    write_picture(tmp_path / "b.jpg")
    write_text(tmp_path / "manifest.csv", ["path,AU1,yaw", *["b.jpg,1,3.5"] * 30, *[f"b.jpg,,{n}" for n in range(30)]])
    assert main(["data", "check", f"own={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "1: 30, 30 without" in said and "0 to 29" in said
    write_text(tmp_path / "manifest.csv", ["path", "a.jpg", "b.jpg"])
    assert main(["data", "check", f"own={tmp_path}", "--verify", "pixels"]) == 1
    assert "the picture is black" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "kdef=/no/such/place"], "there is nothing at /no/such/place"),
        (["check", "lfw=/tmp"], "'lfw' is not a data set"),
        (["check", "world"], "expected one NAME=PATH"),
        (["check", "kdef=.,bfm=."], "expected one NAME=PATH"),
        (["check", "kdef"], "expected world, world:ict=PATH or <data set>=<path>"),
        (["check", "kdef={tmp}"], "nothing usable was found"),
        (["check", "own={tmp}"], "expected a CSV file with a column 'path'"),
        (["check", "kdef={tmp}/good", "--option", "angle=3"], "the reader of kdef has no option 'angle'"),
        (["check", "kdef={tmp}/good", "--option", "angle"], "--option angle: expected KEY=VALUE"),
        (
            ["check", "kdef={tmp}/good", "--option", "image_size=big"],
            "the reader of kdef cannot use --option image_size=big",
        ),
        (["check", "kdef={tmp}/good,b"], "found 'b', expected world, world:ict=PATH or <data set>=<path>"),
        (["check", "kdef={tmp}/good", "--findings", "{tmp}/no/f.csv"], "f.csv: there is no folder {tmp}/no"),
        (["prepare", "kdef={tmp}/good", "--out", "{tmp}/out", "--outputs", "colour"], "KDEF has no output 'colour'"),
        (["prepare", "kdef={tmp}", "--out", "{tmp}/out"], "nothing usable was found"),
        (["prepare", "kdef={tmp}/good", "--out", "{tmp}/good"], "neither empty nor prepared data"),
        (["prepare", "kdef={tmp}/good", "--out", "{tmp}/out", "--image_size", "3"], "at least 8 pixels"),
        (["prepare", "kdef={tmp}/good", "--out", "{tmp}/out", "--subjects", "0"], "subjects must be positive"),
        (["prepare", "kdef={tmp}/good", "--out", "{tmp}/good/AF01ANS.JPG/out"], "AF01ANS.JPG/out: cannot be written ("),
        (["check", "kdef={tmp}/good", "--findings", "{tmp}"], "{tmp}: cannot be written ("),
    ],
)
def test_requests_that_do_not_fit_end_in_one_line(tmp_path, capsys, arguments, message):
    if "good" in " ".join(arguments):
        write_picture(tmp_path / "good" / "AF01ANS.JPG")
    assert main(["data", *[text.format(tmp=tmp_path) for text in arguments]]) == 2
    said = capsys.readouterr().err.strip()
    assert message.format(tmp=tmp_path) in said and said.startswith("facekit: ") and said.count("\n") == 0


def test_an_experiment_on_data_that_is_not_there(capsys):
    assert main(["run", "rrl/table1", "--data", "disfa=/no/such/place", "--scale", "smoke", "--seeds", "1"]) == 2
    assert "there is nothing at /no/such/place" in capsys.readouterr().err


def test_an_experiment_on_a_damaged_face_model(tmp_path, capsys):
    (tmp_path / "ict.npz").write_bytes(b"not an archive")
    assert main(["run", "rrl/table1", "--data", f"world:ict={tmp_path / 'ict.npz'}", "--scale", "smoke"]) == 2
    assert "ict.npz" in capsys.readouterr().err


def test_prepare_then_use_then_check(tmp_path, capsys):
    trees.kdef_tree(tmp_path / "kdef")
    out = tmp_path / "out"
    command = ["data", "prepare", f"kdef={tmp_path / 'kdef'}", "--out", str(out), "--image_size", "16"]
    for _ in range(2):
        assert main(command) == 0
        captured = capsys.readouterr()
        assert f"140 samples of kdef are in {out}" in captured.out and f"--data kdef={out}" in captured.out
        assert "140/140" in captured.err
    assert main(["data", "check", f"kdef={out}"]) == 0
    assert "published: 4,900" in capsys.readouterr().out
    assert main([*command[:-1], "24"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_what_prepare_says_can_be_pasted_into_a_shell(tmp_path, capsys):
    write_picture(tmp_path / "my faces" / "AF01ANS.JPG")
    out = tmp_path / "my own"
    assert main(["data", "prepare", f"kdef={tmp_path / 'my faces'}", "--out", str(out), "--image_size", "16"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("use them as")]
    assert shlex.split(line)[-1] == f"kdef={out}"


def test_prepare_says_what_is_damaged_inside(tmp_path, capsys):
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}.png", 90, 90)
    content = bytearray((tmp_path / "b.png").read_bytes())
    content[50:60] = bytes(10)
    (tmp_path / "b.png").write_bytes(content)
    write_text(tmp_path / "manifest.csv", ["path", "a.png", "b.png"])
    out = tmp_path / "out"
    assert main(["data", "prepare", f"own={tmp_path}", "--out", str(out), "--image_size", "16"]) == 1
    said = capsys.readouterr().out
    assert f"1 samples of own are in {out}" in said and f"left out: {tmp_path / 'b.png'}: is damaged" in said
    assert f"1 damaged samples are listed in {out / 'damaged.json'}" in said and len(open_prepared(out)) == 1


def test_options_of_a_reader(tmp_path, capsys):
    trees.multipie_tree(tmp_path / "pie")
    options = ["--option", "cameras=('19_1', '05_1')", "--option", "lights=1", "--outputs", "image,expression"]
    out = tmp_path / "out"
    assert main(["data", "prepare", f"multipie={tmp_path / 'pie'}", "--out", str(out), *options]) == 0
    prepared = open_prepared(out)
    assert set(prepared.table["camera"]) == {"19_1", "05_1"} and set(prepared.table["lighting"]) == {0}
    assert list(prepared[0]) == ["image", "expression"]
    assert main(["data", "check", f"multipie={tmp_path / 'pie'}", "--option", "cameras=None"]) == 0
    assert "19_1: 16" in capsys.readouterr().out


def test_prepare_is_killed_and_started_again(tmp_path):
    """Whenever the process dies, what is there is either no prepared folder or a whole one."""
    people = [f"A{sex}{number:02d}" for sex in "FM" for number in range(1, 12)]
    trees.kdef_tree(tmp_path / "kdef", people=people)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "facekit", "data", "prepare", f"kdef={tmp_path / 'kdef'}", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (out / "samples" / "meta.json").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.15)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (out / "samples" / "meta.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    prepared = open_prepared(out)
    assert len(prepared) > 1000 and prepared[:]["image"].amax((1, 2, 3)).min() > 0.2


def test_an_interruption_is_said(tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    trees.kdef_tree(tmp_path)
    monkeypatch.setattr("facekit.data.preparing.prepare", stop)
    assert main(["data", "prepare", f"kdef={tmp_path}", "--out", str(tmp_path / "out")]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
