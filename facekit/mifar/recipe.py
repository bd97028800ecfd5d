"""The settings of a training run, and its one update.

Behzad and Zhao (2021) give batch sizes (256, 512, 1024, read as batch size = embedding size) and 1000 epochs; encoder,
projector, optimiser and augmentations are open. ``Recipe`` holds our reading, ``LaptopRecipe`` a run of minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from facekit.mifar.augment import DRAWS, FRONT, LEFT, RIGHT, Distortion, distorted
from facekit.mifar.data import ViewSet
from facekit.mifar.losses import LossWeights, barlow_loss, contrastive_loss, mifar_loss
from facekit.mifar.model import ENCODER_NAMES, NUM_VIEWS, MiFaR, ViewEncoder, as_float
from facekit.mifar.model import FRONT as FRONT_VIEW
from facekit.mifar.pooling import METHODS as POOLINGS
from facekit.mifar.scans import ScannerNoise
from facekit.mifar.settings import ViewSettings
from facekit.mifar.views import CHANNELS
from facekit.training import ConfigError, CosineSchedule, Step, TrainingConfig, Update, World

METHODS = ("mifar", "barlow", "simclr")
"""MiFaR; Barlow Twins on the front view alone; SimCLR's loss for each view."""


@dataclass
class Recipe(TrainingConfig):
    """A self-supervised run at the paper's size."""

    out_dir: str = "runs/mifar"
    preset: str = "paper"
    """paper, or laptop: small images and a narrow network, minutes on two cores."""
    data: str = "world"
    """world, world:ict=PATH (ICT-FaceKit's geometry), licensed copies (bu3dfe=PATH, several with commas), or own=PATH:
    your own scans and their manifest.csv."""
    cache: str = ""
    """Folder in which the views of licensed copies are kept; ~/.cache/facekit/mifar if empty."""
    dataset: str = "bu3dfe"
    """bu3dfe, bosphorus, bu4dfe or bp4d."""
    subjects: int = 0
    """People of the twin or the copy; all if 0."""
    frames: int = 100
    """Frames of each recording that are pooled to one image per view."""
    pooling: str = "svm"
    """svm (exact) or approximate."""
    channels: tuple[str, ...] = ("texture", "depth", "normals")
    image_size: int = 224
    noise: ScannerNoise = field(default_factory=ScannerNoise)
    method: str = "mifar"
    """mifar, barlow (front view alone) or simclr."""
    encoder: str = "resnet50"
    shared_encoder: bool = False
    """One encoder for all views: the paper's ablation."""
    projector: tuple[int, ...] = (1024, 1024, 1024)
    """Widths of the projector's layers; the last is the size of the embeddings."""
    loss: LossWeights = field(default_factory=LossWeights)
    form: str = "auto"
    """gram, textbook, or auto for the cheaper one."""
    temperature: float = 0.2
    """Of SimCLR's loss."""
    folds: int = 10
    fold: int = 0
    """The fold of people that the run does not see and is tested on."""
    steps: int = 2000
    """1000 epochs of the 2,250 training scans of BU-3DFE in batches of 1024."""
    batch_size: int = 1024
    learning_rate: float = 1e-3
    warmup: int = 20
    weight_decay: float = 1e-4

    def check(self) -> None:
        super().check()
        known = {"preset": PRESETS, "method": METHODS, "encoder": ENCODER_NAMES, "pooling": POOLINGS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(values)}")
        if not self.channels or set(self.channels) - set(CHANNELS):
            raise ConfigError(f"channels are {list(self.channels)}, expected some of {', '.join(CHANNELS)}")
        if self.image_size < 1:
            raise ConfigError(f"image_size is {self.image_size}, expected at least 1")
        if not self.projector or min(self.projector) < 1:
            raise ConfigError(f"projector is {list(self.projector)}, expected one width or more, each at least 1")
        if len(self.loss.views) != NUM_VIEWS:
            raise ConfigError(f"loss.views are {list(self.loss.views)}, expected {NUM_VIEWS} weights: l, f and r")
        if self.batch_size // self.accumulate < 2:
            raise ConfigError("a pass needs two samples or more: the loss correlates along the batch")
        if not 0 <= self.fold < self.folds:
            raise ConfigError(f"fold is {self.fold}, expected 0 to {self.folds - 1}")

    @property
    def num_channels(self) -> int:
        """Channels of an image."""
        return sum(CHANNELS[name] for name in self.channels)

    def views(self) -> ViewSettings:
        """What the images depend on."""
        return ViewSettings(
            self.data, self.dataset, self.subjects, self.image_size, tuple(self.channels), self.noise, self.frames,
            self.pooling, self.cache,
        )  # fmt: skip


@dataclass
class LaptopRecipe(Recipe):
    """A run of a few minutes on two cores."""

    preset: str = "laptop"
    save_every: int = 100
    subjects: int = 40
    frames: int = 8
    pooling: str = "approximate"
    image_size: int = 32
    encoder: str = "resnet_places"
    projector: tuple[int, ...] = (256, 256)
    loss: LossWeights = field(default_factory=lambda: LossWeights(mu_w=0.02, mu_theta=0.02))
    """A larger mu than the paper's size has, since the embeddings have fewer dimensions."""
    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 3e-3
    folds: int = 5


PRESETS = {"paper": Recipe, "laptop": LaptopRecipe}
"""The recipes that ``--preset`` names: ``paper`` and ``laptop``."""


def build_model(recipe: Recipe) -> MiFaR:
    """The networks of a run: one view for Barlow Twins, three otherwise."""
    views = 1 if recipe.method == "barlow" else NUM_VIEWS
    return MiFaR(ViewEncoder(recipe.encoder, recipe.num_channels, views, recipe.shared_encoder), recipe.projector)


def chosen_views(images: Tensor, views: int) -> Tensor:
    """All views (N, views, C, H, W), or the front one alone."""
    return images[:, FRONT_VIEW : FRONT_VIEW + 1] if views == 1 else images


def two_versions(images: Tensor, step: Step) -> tuple[Tensor, Tensor]:
    """Two distorted versions of images (B, views, C, H, W), each view's from its own distribution."""
    images = as_float(images)
    kinds = VIEW_DISTORTIONS if images.shape[1] == NUM_VIEWS else (FRONT,)
    draws = step.uniform(len(images), 2, len(kinds), DRAWS)

    def version(number: int) -> Tensor:
        return torch.stack([distorted(images[:, v], kind, draws[:, number, v]) for v, kind in enumerate(kinds)], 1)

    return version(0), version(1)


VIEW_DISTORTIONS: tuple[Distortion, ...] = (LEFT, FRONT, RIGHT)
"""T_l, T_f and T_r."""


def self_supervised_loss(recipe: Recipe, model: MiFaR) -> Callable[[dict[str, Tensor], Step], dict[str, Tensor]]:
    """The loss of the recipe's method as a function of a batch and a step; terms are named."""

    def loss(batch: dict[str, Tensor], step: Step) -> dict[str, Tensor]:
        images = chosen_views(batch["images"], model.encoder.views)
        first, second = (model(version) for version in two_versions(images, step))
        if recipe.method == "mifar":
            return mifar_loss(first, second, recipe.loss, recipe.form)
        if recipe.method == "barlow":
            return {"view": barlow_loss(first[0], second[0], recipe.loss.mu_theta, recipe.form)}
        each = [contrastive_loss(a, b, recipe.temperature) for a, b in zip(first, second, strict=True)]
        return {"contrastive": torch.stack(each).mean()}

    return loss


def pretraining_update(recipe: Recipe, world: World, model: MiFaR) -> Update:
    """AdamW on the method's loss, with a warm-up and a cosine."""
    optimizer = torch.optim.AdamW(decayed(model, recipe.weight_decay), recipe.learning_rate)
    schedule = CosineSchedule(recipe.learning_rate, 0.0, recipe.steps, min(recipe.warmup, recipe.steps // 4))
    loss = self_supervised_loss(recipe, model)
    return Update("pretraining", optimizer, loss, schedules={"lr": schedule}, clip_norm=None)


def decayed(model: nn.Module, weight_decay: float) -> list[dict]:
    """Parameter groups: matrices and filters are decayed, biases and batch norms are not."""
    wide = [p for p in model.parameters() if p.dim() > 1]
    narrow = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": wide, "weight_decay": weight_decay}, {"params": narrow, "weight_decay": 0.0}]


def without_labels(views: ViewSet) -> ViewSet:
    """The same images with no labels, for everything that must not see them."""
    return replace(views, labels=torch.full_like(views.labels, -1))
