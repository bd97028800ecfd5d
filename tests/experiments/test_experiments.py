import errno
import json
import subprocess
import sys

import pytest

from facekit.__main__ import main
from facekit.experiments import (
    ExperimentError,
    Run,
    chosen_experiments,
    experiment,
    load_experiments,
    registry,
    result_path,
    result_table,
    results,
    run_experiment,
    without_path,
    write_json,
)


@pytest.fixture
def toy(monkeypatch):
    """An experiment whose numbers follow from the seed, in a registry of its own."""
    monkeypatch.setattr(registry, "_REGISTRY", {})
    monkeypatch.setattr(registry, "PAPER_ROOMS", ())
    published = {"baseline": {"accuracy": 83.7}, "needs a licence": {"accuracy": 90.0}}

    @experiment("toy/table2", paper="Nobody 2020", title="A table", columns=("accuracy", "speed"), published=published)
    def table2(run: Run):
        run.config["size"] = 4
        return {"baseline": {"accuracy": 80.0 + run.seed, "speed": 2.0}, "ours": {"accuracy": 85.0, "speed": None}}

    return table2


def test_result_has_means_runs_and_the_papers_numbers(toy):
    result = run_experiment("toy/table2", "world:ict=/somewhere/model.npz", "smoke", [0, 1, 2])
    baseline, licensed, ours = result["rows"]
    assert baseline["method"] == "baseline" and baseline["paper"] == {"accuracy": 83.7}
    assert baseline["measured"]["accuracy"] == {"mean": 81.0, "std": 1.0, "runs": [80.0, 81.0, 82.0]}
    assert licensed["measured"] == {"accuracy": None, "speed": None}
    assert ours["paper"] == {} and ours["measured"]["speed"] is None
    assert result["data"] == "world:ict" and "/somewhere" not in json.dumps(result)
    assert result["command"] == "python -m facekit run toy/table2 --data world:ict=PATH --scale smoke --seeds 3"
    assert result["seeds"] == [0, 1, 2] and result["config"] == {"size": 4}
    several = run_experiment("toy/table2", "300wlp=/data/a,celeba=/data/b,bfm=/data/m", "smoke", [0])
    assert "--data 300wlp=PATH,celeba=PATH,bfm=PATH --scale" in several["command"]
    assert several["data"] == "300wlp,celeba,bfm" and "/data" not in json.dumps(several)
    assert result["hardware"] and result["seconds"] >= 0 and "commit" in result


def test_file_is_written_after_every_seed(toy, tmp_path):
    out = tmp_path / "results" / "table2.json"

    def stop(run):
        if run.seed == 2:
            raise KeyboardInterrupt
        return toy(run)

    registry._REGISTRY["toy/table2"] = registry.Experiment(
        "toy/table2", "Nobody 2020", "A table", ("accuracy", "speed"), {}, stop
    )
    with pytest.raises(KeyboardInterrupt):
        run_experiment("toy/table2", scale="smoke", seeds=range(3), out=out)
    assert json.loads(out.read_text())["seeds"] == [0, 1]
    assert list(out.parent.iterdir()) == [out]


def test_a_broken_off_run_is_continued(toy, tmp_path, monkeypatch):
    out, seen = tmp_path / "table2.json", []
    columns = ("accuracy", "speed")

    def counted(run):
        seen.append(run.seed)
        return toy(run)

    registry._REGISTRY["toy/table2"] = registry.Experiment("toy/table2", "Nobody 2020", "A table", columns, {}, counted)
    monkeypatch.setattr(results, "_commit", lambda: "0123456789ab")
    run_experiment("toy/table2", scale="smoke", seeds=range(2), out=out)
    continued = run_experiment("toy/table2", scale="smoke", seeds=range(3), out=out)
    assert seen == [0, 1, 2] and continued["seeds"] == [0, 1, 2]
    whole = run_experiment("toy/table2", scale="smoke", seeds=range(3), out=out, restart=True)
    assert seen == [0, 1, 2, 0, 1, 2] and continued["rows"] == whole["rows"]
    run_experiment("toy/table2", "world", "notebook", range(3), out)  # another scale, other seeds, another commit
    run_experiment("toy/table2", "world", "notebook", range(1, 4), out)
    monkeypatch.setattr(results, "_commit", lambda: "0123456789ab+changes")
    run_experiment("toy/table2", "world", "notebook", range(1, 4), out)
    run_experiment("toy/table2", "world", "notebook", range(1, 4), out)
    assert seen[6:] == [0, 1, 2] + 3 * [1, 2, 3]


def test_write_json_replaces_whole_files_only(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_table_sets_the_papers_number_beside_ours(toy, tmp_path):
    path = tmp_path / "result.json"
    run_experiment("toy/table2", scale="smoke", out=path)
    table = result_table(path)
    assert table.loc["baseline", ("accuracy", "paper")] == "83.7"
    assert table.loc["baseline", ("accuracy", "ours")] == "81 ± 1"
    assert table.loc["needs a licence", ("accuracy", "ours")] == "–"


def test_requests_that_do_not_fit(toy):
    with pytest.raises(ExperimentError, match=r"no experiment 'toy/table9'; did you mean toy/table2\? `python"):
        run_experiment("toy/table9")
    with pytest.raises(ExperimentError, match="no experiment 'xyz'; `python -m facekit list` prints all 1"):
        chosen_experiments(["xyz"])
    with pytest.raises(ExperimentError, match="scale 'huge': expected one of smoke, notebook, small, paper"):
        run_experiment("toy/table2", scale="huge")
    with pytest.raises(ExperimentError, match="at least one seed"):
        run_experiment("toy/table2", seeds=[])


def test_registering_what_does_not_fit(toy):
    about = {"paper": "Nobody 2020", "title": "A table", "columns": ("accuracy",)}
    with pytest.raises(ExperimentError, match="registered twice"):
        experiment("toy/table2", **about)(toy)
    with pytest.raises(ExperimentError, match="expected <paper>/<table or figure>"):
        experiment("table 2", **about)
    with pytest.raises(ExperimentError, match="column 'f1' is not one of accuracy"):
        experiment("toy/table3", **about, published={"ours": {"f1": 1.0}})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_stop_the_run(toy, number):
    experiment("toy/table3", paper="", title="", columns=("a",))(lambda run: {"ours": {"a": number}})
    with pytest.raises(ExperimentError, match="ours: a is"):
        run_experiment("toy/table3", scale="smoke")


def test_tables_are_listed_in_reading_order(toy):
    for name in ("toy/table10", "toy/figure3"):
        experiment(name, paper="", title="", columns=("a",))(toy)
    assert list(load_experiments()) == ["toy/figure3", "toy/table2", "toy/table10"]


def test_data_names_without_paths(tmp_path, monkeypatch):
    assert without_path("world") == "world:procedural"
    assert without_path("bu3dfe=/data/BU_3DFE") == "bu3dfe"
    assert without_path("300wlp=/data/a,celeba=/data/b") == "300wlp,celeba"
    assert without_path("300wlp=/data/a,bfm=/data/m,celeba=/data/b") == "300wlp,bfm,celeba"
    assert without_path("world:ict=/data/ict.npz") == "world:ict"
    monkeypatch.chdir(tmp_path)
    assert result_path("dmlnet/table8", "world", "small").as_posix() == (
        "dmlnet/results/table8.world_procedural.small.json"
    )
    (tmp_path / "book" / "dmlnet").mkdir(parents=True)
    assert result_path("dmlnet/table8", "kdef=/x", "paper").as_posix() == "book/dmlnet/results/table8.kdef.paper.json"


def test_command_line(toy, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["list"]) == 0 and "toy/table2" in capsys.readouterr().out
    assert main(["run", "toy/table2", "--scale", "smoke", "--seeds", "1", "--out", str(out)]) == 0
    assert f"written to {out}" in capsys.readouterr().out
    assert main(["run", "toy", "--out", str(out)]) == 2
    assert "no experiment 'toy'" in capsys.readouterr().err


def test_one_command_runs_several_experiments(toy, tmp_path, monkeypatch, capsys):
    for name in ("toy/table10", "toy/figure3"):
        experiment(name, paper="", title="", columns=("accuracy", "speed"))(toy)
    assert chosen_experiments(["toy/table10", "toy/t*"]) == ["toy/table10", "toy/table2"]
    monkeypatch.chdir(tmp_path)
    assert main(["run", "toy/t*", "--scale", "smoke", "--seeds", "1"]) == 0
    for name in ("table2", "table10"):
        result = json.loads((tmp_path / "toy" / "results" / f"{name}.world_procedural.smoke.json").read_text())
        assert result["command"] == "python -m facekit run 'toy/t*' --data world --scale smoke --seeds 1"
    assert len(list((tmp_path / "toy" / "results").iterdir())) == 2
    assert main(["run", "toy/*", "--out", "all.json"]) == 2
    assert "--out names one file, but 3 experiments are asked for" in capsys.readouterr().err


def test_list_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "facekit", "list"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_result_that_cannot_be_written_is_refused_before_it_is_measured(toy, tmp_path, monkeypatch, capsys):
    def never(run):
        pytest.fail("it was measured")

    registry._REGISTRY["toy/table2"] = registry.Experiment("toy/table2", "", "", ("accuracy",), {}, never)
    (tmp_path / "file").write_text("")
    for out, reason in ((tmp_path, f"{tmp_path} is a folder"), (tmp_path / "file" / "a.json", "file is no folder")):
        with pytest.raises(ExperimentError, match=f"cannot be written to {out}: .*{reason}; name another"):
            run_experiment("toy/table2", scale="smoke", out=out)
    assert main(["run", "toy/table2", "--scale", "smoke", "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_numbers_are_said_where_the_disk_is_full_by_now(toy, tmp_path, monkeypatch, capsys):
    def full(path, write):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("facekit.experiments.results.write_atomically", full)
    assert main(["run", "toy/table2", "--scale", "smoke", "--seeds", "1", "--out", str(tmp_path / "a.json")]) == 2
    said = capsys.readouterr().err
    assert f"cannot be written to {tmp_path / 'a.json'}: No space left on device; so far it is" in said
    measured = json.loads(said.partition("so far it is ")[2])
    assert measured["id"] == "toy/table2" and measured["rows"][0]["measured"]


def test_an_interrupted_command_ends_with_a_sentence(toy, tmp_path, capsys):
    def stop(run):
        raise KeyboardInterrupt

    registry._REGISTRY["toy/table2"] = registry.Experiment("toy/table2", "", "", ("accuracy",), {}, stop)
    assert main(["run", "toy/table2", "--scale", "smoke", "--out", str(tmp_path / "a.json")]) == 130
    assert capsys.readouterr().err.startswith("facekit: interrupted; the same command at the same commit")


def test_help_is_plain_text(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "python -m facekit list" in said and "`" not in said
