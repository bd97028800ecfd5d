"""The paper's judges of decoupling: networks that tell whether two faces show one person, or one expression.

Fernandez Abrevaya et al. (2019), Section 5.3 and the supplement's "Decoupling evaluation": a ResNet-18 looks at normal
images of 224 x 224 pixels under an orthographic camera and returns 128 numbers of unit length; it is trained with a
triplet loss. Two faces count as the same if their embeddings are nearer than a threshold, which is the most accurate
one on held-out pairs with a false acceptance rate below 10 %.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.decoupled_gan.data import MeshDataError, MeshDataset
from facekit.decoupled_gan.evaluation import FaceSampler, best_threshold, draw_alike_and_different
from facekit.decoupled_gan.losses import UNLABELLED
from facekit.decoupled_gan.portraits import portraits
from facekit.nn import Encoder

CHUNK = 128


@dataclass(frozen=True)
class JudgeSettings:
    """The network of a judge and its training; the defaults are the paper's, as far as it says.

    Args:
        encoder, image_size, size: name of the encoder, side of the normal images, length of the embedding.
        meshes: most labelled meshes to train on, and a third as many to choose the threshold.
        steps, learning_rate: of Adam, whose rate falls to zero along a cosine.
        labels, per_label: labels in a batch, and samples of each.
        margin: by which a different label must be farther than the same one, in squared distance.
        shift: pixels by which training images are moved at random.
    """

    encoder: str = "resnet18"
    image_size: int = 224
    size: int = 128
    meshes: int = 30_000
    steps: int = 4000
    learning_rate: float = 3e-4
    labels: int = 16
    per_label: int = 4
    margin: float = 0.2
    shift: int = 8


LAPTOP_JUDGE = JudgeSettings(
    encoder="resnet_tiny", image_size=64, meshes=600, steps=260, learning_rate=2e-3, labels=12, shift=2
)
"""A judge that is trained in half a minute on one core."""


class JudgeQuality(NamedTuple):
    """Threshold on the squared distance; accuracy and false acceptance rate of that decision on held-out pairs."""

    threshold: float
    accuracy: float
    false_acceptance: float


class TripletJudge(nn.Module):
    """Meshes of one topology to unit vectors (B, size) in which samples of one label lie together.

    Args:
        faces: (F, 3), the triangles of all meshes.
        centre: (3,) millimetres, the point in the middle of the images.
        settings: of the network.

    Attributes:
        quality: of the decision; set by ``fit_judge``.
    """

    def __init__(self, faces: Tensor, centre: Tensor, settings: JudgeSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("faces", faces)
        self.register_buffer("centre", centre)
        self.encoder = Encoder(settings.encoder)
        self.last = nn.Linear(self.encoder.dim, settings.size)
        self.quality = JudgeQuality(0.0, 0.0, 0.0)

    def images(self, vertices: Tensor) -> Tensor:
        """Normal images (B, 3, n, n) in [0, 1] of meshes (B, V, 3), all at one scale; black where there is no face."""
        size = self.settings.image_size
        return portraits(vertices, self.faces, size, normals=True, centre=self.centre).contiguous()

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, size) of unit length."""
        return F.normalize(self.last(self.encoder(2 * images - 1)), dim=1)

    @torch.no_grad()
    def embed(self, vertices: Tensor) -> Tensor:
        """Embeddings (B, size) of meshes (B, V, 3)."""
        chunks = vertices.to(self.centre).split(CHUNK)
        return torch.cat([self(self.images(chunk)) for chunk in chunks])

    def same(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether two batches of meshes (B, V, 3) show the same label, pair by pair, (B,) bool."""
        return (self.embed(first) - self.embed(second)).square().sum(dim=1) < self.quality.threshold


def triplet_loss(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean of ``max(|a - p|^2 - |a - n|^2 + margin, 0)`` over the triplets of a batch that violate the margin.

    Args:
        embeddings: (B, D); labels: (B,): a and p have one label, n another.
        margin: above 0.

    Returns:
        Scalar, 0 if no triplet violates the margin or there is none.
    """
    squared = (embeddings[:, None] - embeddings[None]).square().sum(dim=2)
    alike = labels[:, None] == labels[None]
    positive = alike & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    triplets = positive[:, :, None] & ~alike[:, None, :]
    violation = (squared[:, :, None] - squared[:, None, :] + margin).clamp(min=0) * triplets
    return violation.sum() / (violation > 0).sum().clamp(min=1)


def fit_judge(dataset: MeshDataset, factor: str, settings: JudgeSettings, seed: int = 0) -> TripletJudge:
    """Train a judge on two thirds of the people, and choose its threshold on pairs of the others.

    Raises:
        MeshDataError: fewer than two labels of the factor are left on either side.
    """
    random = torch.Generator().manual_seed(seed)
    training, held_out = _two_parts(dataset, factor, settings.meshes, random)
    labels = dataset.labels[factor]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = TripletJudge(dataset.faces, dataset.mean().mean(dim=0), settings)
    _train(judge, judge.images(dataset.vertices[training]), labels[training], random)
    embedded = judge.embed(dataset.vertices[held_out])
    pairs, alike = draw_alike_and_different(labels[held_out], random)
    distance = (embedded[pairs[:, 0]] - embedded[pairs[:, 1]]).square().sum(dim=1)
    judge.quality = JudgeQuality(*best_threshold(distance, alike))
    return judge


def _two_parts(dataset: MeshDataset, factor: str, most: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows of labelled meshes to train on and to choose the threshold on, of different people."""
    labels = dataset.labels[factor]
    person = dataset.labels.get("identity", torch.arange(len(dataset)))
    rows = torch.randperm(len(dataset), generator=random)
    rows = rows[labels[rows] != UNLABELLED]
    other = person[rows] % 3 == 0
    parts = tuple(_evenly(part, labels[part])[:few] for part, few in ((rows[~other], most), (rows[other], most // 3)))
    for part, purpose in zip(parts, ("to train on", "to test on"), strict=True):
        if len(labels[part].unique()) < 2:
            raise MeshDataError(
                f"{dataset.name}: a judge needs two labels of {factor} {purpose}, found {len(part)} meshes with one"
            )
    return parts


def _evenly(rows: Tensor, labels: Tensor) -> Tensor:
    """The rows (N,) in another order: first one of each label, then a second one, and so on."""
    order = labels.argsort(stable=True)
    _, counts = labels.unique(return_counts=True)
    starts = counts.cumsum(0) - counts
    turn = torch.arange(len(rows)) - starts.repeat_interleave(counts)
    return rows[order[turn.argsort(stable=True)]]


def _train(judge: TripletJudge, images: Tensor, labels: Tensor, random: torch.Generator) -> None:
    settings = judge.settings
    adam = torch.optim.Adam(judge.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.steps)
    judge.train()
    for _ in range(settings.steps):
        rows = _batch(labels, settings.labels, settings.per_label, random)
        shift = torch.randint(-settings.shift, settings.shift + 1, (2,), generator=random).tolist()
        shown = images[rows].roll(shift, dims=(2, 3))
        turned = torch.rand(len(rows), 1, 1, 1, generator=random) < 0.5
        loss = triplet_loss(judge(torch.where(turned, mirror_normals(shown), shown)), labels[rows], settings.margin)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    judge.eval()


def mirror_normals(images: Tensor) -> Tensor:
    """Normal images (B, 3, n, n) of the mirrored faces: left and right change places, and the normals' x its sign."""
    flipped = images.flip(3)
    across = torch.where(flipped.sum(dim=1) > 0, 1 - flipped[:, 0], 0.0)
    return torch.cat([across[:, None], flipped[:, 1:]], dim=1)


def _batch(labels: Tensor, count: int, per_label: int, random: torch.Generator) -> Tensor:
    """Rows of ``per_label`` samples, drawn with repetition, of each of at most ``count`` labels."""
    present = labels.unique()
    chosen = present[torch.randperm(len(present), generator=random)[:count]].repeat_interleave(per_label)
    chance = torch.rand(len(chosen), len(labels), generator=random) * (labels[None] == chosen[:, None])
    return chance.argmax(dim=1)


@torch.no_grad()
def decoupling(
    sampler: FaceSampler, factor: str, judge: TripletJudge, anchors: int, members: int, generator: torch.Generator
) -> float:
    """Percentage of pairs that share the code of a factor and that the judge calls the same, Section 5.3.

    Args:
        sampler: the face model.
        factor: whose code is shared.
        judge: of that factor.
        anchors: faces x_i; the paper takes n = 100.
        members: faces that share the code of each anchor; the paper takes m = 100.
        generator: source of the codes.
    """
    codes = sampler.sample_codes(anchors, generator)
    first = judge.embed(sampler(codes))
    same = 0
    for one, code in zip(first, codes[factor], strict=True):
        others = sampler.sample_codes(members, generator)
        others[factor] = code.expand(members, -1)
        distance = (judge.embed(sampler(others)) - one).square().sum(dim=1)
        same += int((distance < judge.quality.threshold).sum())
    return 100 * same / (anchors * members)
