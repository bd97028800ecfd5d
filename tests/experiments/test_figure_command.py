"""The scripts that keep what figures show: their options, their file, and what a request that does not fit leaves."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from facekit.data import DataError
from facekit.experiments import figure_command


def arrays(data, scale, seed):
    return {"asked": np.array([data, scale]), "numbers": np.arange(seed)}


def never(**asked):
    pytest.fail("arrays were made although they cannot be written")


def test_arrays_of_what_was_asked_for_are_written_where_it_was_asked_for(tmp_path, capsys):
    out, other = tmp_path / "figures.npz", tmp_path / "other.npz"
    figure_command(arrays, out, words=[])
    figure_command(arrays, out, words=["--data", "world:ict=x", "--scale", "smoke", "--seed", "3", "--out", str(other)])
    with np.load(out) as found:
        assert found["asked"].tolist() == ["world", "notebook"] and found["numbers"].tolist() == []
    with np.load(other) as found:
        assert found["asked"].tolist() == ["world:ict=x", "smoke"] and found["numbers"].tolist() == [0, 1, 2]
    assert capsys.readouterr().out == f"written to {out}\nwritten to {other}\n"


def test_a_file_is_never_half_written(tmp_path, monkeypatch):
    out = tmp_path / "figures.npz"
    figure_command(arrays, out, words=["--seed", "5"])
    before = out.read_bytes()

    def broken(file, **arrays):
        file.write(b"PK")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="no space left"):
        figure_command(arrays, out, words=[])
    assert out.read_bytes() == before and list(tmp_path.iterdir()) == [out]


def test_a_folder_without_permission_ends_before_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SystemExit) as ended:
        figure_command(never, tmp_path / "figures.npz", words=[])
    assert ended.value.code == 2 and "there is no permission to write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "/nowhere/figures.npz"], "--out /nowhere/figures.npz: there is no folder /nowhere"),
        (["--out", "figures"], "--out figures: expected the name of an .npz file"),
        (["--seed", "-1"], "--seed -1: expected a whole number from 0"),
        (["--scale", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_a_request_that_does_not_fit_ends_before_the_training(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        figure_command(never, Path("figures.npz"), words=words)
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_data_that_cannot_be_opened_are_a_sentence(tmp_path, capsys):
    def make(**asked):
        raise DataError("there is nothing at /nowhere")

    with pytest.raises(SystemExit) as ended:
        figure_command(make, tmp_path / "figures.npz", words=[])
    assert ended.value.code == 2 and capsys.readouterr().err == "error: there is nothing at /nowhere\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", ["decoupled_gan", "dmlnet", "reconstruction"])
def test_every_script_says_what_is_wrong_with_its_data(room, repository, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["figures.py", "--scale", "smoke", "--data", "world:ict=/nowhere"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(repository / "book" / room / "figures.py"), run_name="__main__")
    assert ended.value.code == 2 and "there is nothing at /nowhere" in capsys.readouterr().err
