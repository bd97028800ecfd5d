"""The registered experiment, from its id to its JSON record."""

import json
import math

import pytest

from facekit.decoupled_gan import SCALES
from facekit.experiments import load_experiments, run_experiment

SPREAD_CODES = (", codes x 0.7", ", codes x 0.85", "", ", codes x 1.15")


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
    recipe = SCALES["paper"]
    assert (recipe.learning_rate, recipe.batch_size, recipe.critic_steps, recipe.instance_noise) == (2e-4, 64, 3, 0.1)
    assert (recipe.code.identity, recipe.code.expression, recipe.code.noise) == (65, 15, 5)
    assert recipe.image_size == 64 and recipe.ema == 0 and recipe.final_learning_rate == recipe.learning_rate
    assert recipe.steps == 200 * (30_559 // 64) // 3


@pytest.mark.parametrize(
    "name, rows",
    [
        ("table1", {"training data", "without mesh regularisation", "MAE", "COMA", "linear 3DMM", "bilinear"}),
        ("beyond", {f"decoupled GAN{start}{codes}" for start in ("", ", wide linear start") for codes in SPREAD_CODES}),
        ("table2", {"decoupled GAN", "MAE", "COMA", "linear 3DMM", "bilinear"}),
        ("figure5", {"training data", "decoupled GAN"}),
        ("figure6", {"decoupled GAN", "MAE", "COMA"}),
    ],
)
def test_every_experiment_runs_at_the_smallest_scale(name, rows):
    result = run_experiment(f"decoupled_gan/{name}", scale="smoke", seeds=[0])
    measured = {row["method"]: row["measured"] for row in result["rows"]}
    assert rows <= set(measured)
    for method, columns in measured.items():
        for column, value in columns.items():
            left_out = method == "training data" and (column.startswith("decoupling") or column == "specificity")
            assert left_out == (value is None), (method, column)
            if "decoupling" in column and value is not None:
                assert 0 <= value["mean"] <= 100


def test_published_numbers_of_the_two_tables():
    known = load_experiments()
    table = known["decoupled_gan/table1"].published
    assert table["decoupled GAN"]["decoupling_expression"] == 89.7 and table["COMA"]["specificity"] == 2.47
    assert table["without expression classification"]["diversity_identity"] == 0.11
    assert known["decoupled_gan/table2"].published["MAE"] == {"lambda_0": 4.46, "lambda_0_01": 4.06, "lambda_10": 2.78}
