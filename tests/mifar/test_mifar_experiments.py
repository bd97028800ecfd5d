"""The registered experiments, from their ids to their records."""

import math

import pytest

from facekit.experiments import load_experiments, run_experiment
from facekit.mifar import comparison
from facekit.mifar.experiments import SCALES, loss_after
from facekit.mifar.timing import launched_seconds

METHODS = {
    "MiFaR, linear probe",
    "MiFaR, k-NN probe",
    "MiFaR (Ours)",
    "Barlow Twins, front view, linear probe",
    "SimCLR's loss per view, linear probe",
    "random weights, linear probe",
    "the images, linear probe",
    "the same encoders, supervised",
}


@pytest.mark.parametrize("id", ["mifar/table1", "mifar/table2", "mifar/table3a", "mifar/table3b"])
def test_tables_measure_every_method_beside_the_published_rows(id, tmp_path):
    result = run_experiment(id, scale="smoke", seeds=[0], out=tmp_path / "result.json")
    rows = {row["method"]: row for row in result["rows"]}
    assert set(rows) > METHODS
    for name, row in rows.items():
        for column in result["columns"]:
            measured = row["measured"][column]
            assert (measured is not None) == (name in METHODS)
            assert measured is None or (math.isfinite(measured["mean"]) and 0 <= measured["mean"] <= 100)
    assert result["config"]["tested_folds"] == 1 and result["config"]["folds"] == 2


def test_beyond_the_paper_reads_the_same_networks_in_two_ways():
    result = run_experiment("mifar/beyond", scale="smoke", seeds=[0])
    methods = [row["method"] for row in result["rows"]]
    assert methods == [
        name + more for name in ("MiFaR", "random weights", "images") for more in ("", ", less the person's mean")
    ]
    for row in result["rows"]:
        assert all(0 <= row["measured"][column]["mean"] <= 100 for column in result["columns"])
    assert result["columns"] == ["bu3dfe", "bosphorus", "bu4dfe", "bp4d"]


def test_the_calibration_looks_at_supervised_training_alone(monkeypatch):
    monkeypatch.setattr(comparison, "pretrain", None)
    result = run_experiment("mifar/calibration", scale="smoke", seeds=[0])
    assert [row["method"] for row in result["rows"]] == ["1 steps", "2 steps"]
    for row in result["rows"]:
        assert all(0 <= row["measured"][column]["mean"] <= 100 for column in result["columns"])


def test_figure_3_has_every_combination():
    result = run_experiment("mifar/figure3", scale="smoke", seeds=[0])
    assert len(result["rows"]) == 12
    assert {row["method"].split(", ")[2] for row in result["rows"]} == {"3", "6", "12"}
    assert result["columns"] == ["view_loss_quarter", "view_loss_half", "view_loss", "linear_probe"]
    assert all(cell["mean"] > 0 for row in result["rows"] for cell in row["measured"].values())


def test_a_loss_is_read_after_a_share_of_the_training():
    losses = [float(step) for step in range(20)]
    assert loss_after(losses, 1.0) == 17.0 and loss_after(losses, 0.5) == 7.0
    assert loss_after(losses, 0.1) == 0.5 and loss_after(losses, 0.001) == 0.0


def test_published_numbers_are_those_of_the_paper():
    known = load_experiments()
    assert known["mifar/table1"].published["MiFaR (Ours)"] == {"subset_1": 88.53, "subset_2": 82.67, "bosphorus": 78.84}
    assert known["mifar/table2"].published["MiFaR (Ours)"] == {"accuracy": 95.76}
    # The differences that the paper prints beside the other methods.
    ours = known["mifar/table1"].published["MiFaR (Ours)"]["subset_1"]
    assert round(ours - known["mifar/table1"].published["Zhen et al. [10]"]["subset_1"], 2) == 4.03
    assert round(95.76 - known["mifar/table2"].published["Sandbach et al. [25]"]["accuracy"], 2) == 31.16
    assert round(79.05 - known["mifar/table3b"].published["Zhang et al. [35]"]["accuracy"], 2) == 8.05


def test_the_papers_scale_has_ten_folds():
    plan = SCALES["paper"]
    assert plan.tested_folds == plan.recipe.folds == 10 and plan.recipe.batch_size == 1024


def test_figure_2_times_one_and_two_processes():
    result = run_experiment("mifar/figure2", scale="smoke", seeds=[0])
    assert [row["method"] for row in result["rows"]] == ["batch 8, 1 process", "batch 8, 2 processes"]
    assert all(row["measured"]["seconds_per_epoch"]["mean"] > 0 for row in result["rows"])
    with pytest.raises(RuntimeError, match="failed"):
        launched_seconds(1, 1, 4, 24, "resnet_tiny", 1)
