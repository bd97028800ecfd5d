"""All results in one table, and the order of methods compared in words."""

import json

import pytest

from facekit.experiments import (
    ExperimentError,
    agreement,
    experiment,
    load_results,
    registry,
    run_experiment,
    scoreboard,
)

PUBLISHED = {"plain": {"accuracy": 80.0}, "better": {"accuracy": 85.0}, "best": {"accuracy": 90.0}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of results with one toy experiment in it, run with two seeds."""
    monkeypatch.setattr(registry, "_REGISTRY", {})
    monkeypatch.setattr(registry, "PAPER_ROOMS", ())

    @experiment("toy/table1", paper="Nobody 2020", title="A table", columns=("accuracy", "size"), published=PUBLISHED)
    def table1(run):
        return {"plain": {"accuracy": 60.0 + run.seed}, "better": {"accuracy": 70.0}, "ours": {"size": 4.0}}

    run_experiment("toy/table1", scale="smoke", seeds=[0, 2], out=tmp_path / "toy" / "results" / "table1.json")
    return tmp_path


def test_a_row_for_each_number(folder):
    table = scoreboard(load_results(folder)).set_index(["method", "quantity"])
    assert set(table.index) == {("plain", "accuracy"), ("better", "accuracy"), ("best", "accuracy"), ("ours", "size")}
    plain = table.loc[("plain", "accuracy")]
    assert (plain["published"], plain["measured"], plain["runs"]) == (80.0, 61.0, 2)
    assert plain["spread"] == pytest.approx(2**0.5) and plain["agreement"] == "1 same order"
    waiting = table.loc[("best", "accuracy")]
    assert waiting["published"] == 90.0 and waiting.isna()["measured"] and waiting["runs"] == 0
    assert table.isna().loc[("ours", "size"), "published"]


def ours(**numbers):
    """A result with these means and spreads beside the numbers of ``PUBLISHED``."""
    rows = [
        {
            "method": m,
            "paper": PUBLISHED[m],
            "measured": {"accuracy": n and {"mean": n[0], "std": n[1], "runs": [n[0]]}},
        }
        for m, n in numbers.items()
    ]
    return {"rows": rows}


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"plain": (1, 0), "better": (2, 0), "best": (3, 0)}, "3 same order"),
        ({"plain": (1, 0), "better": (3, 0), "best": (2, 0)}, "2 same order, 1 other order"),
        ({"plain": (3, 0), "better": (2, 0), "best": (1, 0)}, "3 other order"),
        ({"plain": (1, 0), "better": (2, 0.6), "best": (3, 0.6)}, "2 same order, 1 open"),
        ({"plain": (1, 0), "better": None}, "nothing to compare"),
        ({"plain": (1, 0)}, "nothing to compare"),
    ],
)
def test_order_in_words(numbers, words):
    assert agreement(ours(**numbers), "accuracy") == words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "table2.json is not valid JSON"),
        ("[1]", "table2.json is not the result of an experiment: it lacks 'id'"),
        (None, "table2.json holds the experiment 'toy/table9'"),
    ],
)
def test_what_is_no_result(folder, content, message):
    good = json.loads((folder / "toy" / "results" / "table1.json").read_text())
    (folder / "toy" / "results" / "table2.json").write_text(content or json.dumps(good | {"id": "toy/table9"}))
    with pytest.raises(ExperimentError, match=message):
        load_results(folder)
