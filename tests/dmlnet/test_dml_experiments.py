"""The registered experiments, from their ids to their records; and the paper's numbers and settings."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from facekit.dmlnet import (
    METHODS,
    PROTOCOLS,
    SCALES,
    Answers,
    FaceLabels,
    Faces,
    Trained,
    measures,
    recipe_for,
    trained,
)
from facekit.experiments import load_experiments, run_experiment

IDS = [id for id in load_experiments() if id.startswith("dmlnet/")]


def test_every_table_and_figure_is_registered():
    tables = {"table2", "table3", "table4", "table5_90", "table5_45", "table6", "table7", "table9"}
    figures = {f"figure{number}_{task}" for number in (6, 7, 8, 9) for task in ("expression", "pose")}
    ablation = {f"{kind}_{name}" for kind in ("table8", "beyond") for name in ("kdef", "bu3dfe", "multipie")}
    others = {"figures10_13", "figure14", "figure15_bu3dfe", "figure15_multipie", "longer"}
    assert {id.removeprefix("dmlnet/") for id in IDS} == tables | figures | ablation | others


@pytest.mark.parametrize("id", IDS)
def test_it_runs_at_the_smallest_scale(id):
    result = run_experiment(id, scale="smoke", seeds=[0])
    numbers = [
        cell["mean"] for row in result["rows"] for cell in row["measured"].values() if cell is not None
    ]  # fmt: skip
    assert numbers or id == "dmlnet/figure14", "too few faces are taken for happy"
    assert all(math.isfinite(number) for number in numbers)
    assert result["config"]["encoder"] == "resnet_tiny"
    if "table" in id:
        assert all(0.0 <= number <= 100.0 or "table8" in id for number in numbers)


@pytest.mark.parametrize("id", ["table2", "table3", "table4", "table5_45", "figure6_expression"])
def test_what_no_test_face_shows_is_left_out(id, monkeypatch):
    """As with photographs of one's own: three expressions, and nobody seen from less than 60 degrees."""
    protocol = PROTOCOLS["bu3dfe" if "5" in id else "kdef"]
    labels = FaceLabels(np.array([0, 0, 3, 4]), np.array([0, 1, 0, 0]), np.zeros(4))
    faces = Faces(np.zeros((4, 3, 4, 4), np.uint8), labels, protocol.expressions, protocol.yaws)
    answers = Answers(torch.zeros(4, 2), torch.tensor([0, 1, 3, 0]), torch.tensor([0, 1, 1, 0]))
    monkeypatch.setattr(measures, "trained", lambda *_: Trained(None, faces, answers, []))
    rows = run_experiment(f"dmlnet/{id}", scale="smoke", seeds=[0])["rows"]
    found = {
        (row["method"], column): cell["mean"] for row in rows for column, cell in row["measured"].items() if cell
    }  # fmt: skip
    if id == "table3":
        assert found["AN", "average"] == 50.0 and found["HA", "-90"] == 100.0 and found["average", "average"] == 50.0
        assert not [cell for cell in found if cell[0] == "NE" or cell[1] == "90"]
    assert bool(found) == (id not in ("table4", "table5_45"))


def test_published_numbers_are_those_of_the_paper():
    known = load_experiments()
    assert known["dmlnet/table8_kdef"].published["MFE+HPE+JEFL+ADW"] == {
        "pose": 99.9, "expression": 88.2, "images_per_second": 53,
    }  # fmt: skip
    assert known["dmlnet/table8_bu3dfe"].published["ResNet50"] == {"expression": 78.4, "images_per_second": 136}
    assert known["dmlnet/table2"].published["MPCNN"] == {"pose": 99.8, "expression": 86.9}
    assert known["dmlnet/table3"].published["FE"]["-90"] == 70.4
    assert known["dmlnet/table6"].published["DML-Net"]["average"] == 93.5
    assert known["dmlnet/table7"].published["IL-CNN"] == {"average": 52.52}
    assert known["dmlnet/table9"].published["DML-Net"]["HA"] == 53.42
    for row in known["dmlnet/figure9_expression"].published.values():
        assert sum(row.values()) == pytest.approx(100.0, abs=0.3)


def test_published_averages_follow_from_their_rows():
    """Typing errors would show: an average is the mean of what it averages, as far as it was printed."""
    known = load_experiments()
    table = known["dmlnet/table3"].published
    for name, row in table.items():
        assert sum(row[yaw] for yaw in ("-90", "-45", "0", "45", "90")) / 5 == pytest.approx(
            row["average"], abs=0.35
        ), name
    for id, names in (("dmlnet/table4", ("DML-Net", "GAN", "AlexNet")), ("dmlnet/table6", None)):
        for name, row in known[id].published.items():
            parts = [value for column, value in row.items() if column != "average"]
            if parts and (names is None or name in names):
                assert sum(parts) / len(parts) == pytest.approx(row["average"], abs=0.45), (id, name)


def test_the_paper_s_scale_has_the_paper_s_settings():
    recipe = SCALES["paper"]
    assert (recipe.learning_rate, recipe.decay, recipe.ema, recipe.batch_size) == (0.01, 0.8, 0.9999, 15)
    assert (recipe.weight_total, recipe.temperature, recipe.window) == (2.0, 2.0, 5)
    assert (recipe.encoder, recipe.face_size, recipe.channels) == ("resnet50", 224, 3)
    assert recipe.steps == pytest.approx(500 * 3_914 / 15, rel=0.01)


def test_the_ablation_adds_one_part_at_a_time():
    settings = [recipe_for("paper", "kdef", method) for method in list(METHODS)[:5]]
    parts = [(r.channels, r.pose_branch, r.metric, r.weighting) for r in settings]
    assert parts == [
        (1, False, "none", "equal"), (3, False, "none", "equal"), (3, True, "none", "equal"),
        (3, True, "both", "equal"), (3, True, "both", "dynamic"),
    ]  # fmt: skip


def test_a_longer_run_has_the_same_course():
    once, longer = (recipe_for("notebook", "kdef", "DML-Net", longer=times) for times in (1, 10))
    assert (longer.steps, longer.decay_steps, longer.frozen_steps) == (
        10 * once.steps, 10 * once.decay_steps, 10 * once.frozen_steps,
    )  # fmt: skip
    assert replace(longer, steps=1, decay_steps=1, frozen_steps=1) == replace(
        once, steps=1, decay_steps=1, frozen_steps=1
    )
    assert trained("smoke", "kdef", "MFE", longer=2) is not trained("smoke", "kdef", "MFE")


def test_methods_with_the_same_settings_share_a_run():
    one, other = (trained("smoke", "kdef", method) for method in ("DML-Net", "MFE+HPE+JEFL+ADW"))
    assert one is other and one is not trained("smoke", "kdef", "MFE+HPE+JEFL")
