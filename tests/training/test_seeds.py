"""Seeds and random states."""

import random

import numpy as np
import torch

from facekit.training.seeds import (
    derive_generator,
    derive_seed,
    derive_seeds,
    isolated_random_state,
    random_state,
    seed_everything,
    set_random_state,
)

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_derived_seeds_are_fixed_and_different() -> None:
    assert derive_seed(0, "noise", 3) == 4996770658524309032
    seeds = {derive_seed(s, word, n) for s in range(5) for word in ("noise", "data") for n in range(20)}
    assert len(seeds) == 200
    many = derive_seeds(1000, 0, "noise", 3)
    assert int(many[0]) == derive_seed(0, "noise", 3) and len(many.unique()) == 1000 and (many >= 0).all()
    assert torch.equal(
        torch.rand(2, generator=derive_generator(1, "a")), torch.rand(2, generator=derive_generator(1, "a"))
    )


def test_random_state_comes_back() -> None:
    seed_everything(3, "process", 1)
    state = random_state(CPU)
    before = draw()
    assert draw() != before
    set_random_state(state, CPU)
    assert draw() == before


def test_isolated_draws_leave_no_trace() -> None:
    seed_everything(0)
    state = random_state(CPU)
    with isolated_random_state(5):
        inside = draw()
    after = draw()
    set_random_state(state, CPU)
    assert draw() == after
    with isolated_random_state(5):
        assert draw() == inside
