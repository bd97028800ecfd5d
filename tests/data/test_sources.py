"""Data sources."""

import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data.sources import DataError, DataSource, load_each


@pytest.fixture
def source():
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(6)], "subject": list("aabbcc"),
                          "split": ["train"] * 4 + ["test"] * 2, "yaw": np.arange(6.0)})  # fmt: skip
    return DataSource(table, load_each(lambda row: {"yaw": torch.tensor(row["yaw"])}), "letters")


def test_rows_batches_and_slices(source):
    assert len(source) == 6 and source[2]["yaw"] == 2.0 and source[-1]["yaw"] == 5.0
    assert source[[4, 0]]["yaw"].tolist() == [4.0, 0.0]
    assert source[1:3]["yaw"].tolist() == [1.0, 2.0]
    assert "6 rows, 3 subjects" in repr(source)
    with pytest.raises(IndexError, match="row 6 is outside the table of 6 rows"):
        source[6]


def test_parts_of_a_source(source):
    assert source.split("test")[:]["yaw"].tolist() == [4.0, 5.0]
    assert source.select(source.table["yaw"] > 3.0).split("test")[0]["yaw"] == 4.0
    assert source.select([5, 1])[:]["yaw"].tolist() == [5.0, 1.0]
    with pytest.raises(DataError, match="no split named 'val'"):
        source.split("val")


def test_masks_and_what_is_neither_mask_nor_positions(source):
    late = source.table["yaw"] > 3.0
    for mask in (late, late.to_numpy(), torch.tensor(late.to_numpy())):
        assert source[mask]["yaw"].tolist() == [4.0, 5.0]
    assert source.select([]).table.empty
    for take in (source.batch, source.select):
        with pytest.raises(IndexError, match=r"letters: found a mask of shape \(4,\) for the table of 6 rows"):
            take(late[2:])
        with pytest.raises(IndexError, match="letters: found rows of type float64, expected positions"):
            take([0.9, 1.0])
        with pytest.raises(IndexError, match="row -7 is outside the table of 6 rows"):
            take([-7])


def test_batches_through_a_data_loader(source):
    sampler = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(source), 4, drop_last=False)
    loader = torch.utils.data.DataLoader(source, sampler=sampler, batch_size=None)
    assert [batch["yaw"].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5]]


def test_a_source_without_a_loader(source):
    with pytest.raises(DataError, match="no function that loads its rows"):
        DataSource(source.table)[0]
