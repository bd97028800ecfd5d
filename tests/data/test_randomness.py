"""Row-wise random numbers: exact, independent of their neighbours, and random."""

import numpy as np
import pytest
import torch
from scipy import stats

from facekit.data.randomness import derive_seeds, row_choice, row_normal, row_uniform, seeded_generator


def test_numbers_are_these_numbers_on_every_machine():
    """Frozen values: a change here changes every synthetic data set."""
    assert derive_seeds(1, "person", [0, 1]).tolist() == FROZEN_SEEDS
    np.testing.assert_array_equal(row_uniform([12345], "stream", 2), FROZEN_UNIFORM)


FROZEN_SEEDS = [2642719426020176447, 7609910049546276143]
FROZEN_UNIFORM = [[0.27972270609343136, 0.13133280072355585]]


def test_seeds_depend_on_every_part_and_its_place():
    base = derive_seeds(3, "a", 4)
    for other in (derive_seeds(4, "a", 3), derive_seeds(3, "b", 4), derive_seeds(3, 4, "a"), derive_seeds(3, "a")):
        assert other != base
    assert (derive_seeds(np.arange(1000)) >= 0).all()
    assert len(np.unique(derive_seeds(np.arange(100_000), "x"))) == 100_000


def test_a_row_does_not_know_its_neighbours():
    seeds = np.arange(50)
    together = row_normal(seeds, "pose", 3)
    alone = np.concatenate([row_normal([seed], "pose", 3) for seed in seeds])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(row_normal(seeds, "pose", 5)[:, :3], together)


def test_numbers_are_uniform_and_uncorrelated():
    values = row_uniform(np.arange(20_000), "test", 4)
    assert values.min() > 0.0 and values.max() < 1.0
    for column in values.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    correlation = np.corrcoef(np.concatenate([values, row_uniform(np.arange(20_000), "other", 1)], axis=1).T)
    assert np.abs(correlation - np.eye(5)).max() < 0.03
    assert stats.kstest(row_normal(np.arange(20_000), "test")[:, 0], "norm").pvalue > 1e-3


def test_choices_follow_the_weights():
    picks = row_choice(np.arange(30_000), "class", (1.0, 0.0, 3.0))
    np.testing.assert_allclose(np.bincount(picks, minlength=3) / 30_000, (0.25, 0.0, 0.75), atol=0.01)
    with pytest.raises(ValueError, match="positive sum"):
        row_choice([1], "class", (0.0, 0.0))


def test_generators_are_seeded():
    first, second = (torch.rand(3, generator=seeded_generator(9)) for _ in range(2))
    assert torch.equal(first, second)
    with pytest.raises(ValueError, match="at least one part"):
        derive_seeds()
