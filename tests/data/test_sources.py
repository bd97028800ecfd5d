"""Data sources and the --data option."""

import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data.choice import DATASETS, parse_data
from facekit.data.sources import DataError, DataSource, load_each
from facekit.data.world import PROTOCOLS


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


def test_batches_through_a_data_loader(source):
    sampler = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(source), 4, drop_last=False)
    loader = torch.utils.data.DataLoader(source, sampler=sampler, batch_size=None)
    assert [batch["yaw"].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5]]


def test_a_source_without_a_loader(source):
    with pytest.raises(DataError, match="no function that loads its rows"):
        DataSource(source.table)[0]


def test_the_data_option(tmp_path):
    (tmp_path / "kdef").mkdir()
    assert parse_data("world").is_world and parse_data("world").name == "world:procedural"
    ict = parse_data(f"world:ict={tmp_path}")
    assert ict.is_world and ict.name == "world:ict" and ict.model_path == tmp_path
    choice = parse_data(f"kdef={tmp_path / 'kdef'},bp4d={tmp_path}")
    assert not choice.is_world and choice.name == "kdef,bp4d" and choice.folders["bp4d"] == tmp_path
    with pytest.raises(DataError, match=r"this needs bu3dfe, but --data .* names kdef, bp4d"):
        choice.open("bu3dfe")
    with pytest.raises(DataError, match="'moon' is not a data set"):
        choice.open("moon")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected world, world:ict=PATH or <data set>=<path>"),
        ("World", "expected world"),
        ("world:", "world:ict=PATH"),
        ("world:bfm=/x", "world:ict=PATH"),
        ("kdef", "expected world"),
        ("kdef=", "expected world"),
        ("lfw=/x", "'lfw' is not a data set; known are bu3dfe"),
        ("kdef=/no/such/place", "there is nothing at /no/such/place"),
    ],
)
def test_unclear_data_options(text, message):
    with pytest.raises(DataError, match=message):
        parse_data(text)


def test_the_world_opens_as_a_twin():
    world = parse_data("world").open("kdef", subjects=1, image_size=32, sessions=1)
    assert len(world) == 35 and world.image_size == 32


def test_every_data_set_has_a_twin():
    assert set(DATASETS) == set(PROTOCOLS)
