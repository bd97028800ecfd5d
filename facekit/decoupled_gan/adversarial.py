"""One adversarial game: which codes are drawn, what the discriminator learns from them, and what the generator.

Fernandez Abrevaya et al. (2019), Section 4.3 and 5.1. The two loss functions here are what a training loop calls;
everything random comes from the loop's ``step``, so that W processes draw what one process would.
"""

from collections.abc import Collection, Mapping
from itertools import permutations
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from facekit.decoupled_gan.data import MeshDataset
from facekit.decoupled_gan.losses import (
    class_weights,
    classification_loss,
    feature_loss,
    label_distribution,
    laplacian_loss,
    wasserstein_distance,
)
from facekit.decoupled_gan.model import CODE_SIZES, Codes, Discriminator, FixedCodes, Generator
from facekit.meshes import GeometryImage, SparseOperator, apply_sparse, cotangent_laplacian
from facekit.nn import gradient_penalty

REAL_ROUGHNESS = 0.002


class Randomness(Protocol):
    """What the losses need of a training step: see ``facekit.training.Step``."""

    index: int
    repeat: int

    def normal(self, *shape: int) -> Tensor: ...
    def uniform(self, *shape: int) -> Tensor: ...
    def log(self, **values: Tensor | float) -> None: ...


class Draw(NamedTuple):
    """Codes of a batch: ``labels (B,)`` are those of the ``labelled`` factor; rows 2k, 2k + 1 agree in ``shared``."""

    codes: Codes
    labelled: str
    labels: Tensor
    shared: str


class DecoupledGAN(nn.Module):
    """Generator, discriminator and fixed codes for one topology.

    Args:
        dataset: the training meshes; their mean becomes the reference, and their spread fixes the units.
        image_size: side n of the geometry images.
        code_sizes: lengths of the parts of the code; every labelled factor must be among them.
        hidden: width of the generator's hidden layer.
        subtract_reference: show the critic the displacements instead of the centred positions.

    Attributes:
        unit: millimetres in one unit, the root mean square of the reference's coordinates about their centre; geometry
            images and the generator's output are in this unit, so that an image has a variance of about one.
        laplacian: the cotangent Laplacian of the reference, scaled so that ||L v||^2 of the training displacements is
            about ``REAL_ROUGHNESS``: lambda_4 = 100 then means the same at any resolution and in any unit.
    """

    def __init__(
        self,
        dataset: MeshDataset,
        image_size: int = 64,
        code_sizes: Mapping[str, int] = CODE_SIZES,
        hidden: int = 512,
        subtract_reference: bool = False,
    ) -> None:
        super().__init__()
        reference = dataset.mean()
        centre = reference.mean(dim=0, keepdim=True)
        self.unit = (reference - centre).square().mean().sqrt().item()
        self.generator = Generator(reference, code_sizes, hidden, self.unit)
        self.discriminator = Discriminator(
            GeometryImage(dataset.uv, dataset.faces, image_size),
            dataset.num_labels,
            offset=reference if subtract_reference else centre,
            unit=self.unit,
        )
        self.fixed = FixedCodes(dataset.num_labels, code_sizes)
        self.laplacian = SparseOperator(_scaled_laplacian(dataset, reference, self.unit))

    @torch.no_grad()
    def sample(self, codes: Codes) -> Tensor:
        """Face meshes (B, V, 3) in millimetres."""
        return self.generator(codes)


class Adversaries:
    """The two loss functions of the game.

    Args:
        gan: the networks.
        dataset: the training meshes, for the class weights of their labels.
        batch_size: samples in one pass of one process; even, because samples come in pairs.
        instance_noise: standard deviation of the noise on every image that the discriminator sees while training.
        balance: how far the labels are evened out, see ``label_distribution``: both in the weights of real samples and
            in the draw of the labels that generated samples are asked for.
        unclassified: factors with labels that take no part in any classification or feature loss, as in the paper's
            ablation "without expression classification"; their codes are always free.
    """

    def __init__(
        self,
        gan: DecoupledGAN,
        dataset: MeshDataset,
        batch_size: int,
        instance_noise: float = 0.1,
        balance: float = 0.5,
        unclassified: Collection[str] = (),
    ) -> None:
        if batch_size % 2:
            raise ValueError(f"samples come in pairs: batch_size per process and pass must be even, found {batch_size}")
        self.gan = gan
        self.batch_size = batch_size
        self.instance_noise = instance_noise
        unknown = sorted(set(unclassified) - set(dataset.labels))
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is to be unclassified, but is not among the factors {list(dataset.labels)}"
            )
        self.factors = tuple(factor for factor in dataset.labels if factor not in unclassified)
        self.turns = tuple(permutations(dataset.labels, 2))
        labels = {factor: (dataset.labels[factor], count) for factor, count in dataset.num_labels.items()}
        self.class_weights = {factor: class_weights(*args, balance) for factor, args in labels.items()}
        self.distribution = {factor: label_distribution(*args, balance) for factor, args in labels.items()}

    def draw(self, step: Randomness) -> Draw:
        """Codes of a batch; the roles of the factors take turns.

        Labelled identity goes with free expression and the other way round; the samples of a pair share the free code.
        """
        labelled, shared = self.turns[(step.index + step.repeat) % len(self.turns)]
        sizes = self.gan.generator.code_sizes
        codes = {name: step.normal(self.batch_size, size) for name, size in sizes.items()}
        shares = self.distribution[labelled].cumsum(dim=0)
        labels = torch.searchsorted(shares.to(codes[labelled]), step.uniform(self.batch_size) * shares[-1])
        if labelled in self.factors:
            codes[labelled] = self.gan.fixed(labelled, labels)
        codes[shared] = codes[shared][0::2].repeat_interleave(2, dim=0)
        return Draw(codes, labelled, labels, shared)

    def noisy(self, images: Tensor, step: Randomness) -> Tensor:
        """Images with instance noise."""
        return images + self.instance_noise * step.normal(*images.shape)

    def discriminator(self, batch: Mapping[str, Tensor], step: Randomness) -> dict[str, Tensor]:
        """Terms of Eq. (6): ``wasserstein``, ``penalty`` and one ``real_<factor>`` for each labelled factor."""
        discriminator = self.gan.discriminator
        with torch.no_grad():
            real = self.noisy(discriminator.images(batch["vertices"]), step)
            fake = self.noisy(discriminator.images(self.gan.generator(self.draw(step).codes)), step)
        score, logits, _ = discriminator(real)
        terms = {
            "wasserstein": wasserstein_distance(score, discriminator.score(fake)),
            "penalty": gradient_penalty(discriminator.score, real, fake, step.uniform(len(real))),
        }
        for factor in self.factors:
            terms[f"real_{factor}"] = classification_loss(logits[factor], batch[factor], self.class_weights[factor])
        return terms

    def generator(self, _batch: object, step: Randomness) -> dict[str, Tensor]:
        """Terms of Eq. (8): ``fake_score``, ``classification``, ``feature`` and ``regularizer``."""
        draw = self.draw(step)
        generator, discriminator = self.gan.generator, self.gan.discriminator
        displacements = generator.displacements(draw.codes)
        vertices = generator.reference + generator.unit * displacements
        score, logits, features = discriminator(self.noisy(discriminator.images(vertices), step))
        terms = {"fake_score": score.mean(), "classification": score.new_zeros(()), "feature": score.new_zeros(())}
        if draw.labelled in self.factors:
            right = logits[draw.labelled].argmax(dim=1) == draw.labels
            step.log(**{f"accuracy_{draw.labelled}": right.float().mean()})
            terms["classification"] = classification_loss(logits[draw.labelled], draw.labels)
        if draw.shared in self.factors:
            terms["feature"] = feature_loss(features[draw.shared])
        return terms | {"regularizer": laplacian_loss(displacements, self.gan.laplacian)}


def _scaled_laplacian(dataset: MeshDataset, reference: Tensor, unit: float, count: int = 256) -> Tensor:
    """Cotangent Laplacian (V, V) of the reference, scaled by the roughness of evenly chosen training displacements.

    The scale is that of the median vertex: a handful of thin triangles, with their huge cotangents, can make up nearly
    all of the sum, and would leave the rest of the surface without a regulariser.
    """
    laplacian = cotangent_laplacian(reference, dataset.faces)
    rows = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().long()
    rough = apply_sparse(laplacian, (dataset.vertices[rows] - reference) / unit)
    roughness = len(reference) * rough.square().sum(dim=2).mean(dim=0).median()
    if roughness == 0:
        raise ValueError(f"{dataset.name}: all meshes are the same, there is nothing to learn")
    return laplacian * (REAL_ROUGHNESS / roughness).sqrt()
