"""Rows and batches: the same for any number of processes, passes and workers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from facekit.training import ConfigError, EpochSampler, Stream, TensorSource


def test_an_epoch_visits_every_row_once() -> None:
    sampler = EpochSampler(12, 3, seed=1)
    epochs = [torch.cat([sampler.rows(draw) for draw in range(4 * e, 4 * e + 4)]) for e in range(3)]
    assert all(epoch.sort().values.tolist() == list(range(12)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])
    assert len(torch.cat([EpochSampler(13, 3).rows(draw) for draw in range(4)]).unique()) == 12


def test_rows_depend_on_seed_and_number_alone() -> None:
    forward, backward = EpochSampler(50, 8, seed=3), EpochSampler(50, 8, seed=3)
    rows = [forward.rows(draw).tolist() for draw in range(20)]
    assert rows == [backward.rows(draw).tolist() for draw in reversed(range(20))][::-1]
    assert rows != [EpochSampler(50, 8, seed=4).rows(draw).tolist() for draw in range(20)]


def test_too_little_data_is_named() -> None:
    with pytest.raises(ConfigError, match="3 rows, which do not fill one batch of batch_size 4"):
        EpochSampler(3, 4)
    with pytest.raises(ConfigError, match=r"size of .* is not known"):
        Stream(lambda rows: rows, 4)
    with pytest.raises(ConfigError, match="expected the same number"):
        TensorSource(a=torch.zeros(3), b=torch.zeros(4))
    with pytest.raises(ConfigError, match="int is no data source"):
        Stream(3, 4, size=10)


class Noisy:
    """A data set that augments with the global generators, as image transforms do."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, row: int) -> torch.Tensor:
        return torch.tensor([row, torch.rand(()), np.random.rand()])  # noqa: NPY002


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_parts_join_to_the_global_batch(parts: int) -> None:
    whole = Stream(Noisy(), 4, seed=2)
    pieces = [Stream(Noisy(), 4, seed=2).load(5, part, parts) for part in range(parts)]
    assert torch.equal(torch.cat(pieces), whole.load(5))
    assert not torch.equal(whole.load(5), whole.load(6))


def test_workers_give_the_same_batches() -> None:
    requests = [(draw, part, 2) for draw in range(3) for part in (1, 0)]
    torch.manual_seed(0)
    expected_next = torch.rand(1)
    for workers in (0, 1, 2):
        torch.manual_seed(0)
        batches = list(Stream(Noisy(), 4, seed=2).batches(iter(requests), workers, pin_memory=False))
        assert torch.equal(torch.rand(1), expected_next), "loading disturbed the global generator"
        if workers == 0:
            expected = batches
        assert all(torch.equal(a, b) for a, b in zip(batches, expected, strict=True))


def test_kinds_of_sources(tmp_path: Path) -> None:
    x = torch.arange(12.0)[:, None]
    path = tmp_path / "x.npy"
    np.save(path, x.numpy())
    rows = EpochSampler(12, 4).rows(0)
    assert torch.equal(Stream(TensorSource(x=x), 4).load(0)["x"], x[rows])
    assert torch.equal(Stream(TensorSource(x=np.load(path, mmap_mode="r")), 4).load(0)["x"], x[rows])
    assert torch.equal(Stream(TensorDataset(x), 4).load(0)[0], x[rows])
    assert torch.equal(Stream(lambda rows: x[rows], 4, size=12).load(0), x[rows])
    seeds = [Stream(lambda rows, seeds: seeds, 4, size=12).load(3, part, 2) for part in (0, 1)]
    assert len(torch.cat(seeds).unique()) == 4


def test_a_sampler_of_ones_own() -> None:
    class Pairs:
        def rows(self, draw: int) -> torch.Tensor:
            return torch.tensor([draw, draw + 1])

    stream = Stream(lambda rows: rows, 2, sampler=Pairs())
    assert stream.load(3).tolist() == [3, 4]
    with pytest.raises(ConfigError, match="2 rows for batch 0, expected 4"):
        Stream(lambda rows: rows, 4, sampler=Pairs()).load(0)
