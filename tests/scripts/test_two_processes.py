"""Two processes against one: collectives, weights, launchers."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from launching import ROOT, environment, run

from facekit.training import load_checkpoint, read_metrics

SCRIPT = "tests/scripts/small_gan.py"


def largest_difference(one: Path, other: Path) -> float:
    """Largest difference between the weights (and their averages) of two runs."""
    a, b = (load_checkpoint(folder / "weights.pt", "weights") for folder in (one, other))
    return max(
        (a[kind][model][name].double() - value.double()).abs().max().item()
        for kind in ("models", "averaged")
        for model, state in b[kind].items()
        for name, value in state.items()
    )


def test_collectives_compute_what_one_process_computes() -> None:
    for rank, (status, output) in enumerate(run("tests/scripts/collective_checks.py", processes=2)):
        assert status == 0, output
        assert f"checked {rank} of 2" in output


def test_torchrun_trains_the_weights_of_one_process(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(ROOT / SCRIPT)]
    launched = subprocess.Popen([*torchrun, "--out_dir", str(two)], env=environment())
    assert run(SCRIPT, "--out_dir", one)[0][0] == 0
    assert launched.wait(120) == 0
    assert largest_difference(one, two) < 1e-8
    for ours, theirs in zip(read_metrics(one / "metrics.jsonl"), read_metrics(two / "metrics.jsonl"), strict=True):
        for name in ours.keys() - {"seconds"}:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-7, atol=1e-8)


def test_the_comparison_sees_another_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        assert run(SCRIPT, "--out_dir", tmp_path / str(seed), "--seed", seed, "--steps", 1)[0][0] == 0
    assert largest_difference(tmp_path / "0", tmp_path / "1") > 1e-3


def test_two_launchers_meet_as_two_machines_do(tmp_path: Path) -> None:
    endpoint = f"localhost:{20000 + os.getpid() % 20000}"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--rdzv-id=test", str(ROOT / SCRIPT)]
    machines = [subprocess.Popen([*torchrun, "--out_dir", str(tmp_path)], env=environment()) for _ in range(2)]
    assert [machine.wait(120) for machine in machines] == [0, 0]
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["step"] == 6
