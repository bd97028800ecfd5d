"""What is measured of a trained network: recognition rates, speed, and how faces lie in the embedding."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from torch import Tensor

from facekit.dmlnet.data import Faces
from facekit.dmlnet.model import DMLNet
from facekit.metrics import confusion_counts


class Answers(NamedTuple):
    """What a network says about N faces."""

    embedding: Tensor
    """(N, D)."""
    expression: Tensor
    """Class numbers (N,)."""
    pose: Tensor | None
    """Class numbers (N,); None for a network without a pose branch."""


@torch.no_grad()
def answer(network: DMLNet, faces: Faces, block: int = 256) -> Answers:
    """Run a network, in evaluation mode, over faces."""
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(faces), block):
        images = faces.batch(np.arange(start, min(start + block, len(faces))))["image"].to(device)
        found = network(images)
        pose = torch.empty(0) if found.pose is None else found.pose.argmax(dim=1)
        parts.append((found.embedding.cpu(), found.expression.argmax(dim=1).cpu(), pose.cpu()))
    embedding, expression, pose = (torch.cat(part) for part in zip(*parts, strict=True))
    return Answers(embedding, expression, pose if len(pose) else None)


def recognition_rates(answers: Answers, faces: Faces) -> dict[str, float]:
    """Percentages: share of faces whose expression, and pose where it is estimated, was named correctly.

    There are none of no face.
    """
    if not len(faces):
        return {}
    rates = {"expression": _rate(answers.expression, faces.labels.expression)}
    if answers.pose is not None:
        rates["pose"] = _rate(answers.pose, faces.labels.pose)
    return rates


def confusion(answers: Answers, faces: Faces) -> dict[str, Tensor]:
    """Counts (C, C) of expressions and, where they are estimated, of poses; rows the true class."""
    counts = {
        "expression": confusion_counts(
            answers.expression, torch.from_numpy(faces.labels.expression), len(faces.expressions)
        )
    }
    if answers.pose is not None:
        counts["pose"] = confusion_counts(answers.pose, torch.from_numpy(faces.labels.pose), len(faces.yaws))
    return counts


@torch.no_grad()
def images_per_second(network: DMLNet, faces: Faces, batch_size: int = 64, repeats: int = 5) -> float:
    """Faces that go through the network in a second, the median of some runs over one batch."""
    device = next(network.parameters()).device
    images = faces.batch(np.arange(batch_size) % len(faces))["image"].to(device)
    network(images)
    took = []
    for _ in range(repeats):
        started = time.perf_counter()
        network(images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - started)
    return batch_size / statistics.median(took)


def clustering_scores(answers: Answers, faces: Faces) -> dict[str, float]:
    """How well the embedding groups faces by expression, by pose and by subject: silhouettes from -1 to 1.

    A representation that serves expressions alone has a high first number, and the others near or below zero.
    """
    points = answers.embedding.numpy()
    labels = {"expression": faces.labels.expression, "pose": faces.labels.pose, "subject": faces.labels.subject}
    return {name: float(silhouette_score(points, ids)) for name, ids in labels.items() if len(np.unique(ids)) > 1}


def identity_clusters(answers: Answers, faces: Faces, expression: str, clusters: int = 4, seed: int = 0) -> np.ndarray:
    """Figure 14: clusters (N,) of the frontal faces that were taken for ``expression``; -1 for all other faces.

    Raises:
        ValueError: fewer such faces than clusters.
    """
    frontal = int(np.argmin(np.abs(faces.yaws)))
    chosen = (answers.expression.numpy() == faces.expressions.index(expression)) & (faces.labels.pose == frontal)
    if chosen.sum() < clusters:
        raise ValueError(f"{chosen.sum()} frontal faces were taken for {expression}, too few for {clusters} clusters")
    numbers = np.full(len(faces), -1)
    fitted = KMeans(clusters, n_init=10, random_state=seed).fit(answers.embedding.numpy()[chosen])
    numbers[chosen] = fitted.labels_
    return numbers


def togetherness(clusters: np.ndarray, subjects: np.ndarray) -> float:
    """Share (%) of faces that are in the cluster which most faces of their subject are in; -1 marks faces left out.

    Subjects with a single face are left out: they are always together.
    """
    together = total = 0
    for subject in np.unique(subjects[clusters >= 0]):
        mine = clusters[(subjects == subject) & (clusters >= 0)]
        if len(mine) > 1:
            together, total = together + np.bincount(mine).max(), total + len(mine)
    return 100.0 * together / max(total, 1)


def _rate(found: Tensor, truth: np.ndarray) -> float:
    return 100.0 * float((found.numpy() == truth).mean())


def descent(log: list[dict[str, float]], parts: int) -> dict[str, list[float]]:
    """Figure 15: the losses of a log by task, divided by their first value; means over ``parts`` equal parts of it.

    A log of fewer lines than parts is given line by line.
    """
    tasks = [name for name in ("expression", "pose", "metric") if f"network/{name}" in log[0]]
    losses = np.array([[line[f"network/{task}"] for task in tasks] for line in log]) / [
        log[0][f"network/{task}"] for task in tasks
    ]
    means = [part.mean(axis=0) for part in np.array_split(losses, min(parts, len(losses)))]
    return {task: [float(mean[number]) for mean in means] for number, task in enumerate(tasks)}


def descent_spread(log: list[dict[str, float]], window: int = 5) -> dict[str, float]:
    """Figure 15 in two numbers, of losses divided by their first mean over ``window`` lines of a log.

    ``spread`` is the mean over time of the standard deviation between the tasks: small when all losses fall alike.
    ``roughness`` is the mean rise of a loss from one window to the next, rises alone: zero for a smooth descent.
    """
    courses = descent(log, max(1, len(log) // window))
    means = np.array(list(courses.values())).T
    relative = means / means[0]
    rises = np.diff(relative, axis=0).clip(min=0.0)
    return {
        "spread": float(relative.std(axis=1).mean()),
        "roughness": float(rises.mean()) if rises.size else 0.0,
    }
