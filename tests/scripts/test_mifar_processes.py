"""MiFaR in two processes against one, from two launchers, killed and continued, and its errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from launching import ROOT, environment, run

from facekit.mifar import load_run
from facekit.training import load_checkpoint, read_metrics

SCRIPT = "book/mifar/train.py"


def test_losses_and_views_of_two_processes_are_those_of_one(tmp_path: Path) -> None:
    for rank, (status, output) in enumerate(run("tests/scripts/mifar_checks.py", tmp_path, processes=2)):
        assert status == 0, output
        assert f"checked {rank} of 2" in output


def train(out: Path, *more: object, processes: int = 1, steps: int = 3) -> list[tuple[int, str]]:
    settings = {"out_dir": out, "steps": steps, "batch_size": 8, "subjects": 4, "image_size": 32, "folds": 2}
    settings |= {"projector": "16 16", "channels": "depth", "progress": "False", "log_every": 1}
    words = [word for key, value in settings.items() for word in (f"--{key}", *str(value).split())]
    return run(SCRIPT, "--preset", "laptop", *words, *more, processes=processes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "weights.pt", kind="weights")["models"]["mifar"]


def test_two_processes_train_the_weights_of_one_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    one, two, broken = tmp_path / "one", tmp_path / "two", tmp_path / "broken"
    for out, processes in ((one, 1), (two, 2)):
        results = train(out, processes=processes)
        assert [status for status, _ in results] == [0] * processes, results
    ours, theirs = weights(one), weights(two)
    differing = torch.cat([((ours[key] - theirs[key]).abs() > 3e-4).flatten() for key in ours]).float().mean()
    assert differing < 0.02
    last, other = (read_metrics(folder / "metrics.jsonl")[-1] for folder in (one, two))
    assert abs(last["pretraining/loss"] / other["pretraining/loss"] - 1) < 1e-3
    assert 0 <= last["probe/linear"] <= 1 and 0 <= last["probe/neighbours"] <= 1
    model, recipe = load_run(one)
    assert recipe.subjects == 4 and model.encoder.views == 3
    assert train(broken, "--save_every", 2, "--warmup", 0, "--learning_rate", 1e-9, steps=2)[0][0] == 0
    assert train(broken, "--save_every", 2, "--warmup", 0, "--learning_rate", 1e-9, steps=3)[0][0] == 0
    assert [line["step"] for line in read_metrics(broken / "metrics.jsonl")] == [1, 2, 3]


def test_two_launchers_meet_as_two_machines_do(tmp_path: Path) -> None:
    endpoint = f"localhost:{21000 + os.getpid() % 20000}"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--rdzv-id=mifar", str(ROOT / SCRIPT)]
    words = "--preset laptop --steps 2 --batch_size 8 --subjects 2 --folds 2 --projector 16 16 --channels depth"
    command = [*torchrun, *words.split(), "--progress", "False", "--out_dir", str(tmp_path)]
    machines = [subprocess.Popen(command, env=environment()) for _ in range(2)]
    assert [machine.wait(120) for machine in machines] == [0, 0]
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["step"] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "phone"), "preset is 'phone', expected one of paper, laptop"),
        (("--folds", 9), "folds is 9, but there are 4 people"),
        (("--data", "bu3dfe=/nowhere"), "there is nothing at /nowhere"),
        (("--data", f"world:ict={ROOT / 'README.md'}"), "README.md"),
        (("--batch_size", 512), "do not fill one batch"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path, words, sentence) -> None:
    ((status, printed),) = train(tmp_path / "run", *words)
    assert status == 2 and sentence in printed
    assert "Traceback" not in printed
