"""The trained methods that the experiments compare: settings at four scales, variants, and training in memory."""

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from facekit.reconstruction import baselines, evaluation
from facekit.reconstruction.losses import LossWeights
from facekit.reconstruction.material import Material, open_material
from facekit.reconstruction.model import Reconstructor
from facekit.reconstruction.recipe import LaptopRecipe, Recipe
from facekit.reconstruction.start import start_codes
from facekit.reconstruction.training import Networks, updates
from facekit.training import TrainingLoop, distributed_run, read_metrics


@dataclass(frozen=True)
class Sizes:
    """How much is measured: people and frames of the MICC twin, pictures of AFLW2000's, people and photographs of
    CelebA's test part, and steps of the per-image optimisation."""

    subjects: int = 53
    frames: int = 10
    pictures: int = 2000
    people: int = 1000
    photos: int = 8
    fit_frames: int = 3
    fit_steps: int = 150


NOTEBOOK = LaptopRecipe(
    people=60, photos=6, sources=500, views=2, widths=(16, 8), steps=940, warm_up=800, critic_every=4,
    texture_from=10_000, progress=False,
)  # fmt: skip
SCALES: dict[str, tuple[Recipe, Sizes]] = {
    "smoke": (
        replace(NOTEBOOK, scanned=60, people=4, photos=2, sources=4, image_size=32, steps=3, warm_up=1, batch_size=8),
        Sizes(1, 3, 4, 60, 2, 1, 3),
    ),
    "notebook": (NOTEBOOK, Sizes(12, 4, 200, 200, 4, 1, 60)),
    "small": (replace(LaptopRecipe(), level=1, factors=(4, 4, 4), widths=(64, 32, 16), image_size=64, steps=6000,
                      warm_up=2000, texture_from=10_000,
                      progress=False), Sizes(53, 6, 500, 200, 6)),
    "paper": (Recipe(progress=False), Sizes()),
}  # fmt: skip
"""Training and evaluation sizes of each scale."""


@dataclass(frozen=True)
class Trained:
    """A model with what it was trained from and the lines of its metrics."""

    model: Reconstructor
    material: Material
    metrics: list[dict[str, float]]


@lru_cache(maxsize=4)
def material(data: str, scale: str, seed: int) -> Material:
    """The photographs and the 3DMM of one run; kept, because several methods learn from them."""
    return open_material(replace(SCALES[scale][0], data=data, seed=seed))


def train(
    recipe: Recipe, stuff: Material, linear: bool = False, backbone: Mapping[str, Tensor] | None = None
) -> Trained:
    """Train the paper's model, or with ``linear`` the 3DMM regressor, and keep it in memory.

    Args:
        recipe, stuff: settings and photographs.
        linear: train ``linear_reconstructor`` instead, with the weights ``LINEAR``.
        backbone: weights to start the backbone from.
    """
    if linear:
        recipe = replace(recipe, texture_from=recipe.steps, weights=LINEAR)
    with tempfile.TemporaryDirectory() as folder, distributed_run(recipe) as world:
        recipe = replace(recipe, out_dir=folder)
        prior = copy.deepcopy(stuff.prior.model).to(world.device)
        networks = Networks(recipe, prior, stuff.labelled.people)
        if linear:
            networks.model = baselines.linear_reconstructor(
                prior, recipe.image_size, recipe.encoder, recipe.encoder_weights
            )
        if backbone is not None:
            networks.model.encoder.backbone.load_state_dict(backbone)
            if linear or recipe.from_prior:
                start_codes(networks.model.encoder, stuff.labelled)
        networks.to(world.device)
        steps = updates(recipe, stuff, networks, prior)
        loop = TrainingLoop(recipe, world, {"networks": networks}, steps, double_backward=["networks"])
        loop.run()
        return Trained(networks.model.eval().cpu(), stuff, read_metrics(Path(folder) / "metrics.jsonl"))


def warm_backbone(recipe: Recipe, stuff: Material) -> Mapping[str, Tensor] | None:
    """The backbone after the warm-up of ``recipe``; None where there is no warm-up."""
    if not recipe.warm_up:
        return None
    return train(replace(recipe, steps=recipe.warm_up), stuff).model.encoder.backbone.state_dict()


@lru_cache(maxsize=4)
def backbone(data: str, scale: str, seed: int) -> Mapping[str, Tensor] | None:
    """The warm backbone from which every method of a run starts."""
    return warm_backbone(replace(SCALES[scale][0], data=data, seed=seed), material(data, scale, seed))


LINEAR = LossWeights(softmax=0.0, center=0.0, smooth=0.0, symmetry=0.0, adversarial=0.0, pair=0.0, codes=0.02)
"""The 3DMM regressor needs no regulariser but a pull of its coefficients to zero."""

VARIANTS: dict[str, Mapping[str, object]] = {
    "full model": {},
    "w/o L_recog": {"weights": LossWeights(softmax=0.0, center=0.0)},
    "w/o L_adv": {"weights": LossWeights(adversarial=0.0)},
    "conventional smoothing": {"conventional_smoothing": True},
    "from the 3DMM": {"from_prior": True, "weights": LossWeights(neutral=1.0)},
    "linear 3DMM regressor": {},
    "CNN albedo": {},
    "w/o mask and symmetry": {"masked": False, "weights": LossWeights(symmetry=0.0)},
    "CNN albedo w/o mask and symmetry": {"masked": False, "weights": LossWeights(symmetry=0.0)},
}
"""What each method changes in the recipe; with a CNN albedo, the second half of the steps trains the convolutional
albedo decoder."""


def trained(data: str, scale: str, seed: int, variant: str, longer: int = 1) -> Trained:
    """One of ``VARIANTS``, trained once in a process, for ``longer`` times the steps that follow the warm-up."""
    return _trained(data, scale, seed, variant, longer)


@lru_cache(maxsize=32)
def _trained(data: str, scale: str, seed: int, variant: str, longer: int) -> Trained:
    recipe = replace(SCALES[scale][0], data=data, seed=seed, **VARIANTS[variant])
    recipe = replace(recipe, steps=longer * (recipe.steps - recipe.warm_up), warm_up=0)
    if variant.startswith("CNN"):
        recipe = replace(recipe, texture_from=recipe.steps // 2)
    start = backbone(data, scale, seed)
    return train(recipe, material(data, scale, seed), variant == "linear 3DMM regressor", start)


def neutral_code(result: Trained) -> Tensor:
    """The neutral expression code of a method: zero where it is a coefficient or was trained to be neutral, otherwise
    the mean over calm photographs."""
    model = result.model
    if isinstance(model.shape_decoder, baselines.LinearShape) or model.shape_decoder.prior is not None:
        return torch.zeros(model.encoder.heads["expression"].out_features)
    return evaluation.neutral_expression(model, result.material.labelled)
