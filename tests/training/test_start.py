"""The start of a run: its place among the processes, its device, and the command line around it."""

from pathlib import Path

import pytest
import torch

from facekit.training import LaunchError, TrainingConfig, command_line, distributed_run


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "0"}, "RANK=0, no LOCAL_RANK, no WORLD_SIZE: LOCAL_RANK must be a whole number; start with torchrun"),
        ({"RANK": "x", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "RANK must be a whole number"),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but MASTER_ADDR is not set"),
        ({"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "RANK is 2, but"),
    ],
)
def test_a_broken_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LaunchError, match=message), distributed_run(TrainingConfig(device="cpu")):
        pass


def test_devices_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(LaunchError, match="device is 'gpu', expected auto, cpu, cuda"),
        distributed_run(TrainingConfig(device="gpu")),
    ):
        pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(LaunchError, match="wants GPU 3, but it has 1"),
        distributed_run(TrainingConfig(device="cuda:3")),
    ):
        pass


def test_the_command_line_prints_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", "--stepz", "3"])
    for rank, expected in (
        ("0", "error: unknown setting 'stepz' on the command line; the nearest known one is 'steps'\n"),
        ("1", ""),
    ):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(SystemExit) as ended:
            command_line(lambda config: None, TrainingConfig)
        assert ended.value.code == 2 and capsys.readouterr().err == expected


def test_the_command_line_refuses_a_folder_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["train.py", "--out_dir", str(tmp_path / "file" / "run")])
    with pytest.raises(SystemExit) as ended:
        command_line(lambda config: pytest.fail("the run began"), TrainingConfig)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("file is no folder; choose another with --out_dir\n")


def test_a_launcher_that_starts_again_does_not_clear_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun --max-restarts gives the same words again, --restart True among them."""
    seen = []
    monkeypatch.setattr("sys.argv", ["train.py", "--restart", "True", "--out_dir", str(tmp_path)])
    for count in ("0", "1"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        command_line(lambda config: seen.append(config.restart), TrainingConfig)
    assert seen == [True, False]


def test_an_interrupted_run_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def stop(config: TrainingConfig) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    monkeypatch.setattr("sys.argv", ["train.py", "--out_dir", str(folder), "--steps", "90"])
    for said in (
        "interrupted before the first checkpoint; the same command starts anew (save_every is 500)\n",
        "interrupted; the same command goes on from step 70 of 90\n",
    ):
        with pytest.raises(SystemExit) as ended:
            command_line(stop, TrainingConfig)
        assert ended.value.code == 130 and capsys.readouterr().err == said
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints" / "step-00000070.pt").write_text("")
    monkeypatch.setattr("sys.argv", [*"train.py --restart True --out_dir".split(), str(folder)])
    with pytest.raises(SystemExit):
        command_line(stop, TrainingConfig)
    assert "the same command without --restart goes on from step 70" in capsys.readouterr().err
