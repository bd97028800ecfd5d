"""Schedules against PyTorch's and against values by hand."""

import math
import pickle

import pytest
import torch

from facekit.training import ConstantSchedule, CosineSchedule, LinearSchedule, StepSchedule


def test_values_by_hand() -> None:
    cosine = CosineSchedule(1.0, 0.0, 15, warmup=5)
    assert [cosine(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert cosine(14) == pytest.approx(0.0) and cosine(100) == pytest.approx(0.0)
    momentum = CosineSchedule(0.98, 1.0, 11)
    assert (momentum(0), momentum(5), momentum(10)) == pytest.approx((0.98, 0.99, 1.0))
    assert [LinearSchedule(1.0, 0.0, 5)(step) for step in (0, 1, 4, 9)] == [1.0, 0.75, 0.0, 0.0]
    steps = StepSchedule(1.0, (3, 5), 0.5, warmup=2)
    assert [steps(step) for step in range(7)] == [0.5, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert ConstantSchedule(0.3)(7) == 0.3
    assert CosineSchedule(1.0, 0.0, 1)(0) == 1.0


def test_cosine_agrees_with_pytorch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.01)
    ours = CosineSchedule(0.1, 0.01, 21)
    for step in range(21):
        assert math.isclose(ours(step), optimizer.param_groups[0]["lr"], rel_tol=1e-9)
        optimizer.step()
        theirs.step()


def test_schedules_travel() -> None:
    schedule = CosineSchedule(1.0, 0.0, 10)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
