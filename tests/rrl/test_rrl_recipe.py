"""Recipes, one run, and the registered experiments at the smallest scale."""

import json
import math
from dataclasses import replace

import pytest
import torch

from facekit.experiments import load_experiments, run_experiment
from facekit.nn import Encoder
from facekit.rrl import (
    LaptopRecipe,
    LossWeights,
    Recipe,
    build_model,
    experiments,
    kept_encoders,
    load_encoder,
    open_pairs,
    pretrain,
    relation_cost,
    training_loop,
)
from facekit.training import ConfigError, CosineSchedule, distributed_run, read_metrics
from tests.data.readers.photo_trees import write_picture, write_text

SMALL = replace(experiments.SCALES["smoke"].recipe, progress=False, log_every=1)


@pytest.fixture(scope="module")
def pairs():
    return open_pairs(SMALL)


def test_the_paper_s_settings_are_the_defaults():
    recipe = Recipe()
    assert recipe.learning_rate == pytest.approx(0.05) and replace(recipe, batch_size=64).learning_rate == 0.0125
    assert (recipe.momentum_start, recipe.momentum_end, recipe.decay_start, recipe.decay_end) == (0.98, 1.0, 0.04, 0.4)
    assert recipe.weights == LossWeights(0.4, 0.6, 1.0) and recipe.encoder == "swin_t" and recipe.image_size == 224
    recipe.check()
    LaptopRecipe().check()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"units": "kdef"}, "units is 'kdef', expected one of bp4d, disfa"),
        ({"regularisation": 0.0}, "expected a positive number"),
        ({"weights": LossWeights(0, 0, 0)}, "nothing to learn from"),
        ({"preset": "phone"}, "expected one of paper, laptop"),
        ({"map_stride": 2}, "map_stride is 2, expected one of 4, 8, 16"),
    ],
)
def test_mistakes_get_one_sentence(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        replace(SMALL, **change).check()
    with pytest.raises(ConfigError, match="bosphorus"):
        open_pairs(replace(SMALL, data="bosphorus=."))


def test_a_run_learns_logs_and_moves_the_target_as_scheduled(tmp_path, pairs):
    recipe = replace(SMALL, out_dir=str(tmp_path), steps=3)
    with distributed_run(recipe) as world:
        model = build_model(recipe)
        first = [p.clone() for p in model.target.parameters()]
        training_loop(recipe, world, model, pairs).run()
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert len(lines) == 3 and {"rrl/global", "rrl/local", "rrl/relation", "rrl/regions_missing"} <= set(lines[0])
    assert lines[0]["rrl/regions_missing"] < 0.2
    assert any(not torch.equal(a, b) for a, b in zip(first, model.target.parameters(), strict=True))
    schedule = CosineSchedule(0.98, 1.0, 3)
    assert [round(schedule(step), 6) for step in range(3)] == [0.98, 0.99, 1.0]
    encoder = load_encoder(tmp_path)
    torch.testing.assert_close(encoder.state_dict(), model.online.encoder.state_dict())


def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path, pairs):
    def run(folder, steps):
        recipe = replace(SMALL, out_dir=str(folder), steps=steps, save_every=2)
        with distributed_run(recipe) as world:
            model = build_model(recipe)
            loop = training_loop(replace(recipe, steps=4), world, model, pairs)
            loop.config = recipe
            loop.run()
        return model.state_dict()

    whole = run(tmp_path / "whole", 4)
    run(tmp_path / "broken", 2)
    torch.testing.assert_close(run(tmp_path / "broken", 4), whole, rtol=0, atol=0)


def test_pretraining_repeats_itself_and_seeds_differ(pairs):
    one, two = (pretrain(SMALL, pairs).online.encoder.state_dict() for _ in range(2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    other = pretrain(replace(SMALL, seed=1), pairs).online.encoder.state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_cost_is_one_minus_the_relations():
    cost = relation_cost(SMALL)
    assert cost.shape == (12, 12) and torch.equal(cost.diagonal(), torch.zeros(12, dtype=cost.dtype))
    assert cost.min() >= 0 and cost.max() <= 1 and torch.equal(cost, cost.T)
    assert cost[3, 6] < 0.6  # AU6 and AU12: the smile


def test_labels_are_not_asked_for_where_relations_weigh_nothing():
    """Who has EmotioNet alone can train without the relation loss."""
    alone = replace(SMALL, data="emotionet=/no/such/place", weights=LossWeights(relation=0.0))
    assert relation_cost(alone).shape == (12, 12)
    with pytest.raises(ConfigError, match="there is nothing at /no/such/place"):
        relation_cost(replace(alone, weights=LossWeights()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("table", ["table1", "table4", "beyond", "figure2"])
def test_experiments_run_at_the_smallest_scale(table, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_encoders, "RUNS", runs)
    result = run_experiment(f"rrl/{table}", scale="smoke", seeds=[0], out=tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    measured = [cell for row in result["rows"] for cell in row["measured"].values() if cell]
    assert measured and all(math.isfinite(cell["mean"]) for cell in measured)


def test_published_numbers_have_the_printed_means():
    """Four printed means are not those of their rows, up to rounding; the chapter says so."""
    printed_otherwise = {("table1", "DRML (supervised)"), ("table2", "DRML (supervised)"), ("table2", "TC-Net")}
    printed_otherwise |= {("table2", "RRL")}
    found = set()
    for table in ("table1", "table2"):
        for method, row in load_experiments()[f"rrl/{table}"].published.items():
            units = [score for name, score in row.items() if name != "mean"]
            if abs(sum(units) / len(units) - row["mean"]) > 0.06:
                found.add((table, method))
    assert found == printed_otherwise


def test_encoders_are_kept_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_encoders, "RUNS", tmp_path)
    first = kept_encoders.pretrained(SMALL)
    monkeypatch.setattr(kept_encoders, "training_loop", None)
    torch.testing.assert_close(kept_encoders.pretrained(SMALL).state_dict(), first.state_dict(), rtol=0, atol=0)
    with pytest.raises(TypeError):
        kept_encoders.pretrained(replace(SMALL, seed=5))
    assert isinstance(kept_encoders.untrained(SMALL), Encoder)


def test_no_encoder_outlives_the_copy_that_trained_it(tmp_path):
    def names(pictures, landmarks="a.pts"):
        kept_encoders._copies.cache_clear()
        rows = [f"{picture},{landmarks}" for picture in pictures]
        write_text(tmp_path / "manifest.csv", ["path,landmarks", *rows])
        return kept_encoders._copies(f"own={tmp_path}", "bp4d")

    write_text(tmp_path / "a.pts", [f"{10 + n % 20} {10 + n / 4}" for n in range(68)])
    (tmp_path / "b.pts").write_bytes((tmp_path / "a.pts").read_bytes())
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name)
    both = names(["a.png", "b.png"])
    assert names(["a.png", "b.png"]) == both != names(["a.png"])
    assert names(["a.png", "b.png"], "b.pts") != both
    assert kept_encoders._copies("world", "bp4d") == []
