"""Poses and identities for photographs that come without: the documented route for SFEW.

Liu et al. (2021), Section 4.1, take face clustering for the identity and a pose estimator for the yaw. Here both are
small networks: one learns the yaw from 300W-LP, whose poses are known, one learns to tell people apart from CelebA,
whose people are known, and agglomerative clustering groups its descriptors. Nobody corrects the labels by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import AgglomerativeClustering
from torch import Tensor, nn

from facekit.data import DataSource, label_ids, load_all, normalize, parse_data, pose_classes
from facekit.dmlnet.data import MARGIN, PROTOCOLS, Faces, cut_faces, load_faces
from facekit.dmlnet.tuples import FaceLabels, TupleError, expression_codes
from facekit.nn import Encoder
from facekit.training import derive_generator, isolated_random_state

PHOTOS_PER_PERSON = 5
"""How often a person occurs among the photographs, about: sets the number of clusters."""


@dataclass(frozen=True)
class Effort:
    """How much goes into the two networks."""

    sources: int = 1000
    """Photographs of 300W-LP, each in four views and mirrored."""
    people: int = 500
    """People of CelebA, with eight photographs each."""
    steps: int = 4000
    encoder: str = "resnet18"


EFFORT = Effort()


class Reader(nn.Module):
    """Faces (B, 3, S, S) in [0, 1] to a descriptor (B, D) and, through a linear layer, to what it was trained for."""

    def __init__(self, encoder: str, outputs: int) -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.head = nn.Linear(self.encoder.dim, outputs)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        descriptor = self.encoder(normalize(faces))
        return descriptor, self.head(descriptor)

    @torch.no_grad()
    def read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Descriptors (N, D) and outputs (N, K) of uint8 images (N, 3, S, S)."""
        device = self.head.weight.device
        parts = [self(part.to(device).float() / 255.0) for part in torch.from_numpy(images).split(256)]
        descriptors, outputs = zip(*parts, strict=True)
        return torch.cat(descriptors).cpu().numpy(), torch.cat(outputs).cpu().numpy()


def fit_reader(
    images: np.ndarray,
    targets: np.ndarray,
    effort: Effort = EFFORT,
    seed: int = 0,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> Reader:
    """A network, on ``device``, that tells ``targets`` from faces (N, 3, S, S) uint8: numbers (N,) float if they are
    floating, else classes (N,) int64."""
    numbers = targets.dtype.kind == "f"
    wanted = torch.from_numpy(targets).float()[:, None] if numbers else torch.from_numpy(targets)
    with isolated_random_state(seed):
        reader = Reader(effort.encoder, 1 if numbers else int(targets.max()) + 1).to(device)
    random = derive_generator(seed, "reader")
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=effort.steps)
    for _ in range(effort.steps):
        rows = torch.randint(len(images), (batch_size,), generator=random)
        _, found = reader(torch.from_numpy(images[rows.numpy()]).to(device).float() / 255.0)
        asked = wanted[rows].to(device)
        loss = F.smooth_l1_loss(found, asked) if numbers else F.cross_entropy(found, asked)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()


def cluster_people(descriptors: np.ndarray, clusters: int | None = None) -> np.ndarray:
    """Cluster numbers (N,) int64 of descriptors (N, D): average linkage by the angle between them.

    Raises:
        TupleError: fewer than two descriptors.
    """
    if len(descriptors) < 2:
        raise TupleError(f"{len(descriptors)} faces cannot be clustered, expected two or more")
    count = clusters or max(2, len(descriptors) // PHOTOS_PER_PERSON)
    found = AgglomerativeClustering(count, metric="cosine", linkage="average").fit_predict(descriptors)
    return found.astype(np.int64)


def train_readers(
    data: str, size: int, seed: int = 0, effort: Effort = EFFORT, device: torch.device | str = "cpu"
) -> tuple[Reader, Reader]:
    """The reader of yaws (in units of 90 degrees) and the reader of people, on ``device``."""
    options = {"image_size": round(MARGIN * size)}
    choice = parse_data(data)
    if choice.is_world:
        options["outputs"] = ("image",)
    posed = choice.open("300wlp", subjects=effort.sources, **options, **({"views": 4} if choice.is_world else {}))
    named = choice.open("celeba", subjects=effort.people, **options, **({"photos": 8} if choice.is_world else {}))
    yaw = posed.table["yaw"].to_numpy(dtype=np.float64) / 90.0
    return (
        fit_reader(_cut(posed, size), yaw, effort, seed, device=device),
        fit_reader(_cut(named, size), label_ids(named.table["subject"])[0], effort, seed, device=device),
    )


def fill_labels(images: np.ndarray, expression: np.ndarray, yaws: tuple[float, ...], *readers: Reader) -> FaceLabels:
    """Labels of faces (N, 3, S, S) uint8 whose pose and identity are not known."""
    poses, people = readers
    yaw = 90.0 * poses.read(images)[1][:, 0]
    return FaceLabels(expression, pose_classes(yaw, yaws), cluster_people(people.read(images)[0]))


def annotated(
    sources: tuple[DataSource, ...],
    data: str,
    size: int,
    seed: int = 0,
    effort: Effort = EFFORT,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Faces, ...]:
    """SFEW's parts with the missing labels filled in by two networks that are trained on ``device`` first.

    ``progress`` is called for each part with its pictures done and in all.

    Raises:
        TupleError: a row has an expression that is none of SFEW's seven.
    """
    expressions = [expression_codes(source.table, PROTOCOLS["sfew"].expressions) for source in sources]
    readers = train_readers(data, size, seed, effort, device)
    filled = []
    for source, expression in zip(sources, expressions, strict=True):
        unknown = FaceLabels(*[np.zeros(len(source), np.int64)] * 3)
        faces = load_faces(source, "sfew", size, unknown, progress)
        labels = fill_labels(faces.images, expression, faces.yaws, *readers)
        filled.append(Faces(faces.images, labels, faces.expressions, faces.yaws))
    return tuple(filled)


def _cut(source: DataSource, size: int) -> np.ndarray:
    return cut_faces(load_all(source, ["image"])["image"], size).contiguous().numpy()
