"""``book/decoupled_gan/train.py`` from the command line: one process, two processes, presets, errors."""

import json
from pathlib import Path

import launching
import pytest
import torch

from facekit.decoupled_gan import load_run
from facekit.meshes import load_mesh
from facekit.training import load_checkpoint
from tests.decoupled_gan.gan_sheets import sheet_dataset

SCRIPT = "book/decoupled_gan/train.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A saved set of sheets, as a reader would bring registered scans."""
    folder = tmp_path_factory.mktemp("sheets")
    sheet_dataset(side=10, count=48).save(folder)
    return folder


def train(out: Path, folder: Path, *more: object, processes: int = 1, steps: int = 3) -> list[tuple[int, str]]:
    settings = {"data": f"meshes={folder}", "out_dir": out, "steps": steps, "batch_size": 8, "image_size": 16}
    settings |= {"progress": "False", "log_every": 1}
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    return launching.run(SCRIPT, "--preset", "laptop", *words, *more, processes=processes)


def test_a_run_leaves_weights_meshes_and_faces(tmp_path, folder):
    ((status, printed),) = train(tmp_path / "run", folder)
    assert status == 0, printed
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    measured = {"diversity", "diversity_identity", "diversity_expression", "specificity", "decoupling_identity"}
    assert measured < set(lines[-1]) and "generator/regularizer" in lines[-1]
    gan, meshes = load_run(tmp_path / "run")
    assert meshes.num_vertices == 100 and gan.discriminator.mapping.size == 16
    sample = load_mesh(tmp_path / "run" / "samples" / "random_0.ply")
    codes = gan.generator.sample_codes(7, torch.Generator().manual_seed(0))
    torch.testing.assert_close(sample.vertices, gan.sample(codes)[0], rtol=0, atol=1e-3)
    assert torch.equal(sample.faces, meshes.faces)


def test_two_processes_train_the_weights_of_one(tmp_path, folder):
    one, two = tmp_path / "one", tmp_path / "two"
    for out, processes in ((one, 1), (two, 2)):
        results = train(out, folder, processes=processes)
        assert [status for status, _ in results] == [0] * processes, results
    assert share_of_weights_that_differ(one, two) < 0.01
    train(tmp_path / "other", folder, "--seed", 1)
    assert share_of_weights_that_differ(one, tmp_path / "other") > 0.5


def share_of_weights_that_differ(one: Path, other: Path) -> float:
    """By a tenth of what one step of Adam moves a weight. Not all agree: Adam divides by the gradient's size, so that
    a weight whose gradient is rounding alone goes either way."""
    states = [load_checkpoint(out / "weights.pt", kind="weights")["models"]["gan"] for out in (one, other)]
    assert states[0].keys() == states[1].keys()
    return torch.cat([((states[0][key] - states[1][key]).abs() > 1e-4).flatten() for key in states[0]]).float().mean()


def test_a_continued_run_ends_where_an_unbroken_one_does(tmp_path, folder):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    schedule = ("--final_learning_rate", 1e-3, "--save_every", 2)
    train(broken, folder, *schedule, steps=2)
    assert train(broken, folder, *schedule, steps=4)[0][0] == 0
    train(whole, folder, *schedule, steps=4)
    states = [load_checkpoint(out / "weights.pt", kind="weights")["models"]["gan"] for out in (broken, whole)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "phone"), "preset is 'phone', expected one of paper, laptop"),
        (("--batch_size", 9), "batch_size is 9, expected an even number"),
        (("--level", 7), "level is 7, expected 0, 1 or 2"),
        (("--image_size", 40), "image_size is 40, expected a multiple of 16"),
        (("--code.identity", -4), "code.identity is -4, expected 0 (left out) or a length"),
        (("--linear_start", -1), "linear_start is -1.0, expected 0 (none) or a scale such as 0.6"),
        (("--weights.features", 1), "unknown setting 'weights.features'"),
        (("--data", "meshes=/nowhere"), "/nowhere holds no saved meshes"),
        (("--data", "world:ict=/nowhere"), "there is nothing at /nowhere"),
        (("--data", "bu3dfe=."), "registered meshes are given as meshes=FOLDER"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path, folder, words, sentence):
    ((status, printed),) = train(tmp_path / "run", folder, *words)
    assert status == 2 and sentence in printed
    assert "Traceback" not in printed
