"""Kill -9 and start again: the same weights, bit by bit, and the same metrics, line by line."""

import signal
from pathlib import Path

from launching import run
from test_two_processes import SCRIPT, largest_difference

from facekit.training import read_metrics

SETTINGS = ("--dropout", 0.3, "--steps", 9, "--save_every", 2)


def metrics(folder: Path) -> list[dict]:
    """The lines of a run without their times."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_metrics(folder / "metrics.jsonl")]


def check_kill(tmp_path: Path, *settings: object, processes: int = 1) -> None:
    """Kill a run in the middle of step 5 (before it has all its gradients), start it again, compare."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = (*SETTINGS, *settings)
    assert all(status == 0 for status, _ in run(SCRIPT, *arguments, "--out_dir", whole, processes=processes))
    crashed = run(SCRIPT, *arguments, "--out_dir", killed, "--crash_at", 5, processes=processes)
    assert {status for status, _ in crashed} == {-signal.SIGKILL}
    assert not (killed / "weights.pt").exists()
    assert [line["step"] for line in metrics(killed)] == [1, 2, 3, 4, 5]
    (killed / "metrics.jsonl").open("a").write('{"step": 6, "cut')
    again = run(SCRIPT, *arguments, "--out_dir", killed, processes=processes)
    assert again[0][0] == 0, again[0][1]
    assert "at step 4 of 9" in again[0][1]
    assert largest_difference(whole, killed) == 0.0
    assert metrics(whole) == metrics(killed)


def test_one_process_with_workers_and_passes(tmp_path: Path) -> None:
    check_kill(tmp_path, "--workers", 1, "--accumulate", 2)


def test_two_processes(tmp_path: Path) -> None:
    check_kill(tmp_path, processes=2)


def test_another_number_of_processes_goes_on(tmp_path: Path) -> None:
    one, moved = tmp_path / "one", tmp_path / "moved"
    assert run(SCRIPT, "--out_dir", one)[0][0] == 0
    assert run(SCRIPT, "--out_dir", moved, "--crash_at", 4)[0][0] == -signal.SIGKILL
    resumed = run(SCRIPT, "--out_dir", moved, processes=2)
    assert [status for status, _ in resumed] == [0, 0], resumed
    assert "1 processes wrote" in resumed[0][1]
    assert largest_difference(one, moved) < 1e-8
