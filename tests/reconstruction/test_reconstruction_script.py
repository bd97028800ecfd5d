"""``book/reconstruction/train.py``: one process, two processes, a continued run; the experiments in miniature."""

from pathlib import Path

import launching
import pytest
import torch

from facekit.data import DataError
from facekit.experiments import run_experiment
from facekit.meshes import load_mesh
from facekit.reconstruction import LaptopRecipe, load_run
from facekit.reconstruction.methods import SCALES, trained
from facekit.training import ConfigError, load_checkpoint, read_metrics

SCRIPT = "book/reconstruction/train.py"
SETTINGS = {
    "preset": "laptop", "people": 10, "photos": 2, "sources": 8, "views": 1, "scanned": 40, "components": "10 6 5",
    "image_size": 32, "widths": "8 4", "batch_size": 8, "warm_up": 0, "texture_from": 2, "log_every": 1,
    "progress": "False",
}  # fmt: skip


def train(out, steps=3, processes=1, **changes):
    settings = SETTINGS | {"out_dir": out, "steps": steps} | changes
    words = [word for key, value in settings.items() for word in (f"--{key}", *str(value).split())]
    results = launching.run(SCRIPT, *words, processes=processes)
    assert [status for status, _ in results] == [0] * processes, results
    return load_checkpoint(out / "weights.pt", kind="weights")["models"]["networks"]


def share_that_differs(one, other):
    return torch.cat([((one[key] - other[key]).abs() > 4e-4).flatten() for key in one]).float().mean()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    return out, train(out)


def test_a_run_leaves_weights_metrics_and_faces(run):
    out, _ = run
    lines = read_metrics(out / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert {"shape_error_mm", "generator/pair", "generator/adversarial"} <= set(lines[-1])
    recipe, networks, prior = load_run(out)
    assert recipe.image_size == 32 and not networks.training
    sample = load_mesh(out / "samples" / "face_0.ply")
    assert len(sample.vertices) == prior.model.num_vertices
    graph = networks.model.albedo_decoder(torch.zeros(1, 128))[0]
    assert sample.albedo.std(dim=0).max() < 0.05 < graph.std(dim=0).max(), "after one step a texture has no brows yet"


def test_two_processes_train_the_weights_of_one(run, tmp_path):
    assert share_that_differs(run[1], train(tmp_path / "two", processes=2)) < 0.02
    assert share_that_differs(run[1], train(tmp_path / "other", learning_rate=1e-2)) > 0.5


def test_a_continued_run_ends_where_an_unbroken_one_does(run, tmp_path):
    broken = tmp_path / "broken"
    train(broken, steps=1, final_rate=1.0)
    continued = train(broken, steps=3, final_rate=1.0)
    whole = train(tmp_path / "whole", steps=3, final_rate=1.0)
    assert all(torch.equal(continued[key], whole[key]) for key in whole)


def test_settings_are_compared_by_unseen_photographs():
    result = run_experiment("reconstruction/settings", scale="smoke", seeds=[0])
    errors = {row["method"]: row["measured"]["shape_error"]["mean"] for row in result["rows"]}
    mean_face = errors.pop("the mean face")
    assert len(errors) == 6 and all(0 < error < 60 for error in errors.values())
    assert abs(errors["full model, as chosen"] - mean_face) < 3, "after a few steps a face is near the mean"
    with pytest.raises(DataError, match="compared in the face world"):
        run_experiment("reconstruction/settings", f"celeba={Path(__file__).parent}", "smoke", [0])


@pytest.mark.parametrize("id", ["table1", "table2", "beyond", "longer", "codes"])
def test_experiments_run_in_seconds(id):
    result = run_experiment(f"reconstruction/{id}", scale="smoke", seeds=[0])
    measured = {row["method"]: row["measured"] for row in result["rows"]}
    first = result["columns"][0]
    assert 0 < measured["full model" if id != "table1" else "identity: full model"][first]["mean"] < 60
    assert result["config"]["vertices"] > 500
    assert result["config"]["steps"] == (21 if id == "longer" else 3), "a step of warm-up, then two or ten times two"


def test_a_longer_run_is_another_run():
    once, twice = trained("world", "smoke", 0, "full model"), trained("world", "smoke", 0, "full model", longer=2)
    assert once is trained("world", "smoke", 0, "full model", 1)
    assert 2 * once.metrics[-1]["step"] == twice.metrics[-1]["step"]


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_trains_after_its_warm_up(scale):
    recipe, _ = SCALES[scale]
    recipe.check()
    assert recipe.steps > recipe.warm_up


def test_a_warm_up_is_not_longer_than_the_run():
    with pytest.raises(ConfigError, match="warm_up is 1000 and steps 500"):
        LaptopRecipe(steps=500).check()
