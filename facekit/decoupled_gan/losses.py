"""Losses of the decoupled 3D face model.

Fernandez Abrevaya et al., *A Decoupled 3D Facial Shape Model by Adversarial Training* (2019), Sections 3 and 4.3. Every
function here returns a scalar that is *minimised*, but for ``wasserstein_distance``, which is the paper's L_GAN itself.
Each is a mean over the samples of a batch, so that processes with equal shares of it may average their values.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.meshes import apply_sparse

UNLABELLED = -1


@dataclass(frozen=True)
class LossWeights:
    """Weights of Eq. (6) and (8), Section 5.1; the weight of the gradient penalty is that of WGAN-GP.

    Args:
        critic_classification: lambda_C, classification of real meshes by the discriminator.
        gradient_penalty: weight of the penalty on the critic's slope.
        adversarial: lambda_1.
        classification: lambda_2, classification of generated meshes.
        feature: lambda_3, agreement of features within pairs that share a code.
        regularizer: lambda_4, smoothness of the displacements.
    """

    critic_classification: float = 0.1
    gradient_penalty: float = 10.0
    adversarial: float = 1.0
    classification: float = 1.0
    feature: float = 0.5
    regularizer: float = 100.0

    def discriminator(self, factors: Iterable[str]) -> dict[str, float]:
        """Factor of each term in what the discriminator minimises: minus Eq. (6), plus the gradient penalty."""
        classification = {f"real_{name}": self.critic_classification for name in factors}
        return {"wasserstein": -1.0, "penalty": self.gradient_penalty, **classification}

    def generator(self) -> dict[str, float]:
        """Factor of each term in what the generator minimises, Eq. (8); its share of L_GAN is -E[D(G(z))]."""
        return {
            "fake_score": -self.adversarial,
            "classification": self.classification,
            "feature": self.feature,
            "regularizer": self.regularizer,
        }


def wasserstein_distance(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """L_GAN = E[D(x)] - E[D(G(z))], Eq. (2): raised by the discriminator, lowered by the generator."""
    return real_score.mean() - fake_score.mean()


def label_distribution(labels: Tensor, num_labels: int, balance: float = 1.0) -> Tensor:
    """Probability of each label (num_labels,): its frequency to the power 1 - ``balance``, float32.

    ``balance`` = 0 takes labels as they are distributed, 1 takes those in use evenly. Labels that never occur get 0.

    Args:
        labels: training labels (N,), ``-1`` where a sample has none.
        num_labels: number of distinct labels.
        balance: in [0, 1].

    Raises:
        ValueError: a label lies outside ``[0, num_labels)`` and is not -1, or no sample is labelled.
    """
    labelled = labels[labels != UNLABELLED]
    wrong = labelled[(labelled < 0) | (labelled >= num_labels)]
    if len(wrong):
        raise ValueError(f"labels must lie in [0, {num_labels}) or be -1 (unlabelled), found {wrong[0].item()}")
    if not len(labelled):
        raise ValueError("expected at least one labelled sample, found none")
    counts = torch.bincount(labelled, minlength=num_labels).double()
    shares = torch.where(counts > 0, counts.clamp(min=1) ** (1 - balance), 0.0)
    return (shares / shares.sum()).float()


def class_weights(labels: Tensor, num_labels: int, balance: float = 1.0) -> Tensor:
    """Weights w_c that make up for missing and unbalanced labels: wanted share of c / its share of *all* samples.

    ``classification_loss`` with these weights is, in the mean over batches, the mean -log P of each label averaged with
    ``label_distribution``; samples without a label take no part. With ``balance`` = 1 every label counts the same.

    Args:
        labels, num_labels, balance: as for ``label_distribution``.

    Returns:
        Weights (num_labels,) float32; a label that never occurs gets weight 0.
    """
    wanted = label_distribution(labels, num_labels, balance)
    counts = torch.bincount(labels[labels != UNLABELLED], minlength=num_labels)
    return torch.where(counts > 0, wanted * len(labels) / counts.clamp(min=1), 0.0)


def classification_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """-1/N sum of w_c log P(C = c | x): minus Eq. (7) for real meshes, minus Eq. (9) for generated ones.

    The sum runs over the labelled samples and N counts all of them, so that a sample's share does not depend on how
    many labels its batch happens to hold; ``class_weights`` makes up for the missing ones.

    Args:
        logits: (N, K).
        labels: (N,) int64, ``-1`` where a sample has no label.
        weights: weight of each label (K,); all one if None.

    Returns:
        Scalar; zero, with a zero gradient, when no sample is labelled.
    """
    weights = None if weights is None else weights.to(logits)
    return F.cross_entropy(logits, labels, weights, ignore_index=UNLABELLED, reduction="sum") / len(labels)


def feature_loss(features: Tensor) -> Tensor:
    """2/N sum over pairs of (1 - cos(f_1, f_2)), Eq. (10) and (11).

    Rows 2k and 2k + 1 of ``features`` (N, D) are a pair.

    Raises:
        ValueError: N is odd.
    """
    if len(features) % 2:
        raise ValueError(f"the feature loss takes samples in pairs, found {len(features)} rows")
    return (1 - F.cosine_similarity(features[0::2], features[1::2], dim=1)).mean()


def laplacian_loss(displacements: Tensor, laplacian: Callable[[Tensor], Tensor] | Tensor) -> Tensor:
    """||L v||^2, Eq. (12), the mean over a batch of displacements (B, V, 3).

    Args:
        displacements: in the generator's units.
        laplacian: cotangent Laplacian of the reference mesh, as a sparse (V, V) matrix or a ``SparseOperator``.
    """
    rough = apply_sparse(laplacian, displacements) if isinstance(laplacian, Tensor) else laplacian(displacements)
    return rough.square().sum(dim=(1, 2)).mean()
