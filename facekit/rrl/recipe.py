"""The settings of pre-training, and what one step of it does.

Song et al. (RRL), Section 3.1. The defaults are the paper's; ``PRESETS`` holds a smaller run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from facekit.data import DataError, DataSource, ManifestError
from facekit.morphable import FaceModelError
from facekit.nn import STRIDES
from facekit.rrl.augmentation import FIRST_VIEW, SECOND_VIEW, UNCHANGED, ViewSettings
from facekit.rrl.data import UNIT_PROTOCOLS, FacePairs, LabelledFaces, label_relation, labelled_faces, unlabelled_faces
from facekit.rrl.losses import LossWeights, global_loss, local_loss, relation_loss
from facekit.rrl.model import Features, RegionRelation, parameter_groups
from facekit.rrl.transport import transport_cost
from facekit.training import (
    ConfigError,
    CosineSchedule,
    TensorSource,
    TrainingConfig,
    TrainingLoop,
    Update,
    World,
    distributed_run,
    load_weights,
    parse_config,
)


@dataclass
class Recipe(TrainingConfig):
    """What the paper says about its pre-training, and what it does not."""

    out_dir: str = "runs/rrl"
    preset: str = "paper"
    """paper, or laptop: a small encoder on small pictures, minutes on two cores."""
    data: str = "world"
    """world, world:ict=PATH, or emotionet=PATH,bp4d=PATH (the labelled set gives the relation matrix)."""
    units: str = "bp4d"
    """Whose AUs and label relations: bp4d (K = 12) or disfa (K = 8)."""
    faces: int = 950_000
    """Unlabelled faces of EmotioNet's twin; of a copy no more than so many pictures (of own photographs: people)."""
    in_memory: bool = False
    """Hold all faces in memory in 8 bits; otherwise they are made or read as they are needed."""
    label_subjects: int = 0
    """People of the labelled twin whose labels are counted for M; 0 is the published number."""
    label_frames: int = 100
    """Frames of each of its recordings."""
    probe: bool = True
    """Measure the encoder by a linear probe on the labelled set; False wants no labels where (6) weighs nothing."""
    probe_frames: int = 100
    """Frames of each of the twin's recordings that the probe is trained and tested on."""
    image_size: int = 224
    encoder: str = "swin_t"
    """swin_t, vgg16, resnet18, resnet50 or resnet_tiny."""
    encoder_weights: str = "random"
    """random, imagenet or cached; the paper does not say where its encoder starts."""
    map_stride: int = 16
    """4, 8 or 16: of the encoder's map that the regions are read from; the paper's has 14 x 14 cells."""
    hidden: int = 4096
    """Width of the hidden layers of projector and predictor."""
    projection: int = 256
    steps: int = 100_000
    """The paper does not say how many; these are 27 epochs of 950,000 faces."""
    batch_size: int = 256
    base_learning_rate: float = 0.05
    """The learning rate is this times batch_size / 256."""
    warmup: int = 0
    """Steps in which the learning rate rises; the paper has none."""
    decay_start: float = 0.04
    decay_end: float = 0.4
    """Weight decay, from start to end along a cosine."""
    momentum_start: float = 0.98
    momentum_end: float = 1.0
    """m of Eq. (1)."""
    weights: LossWeights = field(default_factory=LossWeights)
    regularisation: float = 0.1
    """Of the optimal transport."""
    augment: bool = True
    """False shows the same picture to both networks (Table 4)."""
    first_view: ViewSettings = field(default_factory=lambda: FIRST_VIEW)
    second_view: ViewSettings = field(default_factory=lambda: SECOND_VIEW)

    free_to_change: ClassVar[frozenset[str]] = TrainingConfig.free_to_change | {"probe", "probe_frames"}

    @property
    def learning_rate(self) -> float:
        """The largest learning rate."""
        return self.base_learning_rate * self.batch_size / 256

    def check(self) -> None:
        super().check()
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}, expected one of {', '.join(PRESETS)}")
        if self.units not in UNIT_PROTOCOLS:
            raise ConfigError(f"units is {self.units!r}, expected one of {', '.join(UNIT_PROTOCOLS)}")
        if self.map_stride not in STRIDES:
            raise ConfigError(f"map_stride is {self.map_stride}, expected one of {', '.join(map(str, STRIDES))}")
        if self.regularisation <= 0:
            raise ConfigError(f"regularisation is {self.regularisation}, expected a positive number")
        if not self.weights.by_term():
            raise ConfigError("all weights of the losses are 0: there is nothing to learn from")


@dataclass
class LaptopRecipe(Recipe):
    """A run that lasts minutes on two cores."""

    out_dir: str = "runs/rrl_laptop"
    preset: str = "laptop"
    save_every: int = 100
    faces: int = 6000
    in_memory: bool = True
    probe_frames: int = 8
    image_size: int = 64
    encoder: str = "resnet_tiny"
    map_stride: int = 4
    hidden: int = 256
    projection: int = 64
    steps: int = 1000
    batch_size: int = 64
    base_learning_rate: float = 0.008
    warmup: int = 20


PRESETS = {"paper": Recipe, "laptop": LaptopRecipe}
"""The recipes that ``--preset`` names: ``paper`` and ``laptop``."""


def open_pairs(recipe: Recipe, faces: DataSource | TensorSource | None = None) -> FacePairs:
    """The unlabelled faces of a run, as pairs of views; ``faces`` saves opening them where they are at hand.

    Raises:
        ConfigError: the data that the settings name does not exist or cannot be used.
    """
    views = (recipe.first_view, recipe.second_view) if recipe.augment else (UNCHANGED, UNCHANGED)
    if faces is None:
        with _named_data():
            faces = unlabelled_faces(recipe.data, recipe.image_size, recipe.faces, recipe.seed, recipe.in_memory)
    return FacePairs(faces, UNIT_PROTOCOLS[recipe.units].units, views)


def open_labelled(recipe: Recipe) -> LabelledFaces:
    """The labelled faces that the probe of a run is trained and tested on.

    Raises:
        ConfigError: the data that the settings name does not exist or cannot be used.
    """
    sizes = {"subjects": recipe.label_subjects or None, "frames": recipe.probe_frames}
    sizes = sizes if recipe.data.startswith("world") else {}
    with _named_data():
        return labelled_faces(recipe.data, recipe.units, recipe.image_size, recipe.seed, recipe.in_memory, **sizes)


def relation_cost(recipe: Recipe) -> Tensor:
    """C (K, K) of Eq. (4), from the labels of the labelled set; of ones, without a look at them, if (6) weighs nothing.

    Raises:
        ConfigError: the data that the settings name does not exist or cannot be used.
    """
    count = len(UNIT_PROTOCOLS[recipe.units].units)
    if not recipe.weights.relation:
        return torch.ones(count, count)
    sizes = {"frames": recipe.label_frames} if recipe.data.startswith("world") else {}
    if sizes and recipe.label_subjects:
        sizes["subjects"] = recipe.label_subjects
    with _named_data():
        return transport_cost(label_relation(recipe.data, recipe.units, recipe.seed, **sizes))


@contextmanager
def _named_data() -> Iterator[None]:
    """Data that cannot be used are a mistake in the settings that name them."""
    try:
        yield
    except (DataError, FaceModelError, ManifestError) as error:
        raise ConfigError(str(error)) from error


def build_model(recipe: Recipe) -> RegionRelation:
    """The networks of a recipe; the initial weights follow from torch's random state."""
    return RegionRelation(recipe.encoder, recipe.hidden, recipe.projection, recipe.encoder_weights, recipe.map_stride)


def rrl_terms(
    model: RegionRelation, batch: Mapping[str, Tensor], cost: Tensor, weights: LossWeights, regularisation: float
) -> dict[str, Tensor]:
    """The terms of Eq. (7) that weigh something, each the mean of its two directions between the views."""
    wanted = weights.by_term()
    views = [(batch[f"image_{view}"], batch[f"attention_{view}"]) for view in (1, 2)]
    valid = batch["valid_1"] & batch["valid_2"]
    online = [model.online(*view) for view in views]
    with torch.no_grad():
        target = [model.target(*view) for view in views]
    directions = [
        _one_direction(model, here, there, valid, cost.to(valid.device), regularisation, wanted)
        for here, there in ((online[0], target[1]), (online[1], target[0]))
    ]
    return {name: (directions[0][name] + directions[1][name]) / 2 for name in wanted}


def _one_direction(
    model: RegionRelation,
    online: Features,
    target: Features,
    valid: Tensor,
    cost: Tensor,
    regularisation: float,
    wanted: Mapping[str, float],
) -> dict[str, Tensor]:
    terms = {}
    if "global" in wanted or "local" in wanted:
        prediction = model.predict(online.face)
        with torch.no_grad():
            goal = model.target.project(target.face)
        terms["global"] = global_loss(prediction, goal)
    if "local" in wanted:
        with torch.no_grad():
            goals = model.target.project(target.units)
        terms["local"] = local_loss(model.predict(online.units), goal, prediction, goals, valid)
    if "relation" in wanted:
        terms["relation"] = relation_loss(
            online.units, target.units, online.face, target.face, cost, regularisation, valid
        )
    return terms


def rrl_update(recipe: Recipe, model: RegionRelation, cost: Tensor) -> Update:
    """AdamW on Eq. (7), with the paper's cosines for learning rate and weight decay."""

    def loss(batch: Mapping[str, Tensor], step: object) -> dict[str, Tensor]:
        step.log(regions_missing=(~(batch["valid_1"] & batch["valid_2"])).float().mean())
        return rrl_terms(model, batch, cost, recipe.weights, recipe.regularisation)

    groups = parameter_groups(model.trainable())
    schedules = {
        "lr": CosineSchedule(recipe.learning_rate, 0.0, recipe.steps, recipe.warmup),
        "weight_decay": CosineSchedule(recipe.decay_start, recipe.decay_end, recipe.steps),
    }
    return Update("rrl", torch.optim.AdamW(groups, recipe.learning_rate), loss, recipe.weights.by_term(), schedules)


def momentum_step(recipe: Recipe, model: RegionRelation) -> Callable[[int], None]:
    """What follows every step: the target network moves, Eq. (1), with m along a cosine."""
    momentum = CosineSchedule(recipe.momentum_start, recipe.momentum_end, recipe.steps)
    return lambda step: model.follow(momentum(step))


def training_loop(
    recipe: Recipe,
    world: World,
    model: RegionRelation,
    pairs: FacePairs,
    evaluate: Callable[[int], Mapping[str, float]] | None = None,
) -> TrainingLoop:
    """The run of a recipe: one update on Eq. (7), then the momentum step."""
    update = rrl_update(recipe, model, relation_cost(recipe))
    after = momentum_step(recipe, model)
    return TrainingLoop(recipe, world, {"rrl": model}, [update], pairs, evaluate=evaluate, after_step=after)


def pretrain(recipe: Recipe, pairs: FacePairs | None = None) -> RegionRelation:
    """Train the networks of a recipe in this process; nothing but the result is kept."""
    with tempfile.TemporaryDirectory() as folder, distributed_run(recipe) as world:
        model = build_model(recipe).to(world.device)
        training_loop(replace(recipe, out_dir=folder), world, model, pairs or open_pairs(recipe)).run()
        return model.eval()


def load_encoder(out_dir: str | Path) -> nn.Module:
    """The encoder of a finished run."""
    recipe = parse_config(Recipe, ["--config", str(Path(out_dir) / "config.yml")])
    model = build_model(recipe)
    load_weights(Path(out_dir) / "weights.pt", {"rrl": model})
    return model.online.encoder.eval()
