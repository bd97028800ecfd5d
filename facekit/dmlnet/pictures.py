"""What Figures 10 to 14 show of trained networks: embeddings laid out in the plane, and clusters of faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.manifold import TSNE
from torch import Tensor

from facekit.dmlnet.data import Faces
from facekit.dmlnet.evaluation import Answers, identity_clusters
from facekit.dmlnet.training_runs import trained

TRIPLETS: tuple[str, ...] = ("no triplets", "pose triplets", "identity triplets", "both triplets")
"""The methods of Figures 10, 11, 12 and 13."""


def in_the_plane(embedding: Tensor, seed: int = 0) -> np.ndarray:
    """Barnes-Hut t-SNE (N, 2) float32 of embeddings (N, D), within -1 and 1."""
    points = embedding.numpy()
    found = TSNE(2, perplexity=min(30, (len(points) - 1) / 3), init="pca", random_state=seed).fit_transform(points)
    return (found / np.abs(found).max()).astype(np.float32)


def cluster_members(
    answers: Answers, faces: Faces, expression: str, clusters: int = 4, count: int = 10, seed: int = 0
) -> np.ndarray:
    """Figure 14: rows (clusters, count) of the faces nearest to the middle of each cluster; -1 where it has fewer.

    Raises:
        ValueError: fewer faces than clusters, see :func:`facekit.dmlnet.identity_clusters`.
    """
    numbers, points = identity_clusters(answers, faces, expression, clusters, seed), answers.embedding.numpy()
    rows = np.full((clusters, count), -1)
    for number in range(clusters):
        members = np.flatnonzero(numbers == number)
        away = np.linalg.norm(points[members] - points[members].mean(axis=0), axis=1)
        nearest = members[np.argsort(away)[:count]]
        rows[number, : len(nearest)] = nearest
    return rows


def make_pictures(scale: str, data: str = "world", seed: int = 0) -> dict[str, np.ndarray]:
    """All that the figures of BU-3DFE need, for one seed.

    Returns:
        ``plane/<method>`` (N, 2) for each of ``TRIPLETS``; ``expression``, ``pose`` and ``subject`` (N,), the class
        numbers of the N test faces; ``happy`` (4, 10), numbers of test faces in each cluster, or -1; ``happy_faces``
        (4, 10, 3, S, S) uint8, white where there is none. The last two are left out where too few faces were taken for
        happy.
    """
    found = {method: trained(scale, "bu3dfe", method, data, seed) for method in TRIPLETS}
    made = {f"plane/{method}": in_the_plane(one.answers.embedding, seed) for method, one in found.items()}
    full = found["both triplets"]
    labels = full.test.labels
    made |= {"expression": labels.expression, "pose": labels.pose, "subject": labels.subject}
    try:
        rows = cluster_members(full.answers, full.test, "happiness", seed=seed)
    except ValueError:
        return made
    images = np.where((rows >= 0)[..., None, None, None], full.test.images[rows], np.uint8(255))
    return {**made, "happy": rows, "happy_faces": images}


def load_pictures(path: str | Path) -> dict[str, np.ndarray]:
    """Read an .npz file of what :func:`make_pictures` returned."""
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)
