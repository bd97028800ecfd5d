"""The settings of a training run, and the two optimisers that play the game.

Fernandez Abrevaya et al. (2019), Section 5.1. The defaults are the paper's; ``PRESETS`` holds smaller runs.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from facekit.data import DataError, parse_data
from facekit.decoupled_gan.adversarial import Adversaries, DecoupledGAN
from facekit.decoupled_gan.data import MeshDataError, MeshDataset
from facekit.decoupled_gan.linear_start import start_linearly
from facekit.decoupled_gan.losses import LossWeights
from facekit.decoupled_gan.model import CODE_SIZES
from facekit.decoupled_gan.population import speech_meshes, world_meshes
from facekit.meshes import MeshError
from facekit.morphable import FaceModel, FaceModelError, ProceduralFace
from facekit.training import (
    ConfigError,
    CosineSchedule,
    TrainingConfig,
    Update,
    World,
    load_weights,
    make_once,
    parse_config,
)


@dataclass(frozen=True)
class CodeSizes:
    """Lengths of the parts of the code, Section 5.1; a factor of length 0 is left out."""

    identity: int = CODE_SIZES["identity"]
    expression: int = CODE_SIZES["expression"]
    noise: int = CODE_SIZES["noise"]
    viseme: int = 0


@dataclass
class Recipe(TrainingConfig):
    """What the paper says about its training, and what it does not."""

    out_dir: str = "runs/decoupled_gan"
    preset: str = "paper"
    """paper, or laptop: a small mesh and small images, minutes on two cores."""
    data: str = "world"
    """world (the procedural face), world:ict=PATH (ICT-FaceKit's geometry) or meshes=FOLDER (registered meshes)."""
    population: str = "emotions"
    """emotions (the paper's four data sets) or speech (the supplement's corpus of sentences)."""
    share: float = 1.0
    """Share of the paper's 347 people that the face world makes; 1 gives 30,559 meshes. Of speech: share of frames."""
    level: int = 2
    """Resolution of the procedural face: 0, 1 or 2 for about 1,000, 5,000 or 20,000 vertices."""
    num_vertices: int = 0
    """Decimate the face to so many vertices; 0 keeps them all."""
    crop: float = 1.15
    """Radius of the face that is kept, in distances from the bridge of the nose to the chin; 0 keeps the whole mesh."""
    image_size: int = 64
    """Side of the geometry images."""
    steps: int = 31_800
    """Generator steps: 200 epochs of 30,559 meshes in batches of 64, of which each step shows the critic three."""
    batch_size: int = 64
    learning_rate: float = 2e-4
    final_learning_rate: float = 2e-4
    """Where a cosine takes the learning rate; equal to learning_rate: constant, as in the paper."""
    critic_steps: int = 3
    """Steps of the discriminator for each of the generator."""
    instance_noise: float = 0.1
    """Standard deviation of the noise on the geometry images."""
    balance: float = 0.5
    """How far unbalanced labels are evened out: 0 not at all, 1 so that all count the same."""
    code: CodeSizes = field(default_factory=CodeSizes)
    weights: LossWeights = field(default_factory=LossWeights)
    subtract_reference: bool = False
    """Show the critic displacements instead of positions."""
    linear_start: float = 0.0
    """Start the generator as the additive linear model of the meshes, its codes scaled by this; 0 starts it at random,
    as the paper does."""
    unclassified: str = ""
    """A factor that is left out of the classification and feature losses, for the ablation; empty for none."""

    def check(self) -> None:
        super().check()
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}, expected one of {', '.join(PRESETS)}")
        if self.population not in ("emotions", "speech"):
            raise ConfigError(f"population is {self.population!r}, expected emotions or speech")
        if self.level not in (0, 1, 2):
            raise ConfigError(f"level is {self.level}, expected 0, 1 or 2")
        if self.image_size < 16 or self.image_size % 16:
            raise ConfigError(f"image_size is {self.image_size}, expected a multiple of 16: it is halved four times")
        for name, size in asdict(self.code).items():
            if size < 0:
                raise ConfigError(f"code.{name} is {size}, expected 0 (left out) or a length")
        if self.linear_start < 0:
            raise ConfigError(f"linear_start is {self.linear_start}, expected 0 (none) or a scale such as 0.6")
        if self.batch_size % 2:
            raise ConfigError(f"batch_size is {self.batch_size}, expected an even number: samples come in pairs")

    def check_world(self, size: int) -> None:
        super().check_world(size)
        if self.batch_size // (size * self.accumulate) % 2:
            raise ConfigError(
                f"batch_size {self.batch_size} gives {size} processes and {self.accumulate} passes an odd share each, "
                "expected an even one: samples come in pairs"
            )


@dataclass
class LaptopRecipe(Recipe):
    """A run that shows recognisable, decoupled faces after a few minutes on two cores."""

    preset: str = "laptop"
    save_every: int = 100
    share: float = 0.2
    level: int = 1
    num_vertices: int = 3000
    image_size: int = 48
    steps: int = 1500
    batch_size: int = 32
    learning_rate: float = 1e-3
    final_learning_rate: float = 5e-5
    ema: float = 0.99


PRESETS = {"paper": Recipe, "laptop": LaptopRecipe}
"""The recipes that ``--preset`` names: ``paper`` and ``laptop``."""

MESH_SETTINGS = ("data", "population", "share", "level", "num_vertices", "crop", "seed")
"""The settings that the training meshes follow from."""


def open_face_model(recipe: Recipe) -> FaceModel:
    """The face model that ``recipe.data`` names.

    Raises:
        ConfigError: it names registered meshes or a data set, which have none.
        DataError, FaceModelError: the model does not exist or cannot be read.
    """
    choice = None if recipe.data.startswith("meshes=") else parse_data(recipe.data)
    if choice is None or not choice.is_world:
        raise ConfigError(f"data is {recipe.data!r}: registered meshes are given as meshes=FOLDER, faces as world")
    return choice.load_model(region="face") or ProceduralFace(recipe.level)


def make_meshes(recipe: Recipe, progress: Callable[[int, int], None] = lambda done, total: None) -> MeshDataset:
    """The training meshes that ``recipe.data`` names.

    Raises:
        DataError, MeshDataError, FaceModelError: the data does not exist or cannot be used.
    """
    kind, _, path = recipe.data.partition("=")
    if kind == "meshes":
        return MeshDataset.load(path)
    model = open_face_model(recipe)
    make = {"emotions": world_meshes, "speech": speech_meshes}[recipe.population]
    return make(model, recipe.share, recipe.seed, recipe.num_vertices or None, recipe.crop, progress)


def open_meshes(recipe: Recipe, world: World, progress: Callable[[int, int], None]) -> MeshDataset:
    """The meshes of a run: made once by the first process, kept in ``out_dir/meshes``, mapped into memory by all.

    Raises:
        ConfigError: the data that the settings name does not exist or cannot be used, or the folder holds meshes of
            other settings.
    """

    def make(folder: Path) -> None:
        try:
            make_meshes(recipe, progress).save(folder)
        except (DataError, FaceModelError, MeshDataError, MeshError) as error:
            raise ConfigError(str(error)) from error

    folder = Path(recipe.out_dir) / "meshes"
    make_once(folder, recipe, MESH_SETTINGS, world, make)
    return MeshDataset.load(folder)


def build_gan(recipe: Recipe, dataset: MeshDataset) -> DecoupledGAN:
    """The networks for a set of meshes."""
    sizes = {name: size for name, size in asdict(recipe.code).items() if size}
    gan = DecoupledGAN(dataset, recipe.image_size, sizes, subtract_reference=recipe.subtract_reference)
    if recipe.linear_start:
        start_linearly(gan.generator, dataset, recipe.linear_start)
    return gan


def gan_updates(recipe: Recipe, world: World, gan: DecoupledGAN, dataset: MeshDataset) -> list[Update]:
    """A step of the game: ``critic_steps`` updates of the discriminator, each on new meshes; one of the generator."""
    share = recipe.batch_size // (world.size * recipe.accumulate)
    unclassified = [recipe.unclassified] if recipe.unclassified else []
    game = Adversaries(gan, dataset, share, recipe.instance_noise, recipe.balance, unclassified)
    schedules = {"lr": CosineSchedule(recipe.learning_rate, recipe.final_learning_rate, recipe.steps)}

    def adam(module: torch.nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(module.parameters(), recipe.learning_rate, betas=(0.9, 0.999))

    return [
        Update(
            "discriminator", adam(gan.discriminator), game.discriminator, recipe.weights.discriminator(game.factors),
            schedules, repeat=recipe.critic_steps, data=dataset,
        ),
        Update("generator", adam(gan.generator), game.generator, recipe.weights.generator(), schedules),
    ]  # fmt: skip


def load_run(out_dir: str | Path) -> tuple[DecoupledGAN, MeshDataset]:
    """The networks (with averaged weights, where the run kept them) and the meshes of a finished run."""
    recipe = parse_config(Recipe, ["--config", str(Path(out_dir) / "config.yml")])
    dataset = MeshDataset.load(Path(out_dir) / "meshes")
    gan = build_gan(recipe, dataset)
    load_weights(Path(out_dir) / "weights.pt", {"gan": gan})
    return gan, dataset
