"""``book/rrl/train.py`` from the command line: one process, two processes, a continued run, errors."""

import json
from pathlib import Path

import launching
import pytest
import torch

from facekit.rrl import load_encoder
from facekit.training import load_checkpoint, read_metrics
from tests.data.readers.photo_trees import write_picture, write_text

SCRIPT = "book/rrl/train.py"
SETTINGS = {
    "faces": 24, "image_size": 32, "batch_size": 8, "hidden": 32, "projection": 16, "label_subjects": 6, "warmup": 1,
    "probe_frames": 1, "log_every": 1, "progress": "False", "device": "cpu",
}  # fmt: skip


def train(out: Path, *more: object, processes: int = 1, steps: int = 2) -> list[tuple[int, str]]:
    settings = {**SETTINGS, "out_dir": out, "steps": steps}
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    return launching.run(SCRIPT, "--preset", "laptop", *words, *more, processes=processes)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "weights.pt", kind="weights")["models"]["rrl"]


def test_two_processes_share_the_faces_that_they_encode():
    for rank, (status, output) in enumerate(launching.run("tests/scripts/rrl_checks.py", processes=2)):
        assert status == 0, output
        assert f"checked {rank} of 2" in output


def test_two_processes_train_the_weights_of_one(tmp_path):
    """The two make their faces when they need them, the one holds all in memory."""
    for name, processes in (("one", 1), ("two", 2)):
        results = train(tmp_path / name, "--in_memory", processes == 1, processes=processes)
        assert [status for status, _ in results] == [0] * processes, results
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2] and 0 <= lines[-1]["probe_f1"] <= 100
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    apart = torch.cat([((one[name] - two[name]).abs() > 1e-4).flatten() for name in one]).float().mean()
    assert apart < 0.01  # AdamW divides by a gradient's size: where that is rounding alone, a weight goes either way
    assert load_encoder(tmp_path / "two")(torch.rand(1, 3, 32, 32)).shape == (1, 128)


def test_a_continued_run_ends_where_an_unbroken_one_does(tmp_path):
    schedule = ("--base_learning_rate", 0.0, "--momentum_start", 0.5, "--momentum_end", 0.5, "--decay_end", 0.04)
    train(tmp_path / "broken", *schedule, "--save_every", 2, steps=2)
    assert train(tmp_path / "broken", *schedule, "--save_every", 2, steps=4)[0][0] == 0
    train(tmp_path / "whole", *schedule, "--save_every", 2, steps=4)
    broken, whole = weights(tmp_path / "broken"), weights(tmp_path / "whole")
    assert all(torch.equal(broken[name], whole[name]) for name in whole)


def test_photographs_without_a_label_are_enough(tmp_path):
    """Neither relations nor a probe: nothing else is asked for."""
    for name in "abcd":
        write_picture(tmp_path / f"{name}.png")
        write_text(tmp_path / f"{name}.pts", [f"{10 + n % 20} {10 + n / 4}" for n in range(68)])
    write_text(tmp_path / "manifest.csv", ["path,landmarks", *[f"{name}.png,{name}.pts" for name in "abcd"]])
    words = ("--data", f"own={tmp_path}", "--batch_size", 4, "--weights.relation", 0)
    ((status, printed),) = train(tmp_path / "refused", *words)
    assert status == 2 and "own data in the place of bp4d" in printed
    ((status, printed),) = train(tmp_path / "run", *words, "--probe", "False")
    assert status == 0, printed
    assert "probe_f1" not in read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "phone"), "preset is 'phone', expected one of paper, laptop"),
        (("--units", "kdef"), "units is 'kdef', expected one of bp4d, disfa"),
        (("--data", "kdef=."), "this needs emotionet"),
        (("--data", f"world:ict={launching.ROOT / 'README.md'}"), "README.md"),
        (("--weights.locale", 1), "unknown setting 'weights.locale'"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path, words, sentence):
    ((status, printed),) = train(tmp_path / "run", *words)
    assert status == 2 and sentence in printed
    assert "Traceback" not in printed
