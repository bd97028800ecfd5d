"""How good are the features? Linear and k-nearest-neighbour probes, fine-tuning, and neighbours across views."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from facekit.metrics import confusion_counts
from facekit.mifar.augment import DRAWS, distorted
from facekit.mifar.data import ViewSet
from facekit.mifar.model import Classifier, ViewEncoder, as_float, view_features
from facekit.mifar.recipe import FRONT, VIEW_DISTORTIONS, chosen_views, decayed


def linear_probe(train: Tensor, train_labels: Tensor, test: Tensor, strength: float = 0.01) -> Tensor:
    """Class numbers (M,) of features ``test`` (M, D) by logistic regression on ``train`` (N, D), both standardised.

    ``strength`` is scikit-learn's C, the inverse of the regularisation. Where there are more dimensions than samples,
    only the directions in which the samples differ are kept, which changes nothing: the penalty prefers none.
    """
    reduced = _coordinates if train.shape[1] > train.shape[0] else _standardized
    train, test = reduced(train, test)
    return _predicted(LogisticRegression(C=strength, max_iter=2000), train, train_labels, test)


def _standardized(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Both less the mean of ``train`` and over its spread, float64; a dimension that never changes is not scaled."""
    train, test = train.double(), test.double()
    mean, spread = train.mean(0), train.std(0, correction=0)
    spread = torch.where(spread > 1e-9, spread, 1.0)
    return (train - mean) / spread, (test - mean) / spread


def _coordinates(train: Tensor, test: Tensor, block: int = 16384) -> tuple[Tensor, Tensor]:
    """Coordinates (N, R) and (M, R) of both, standardised, along the R directions in which rows of ``train`` differ.

    They follow from the N x N and M x N products of rows, which are summed up over blocks of dimensions: a million
    dimensions (large images) are never held in float64.
    """
    own, cross = train.new_zeros(len(train), len(train)).double(), train.new_zeros(len(test), len(train)).double()
    for part, asked in zip(train.split(block, 1), test.split(block, 1), strict=True):
        part, asked = _standardized(part, asked)
        own += part @ part.T
        cross += asked @ part.T
    squares, basis = torch.linalg.eigh(own)
    kept = squares > 1e-12 * squares[-1]
    kept[-1] = True  # rows that are all alike have one coordinate, zero
    lengths = squares[kept].clamp(min=1e-30).sqrt()
    return basis[:, kept] * lengths, cross @ basis[:, kept] / lengths


def neighbour_probe(train: Tensor, train_labels: Tensor, test: Tensor, neighbours: int = 15) -> Tensor:
    """Class numbers (M,) of features ``test`` by the vote of their nearest neighbours, by cosine, among ``train``."""
    probe = KNeighborsClassifier(min(neighbours, len(train)), weights="distance", metric="cosine")
    return _predicted(probe, train, train_labels, test)


def _predicted(probe: object, train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    if len(labels.unique()) < 2:
        raise ValueError("a probe needs features of two classes or more")
    found = probe.fit(train.double().numpy(), labels.numpy()).predict(test.double().numpy())
    return torch.from_numpy(np.asarray(found))


def probe_counts(encoder: ViewEncoder, train: ViewSet, test: ViewSet, kind: str = "linear") -> Tensor:
    """Confusion counts (classes, classes) of a ``linear`` or ``neighbours`` probe on the views' vectors, side by side.

    The projector is bypassed. Rows without a label must have been left out.
    """
    return feature_counts(all_features(encoder, train), train, all_features(encoder, test), test, kind)


def feature_counts(known: Tensor, train: ViewSet, asked: Tensor, test: ViewSet, kind: str = "linear") -> Tensor:
    """As ``probe_counts``, for features (N, D) and (M, D) of any making, such as the pixels of the images."""
    probe = {"linear": linear_probe, "neighbours": neighbour_probe}[kind]
    return confusion_counts(probe(known, train.labels, asked), test.labels, len(test.classes))


def all_features(encoder: ViewEncoder, views: ViewSet) -> Tensor:
    """Vectors (N, views * dim) of the views that the encoder takes, side by side."""
    return view_features(encoder, chosen_views(views.images, encoder.views)).flatten(1)


def centred_by(features: Tensor, people: Tensor) -> Tensor:
    """Features (N, D) less the mean over all rows of the same person, ``people`` (N,) int64 from 0.

    Who somebody is stays the same in all of their scans, so it goes with the mean; what changes stays. A person with a
    single scan becomes zero.
    """
    sums = features.new_zeros(int(people.max()) + 1, features.shape[1]).index_add_(0, people, features)
    return features - (sums / people.bincount(minlength=len(sums)).clamp(min=1)[:, None])[people]


def fit_classifier(
    model: Classifier,
    train: ViewSet,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    encoder_rate: float = 1.0,
    seed: int = 0,
) -> Classifier:
    """Train all weights of a classifier on labelled views: fine-tuning, or plain supervised training from the start.

    AdamW, a one-cycle schedule, the distortions of pre-training (one version); the encoder's learning rate is
    ``encoder_rate`` times that of the last layer.
    """
    device, generator = next(model.parameters()).device, torch.Generator().manual_seed(seed)
    kinds = VIEW_DISTORTIONS if model.encoder.views == len(VIEW_DISTORTIONS) else (FRONT,)
    images = chosen_views(train.images, model.encoder.views)
    groups = [*decayed(model.head, 0.05), *decayed(model.encoder, 0.05)]
    rates = [learning_rate] * 2 + [learning_rate * encoder_rate] * 2
    optimizer = torch.optim.AdamW(groups, learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(train), (min(batch_size, len(train)),), generator=generator)
        draws = torch.rand(len(rows), len(kinds), DRAWS, generator=generator).to(device)
        batch = as_float(images[rows].to(device))
        batch = torch.stack([distorted(batch[:, v], kind, draws[:, v]) for v, kind in enumerate(kinds)], 1)
        loss = F.cross_entropy(model(batch), train.labels[rows].to(device), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def classifier_counts(model: Classifier, test: ViewSet) -> Tensor:
    """Confusion counts (classes, classes) of a classifier."""
    features = view_features(model.encoder, chosen_views(test.images, model.encoder.views))
    device = next(model.parameters()).device
    scores = model.eval().head(features.flatten(1).to(device)).cpu()
    return confusion_counts(scores, test.labels, len(test.classes))


def cross_view_neighbours(
    features: Tensor, query: int, gallery: int, fit: Tensor | None = None, ridge: float = 10.0
) -> Tensor:
    """For each scan its nearest scan (N,) int64 in another view; a perfect match is ``arange(N)``.

    Args:
        features: (N, views, dim) of the scans.
        query, gallery: the view that asks and the one that is searched, by cosine of standardised vectors.
        fit: (M, views, dim) of other scans; with them, a linear map from the one view to the other is fitted first
            (ridge regression). Vectors of different encoders have nothing in common without it.
        ridge: strength of that regression's penalty.
    """
    known = features if fit is None else fit
    mean, spread = known.mean(0), known.std(0).clamp(min=1e-6)
    asked, found = ((features[:, view] - mean[view]) / spread[view] for view in (query, gallery))
    if fit is not None:
        a, b = ((fit[:, view] - mean[view]) / spread[view] for view in (query, gallery))
        asked = asked @ torch.linalg.solve(a.T @ a + ridge * torch.eye(a.shape[1]), a.T @ b)
    return (F.normalize(asked, dim=-1) @ F.normalize(found, dim=-1).T).argmax(1)
