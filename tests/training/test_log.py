"""metrics.jsonl and the moving average."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from facekit.training import CheckpointError, MetricsLog, WeightAverage, read_metrics
from facekit.training.log import Progress


def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.continue_after(0)
    for step in (1, 2, 3):
        log.write({"step": step, "loss": 0.1 * step})
    log.flush()
    log.close()
    path.open("a").write('{"step": 4, "lo')
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3]
    log.continue_after(2)
    log.write({"step": 3, "loss": float("nan")})
    log.close()
    assert read_metrics(path) == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 0.2}, {"step": 3, "loss": None}]
    assert all(json.loads(line) for line in path.read_text().splitlines())
    log.continue_after(0)
    log.close()
    assert read_metrics(path) == [] and read_metrics(tmp_path / "absent") == []


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for damaged in ("\0\0\0", '{"loss": 1}', "3"):
        path.write_text(f'{{"step": 1}}\n{damaged}\n{{"step": 3}}\n')
        with pytest.raises(CheckpointError, match=r"metrics.jsonl, line 2, is no JSON object with a step"):
            read_metrics(path)


def test_one_bar_on_standard_output(capfd: pytest.CaptureFixture) -> None:
    for show in (True, False):
        progress = Progress(3, 1, show)
        progress.advance({"fit/loss": 0.5})
        progress.close()
        out, err = capfd.readouterr()
        assert err == "" and ("2/3" in out) == show


def test_average_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    average = WeightAverage({"m": model}, 0.9, warmup=False)
    for value in (2.0, 3.0):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(value)
        average.update()
    with average.applied():
        assert model.weight.item() == pytest.approx(0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 3)
        assert model.running_mean.item() == 3.0
    assert model.weight.item() == 3.0
    warm = WeightAverage({"m": model}, 0.9)
    with torch.no_grad():
        model.weight.fill_(13.0)
    warm.update()
    with warm.applied():
        assert model.weight.item() == pytest.approx(0.1 * 3 + 0.9 * 13)
    with pytest.raises(ValueError, match=r"decay is 1\.0"):
        WeightAverage({"m": model}, 1.0)


def test_an_average_of_buffers_alone() -> None:
    model = nn.BatchNorm1d(1, affine=False)
    average = WeightAverage({"m": model}, 0.9)
    model.running_mean.fill_(3.0)
    average.update()
    with average.applied():
        assert model.running_mean == 3.0


def test_average_comes_back_from_its_state() -> None:
    model = nn.Linear(1, 1)
    average, other = WeightAverage({"m": model}, 0.9), WeightAverage({"m": model}, 0.9)
    with torch.no_grad():
        model.weight.add_(1)
    average.update()
    other.load_state_dict(average.state_dict())
    with torch.no_grad():
        model.weight.add_(1)
    average.update()
    other.update()
    for a, b in zip(average.state_dict()["copies"].values(), other.state_dict()["copies"].values(), strict=True):
        assert torch.equal(a, b)
