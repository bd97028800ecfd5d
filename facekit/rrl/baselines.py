"""What RRL is held against: supervised training of the same encoder, and learning by reconstruction.

FAb-Net (Wiles et al., 2018) learns from two frames of a video: from the embeddings of both it predicts a flow that
turns one into the other. EmotioNet has no videos, so the second frame is made: the same photograph, smoothly distorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.data import DataSource, derive_seeds, normalize, row_normal
from facekit.nn import Encoder, perceptron
from facekit.rrl.augmentation import UNCHANGED, ViewSettings, random_view
from facekit.rrl.data import LabelledFaces, to_unit_range
from facekit.rrl.model import parameter_groups
from facekit.rrl.probe import Scores, cross_validated, positive_weights, unit_cross_entropy
from facekit.rrl.recipe import Recipe
from facekit.training import CosineSchedule, TensorSource, TrainingLoop, Update, distributed_run

KNOTS = 5
FLOW_SIZE = 16
SUPERVISED_VIEW = ViewSettings(jitter=0.5, grey=0.0, blur=0.0)


@dataclass(frozen=True)
class SupervisedSettings:
    """Ordinary supervised training of an encoder with one logit for each AU."""

    encoder: str = "resnet_tiny"
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    balance: float = 1.0
    view: ViewSettings = SUPERVISED_VIEW


def supervised_scores(
    faces: LabelledFaces, settings: SupervisedSettings = SupervisedSettings(), seed: int = 0
) -> Scores:
    """F1 of the encoder trained from nothing on each fold's training people, end to end; on a GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def predict(train: Tensor, test: Tensor) -> Tensor:
        network = fit_supervised(faces, train, settings, seed, device)
        with torch.no_grad():
            parts = [network(normalize(to_unit_range(faces.images[rows].to(device)))) for rows in test.split(256)]
        return torch.cat(parts) >= 0.0

    return cross_validated(faces, predict)


def fit_supervised(
    faces: LabelledFaces,
    rows: Tensor,
    settings: SupervisedSettings,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> nn.Module:
    """The encoder and a linear layer, trained on some rows of the labelled faces; weights and batches on the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(settings.encoder)
        network = nn.Sequential(encoder, nn.Linear(encoder.dim, len(faces.units))).train().to(device)
    weights = positive_weights(faces.present[rows], faces.coded[rows], settings.balance).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * -(-len(rows) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    random = torch.Generator().manual_seed(seed)
    for epoch in range(settings.epochs):
        for part in rows[torch.randperm(len(rows), generator=random)].split(settings.batch_size):
            if len(part) == 1:
                continue
            seeds = torch.from_numpy(derive_seeds(seed, "supervised", epoch, part.numpy()))
            view = random_view({"image": to_unit_range(faces.images[part])}, seeds, settings.view, "supervised")
            present, coded = faces.present[part].to(device), faces.coded[part].to(device)
            loss = unit_cross_entropy(network(normalize(view["image"].to(device))), present, coded, weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


class WarpedFaces:
    """Pairs of a photograph and a smoothly distorted copy of it: a source of ``image`` and ``warped`` (B, 3, H, W)."""

    def __init__(self, faces: DataSource | TensorSource, strength: float = 0.06) -> None:
        self.faces, self.strength = faces, strength

    def __len__(self) -> int:
        return len(self.faces)

    def batch(self, rows: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        """Both pictures; the displacements are random on a grid of 5 x 5 knots, in shares of the width."""
        faces = {"image": to_unit_range(self.faces.batch(rows)["image"])}
        image = random_view(faces, seeds, replace(UNCHANGED, flip=0.5), "warp")["image"]
        knots = torch.from_numpy(row_normal(seeds.numpy(), "warp knots", 2 * KNOTS**2)).to(image)
        return {"image": image, "warped": resample(image, self.strength * knots.view(-1, 2, KNOTS, KNOTS))}


def resample(images: Tensor, flow: Tensor) -> Tensor:
    """Images (B, 3, H, W) read at every pixel's place plus a flow (B, 2, h, w) in shares of the width, resized."""
    size = images.shape[-1]
    flow = F.interpolate(flow, (size, size), mode="bicubic", align_corners=True)
    still = F.affine_grid(torch.eye(2, 3).to(images).expand(len(images), 2, 3), list(images.shape), align_corners=False)
    grid = still + 2.0 * flow.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


class FlowNetwork(nn.Module):
    """Embeddings of two pictures to the flow that turns the first into the second, as FAb-Net learns."""

    def __init__(self, encoder: str, hidden: int = 256, weights: str = "random") -> None:
        super().__init__()
        self.encoder = Encoder(encoder, weights=weights)
        self.decoder = perceptron((2 * self.encoder.dim, hidden, 2 * FLOW_SIZE**2))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Two batches (B, 3, H, W) in [0, 1] to the flow (B, 2, 16, 16) in shares of the width."""
        embedded = [self.encoder(normalize(images)) for images in (source, target)]
        return 0.1 * self.decoder(torch.cat(embedded, dim=1)).view(-1, 2, FLOW_SIZE, FLOW_SIZE)


def pretrain_by_reconstruction(recipe: Recipe, faces: DataSource | TensorSource) -> Encoder:
    """The encoder of a ``FlowNetwork`` trained with the recipe's optimiser, batches and steps on the faces."""

    def terms(batch: Mapping[str, Tensor], step: object) -> dict[str, Tensor]:
        made = resample(batch["image"], network(batch["image"], batch["warped"]))
        return {"reconstruction": (made - batch["warped"]).abs().mean()}

    with TemporaryDirectory() as folder, distributed_run(recipe) as world:
        network = FlowNetwork(recipe.encoder, recipe.hidden, recipe.encoder_weights).to(world.device)
        optimizer = torch.optim.AdamW(parameter_groups(list(network.parameters())), recipe.learning_rate)
        schedules = {
            "lr": CosineSchedule(recipe.learning_rate, 0.0, recipe.steps, recipe.warmup),
            "weight_decay": CosineSchedule(recipe.decay_start, recipe.decay_end, recipe.steps),
        }
        update = Update("flow", optimizer, terms, schedules=schedules)
        settings = replace(recipe, out_dir=folder)
        TrainingLoop(settings, world, {"flow": network}, [update], WarpedFaces(faces)).run()
        return network.encoder.eval()
