"""Networks trained for the experiments, each once in a process: tables of the same data share their runs.

A method is what it changes in the recipe of a scale. Pictures do not depend on the seed: a data set is what it is, and
a seed draws the initial weights, the batches and the mirroring.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from facekit.dmlnet.data import Faces
from facekit.dmlnet.evaluation import Answers, answer, images_per_second
from facekit.dmlnet.labelling import Effort
from facekit.dmlnet.model import DMLNet
from facekit.dmlnet.opening import make_faces
from facekit.dmlnet.published import STEPS
from facekit.dmlnet.recipe import LaptopRecipe, Objective, Recipe, build_network, network_update
from facekit.training import TrainingLoop, distributed_run, read_metrics, seed_everything

SCALES = {
    "smoke": LaptopRecipe(
        subjects=10, face_size=16, steps=4, batch_size=20, frozen_steps=1, log_every=1,
        labelling=Effort(sources=12, people=6, steps=60, encoder="resnet_tiny"),
    ),
    "notebook": LaptopRecipe(face_size=32, steps=300, decay_steps=30, frozen_steps=30, log_every=4),
    "small": LaptopRecipe(
        subjects=0, face_size=64, encoder="resnet18", steps=4000, decay_steps=400, frozen_steps=200, ema=0.999,
        labelling=Effort(sources=400, people=300, steps=1500, encoder="resnet18"),
    ),
    "paper": Recipe(),
}  # fmt: skip
"""Settings of each scale."""

SIZES: Mapping[tuple[str, str], dict[str, int]] = {
    ("smoke", "kdef"): {"sessions": 1},
    ("smoke", "bu3dfe"): {"views": 3, "subjects": 6},
    ("smoke", "sfew"): {"subjects": 30},
    ("notebook", "kdef"): {"sessions": 1, "subjects": 70},
    ("notebook", "bu3dfe"): {"views": 5, "subjects": 30},
    ("notebook", "multipie"): {"subjects": 80},
    ("notebook", "sfew"): {"subjects": 350},
    ("small", "bu3dfe"): {"subjects": 40},
}
"""Sizes of the twins, where they differ from the published ones and from the recipe's."""

PLAIN = {"pose_branch": False, "metric": "none", "tuples": False, "weighting": "equal"}
_CHANGES: tuple[dict[str, Any], ...] = (
    {**PLAIN, "channels": 1},
    PLAIN,
    {"metric": "none", "tuples": False, "weighting": "equal"},
    {"weighting": "equal"},
    {},
)
METHODS: dict[str, dict[str, Any]] = {
    **dict(zip(STEPS, _CHANGES, strict=True)),
    "DML-Net": {},
    "triplet network": {**PLAIN, "channels": 1, "metric": "expression"},
    "island-loss network": {**PLAIN, "channels": 1, "metric": "island"},
    "no triplets": {"metric": "none"},
    "pose triplets": {"metric": "pose"},
    "identity triplets": {"metric": "identity"},
    "both triplets": {},
    "DML-Net, progress weights": {"weighting": "progress"},
}
"""Method -> the settings in which it differs from the full network."""


class Trained(NamedTuple):
    """A network after training, and what it did."""

    network: DMLNet
    test: Faces
    answers: Answers
    """About the test faces."""
    log: list[dict[str, float]]
    """Lines of metrics.jsonl."""

    def speed(self) -> float:
        """Faces per second."""
        return images_per_second(self.network, self.test)


def recipe_for(scale: str, dataset: str, method: str, data: str = "world", seed: int = 0, longer: int = 1) -> Recipe:
    """The settings of one run, or of one with ``longer`` times the steps and the same course of its rates."""
    subjects = SIZES.get((scale, dataset), {}).get("subjects", SCALES[scale].subjects)
    base = replace(SCALES[scale], data=data, dataset=dataset, subjects=subjects, seed=seed, progress=False)
    stages = {name: longer * getattr(base, name) for name in ("steps", "decay_steps", "frozen_steps")}
    return replace(base, **stages, **METHODS[method])


@cache
def faces_for(scale: str, dataset: str, data: str = "world") -> tuple[Faces, Faces]:
    """Training and test faces of a scale."""
    sizes = {name: size for name, size in SIZES.get((scale, dataset), {}).items() if name != "subjects"}
    return make_faces(recipe_for(scale, dataset, "DML-Net", data), **sizes)


def trained(
    scale: str, dataset: str, method: str, data: str = "world", seed: int = 0, start: str = "", longer: int = 1
) -> Trained:
    """Train a method; ``start`` names the data set on which the same method is trained first."""
    first = next(name for name, changes in METHODS.items() if changes == METHODS[method])
    return _trained(scale, dataset, first, data, seed, start, longer)


@cache
def _trained(scale: str, dataset: str, method: str, data: str, seed: int, start: str, longer: int) -> Trained:
    train, test = faces_for(scale, dataset, data)
    recipe = recipe_for(scale, dataset, method, data, seed, longer)
    initial = trained(scale, start, method, data, seed, longer=longer).network if start else None
    network, log = train_network(recipe, train, initial)
    return Trained(network, test, answer(network, test), log)


def train_network(recipe: Recipe, faces: Faces, initial: DMLNet | None = None) -> tuple[DMLNet, list[dict[str, float]]]:
    """Train on faces in memory; return the network, with averaged weights where the recipe asks so, and the log.

    Args:
        initial: a network whose channels, fusion and embedding are taken over; its branches have other classes.
    """
    with tempfile.TemporaryDirectory() as folder, distributed_run(recipe) as world:
        seed_everything(recipe.seed, "network")
        network = build_network(recipe, faces)
        if initial is not None:
            take_over(network, initial)
        network.to(world.device)
        objective = Objective(recipe, network, len(faces.expressions)).to(world.device)
        models = {"network": network, "objective": objective}
        updates = [network_update(recipe, network, objective, faces)]
        recipe = replace(recipe, out_dir=folder, save_every=recipe.steps)
        loop = TrainingLoop(recipe, world, models, updates, state={"weights": objective.rule})
        loop.run()
        with loop.averaged():
            weights = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(weights)
        return network.eval(), read_metrics(Path(folder) / "metrics.jsonl")


@torch.no_grad()
def take_over(network: DMLNet, other: DMLNet) -> None:
    """Copy what extracts features; the branches stay as they are."""
    weights = {name: value for name, value in other.state_dict().items() if "branch" not in name}
    network.load_state_dict(weights, strict=False)
