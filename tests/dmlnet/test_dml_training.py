"""The recipe and ``book/dmlnet/train.py``: one process, two processes, a continued run, frozen branch, mistakes."""

import math
from dataclasses import replace
from pathlib import Path

import launching
import numpy as np
import pytest
import torch

from facekit.dmlnet import (
    FaceLabels,
    Faces,
    LaptopRecipe,
    Objective,
    Recipe,
    build_network,
    load_run,
    network_update,
    open_faces,
    train_network,
)
from facekit.training import ConfigError, Step, World, load_checkpoint, make_once, parse_config, read_metrics

SCRIPT = "book/dmlnet/train.py"


def noise_faces(count: int = 80) -> Faces:
    """Faces of noise whose brightness is their expression: quick to make, and something to learn."""
    random = np.random.default_rng(0)
    labels = FaceLabels(np.arange(count) % 4, np.arange(count) // 4 % 5, np.arange(count) // 20)
    images = random.integers(0, 60, (count, 3, 16, 16)) + 60 * labels.expression[:, None, None, None]
    return Faces(images.astype(np.uint8), labels, ("anger", "disgust", "fear", "happiness"), (-90, -45, 0, 45, 90))


def recipe(**settings) -> LaptopRecipe:
    base = {"face_size": 16, "fused": 16, "embedding": 8, "hidden": 8, "batch_size": 20, "steps": 6, "frozen_steps": 3}
    return LaptopRecipe(**{**base, "log_every": 1, "progress": False, **settings})


@pytest.fixture
def folder(tmp_path) -> Path:
    """An ``out_dir`` in which the faces are made already, so that nothing is rendered."""
    return with_faces(tmp_path / "run")


def with_faces(out: Path) -> Path:
    def make(made: Path) -> None:
        faces = noise_faces()
        faces.save(made / "train")
        faces.select(np.arange(20)).save(made / "test")

    depends_on = ("data", "dataset", "subjects", "face_size")
    make_once(out / "faces", recipe(), depends_on, World(0, 1, torch.device("cpu")), make)
    return out


def train(out: Path, *more: object, processes: int = 1, steps: int = 4) -> list[tuple[int, str]]:
    settings = {"out_dir": out, "steps": steps, "batch_size": 20, "face_size": 16, "fused": 16, "embedding": 8}
    settings |= {"hidden": 8, "progress": False, "log_every": 1, "frozen_steps": 2, "window": 1, "save_every": 2}
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    return launching.run(SCRIPT, "--preset", "laptop", *words, *more, processes=processes)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "weights.pt", kind="weights")["models"]["network"]


def test_a_run_leaves_weights_metrics_and_rates(folder):
    ((status, printed),) = train(folder)
    assert status == 0, printed
    lines = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"test/expression", "test/pose", "network/metric", "network/unused_pose"} < set(lines[-1])
    network, test = load_run(folder)
    assert len(test) == 20 and not network.training
    assert network(test.batch(np.arange(2))["image"]).pose.shape == (2, 5)


def test_two_processes_train_the_weights_of_one(tmp_path):
    one, two, other = (with_faces(tmp_path / name) for name in ("one", "two", "other"))
    for out, processes in ((one, 1), (two, 2)):
        results = train(out, processes=processes, steps=3)
        assert [status for status, _ in results] == [0] * processes, results
    assert share_that_differs(weights(one), weights(two)) < 0.02
    train(other, "--seed", 1, steps=3)
    assert share_that_differs(weights(one), weights(other)) > 0.5
    for ours, theirs in zip(*(read_metrics(out / "metrics.jsonl") for out in (one, two)), strict=True):
        for name in ("network/metric", "network/expression", "network/pose", "network/unused_identity"):
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3), name


def share_that_differs(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """By a tenth of what one step of Adam moves a weight; where a gradient is rounding alone, Adam goes either way."""
    return float(torch.cat([((one[name] - other[name]).abs() > 3e-4).flatten() for name in one]).float().mean())


@pytest.mark.parametrize("weighting", ["dynamic", "progress"])
def test_a_continued_run_ends_where_an_unbroken_one_does(tmp_path, weighting):
    """Also the windows of the dynamic weights, and what is known already, go on where they were."""
    broken, whole = (with_faces(tmp_path / name) for name in ("broken", "whole"))
    train(broken, "--weighting", weighting, steps=4)
    assert train(broken, "--weighting", weighting, steps=8)[0][0] == 0
    train(whole, "--weighting", weighting, steps=8)
    one, other = weights(broken), weights(whole)
    assert all(torch.equal(one[name], other[name]) for name in one)
    last = [read_metrics(out / "metrics.jsonl")[-1]["network/weight_metric"] for out in (broken, whole)]
    assert last[0] == last[1] != pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--batch_size", 21), "batch_size is 21, expected a multiple of 5"),
        (("--metric", "triplets"), "metric is 'triplets', expected one of none, pose, identity, both"),
        (("--weighting", "none"), "weighting is 'none', expected one of dynamic, equal, progress"),
        (("--dataset", "lfw"), "dataset is 'lfw', expected one of kdef"),
        (("--channels", 2), "channels is 2, expected 3 (face, eyes, mouth) or 1 (face)"),
        (("--preset", "phone"), "preset is 'phone', expected one of paper, laptop"),
        (("--data", "kdef=/nowhere", "--restart"), "there is nothing at /nowhere"),
        (("--data", f"world:ict={launching.ROOT / 'README.md'}", "--restart"), "README.md"),
    ],
)
def test_mistakes_get_one_sentence(folder, words, sentence):
    ((status, printed),) = train(folder, *words)
    assert status == 2 and sentence in printed and "Traceback" not in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--encoder vgg", "encoder is 'vgg', expected one of resnet_tiny"),
        ("--encoder swin_t", "encoder is 'swin_t', expected a residual network"),
        ("--weights mine", "weights is 'mine', expected one of random"),
        ("--face_size 2", "face_size is 2, expected at least 3"),
        ("--window 0", "window is 0, expected at least 1"),
        ("--decay_steps 0", "decay_steps is 0, expected at least 1"),
        ("--temperature 0", "temperature is 0.0, expected a number above 0"),
    ],
)
def test_settings_are_checked_before_a_face_is_made(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse_config(Recipe, words.split())


def test_faces_of_other_settings_are_not_taken_for_this_runs(tmp_path):
    """An interrupted run leaves faces and no checkpoint, which alone would tell that they are of another data set."""
    here = {"subjects": 6, "out_dir": str(tmp_path)}
    world = World(0, 1, torch.device("cpu"))
    first, _ = open_faces(recipe(**here), world)
    (again, _), changed = open_faces(recipe(**here, steps=9, seed=1), world), recipe(**here, dataset="multipie")
    assert np.array_equal(first.images, again.images)
    with pytest.raises(ConfigError, match="faces was made with dataset 'kdef', this run has 'multipie'"):
        open_faces(changed, world)
    other, _ = open_faces(replace(changed, restart=True), world)
    assert "squint" in other.expressions and "squint" in open_faces(changed, world)[0].expressions
    (tmp_path / "faces" / "made_with.json").unlink()
    assert len(open_faces(recipe(**here), world)[0]) == len(first), "what was not finished is made anew"


def test_the_pose_branch_stands_still_at_first_and_its_loss_does_not_count():
    faces, settings = noise_faces(), recipe()
    network = build_network(settings, faces)
    objective = Objective(settings, network, 4)
    update = network_update(settings, network, objective, faces)
    assert update.frozen(2) == [network.pose_branch] and update.frozen(3) == []
    world = World(0, 1, torch.device("cpu"))
    terms = {name: torch.tensor(1.0) for name in objective.tasks}
    for index, expected in ((2, 0.0), (3, 2 / 3)):
        step = Step(index, 6, "network", 0, 0, world, 0)
        assert objective.weights(terms, step)["pose"] == pytest.approx(expected)
    before = {name: value.clone() for name, value in network.pose_branch.state_dict().items()}
    trained, log = train_network(recipe(steps=3), faces)
    assert "network/weight_pose" not in log[-1] and len(log) == 3
    after, _ = train_network(recipe(steps=5), faces)
    assert before.keys() == trained.pose_branch.state_dict().keys()
    moved = [
        not torch.equal(one, other)
        for one, other in zip(trained.pose_branch.parameters(), after.pose_branch.parameters(), strict=True)
    ]
    assert all(moved), "afterwards the branch learns"


def test_progress_weights_begin_with_the_run():
    """Also while the pose branch is frozen, whose loss does not count until then."""
    settings = recipe(weighting="progress")
    objective = Objective(settings, build_network(settings, noise_faces()), 4)
    world, terms = World(0, 1, torch.device("cpu")), {name: torch.tensor(0.1) for name in objective.tasks}
    found = [objective.weights(terms, Step(index, 6, "network", 0, 0, world, 0)) for index in range(5)]
    assert [weights["pose"] == 0.0 for weights in found] == [True, True, True, False, False]
    metric = [weights["metric"] for weights in found]
    assert (
        metric[0] == 0.0
        and metric == sorted(metric)
        and metric[4] == pytest.approx(((1 - 0.9**4) * math.exp(-0.1)) ** 2)
    )
    assert all(weights["expression"] == 1.0 for weights in found)


def test_mirrored_faces_have_the_opposite_pose():
    faces, settings = noise_faces(), recipe(mirror=True)
    objective = Objective(settings, build_network(settings, faces), 4)
    world = World(0, 1, torch.device("cpu"))
    batch = faces.batch(np.arange(40))
    changed = objective._mirrored(batch, Step(0, 1, "network", 0, 0, world, 0))
    flipped = (changed["image"] == batch["image"].flip(-1)).flatten(1).all(1)
    assert 5 < flipped.sum() < 35
    assert torch.equal(changed["pose"], torch.where(flipped, 4 - batch["pose"], batch["pose"]))
    assert torch.equal(changed["expression"], batch["expression"])


@pytest.mark.parametrize("metric", ["none", "pose", "identity", "expression", "island", "centre"])
def test_every_metric_trains(metric):
    network, log = train_network(recipe(metric=metric, steps=4), noise_faces())
    assert ("network/metric" in log[-1]) == (metric != "none")
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_a_few_steps_lower_the_loss():
    _, log = train_network(recipe(steps=60, learning_rate=0.01, frozen_steps=0), noise_faces())
    first, last = (np.mean([line["network/expression"] for line in part]) for part in (log[:5], log[-5:]))
    assert last < 0.8 * first


def test_settings_can_be_written_and_read():
    parsed = parse_config(Recipe, ["--labelling.steps", "7", "--hinge", "False"])
    assert parsed.labelling.steps == 7 and parsed.hinge is False
    with pytest.raises(ConfigError, match="expected a multiple of 5"):
        parse_config(Recipe, ["--batch_size", "16"])
    assert parse_config(Recipe, ["--batch_size", "16", "--tuples", "False"]).batch_size == 16
