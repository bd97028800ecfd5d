"""The cache gives what the source gives, and survives being killed."""

import importlib.util
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data.cache import RenderCache, load_all
from facekit.data.sources import DataError, DataSource

KEPT = ("image", "depth", "mask", "landmarks", "expression")


@pytest.fixture
def world(small_world):
    return small_world.select(np.arange(0, 20))


def assert_same(cached, made):
    """Equal up to what another batch rounds another way: a grey level or the outline, in hardly any pixel."""
    for key in KEPT:
        assert cached[key].dtype == made[key].dtype and cached[key].shape == made[key].shape
        tolerance = {"image": 1.01 / 255, "depth": 0.2, "landmarks": 1e-4}.get(key, 0.0)
        difference = (cached[key].double() - made[key].double()).abs()
        pixels = key in ("image", "depth", "mask")
        assert (difference > (1e-6 if key == "image" else tolerance)).double().mean() <= (0.001 if pixels else 0.0), key
        assert key in ("depth", "mask") or difference.max() <= tolerance, key


def test_a_disk_that_is_too_small_is_named(world, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10_000))
    with pytest.raises(DataError, match=r"20 samples need 0\.0 GB, 0\.0 GB are free"):
        RenderCache(world, tmp_path / "cache", ("landmarks",)).build()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=20_000))
    assert RenderCache(world, tmp_path / "cache", ("landmarks",)).build().is_complete


def test_a_folder_that_another_process_began_meanwhile(world, tmp_path):
    """Nothing was there when the caches were opened: blocks are then those of the first, other outputs are refused."""
    keys = ("landmarks", "expression")
    first, second, reader = (RenderCache(world, tmp_path, keys, block=block) for block in (8, 5, 3))
    other = RenderCache(world, tmp_path, ("expression",))

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.build(interrupt)
    with pytest.raises(DataError, match="row 8 has not been rendered"):
        reader[[7, 8]]
    assert second.build().block == 8 and second.is_complete
    torch.testing.assert_close(second[:]["landmarks"], world[:]["landmarks"], atol=1e-4, rtol=0)
    with pytest.raises(DataError, match="with other settings or outputs"):
        other.build()


def test_a_cache_gives_what_the_source_gives(world, tmp_path):
    steps = []
    cache = RenderCache(world, tmp_path / "cache", KEPT, block=8).build(lambda done, total: steps.append((done, total)))
    assert steps == [(8, 20), (16, 20), (20, 20)] and cache.is_complete
    rows = [19, 3, 3, 0]
    assert_same(cache[rows], world[rows])
    assert_same(cache.select([7, 2])[:], world[[7, 2]])
    assert set(cache[0]) == set(KEPT) and len(cache) == 20
    again = RenderCache(world, tmp_path / "cache", KEPT).build(lambda *_: pytest.fail("nothing was left to render"))
    assert_same(again[rows], world[rows])
    assert_same(pickle.loads(pickle.dumps(again))[rows], world[rows])
    with pytest.raises(DataError, match="row 99 is not in the table that this cache was made of"):
        cache.load(world.table.iloc[[3]].set_axis([99]))


def test_systems_without_file_locks_build_as_well(world, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as if the system had none
    spec = importlib.util.find_spec("facekit.data.cache")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.RenderCache(world.select([0, 1]), tmp_path, ("landmarks",)).build().is_complete


def test_a_killed_build_goes_on_where_it_was(world, tmp_path):
    def interrupt(done, total):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RenderCache(world, tmp_path, KEPT, block=8).build(interrupt)
    half = RenderCache(world, tmp_path, KEPT)
    assert not half.is_complete and half.block == 8
    assert_same(half[[15]], world[[15]])
    with pytest.raises(DataError, match="has not been rendered; call build"):
        half[[16]]
    steps = []
    half.build(lambda done, total: steps.append(done))
    assert steps == [20]
    assert_same(RenderCache(world, tmp_path, KEPT)[[16, 0]], world[[16, 0]])


KILLED = """
import os, signal, sys, numpy as np, pandas as pd, torch
from facekit.data.cache import RenderCache, load_all
from facekit.data.sources import DataSource
def load(rows):
    if rows.index[0] >= 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": torch.tensor(rows["frame"].to_numpy() ** 2)}
table = pd.DataFrame({"path": "x", "frame": np.arange(20)})
RenderCache(DataSource(table, load, "squares"), sys.argv[1], block=4).build()
"""


def test_a_build_that_is_killed_outright(tmp_path, repository):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=repository, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    table = pd.DataFrame({"path": "x", "frame": np.arange(20)})
    loaded = []

    def load(rows):
        loaded.extend(rows.index)
        return {"value": torch.tensor(rows["frame"].to_numpy() ** 2)}

    cache = RenderCache(DataSource(table, load, "squares"), tmp_path, block=4).build()
    assert loaded == list(range(12, 20))
    assert cache[:]["value"].tolist() == [i**2 for i in range(20)]


def test_a_folder_belongs_to_one_source(world, small_world, tmp_path):
    RenderCache(world, tmp_path / "a", KEPT, block=32).build()
    with pytest.raises(DataError, match="built from another source, or with other settings or outputs"):
        RenderCache(small_world.select([1, 2]), tmp_path / "a", KEPT)
    with pytest.raises(DataError, match="built from another source, or with other settings or outputs"):
        RenderCache(world, tmp_path / "a", ("image",))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="neither empty nor a cache"):
        RenderCache(world, tmp_path / "b", KEPT)
    (tmp_path / "a" / "meta.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        RenderCache(world, tmp_path / "a", KEPT)


def test_what_cannot_be_cached(world, tmp_path):
    with pytest.raises(DataError, match="holds nothing yet; call build"):
        RenderCache(world, tmp_path / "new", KEPT)[0]
    with pytest.raises(DataError, match="has no output 'colour'"):
        RenderCache(world, tmp_path / "new", ("colour",)).build()
    with pytest.raises(DataError, match="must differ"):
        RenderCache(world.select([0, 0]), tmp_path / "twice", KEPT)


def test_all_samples_are_held_in_memory_as_they_are_loaded(world):
    seen = []
    held = load_all(world, ["image", "pose"], block=8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 20), (16, 20), (20, 20)]
    assert set(held) == {"image", "pose"} and held["image"].dtype == torch.uint8
    parts = [world.batch(rows) for rows in np.split(np.arange(20), [8, 16])]
    whole = {key: torch.cat([part[key] for part in parts]) for key in held}
    torch.testing.assert_close(held["image"].float() / 255, whole["image"])
    torch.testing.assert_close(held["pose"], whole["pose"], rtol=0, atol=0)


def test_what_cannot_be_held_in_memory(world):
    with pytest.raises(DataError, match="no output 'warmth'"):
        load_all(world, ["warmth"])
    with pytest.raises(DataError, match="no row"):
        load_all(world.select([]))
