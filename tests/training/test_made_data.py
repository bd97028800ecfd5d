"""Data of a run: made once, made anew after an interruption, never taken for those of other settings."""

import re
from dataclasses import dataclass, replace

import pytest
import torch

from facekit.training import ConfigError, TrainingConfig, World, command_line, make_once

MAIN, OTHER = (World(rank, 1, torch.device("cpu")) for rank in (0, 1))


@dataclass
class Recipe(TrainingConfig):
    size: int = 3
    parts: tuple[str, ...] = ("left", "right")
    learning_rate: float = 0.1


class Maker:
    """Writes a file and counts how often; breaks off after it on demand."""

    def __init__(self):
        self.calls, self.fails = 0, False

    def __call__(self, folder):
        self.calls += 1
        (folder / "data.txt").write_text(str(self.calls))
        if self.fails:
            raise KeyboardInterrupt


def ask(folder, recipe, make, world=MAIN):
    make_once(folder, recipe, ("size", "parts"), world, make)


def test_data_are_made_once_for_the_settings_that_they_depend_on(tmp_path):
    make, folder = Maker(), tmp_path / "run" / "data"
    ask(folder, Recipe(), make)
    ask(folder, Recipe(learning_rate=0.2), make)
    assert make.calls == 1 and (folder / "data.txt").read_text() == "1"
    with pytest.raises(ConfigError, match=r"data was made with size 3, this run has 4; .*--restart True"):
        ask(folder, Recipe(size=4), make)
    ask(folder, Recipe(size=4, restart=True), make)
    ask(folder, Recipe(size=4), make)
    assert make.calls == 2


@pytest.mark.parametrize("restart", [False, True])
def test_what_was_not_finished_is_made_anew_even_with_other_settings(tmp_path, restart):
    make, recipe = Maker(), Recipe()
    if restart:
        ask(tmp_path, recipe, make)
    make.fails = True
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, replace(recipe, restart=restart), make)
    make.fails = False
    ask(tmp_path, replace(recipe, size=9), make)
    assert make.calls == 2 + restart


def test_a_process_that_does_not_see_the_data_says_which_folder_must_be_shared(tmp_path, monkeypatch, capsys):
    make = Maker()
    monkeypatch.setattr("sys.argv", ["train.py"])
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        command_line(lambda config: ask(tmp_path / "data", config, make, OTHER), Recipe)
    said = rf"error: process 1 on .* does not find {tmp_path}/data/made_with.json, .* a folder that all of them see\n"
    assert re.fullmatch(said, capsys.readouterr().err)
    ask(tmp_path / "data", Recipe(), make)
    ask(tmp_path / "data", Recipe(), make, OTHER)
    assert make.calls == 1


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_made(tmp_path):
    make = Maker()
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match=r"nothing can be kept in .*data: .*is no folder"):
        ask(tmp_path / "data", Recipe(), make)
    assert make.calls == 0
