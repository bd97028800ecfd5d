"""What the pictures of trained networks are made of: planes, clusters, courses of losses; and their file."""

import runpy
import sys

import numpy as np
import pytest
import torch

from facekit.dmlnet import (
    TRIPLETS,
    Answers,
    FaceLabels,
    Faces,
    cluster_members,
    descent,
    descent_spread,
    in_the_plane,
    load_pictures,
    make_pictures,
)


def test_pictures_of_four_networks_come_back_from_the_scripts_file(tmp_path, repository, monkeypatch):
    made = make_pictures("smoke")
    monkeypatch.setattr(sys, "argv", ["figures.py", "--scale", "smoke", "--out", str(tmp_path / "figures.npz")])
    runpy.run_path(str(repository / "book" / "dmlnet" / "figures.py"), run_name="__main__")
    again = load_pictures(tmp_path / "figures.npz")
    assert set(again) == set(made) > {f"plane/{method}" for method in TRIPLETS}
    for name, values in made.items():
        assert np.array_equal(again[name], values), name
    for method in TRIPLETS:
        assert made[f"plane/{method}"].shape == (len(made["expression"]), 2)
        assert np.abs(made[f"plane/{method}"]).max() == pytest.approx(1.0)
    if "happy" in made:
        assert made["happy_faces"].shape == (4, 10, 3, 16, 16)
        assert (made["happy_faces"][made["happy"] < 0] == 255).all()


def test_the_plane_keeps_groups_apart():
    random = torch.Generator().manual_seed(0)
    groups = torch.arange(40) % 2
    plane = in_the_plane(4.0 * groups[:, None] + 0.1 * torch.randn(40, 6, generator=random))
    one, other = plane[groups.numpy() == 0], plane[groups.numpy() == 1]
    between = np.linalg.norm(one.mean(axis=0) - other.mean(axis=0))
    assert between > 2 * max(one.std(axis=0).max(), other.std(axis=0).max())


def test_the_faces_of_a_cluster_are_those_nearest_to_its_middle():
    """Four heaps of five and three faces; in each, the last face lies away from the others."""
    heap = np.repeat(np.arange(4), (5, 5, 5, 3))
    places = torch.zeros(18, 4)
    places[torch.arange(18), torch.from_numpy(heap)] = 1.0
    last = np.flatnonzero(np.append(np.diff(heap), 1))
    places[last] *= 1.2
    zeros = np.zeros(18, np.int64)
    faces = Faces(np.zeros((18, 3, 4, 4), np.uint8), FaceLabels(zeros, zeros, heap), ("happiness",), (0.0,))
    answers = Answers(places, torch.zeros(18, dtype=torch.int64), None)
    rows = cluster_members(answers, faces, "happiness", count=4)
    assert sorted((row >= 0).sum() for row in rows) == [3, 4, 4, 4]
    for row in rows:
        chosen = row[row >= 0]
        assert len(np.unique(heap[chosen])) == 1
        assert (row >= 0).sum() == 3 or not np.isin(last, chosen).any()


def log_of(**courses):
    return [
        {f"network/{task}": value for task, value in zip(courses, values, strict=True)}
        for values in zip(*courses.values(), strict=True)
    ]


def test_losses_are_divided_by_their_first_value_and_averaged_over_parts():
    log = log_of(expression=[4.0, 2.0, 1.0, 1.0], metric=[1.0, 1.0, 0.5, 0.5])
    assert descent(log, 2) == {"expression": [0.75, 0.25], "metric": [1.0, 0.5]}
    assert descent(log, 10) == {"expression": [1.0, 0.5, 0.25, 0.25], "metric": [1.0, 1.0, 0.5, 0.5]}


def test_losses_that_fall_alike_have_no_spread_and_falling_ones_no_roughness():
    falling = list(np.linspace(1.0, 0.1, 20))
    alike = descent_spread(log_of(expression=falling, pose=[3 * value for value in falling]))
    assert alike["spread"] == pytest.approx(0.0) and alike["roughness"] == 0.0
    apart = descent_spread(log_of(expression=falling, pose=[1.0] * 20))
    assert apart["spread"] > 0.1
    uneven = descent_spread(log_of(expression=[1.0] * 5 + [0.5] * 5 + [0.8] * 5, pose=[1.0] * 15))
    assert uneven["roughness"] == pytest.approx(0.3 / 4)
