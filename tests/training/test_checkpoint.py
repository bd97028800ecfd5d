"""Checkpoints: whole or absent, verified, and never code."""

import errno
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from facekit.training import (
    CheckpointError,
    CheckpointFolder,
    WeightAverage,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    why_unwritable,
    write_atomically,
)

STATE = {"x": torch.arange(1000.0), "nested": {"list": [1, 2.0, "three", None, (True,)]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "a.pt", STATE)
    return tmp_path / "a.pt"


def test_what_is_written_is_read(path: Path) -> None:
    state = load_checkpoint(path)
    assert torch.equal(state["x"], STATE["x"]) and state["nested"] == STATE["nested"]
    assert [p.name for p in path.parent.iterdir()] == ["a.pt"]


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_unwritable(tmp_path) is None and why_unwritable(tmp_path / "not" / "yet") is None
    (tmp_path / "file").write_text("")
    assert why_unwritable(tmp_path / "file" / "run") == f"{tmp_path / 'file'} is no folder"
    assert not (tmp_path / "not").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert why_unwritable(tmp_path / "run") == f"there is no permission to write to {tmp_path}"


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_truncated_files_are_refused(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(CheckpointError, match=r"a\.pt is truncated or no checkpoint"):
        load_checkpoint(path)


def test_one_flipped_bit_is_seen(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.find(STATE["x"].numpy().tobytes()[:64]) + 30] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"damaged: the checksum of .*data/0"):
        load_checkpoint(path)


class Trap:
    """Unpickled by an ordinary load, this leaves a file behind."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.target,)


def test_foreign_files_are_refused_and_run_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"format": "facekit.training 1", "kind": "run", "x": Trap(str(trap))}, tmp_path / "evil.pt")
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"x": Trap(str(trap))}))
    reasons = {"evil": "no checkpoint of this project", "other": "not a file of", "old": "truncated or no checkpoint"}
    for name, reason in reasons.items():
        with pytest.raises(CheckpointError, match=f"{name}.pt is {reason}"):
            load_checkpoint(tmp_path / f"{name}.pt")
    assert not trap.exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert trap.exists(), "the trap works where code may run"
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "absent.pt")


def test_kinds_are_kept_apart(path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a 'run', expected a 'weights'"):
        load_weights(path, {})


def test_an_error_while_writing_leaves_the_old_file(path: Path) -> None:
    def fail(file: object) -> None:
        file.write(b"half")
        raise OSError("disk full")

    before = path.read_bytes()
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["a.pt"]


def test_a_kill_while_writing_leaves_the_old_file(path: Path) -> None:
    script = (
        "import os, signal, sys; from facekit.training.checkpoint import write_atomically\n"
        "write_atomically(sys.argv[1], lambda f: (f.write(b'half'), f.flush(), os.kill(os.getpid(), signal.SIGKILL)))"
    )
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", script, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(list(path.parent.glob(".a.pt.*.tmp"))) == 1


def test_the_folder_keeps_the_last_and_falls_back(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    folder.lock()
    assert folder.load_newest() is None
    for step in (1, 2, 10):
        folder.save(step, {"step": step})
    assert [p.name for p in folder.paths()] == ["step-00000002.pt", "step-00000010.pt"]
    newest = folder.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-200])
    reports: list[str] = []
    path, state = folder.load_newest(reports.append)
    assert (path, state["step"]) == (folder.paths()[0], 2)
    assert len(reports) == 1 and "step-00000010.pt is truncated" in reports[0]
    folder.paths()[0].write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"none of the 2 checkpoints in .* can be read"):
        folder.load_newest(reports.append)
    (folder.folder / ".step-00000011.pt.1.tmp").write_bytes(b"half")
    folder.clear()
    assert [p.name for p in folder.folder.iterdir()] == [".lock"]
    folder.unlock()


def test_what_was_written_after_a_damaged_file_is_kept(tmp_path: Path) -> None:
    """The damaged file has the greatest step; it must not push the run's new checkpoint out."""
    folder = CheckpointFolder(tmp_path, keep=1)
    for step in (4, 5):
        CheckpointFolder(tmp_path).save(step, {"step": step})
    (tmp_path / "step-00000005.pt").write_bytes(b"half")
    assert folder.load_newest(lambda text: None)[1]["step"] == 4
    path = folder.save(4, {"step": 4})
    assert path.exists() and folder.load_newest(lambda text: None)[0] == path


def test_a_full_disk_is_called_by_its_name(tmp_path: Path) -> None:
    """PyTorch's writer reports its position in the file instead."""
    script = (
        "import resource, sys, torch; from facekit.training import save_checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: save_checkpoint(sys.argv[1], {'x': torch.zeros(10_000)})\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.pt")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == errno.EFBIG, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    script = (
        "import sys; from facekit.training import CheckpointFolder\n"
        "folder = CheckpointFolder(sys.argv[1]); folder.lock(); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[2]}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(CheckpointError, match=f"is in use by process {other.pid} on "):
            CheckpointFolder(tmp_path).lock()
        other.kill()
    folder = CheckpointFolder(tmp_path)
    folder.lock()
    folder.unlock()


def test_weights_and_their_averages(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    average = WeightAverage({"net": model}, 0.5, warmup=False)
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    average.update()
    save_weights(tmp_path / "weights.pt", {"net": model}, average)
    other = nn.Linear(2, 2)
    load_weights(tmp_path / "weights.pt", {"net": other})
    torch.testing.assert_close(other.weight, start + 0.5)
    load_weights(tmp_path / "weights.pt", {"net": other}, averaged=False)
    torch.testing.assert_close(other.weight, model.weight)
    with pytest.raises(CheckpointError, match="holds the models \\['net'\\], expected 'critic'"):
        load_weights(tmp_path / "weights.pt", {"critic": other})
    with pytest.raises(CheckpointError, match=r"does not fit model 'net': .*size mismatch"):
        load_weights(tmp_path / "weights.pt", {"net": nn.Linear(3, 2)})
