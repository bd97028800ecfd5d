"""How varied a face model's samples are, how face-like, and whether a code keeps what it stands for.

Fernandez Abrevaya et al. (2019), Section 5.3. Diversity and specificity are the paper's. Decoupling follows the paper's
protocol (embed, threshold with few false acceptances, count pairs that share a code and pass) with an embedding that is
handed in; the ``LinearEmbedding`` here is fitted in seconds and makes a quick check, not the paper's number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from facekit.decoupled_gan.data import MeshDataError, MeshDataset
from facekit.decoupled_gan.losses import UNLABELLED
from facekit.decoupled_gan.model import Codes
from facekit.metrics import diversity, draw_pairs, mean_displacement, specificity

CHUNK = 64


class FaceSampler(Protocol):
    """A generative face model: draws codes part by part, turns codes into meshes (B, V, 3) in millimetres.

    A model that knows a quicker way to the difference of two batches of its faces may have a third method,
    ``difference(first, second)`` of two sets of codes, which ``evaluate`` then takes.
    """

    def sample_codes(self, count: int, generator: torch.Generator) -> Codes: ...
    def __call__(self, codes: Codes) -> Tensor: ...


@dataclass(frozen=True)
class LinearEmbedding:
    """Meshes to a space in which samples of one label lie together: principal components, then linear discriminants.

    Attributes:
        mean: (V, 3); project: (3V, D): what a mesh's offset from the mean is multiplied with.
        threshold: two meshes closer than this count as having the same label.
        accuracy, false_acceptance: of that decision, on held-out pairs (as many alike as different).
    """

    mean: Tensor
    project: Tensor
    threshold: float
    accuracy: float
    false_acceptance: float

    def __call__(self, vertices: Tensor) -> Tensor:
        """Embeddings (B, D) of meshes (B, V, 3)."""
        return (vertices - self.mean).flatten(1) @ self.project

    def same(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether two batches of meshes (B, V, 3) show the same label, pair by pair, (B,) bool."""
        return (self(first) - self(second)).norm(dim=1) < self.threshold

    @classmethod
    def fit(cls, dataset: MeshDataset, factor: str, seed: int = 0, components: int = 60) -> "LinearEmbedding":
        """Fit on two thirds of the labelled meshes; choose the threshold on pairs of the others.

        The threshold is the most accurate one among those that accept less than 10 % of the different pairs.
        """
        generator = torch.Generator().manual_seed(seed)
        labelled = (dataset.labels[factor] != UNLABELLED).nonzero().flatten()
        labelled = labelled[torch.randperm(len(labelled), generator=generator)][:3000]
        meshes, labels = dataset.vertices[labelled], dataset.labels[factor][labelled]
        mean = meshes.mean(dim=0)
        held_out = torch.arange(len(labelled)) % 3 == 0
        offsets = (meshes - mean).flatten(1)
        axes = principal_axes(offsets[~held_out], components)
        project = axes @ _discriminants(offsets[~held_out] @ axes, labels[~held_out])
        embedded = offsets[held_out] @ project
        pairs, alike = draw_alike_and_different(labels[held_out], generator)
        distance = (embedded[pairs[:, 0]] - embedded[pairs[:, 1]]).norm(dim=1)
        return cls(mean, project, *best_threshold(distance, alike))


def principal_axes(offsets: Tensor, components: int) -> Tensor:
    """Leading directions (3V, K) of offsets (N, 3V), through the N x N matrix of their products."""
    values, vectors = torch.linalg.eigh((offsets @ offsets.T).double())
    keep = torch.arange(len(values) - min(components, len(values) - 1), len(values))
    scale = values[keep].clamp(min=1e-9).sqrt()
    return offsets.T @ (vectors[:, keep] / scale).float()


def _discriminants(features: Tensor, labels: Tensor, shrinkage: float = 0.1) -> Tensor:
    """Linear discriminants (D, C - 1) of features (N, D) with C labels: the directions of the label's means after the
    scatter within labels, pulled towards its diagonal by ``shrinkage``, has been made round."""
    features, (_, place) = features.double(), labels.unique(return_inverse=True)
    counts = torch.bincount(place).double()
    means = torch.zeros(len(counts), features.shape[1], dtype=torch.float64).index_add_(0, place, features)
    means = means / counts[:, None]
    inside = features - means[place]
    scatter = inside.T @ inside / len(features)
    scatter = (1 - shrinkage) * scatter + shrinkage * scatter.diagonal().mean() * torch.eye(len(scatter)).double()
    values, vectors = torch.linalg.eigh(scatter)
    whiten = vectors / values.clamp(min=1e-12).sqrt()
    between = ((means - features.mean(dim=0)) * (counts / len(features)).sqrt()[:, None]) @ whiten
    directions = torch.linalg.svd(between, full_matrices=False).Vh[: len(counts) - 1]
    return (whiten @ directions.T).float()


def draw_alike_and_different(labels: Tensor, generator: torch.Generator, count: int = 4000) -> tuple[Tensor, Tensor]:
    """Random pairs (P, 2) of samples with labels (N,), and whether they are alike (P,): half of them each."""
    alike = draw_pairs(len(labels), count, generator, labels)
    others = draw_pairs(len(labels), 8 * count, generator)
    others = others[labels[others[:, 0]] != labels[others[:, 1]]][:count]
    alike = alike[: len(others)]
    pairs = torch.cat([alike, others])
    return pairs, torch.arange(len(pairs)) < len(alike)


def best_threshold(distance: Tensor, alike: Tensor, most_false: float = 0.10) -> tuple[float, float, float]:
    """Threshold, accuracy and false acceptance rate: the best accuracy with less than ``most_false``.

    The threshold is the middle of the gap between the last pair that is accepted and the first that is not.
    """
    order = distance.argsort()
    none = torch.zeros(1, dtype=torch.int64)
    accepted = torch.cat([none, alike[order].cumsum(0)])
    wrong = torch.cat([none, (~alike[order]).cumsum(0)])
    accuracy = (accepted + (~alike).sum() - wrong) / len(alike)
    false = wrong / (~alike).sum()
    best = int(torch.where(false < most_false, accuracy, -1.0).argmax())
    ordered = torch.cat([distance.new_zeros(1), distance[order]])
    return float(ordered[best : best + 2].mean()), float(accuracy[best]), float(false[best])


def evaluate(
    sampler: FaceSampler,
    dataset: MeshDataset,
    embeddings: Mapping[str, LinearEmbedding] | None = None,
    pairs: int = 1000,
    samples: int = 200,
    seed: int = 0,
) -> dict[str, float]:
    """Diversity and specificity of a face model in millimetres, and decoupling in percent.

    ``diversity`` is over random pairs; ``diversity_<factor>`` over pairs that share the factor's code;
    ``decoupling_<factor>`` is the share of these pairs that the factor's embedding takes for the same label. Factors
    that the model has no code for are left out. The paper takes 10,000 pairs and 1,000 samples.
    """
    generator = torch.Generator().manual_seed(seed)
    measured = {"diversity": _mean_distance(sampler, pairs, generator, None)[0]}
    parts = sampler.sample_codes(1, generator)
    for factor in dataset.labels:
        if factor not in parts:
            continue
        embedding = (embeddings or {}).get(factor)
        distance, same = _mean_distance(sampler, pairs, generator, factor, embedding)
        measured[f"diversity_{factor}"] = distance
        if same is not None:
            measured[f"decoupling_{factor}"] = 100 * same
    made = sampler(sampler.sample_codes(samples, generator)).cpu()
    return measured | {"specificity": specificity(made, dataset.vertices)}


@torch.no_grad()
def _mean_distance(
    sampler: FaceSampler,
    pairs: int,
    generator: torch.Generator,
    shared: str | None,
    embedding: Callable | None = None,
) -> tuple[float, float | None]:
    """Mean vertex distance of pairs that share a part of the code, and the share that the embedding calls the same."""
    distances, same = [], []
    for start in range(0, pairs, CHUNK):
        count = min(CHUNK, pairs - start)
        first, second = (sampler.sample_codes(count, generator) for _ in range(2))
        if shared is not None:
            second[shared] = first[shared]
        if embedding is None and hasattr(sampler, "difference"):
            distances.append(mean_displacement(sampler.difference(first, second)).cpu())
            continue
        one, other = sampler(first).cpu(), sampler(second).cpu()
        distances.append(mean_displacement(one - other))
        if embedding is not None:
            same.append(embedding.same(one, other))
    return torch.cat(distances).mean().item(), torch.cat(same).float().mean().item() if same else None


def evaluate_data(dataset: MeshDataset, pairs: int = 10_000, seed: int = 0) -> dict[str, float]:
    """Diversity of the training meshes themselves, by their labels: the paper's first row of Table 1.

    Raises:
        MeshDataError: no two meshes share a label of some factor, so that there is no pair to measure.
    """
    generator = torch.Generator().manual_seed(seed)
    measured = {"diversity": diversity(dataset.vertices, generator, pairs=pairs)}
    for factor, label in dataset.labels.items():
        labelled = (label != UNLABELLED).nonzero().flatten()
        if len(label[labelled].unique()) == len(labelled):
            raise MeshDataError(f"{dataset.name}: no two of its {len(labelled)} labelled meshes have the same {factor}")
        chosen = dataset.vertices[labelled]
        measured[f"diversity_{factor}"] = diversity(chosen, generator, label[labelled], pairs)
    return measured


class LinearGaussian:
    """The simplest face model: principal components of all meshes, one Gaussian over their coefficients.

    It has one code, ``all``: nothing is decoupled. Arguments: the training meshes, and how many components to keep (the
    default has as many as the paper's codes together).
    """

    def __init__(self, dataset: MeshDataset, components: int = 85) -> None:
        rows = torch.from_numpy(np.linspace(0, len(dataset) - 1, min(len(dataset), 3000)).astype(np.int64))
        meshes = dataset.vertices[rows]
        self.mean = meshes.mean(dim=0)
        offsets = (meshes - self.mean).flatten(1)
        axes = principal_axes(offsets, components)
        self.basis = (axes * (offsets @ axes).std(dim=0)).T.unflatten(1, (-1, 3))

    def sample_codes(self, count: int, generator: torch.Generator) -> Codes:
        """Standard normal coefficients, ``all (count, K)``."""
        return {"all": torch.randn(count, len(self.basis), generator=generator)}

    def __call__(self, codes: Codes) -> Tensor:
        """Meshes (B, V, 3) in millimetres."""
        return self.mean + torch.einsum("bk,kvc->bvc", codes["all"], self.basis)
