"""The loop in one process: what moves, what is refused, what a user is told."""

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from facekit.training import (
    CheckpointError,
    ConfigError,
    ConstantSchedule,
    CosineSchedule,
    DeviceMemoryError,
    NonFiniteError,
    OutputError,
    Stream,
    TensorSource,
    TrainingConfig,
    TrainingLoop,
    Update,
    checkpoint,
    derive_generator,
    distributed_run,
    load_checkpoint,
    parse_config,
    read_metrics,
)
from facekit.training import loop as loop_module

X = torch.randn(32, 3, generator=derive_generator(0, "x"), dtype=torch.float64)
Y = X.sum(1, keepdim=True)


def config_in(folder: Path, **changes: Any) -> TrainingConfig:
    defaults = {"steps": 5, "batch_size": 8, "log_every": 1, "save_every": 2, "progress": False, "device": "cpu"}
    return TrainingConfig(out_dir=str(folder), **(defaults | changes))


def square(model: nn.Module) -> Callable:
    return lambda batch, step: {"square": (model(batch["x"]) - batch["y"]).square().mean()}


def line_loop(config: TrainingConfig, loss: Callable | None = None, **options: Any) -> TrainingLoop:
    """A straight line fitted by SGD; ``options`` go to the update."""
    with distributed_run(config) as world:
        model = nn.Linear(3, 1).double()
        update = Update("fit", torch.optim.SGD(model.parameters(), 0.1), loss or square(model), **options)
        return TrainingLoop(config, world, {"line": model}, [update], TensorSource(x=X, y=Y))


def weights(loop: TrainingLoop) -> torch.Tensor:
    return nn.utils.parameters_to_vector(next(iter(loop.models.values())).parameters()).detach()


def test_a_line_is_found_as_by_hand(tmp_path: Path) -> None:
    loop = line_loop(config_in(tmp_path))
    theirs = nn.Linear(3, 1).double()
    theirs.load_state_dict(loop.models["line"].state_dict())
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1)
    stream = Stream(TensorSource(x=X, y=Y), 8)
    for draw in range(5):
        optimizer.zero_grad()
        loss = square(theirs)(stream.load(draw), None)["square"]
        loss.backward()
        optimizer.step()
    metrics = loop.run()
    assert torch.equal(weights(loop), nn.utils.parameters_to_vector(theirs.parameters()))
    assert metrics["fit/square"] == loss.item() and metrics["step"] == 5
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5]
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    kept = {f"step-0000000{step}.pt" for step in (2, 4, 5)}
    assert names == {"config.yml", "metrics.jsonl", "weights.pt", ".lock"} | kept
    assert not torch.are_deterministic_algorithms_enabled()


def test_accumulated_passes_equal_one(tmp_path: Path) -> None:
    whole, cut = (line_loop(config_in(tmp_path / str(n), accumulate=n)) for n in (1, 4))
    one, four = whole.run(), cut.run()
    torch.testing.assert_close(weights(cut), weights(whole))
    assert four["fit/square"] == pytest.approx(one["fit/square"])


def test_weights_of_terms_and_clipping(tmp_path: Path) -> None:
    seen = []

    def loss(batch: dict, step: Any) -> dict[str, torch.Tensor]:
        step.log(rows=len(batch["x"]), nothing=float("nan"))
        value = model["line"](batch["x"]).square().mean()
        return {"a": value, "b": value, "c": value}

    def weigh(terms: dict[str, torch.Tensor], step: Any) -> dict[str, float]:
        seen.append(step.index)
        return {"a": 2.0, "b": 0.5}

    for factor in ({"a": 2.0, "b": 0.5}, weigh):
        loop = line_loop(config_in(tmp_path / str(callable(factor)), steps=1), loss, weights=factor, clip_norm=1e-3)
        model = loop.models
        before = weights(loop)
        metrics = loop.run()
        assert metrics["fit/loss"] == pytest.approx(3.5 * metrics["fit/a"])
        assert (weights(loop) - before).norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)
        assert metrics["fit/grad_norm"] > 1e-2 and metrics["fit/rows"] == 8
    assert seen == [0]
    with pytest.raises(ValueError, match="weighs 'z', but its loss returned \\['square'\\]"):
        line_loop(config_in(tmp_path / "z"), weights={"z": 1.0}).run()


def test_schedules_reach_the_groups(tmp_path: Path) -> None:
    with distributed_run(config_in(tmp_path)) as world:
        model = nn.Linear(3, 1).double()
        groups = [{"params": [model.weight]}, {"params": [model.bias], "lr_scale": 10.0, "weight_decay_scale": 0.0}]
        optimizer = torch.optim.AdamW(groups, 0.5)
        schedules = {"lr": CosineSchedule(0.1, 0.0, 5), "weight_decay": ConstantSchedule(0.4)}
        update = Update("fit", optimizer, square(model), schedules=schedules)
        rates = []
        loop = TrainingLoop(
            config_in(tmp_path),
            world,
            {"line": model},
            [update],
            TensorSource(x=X, y=Y),
            after_step=lambda step: rates.append([(g["lr"], g["weight_decay"]) for g in optimizer.param_groups]),
        )
        loop.run()
    assert rates[0] == [(0.1, 0.4), (1.0, 0.0)] and rates[-1][0][0] == pytest.approx(0.0)
    update.schedules = {"momentum": ConstantSchedule(0.9)}
    with pytest.raises(ValueError, match="schedules 'momentum', which its optimiser does not have"):
        update.set_schedules(0)


def test_only_the_update_s_parameters_move(tmp_path: Path) -> None:
    """Two updates through each other's models, one of them not always active, one module frozen for a while."""
    config = config_in(tmp_path, steps=4)
    history = []
    with distributed_run(config) as world:
        models = {"a": nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).double(), "b": nn.Linear(3, 1).double()}
        models["a"][0].bias.requires_grad_(False)
        fixed = models["a"][0].bias.clone()

        def loss(batch: dict, step: Any) -> dict[str, torch.Tensor]:
            return {"all": models["b"](models["a"](batch["x"])).square().mean()}

        updates = [
            Update(
                "a",
                torch.optim.Adam(models["a"].parameters(), 0.1),
                loss,
                repeat=2,
                frozen=lambda step: [models["a"][1]] if step < 2 else [],
            ),
            Update("b", torch.optim.Adam(models["b"].parameters(), 0.1), loss, active=lambda step: step >= 1),
        ]
        parts = {"first": models["a"][0].weight, "second": models["a"][1].weight, "b": models["b"].weight}

        def remember(step: int) -> None:
            history.append({name: part.detach().clone() for name, part in parts.items()})

        remember(-1)
        TrainingLoop(config, world, models, updates, TensorSource(x=X), after_step=remember).run()
    moved = [{name for name in parts if not torch.equal(now[name], before[name])} for before, now in pairwise(history)]
    assert moved == [{"first"}, {"first", "b"}, {"first", "second", "b"}, {"first", "second", "b"}]
    assert torch.equal(models["a"][0].bias, fixed) and not models["a"][0].bias.requires_grad
    assert load_checkpoint(tmp_path / "checkpoints/step-00000004.pt")["draws"] == {"0": 4 * 2 + 3}


def test_batches_of_several_streams(tmp_path: Path) -> None:
    shapes = []
    config = config_in(tmp_path, steps=1, workers=1)

    def loss(batch: Any, step: Any) -> dict[str, torch.Tensor]:
        shapes.append({name: tuple(part["x"].shape) for name, part in batch.items()} if batch else batch)
        return {"norm": model.weight.square().sum()}

    with distributed_run(config) as world:
        model = nn.Linear(3, 1).double()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        few = Stream(TensorSource(x=X[:5]), 2)
        data = {"labelled": few, "unlabelled": TensorSource(x=X)}
        updates = [Update("one", optimizer, loss), Update("two", optimizer, loss, data={})]
        TrainingLoop(config, world, {"m": model}, updates, data).run()
        assert shapes == [{"labelled": (2, 3), "unlabelled": (8, 3)}, None]
        with pytest.raises(ConfigError, match="a batch of 2 rows cannot be cut into 4 equal parts"):
            TrainingLoop(config_in(tmp_path, accumulate=4), world, {"m": model}, updates, data)


def test_one_stream_in_two_places_gives_each_its_batch(tmp_path: Path) -> None:
    """Also where a batch is loaded in several passes."""
    seen: dict[int, dict[str, list[int]]] = {}

    def loss(batch: Any, step: Any) -> dict[str, torch.Tensor]:
        for name, rows in batch.items():
            seen.setdefault(accumulate, {}).setdefault(name, []).extend(rows.tolist())
        return {"norm": model.weight.square().sum()}

    model = nn.Linear(3, 1).double()
    for accumulate in (1, 2):
        config = config_in(tmp_path / str(accumulate), steps=2, accumulate=accumulate)
        stream = Stream(lambda rows: rows, 8, size=64)
        update = Update(
            "fit", torch.optim.SGD(model.parameters(), 0.1), loss, repeat=2, data={"a": stream, "b": stream}
        )
        with distributed_run(config) as world:
            TrainingLoop(config, world, {"m": model}, [update]).run()
    assert seen[1] == seen[2]
    assert sorted(seen[2]["a"] + seen[2]["b"]) == list(range(64))


def test_evaluation_sees_the_average_and_leaves_no_trace(tmp_path: Path) -> None:
    config = config_in(tmp_path, ema=0.5, evaluate_every=2, log_every=100)
    seen = []

    def evaluate(step: int) -> dict[str, float]:
        assert not torch.is_grad_enabled()
        model.eval()
        seen.append((step, model.weight.detach().clone()))
        return {"test/level": torch.rand(()).item()}

    with distributed_run(config) as world:
        model = nn.Sequential(nn.Linear(3, 1)).double()
        model.weight = model[0].weight
        update = Update("fit", torch.optim.SGD(model.parameters(), 0.1), square(model))
        loop = TrainingLoop(config, world, {"line": model}, [update], TensorSource(x=X, y=Y), evaluate=evaluate)
        metrics = loop.run()
    assert [step for step, _ in seen] == [2, 4, 5] and model.training
    assert len({line["test/level"] for line in read_metrics(tmp_path / "metrics.jsonl")}) == 1
    assert metrics["test/level"] == read_metrics(tmp_path / "metrics.jsonl")[-1]["test/level"]
    with loop.averaged():
        assert torch.equal(model.weight, seen[-1][1])
    assert not torch.equal(model.weight, seen[-1][1])


def test_a_finished_run_is_not_repeated_and_can_be_extended(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole = line_loop(config_in(tmp_path / "whole", steps=8))
    whole.run()
    first = line_loop(config_in(tmp_path / "a"))
    metrics = first.run()
    again = line_loop(config_in(tmp_path / "a"))
    assert again.run() == metrics and torch.equal(weights(again), weights(first))
    longer = line_loop(config_in(tmp_path / "a", steps=8))
    longer.run()
    assert torch.equal(weights(longer), weights(whole))
    assert "at step 5 of 8" in capsys.readouterr().out
    fresh = line_loop(config_in(tmp_path / "a", steps=3, restart=True))
    fresh.run()
    assert [line["step"] for line in read_metrics(tmp_path / "a/metrics.jsonl")] == [1, 2, 3]


def test_the_saved_settings_go_on_with_the_run(tmp_path: Path) -> None:
    """Also where the run began with --restart True, which must not clear what it has done since."""
    line_loop(config_in(tmp_path, restart=True)).run()
    again = parse_config(TrainingConfig, ["--config", str(tmp_path / "config.yml")])
    assert again == config_in(tmp_path)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first = line_loop(config_in(tmp_path))
    first.run()
    newest = tmp_path / "checkpoints/step-00000005.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    again = line_loop(config_in(tmp_path))
    again.run()
    printed = capsys.readouterr().out
    assert "step-00000005.pt is truncated" in printed and "at step 4 of 5" in printed
    assert torch.equal(weights(again), weights(first))
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5]


def test_a_checkpoint_of_other_settings_or_models_is_refused(tmp_path: Path) -> None:
    line_loop(config_in(tmp_path)).run()
    with pytest.raises(CheckpointError, match=r"was made with seed 0, this run has 1; .* --restart True"):
        line_loop(config_in(tmp_path, seed=1)).run()
    with pytest.raises(CheckpointError, match="is already at step 5, this run ends at 3"):
        line_loop(config_in(tmp_path, steps=3)).run()
    config = config_in(tmp_path)
    with distributed_run(config) as world:
        for name, model, reason in (
            ("line", nn.Linear(4, 1), "does not fit models 'line'"),
            ("b", nn.Linear(3, 1), "models"),
        ):
            update = Update("fit", torch.optim.SGD(model.parameters(), 0.1), square(model))
            with pytest.raises(CheckpointError, match=reason):
                TrainingLoop(config, world, {name: model}, [update], TensorSource(x=X, y=Y)).run()


def test_extra_state_is_kept(tmp_path: Path) -> None:
    class Counter:
        count = 0

        def state_dict(self) -> dict:
            return {"count": self.count}

        def load_state_dict(self, state: dict) -> None:
            self.count = state["count"]

    config = config_in(tmp_path)
    for steps, expected in ((3, 3), (5, 5)):
        counter, model = Counter(), nn.Linear(3, 1).double()
        config = config_in(tmp_path, steps=steps)

        def count(step: int, counter: Counter = counter) -> None:
            counter.count += 1

        with distributed_run(config) as world:
            update = Update("fit", torch.optim.SGD(model.parameters(), 0.1), square(model))
            data = TensorSource(x=X, y=Y)
            TrainingLoop(config, world, {"m": model}, [update], data, after_step=count, state={"n": counter}).run()
        assert counter.count == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_not_finite_stops_the_run_before_it_does_harm(tmp_path: Path, value: float) -> None:
    def loss(batch: dict, step: Any) -> dict[str, torch.Tensor]:
        good = loop.models["line"](batch["x"]).mean()
        return {"good": good, "bad": good * (value if step.index == 3 else 1.0)}

    loop = line_loop(config_in(tmp_path), loss)
    with pytest.raises(NonFiniteError, match=rf"loss term 'bad' of update 'fit' is -?{value} at step 4"):
        loop.run()
    assert weights(loop).isfinite().all()
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["step"] == 3


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    loop = line_loop(
        config_in(tmp_path), lambda batch, step: {"root": (0 * loop.models["line"](batch["x"])).sum().sqrt()}
    )
    with pytest.raises(NonFiniteError, match="norm of the gradient of update 'fit' is nan at step 1"):
        loop.run()
    assert weights(loop).isfinite().all()


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        (lambda error: error.mean(), "a Tensor"),
        (lambda error: None, "a NoneType"),
        (lambda error: {}, "no terms"),
        (lambda error: {"good": error.mean(), "rows": error}, r"'rows' as a Tensor of shape \(8, 1\)"),
        (lambda error: {"good": error.mean(), "off": 0.0}, "'off' as a float"),
    ],
)
def test_what_a_loss_returns_is_checked(tmp_path: Path, terms: Callable, found: str) -> None:
    loop = line_loop(config_in(tmp_path), lambda batch, step: terms(loop.models["line"](batch["x"]) - batch["y"]))
    with pytest.raises(TypeError, match=f"the loss of update 'fit' returned {found}, expected scalar tensors by name"):
        loop.run()


def test_what_a_loss_logs_is_checked(tmp_path: Path) -> None:
    def logged(**values: Any) -> Callable:
        def loss(batch: dict, step: Any) -> dict[str, torch.Tensor]:
            step.log(**{name: value for name, value in values.items() if name != f"pass{1 - step.part}"})
            return square(loop.models["line"])(batch, step)

        return loss

    loop = line_loop(config_in(tmp_path / "a"), logged(rows=torch.ones(3)))
    with pytest.raises(ValueError, match=r"rows has shape \(3,\), expected one number"):
        loop.run()
    for name in ("pass0", "pass1"):
        loop = line_loop(config_in(tmp_path / "b", accumulate=2), logged(**{name: 1.0}))
        with pytest.raises(ValueError, match=f"update 'fit' reports '{name}' in some of its 2 passes only"):
            loop.run()
    loop = line_loop(config_in(tmp_path / "c", accumulate=2), logged(row=torch.ones(1)))
    assert loop.run()["fit/row"] == 1.0


def test_a_full_disk_ends_the_run_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    said = r"out_dir '.*' cannot be written at step 2: No space left on device; with room, the same command goes on"
    for place in ("save_checkpoint", "save_weights"):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint if place == "save_checkpoint" else loop_module, place, full)
            with pytest.raises(OutputError, match=said):
                line_loop(config_in(tmp_path / place, steps=2)).run()
        assert line_loop(config_in(tmp_path / place, steps=2)).run()["step"] == 2
    loop = line_loop(config_in(tmp_path / "log"), lambda batch, step: take_away(step) or square(model)(batch, step))
    model = loop.models["line"]

    def take_away(step: Any) -> None:
        if step.index == 1:
            loop._log._file = open("/dev/full", "w")

    if not Path("/dev/full").exists():
        return
    with pytest.raises(OutputError, match=said):
        loop.run()
    assert line_loop(config_in(tmp_path / "log")).run()["step"] == 5


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"out_dir .*run' cannot be used: Not a directory \(.*file"):
        line_loop(config_in(tmp_path / "file" / "run")).run()


def test_a_full_gpu_names_the_settings(tmp_path: Path) -> None:
    def loss(batch: dict, step: Any) -> dict[str, torch.Tensor]:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a lot. More.")

    expected = r"step 1 in update 'fit' with 4 samples .*Tried to allocate 2.00 GiB.*raise accumulate \(now 2\), lower"
    with pytest.raises(DeviceMemoryError, match=expected):
        line_loop(config_in(tmp_path, accumulate=2), loss).run()


def test_updates_are_checked_before_the_run(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    model, other = nn.Linear(3, 1), nn.Linear(2, 2)
    update = Update("fit", torch.optim.SGD(model.parameters(), 0.1), square(model))
    with distributed_run(config) as world:
        with pytest.raises(ValueError, match="expected a different name for each"):
            TrainingLoop(config, world, {"m": model}, [update, update])
        with pytest.raises(
            ValueError, match=r"moves a parameter of shape \(1, 3\) that is in none of the models \['o'\]"
        ):
            TrainingLoop(config, world, {"o": other}, [update])
        for argument in ("averaged", "double_backward"):
            with pytest.raises(ValueError, match=rf"{argument} names 'n', expected some of the models \['m'\]"):
                TrainingLoop(config, world, {"m": model}, [update], **{argument: ["m", "n"]})


@pytest.mark.parametrize("options", [{"amp": True}, {"deterministic": False}])
def test_options_train_too(tmp_path: Path, options: dict[str, bool]) -> None:
    config = config_in(tmp_path, steps=60, save_every=100, **options)
    types = set()

    def loss(batch: dict, step: Any) -> dict[str, torch.Tensor]:
        out = model(batch["x"].float())
        types.add(out.dtype)
        return {"square": (out - batch["y"].float()).square().mean()}

    with distributed_run(config) as world:
        model = nn.Linear(3, 1)
        update = Update("fit", torch.optim.SGD(model.parameters(), 0.1), loss)
        metrics = TrainingLoop(config, world, {"line": model}, [update], TensorSource(x=X, y=Y)).run()
    assert types == {torch.bfloat16 if config.amp else torch.float32}
    assert metrics["fit/square"] < 1e-2 and model.weight.dtype == torch.float32


def test_models_are_compiled_except_those_differentiated_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: compiled.append(self))
    with distributed_run(config_in(tmp_path)) as world:
        models = {"generator": nn.Linear(2, 2), "critic": nn.Linear(2, 2)}
        TrainingLoop(config_in(tmp_path, compile=True), world, models, [], double_backward=["critic"])
    assert compiled == [models["generator"]]
