"""The rows of the paper's tables: every model, trained on the same meshes at one of four scales.

What is trained is kept for the length of the process, so that two tables in one process train each model once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from facekit.decoupled_gan.adversarial import DecoupledGAN
from facekit.decoupled_gan.autoencoders import AutoencoderRecipe, train_coma, train_mae
from facekit.decoupled_gan.data import MeshDataset
from facekit.decoupled_gan.evaluation import FaceSampler
from facekit.decoupled_gan.judges import LAPTOP_JUDGE, JudgeSettings, TripletJudge, fit_judge
from facekit.decoupled_gan.linear_models import additive_linear, bilinear
from facekit.decoupled_gan.losses import LossWeights
from facekit.decoupled_gan.recipe import CodeSizes, LaptopRecipe, Recipe, make_meshes
from facekit.decoupled_gan.training import train_gan

SCALES: dict[str, Recipe] = {
    "smoke": LaptopRecipe(share=0.02, level=0, num_vertices=300, image_size=16, steps=4, batch_size=8),
    "notebook": LaptopRecipe(
        share=0.1, num_vertices=1000, image_size=32, steps=450, weights=LossWeights(regularizer=40.0)
    ),
    "small": LaptopRecipe(
        share=1.0, num_vertices=1000, image_size=32, steps=600, weights=LossWeights(regularizer=40.0)
    ),
    "paper": Recipe(),
}
"""Settings of the adversarial model at each scale, when it is trained alone."""


@dataclass(frozen=True)
class Sizes:
    """What else a comparison needs at one scale.

    Args:
        steps: generator steps of each adversarial model.
        autoencoder: training of both autoencoders.
        judge: the networks that measure decoupling.
        pairs, samples: for diversity and specificity; the paper takes 10,000 and 1,000.
        anchors, members: for decoupling; the paper takes 100 and 100.
        people, fit_steps: for the fit to landmarks: people with twelve expressions each, and steps of Adam.
        speech_share: share of the speech corpus.
    """

    steps: int
    autoencoder: AutoencoderRecipe
    judge: JudgeSettings
    pairs: int
    samples: int
    anchors: int
    members: int
    people: int
    fit_steps: int
    speech_share: float


SIZES = {
    "smoke": Sizes(
        4,
        AutoencoderRecipe(steps=2, batch_size=8, image_size=16),
        JudgeSettings("resnet_tiny", 32, 16, 60, 2, labels=3, per_label=2, shift=1),
        *(40, 10, 3, 4, 1, 3, 0.05),
    ),
    "notebook": Sizes(
        300,
        AutoencoderRecipe(steps=300, batch_size=32, image_size=32),
        LAPTOP_JUDGE,
        *(1000, 200, 20, 20, 3, 150, 0.13),
    ),
    "small": Sizes(
        600,
        AutoencoderRecipe(steps=600, batch_size=32, image_size=32),
        replace(LAPTOP_JUDGE, meshes=2000, steps=1000),
        *(10_000, 1000, 50, 50, 12, 400, 0.25),
    ),
    "paper": Sizes(
        Recipe.steps, AutoencoderRecipe(batch_size=64), JudgeSettings(), *(10_000, 1000, 100, 100, 12, 1000, 1.0)
    ),
}
"""The other settings of each scale."""


@dataclass(frozen=True)
class Setting:
    """What a comparison is made on: ``data`` and ``seed`` as an experiment has them, and the scale."""

    data: str
    scale: str
    seed: int

    @property
    def recipe(self) -> Recipe:
        return replace(SCALES[self.scale], data=self.data, seed=self.seed, steps=self.sizes.steps, progress=False)

    @property
    def sizes(self) -> Sizes:
        return SIZES[self.scale]


def _weighted(**weights: float) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, weights=replace(recipe.weights, **weights))


VARIANTS: dict[str, Callable[[Recipe], Recipe]] = {
    "without mesh regularisation": _weighted(regularizer=0.0),
    "without expression classification": lambda recipe: replace(recipe, unclassified="expression"),
    "without feature loss": _weighted(feature=0.0),
    "decoupled GAN": lambda recipe: recipe,
    "decoupled GAN, linear start": lambda recipe: replace(recipe, linear_start=0.6),
}
"""The paper's model, its ablations, and one that the paper does not have: what each changes in the recipe."""

BEYOND: dict[str, Callable[[Recipe], Recipe]] = {
    "decoupled GAN": VARIANTS["decoupled GAN"],
    "decoupled GAN, wide linear start": lambda recipe: replace(recipe, linear_start=0.8),
}
"""The paper's model, and one that starts as the linear model, with codes nearly as wide as the linear model's own."""

SPREADS = (0.7, 0.85, 1.0, 1.15)
"""Standard deviations of the codes that the two models of ``BEYOND`` are sampled with; 1 is the training's."""

BASELINES = ("MAE", "COMA", "linear 3DMM", "bilinear")
"""What the paper compares itself with: two autoencoders (MAE, COMA), a linear and a bilinear model."""


@lru_cache(maxsize=4)
def meshes_of(setting: Setting) -> MeshDataset:
    """The training meshes."""
    return make_meshes(setting.recipe)


@lru_cache(maxsize=4)
def judges_of(setting: Setting) -> dict[str, TripletJudge]:
    """The judge of each factor."""
    meshes = meshes_of(setting)
    return {factor: fit_judge(meshes, factor, setting.sizes.judge, setting.seed) for factor in meshes.labels}


@lru_cache(maxsize=64)
def gan_of(setting: Setting, variant: str) -> DecoupledGAN:
    """One of ``VARIANTS`` or ``BEYOND``, trained."""
    gan, _ = train_gan((VARIANTS | BEYOND)[variant](setting.recipe), meshes_of(setting))
    return gan.requires_grad_(False)


@lru_cache(maxsize=64)
def model_of(setting: Setting, method: str) -> FaceSampler:
    """One of ``VARIANTS``, ``BEYOND`` or ``BASELINES``, trained: a model to sample faces from.

    Raises:
        KeyError: the method is not known.
    """
    if method in VARIANTS | BEYOND:
        return gan_of(setting, method).generator
    autoencoder = replace(setting.sizes.autoencoder, seed=setting.seed)
    makers: dict[str, Callable[[MeshDataset], FaceSampler]] = {
        "MAE": lambda meshes: train_mae(meshes, autoencoder),
        "COMA": lambda meshes: train_coma(meshes, autoencoder),
        "linear 3DMM": additive_linear,
        "bilinear": bilinear,
    }
    return makers[method](meshes_of(setting))


def speech_recipe(setting: Setting) -> Recipe:
    """The supplement's model: codes of 50, 50, 50 and 5 numbers for identity, expression, viseme and noise."""
    sizes = CodeSizes(identity=50, expression=50, noise=5, viseme=50)
    return replace(setting.recipe, population="speech", share=setting.sizes.speech_share, code=sizes)
