"""Face models without training: an additive linear 3DMM and a bilinear model, and what the learnt baselines share.

The introduction of Fernandez Abrevaya et al. (2019) names both as what the field used: "identity and expression
subspaces modelled as two independent linear factors which are additively combined", and "multilinear models", which
"require a complete labelled data tensor".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from facekit.decoupled_gan.data import CHUNK, MeshDataError, MeshDataset
from facekit.decoupled_gan.evaluation import principal_axes

MOST_MESHES = 3000


@dataclass(frozen=True)
class GaussianCode:
    """A Gaussian over the weights of a model: standard normal codes (B, D) to weights (B, K) ``mean + z basis``."""

    mean: Tensor
    basis: Tensor

    def __call__(self, code: Tensor) -> Tensor:
        return self.mean + code @ self.basis

    @classmethod
    def fit(cls, weights: Tensor, size: int) -> "GaussianCode":
        """Mean and covariance of weights (N, K), the covariance along ``size`` leading axes at most."""
        mean = weights.mean(dim=0)
        covariance = torch.cov(weights.double().T).reshape(weights.shape[1], -1)
        values, vectors = torch.linalg.eigh(covariance)
        keep = min(size, len(values), len(weights) - 1)
        basis = vectors[:, -keep:] * values[-keep:].clamp(min=0).sqrt()
        return cls(mean, basis.T.flip(0).to(weights))


class CodedFaces:
    """A face model (see ``FaceSampler``) whose weights are drawn from one Gaussian for each part of the code.

    Args:
        parts: the Gaussians.
        decode: weights of all parts to meshes (B, V, 3) in millimetres.
    """

    def __init__(self, parts: Mapping[str, GaussianCode], decode: Callable[[dict[str, Tensor]], Tensor]) -> None:
        self.parts = dict(parts)
        self._decode = decode

    def sample_codes(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Standard normal codes, (count, D) for each part."""
        return {name: torch.randn(count, len(part.basis), generator=generator) for name, part in self.parts.items()}

    def __call__(self, codes: Mapping[str, Tensor]) -> Tensor:
        """Meshes (B, V, 3) in millimetres."""
        return self._decode({name: part(codes[name]) for name, part in self.parts.items()})


def neutral_faces(dataset: MeshDataset) -> Tensor:
    """The neutral face of each person (P, V, 3): the mean of the meshes that are labelled so.

    Raises:
        MeshDataError: somebody has no mesh labelled neutral; the message names a sample of theirs.
    """
    identity, expression = dataset.labels["identity"], dataset.labels["expression"]
    neutral = expression == dataset.label_names["expression"].index("neutral")
    count = dataset.num_labels["identity"]
    missing = torch.bincount(identity[neutral & (identity >= 0)], minlength=count) == 0
    lacking = (missing[identity.clamp(min=0)] & (identity >= 0)).nonzero().flatten()
    if len(lacking):
        index = int(lacking[0])
        person = dataset.label_names["identity"][int(identity[index])]
        raise MeshDataError(f"{dataset.sample_name(index)}: {person} has no mesh labelled neutral, one is needed")
    rows = (neutral & (identity >= 0)).nonzero().flatten()
    total = torch.zeros(count, *dataset.vertices.shape[1:]).index_add_(0, identity[rows], dataset.vertices[rows])
    return total / torch.bincount(identity[rows], minlength=count).clamp(min=1)[:, None, None]


def expression_displacements(dataset: MeshDataset, neutrals: Tensor, rows: Tensor) -> Tensor:
    """Displacements (M, V, 3) in millimetres of the meshes ``rows (M,)`` from their own people's neutral faces."""
    return dataset.vertices[rows] - neutrals[dataset.labels["identity"][rows]]


def linear_basis(samples: Tensor, size: int) -> tuple[GaussianCode, Tensor, Tensor]:
    """Principal components of samples (N, V, 3): Gaussian over the coefficients, mean (V, 3) and axes (K, V, 3)."""
    mean = samples.mean(dim=0)
    offsets = (samples - mean).flatten(1)
    axes = principal_axes(offsets, size)
    coefficients = offsets @ axes
    spread = GaussianCode(torch.zeros(axes.shape[1]), coefficients.std(dim=0).diag())
    return spread, mean, axes.T.unflatten(1, (-1, 3))


def additive_linear(dataset: MeshDataset, identity: int = 65, expression: int = 20) -> CodedFaces:
    """A linear 3DMM: principal components of the people's neutral faces plus those of expression displacements."""
    neutrals = neutral_faces(dataset)
    of_people, mean, people_axes = linear_basis(neutrals, identity)
    rows = torch.linspace(0, len(dataset) - 1, min(len(dataset), MOST_MESHES)).round().long()
    of_moves, mean_move, move_axes = linear_basis(expression_displacements(dataset, neutrals, rows), expression)
    reference = mean + mean_move

    def decode(weights: dict[str, Tensor]) -> Tensor:
        people = torch.einsum("bk,kvc->bvc", weights["identity"], people_axes)
        return reference + people + torch.einsum("bk,kvc->bvc", weights["expression"], move_axes)

    return CodedFaces({"identity": of_people, "expression": of_moves}, decode)


@dataclass(frozen=True)
class MultilinearModel:
    """A tensor of labelled meshes in two modes, by higher-order singular value decomposition.

    Attributes:
        mean: (V, 3) millimetres.
        core: (I, E, 3V) millimetres; a mesh is ``mean`` plus the core times the weights of both modes.
        people: numbers of the people in the tensor (P,).
        identity, expression: their weights (P, I), and those of the labels (L, E), of order one.
    """

    mean: Tensor
    core: Tensor
    people: Tensor
    identity: Tensor
    expression: Tensor

    def __call__(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Meshes (B, V, 3) in millimetres of weights ``identity (B, I)`` and ``expression (B, E)``."""
        product = torch.einsum("bi,be->bie", weights["identity"], weights["expression"]).flatten(1)
        return self.mean + (product @ self.core.flatten(0, 1)).unflatten(1, (-1, 3))

    @classmethod
    def fit(cls, dataset: MeshDataset, identity: int = 65, expression: int = 20) -> "MultilinearModel":
        """From the people of whom every expression is labelled.

        Args:
            dataset: the meshes.
            identity, expression: most weights of each mode; there are never more than people or labels.

        Raises:
            MeshDataError: fewer than two people have all labels; the message names a sample and what its person lacks.
        """
        people, tensor = labelled_tensor(dataset)
        mean = tensor.mean(dim=(0, 1))
        offsets = (tensor - mean).flatten(2)
        modes = [_mode(offsets, identity), _mode(offsets.transpose(0, 1), expression)]
        core = torch.einsum("plv,pi,le->iev", offsets, *modes)
        scales = [len(mode) ** 0.5 for mode in modes]
        return cls(mean, core / (scales[0] * scales[1]), people, modes[0] * scales[0], modes[1] * scales[1])


def bilinear(dataset: MeshDataset, identity: int = 65, expression: int = 20) -> CodedFaces:
    """The multilinear model of the labelled tensor alone, with Gaussians over its weights."""
    model = MultilinearModel.fit(dataset, identity, expression)
    parts = {name: GaussianCode.fit(getattr(model, name), size) for name, size in
             (("identity", identity), ("expression", expression))}  # fmt: skip
    return CodedFaces(parts, model)


def labelled_tensor(dataset: MeshDataset) -> tuple[Tensor, Tensor]:
    """People with every expression label (P,), and their mean mesh for each label (P, L, V, 3).

    Raises:
        MeshDataError: fewer than two people have all labels.
    """
    identity, expression = dataset.labels["identity"], dataset.labels["expression"]
    people, labels = dataset.num_labels["identity"], dataset.num_labels["expression"]
    rows = ((identity >= 0) & (expression >= 0)).nonzero().flatten()
    cell = identity[rows] * labels + expression[rows]
    counts = torch.bincount(cell, minlength=people * labels).view(people, labels)
    complete = (counts > 0).all(dim=1).nonzero().flatten()
    if len(complete) < 2:
        raise MeshDataError(_what_is_missing(dataset, counts, len(complete)))
    wanted = rows[torch.isin(identity[rows], complete)]
    place = torch.searchsorted(complete, identity[wanted]) * labels + expression[wanted]
    total = torch.zeros(len(complete) * labels, *dataset.vertices.shape[1:])
    for part, where in zip(wanted.split(CHUNK), place.split(CHUNK), strict=True):
        total.index_add_(0, where, dataset.vertices[part])
    means = total / counts[complete].flatten()[:, None, None]
    return complete, means.unflatten(0, (len(complete), labels))


def _what_is_missing(dataset: MeshDataset, counts: Tensor, complete: int) -> str:
    """The message for too few labelled samples: how many people there are, and what the best of the others lacks."""
    number = (counts > 0).sum(dim=1)
    number[number == counts.shape[1]] = -1
    best = int(number.argmax())
    of_person = (dataset.labels["identity"] == best).nonzero().flatten()
    called = dataset.sample_name(int(of_person[0])) if len(of_person) else dataset.name
    lacking = [name for name, count in zip(dataset.label_names["expression"], counts[best], strict=True) if not count]
    return (
        f"{called}: {dataset.label_names['identity'][best]} has no mesh labelled {', '.join(lacking)}; the tensor of a "
        f"multilinear model needs at least 2 people with all {counts.shape[1]} expressions, found {complete}"
    )


def _mode(offsets: Tensor, size: int) -> Tensor:
    """Leading left singular vectors (N, K) of the first mode of a tensor (N, M, D)."""
    rows = offsets.flatten(1).double()
    _, vectors = torch.linalg.eigh(rows @ rows.T)
    return vectors.flip(1)[:, :size].to(offsets)
