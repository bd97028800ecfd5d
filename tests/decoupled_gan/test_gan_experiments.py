"""The registered experiment, from its id to its JSON record."""

import json
import math

from facekit.decoupled_gan import experiments
from facekit.experiments import load_experiments, run_experiment


def test_core_runs_at_the_smallest_scale_and_leaves_a_record(tmp_path):
    result = run_experiment("decoupled_gan/core", scale="smoke", seeds=[0, 1], out=tmp_path / "core.json")
    assert json.loads((tmp_path / "core.json").read_text()) == json.loads(json.dumps(result))
    rows = {row["method"]: row for row in result["rows"]}
    assert list(rows) == ["training data", "decoupled GAN", "principal components + Gaussian"]
    gan = rows["decoupled GAN"]
    assert gan["paper"]["diversity"] == 4.74 and "linear_decoupling_identity" not in gan["paper"]
    for column in result["columns"]:
        runs = gan["measured"][column]["runs"]
        assert len(runs) == 2 and all(math.isfinite(value) and value >= 0 for value in runs)
    assert gan["measured"]["diversity"]["runs"][0] != gan["measured"]["diversity"]["runs"][1]
    assert result["config"]["meshes"] == 611


def test_published_numbers_are_those_of_table_1():
    published = load_experiments()["decoupled_gan/core"].published
    assert published["training data"] == {"diversity": 4.89, "diversity_identity": 3.30, "diversity_expression": 5.04}
    assert published["decoupled GAN"]["specificity"] == 2.01


def test_the_paper_s_scale_has_the_paper_s_settings():
    recipe = experiments.SCALES["paper"]
    assert (recipe.learning_rate, recipe.batch_size, recipe.critic_steps, recipe.instance_noise) == (2e-4, 64, 3, 0.1)
    assert (recipe.code.identity, recipe.code.expression, recipe.code.noise) == (65, 15, 5)
    assert recipe.image_size == 64 and recipe.ema == 0 and recipe.final_learning_rate == recipe.learning_rate
    assert recipe.steps == 200 * (30_559 // 64) // 3
