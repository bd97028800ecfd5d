"""What the tables are made of: trained networks, and rates of some of their test faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from facekit.dmlnet.data import Faces
from facekit.dmlnet.evaluation import Answers, recognition_rates
from facekit.dmlnet.published import SHORT
from facekit.dmlnet.training_runs import Trained, recipe_for, trained
from facekit.experiments import Run

BASELINES = ("ResNet50", "triplet network", "island-loss network")
"""Measured beside DML-Net: the backbone alone, with triplets of expressions, and with the island loss."""


def run_of(run: Run, dataset: str, method: str, start: str = "", longer: int = 1) -> Trained:
    """Train a method for a run of an experiment and note the settings."""
    recipe = recipe_for(run.scale, dataset, method, longer=longer)
    for name in ("encoder", "face_size", "steps", "batch_size", "subjects", "learning_rate", "margin"):
        run.config[name] = getattr(recipe, name)
    found = trained(run.scale, dataset, method, run.data, run.seed, start, longer)
    run.config[f"test_faces_{dataset}"] = len(found.test)
    return found


def compared(
    run: Run, dataset: str, measure: Callable[[Trained], Mapping[str, float]], start: str = ""
) -> dict[str, dict[str, float]]:
    """The same measurement of DML-Net and of the baselines."""
    return {method: dict(measure(run_of(run, dataset, method, start))) for method in ("DML-Net", *BASELINES)}


def rates(found: Trained) -> dict[str, float]:
    """Recognition rates of the test faces."""
    return recognition_rates(found.answers, found.test)


def hits(found: Trained) -> np.ndarray:
    """Whether (N,) each test face's expression was named correctly."""
    return found.answers.expression.numpy() == found.test.labels.expression


def rates_by(found: Trained, labels: np.ndarray, names: Mapping[int, str]) -> dict[str, float]:
    """Expression rates of the faces with each label, and of all; what no face has is left out."""
    right = hits(found)
    parts = {name: right[labels == label] for label, name in names.items()} | {"average": right}
    return {name: 100.0 * float(part.mean()) for name, part in parts.items() if len(part)}


def yaw_names(faces: Faces) -> dict[int, str]:
    return {number: f"{yaw:g}" for number, yaw in enumerate(faces.yaws)}


def short_names(faces: Faces) -> dict[int, str]:
    return {number: SHORT.get(name, name) for number, name in enumerate(faces.expressions)}


def part_of(found: Trained, rows: np.ndarray) -> Trained:
    """The same answers about some of the test faces."""
    chosen = np.flatnonzero(rows)
    answers = Answers(*(None if part is None else part[chosen] for part in found.answers))
    return found._replace(test=found.test.select(rows), answers=answers)
