"""Experiments of the reconstruction chapter: Tables 1 and 2, and the numbers behind the figures, at four scales.

``python -m facekit run reconstruction/table1 --data world --scale notebook`` trains the model and its baselines on the
same photographs and measures them on the MICC twin.
"""

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.data import DataError, FaceWorld, load_all, parse_data, twin
from facekit.experiments import Measured, Run, experiment
from facekit.reconstruction import baselines, evaluation
from facekit.reconstruction.losses import LossWeights
from facekit.reconstruction.model import Reconstructor
from facekit.reconstruction.recipe import LaptopRecipe, Material, Networks, Recipe, open_material, updates
from facekit.render import weak_perspective
from facekit.training import TrainingLoop, distributed_run, read_metrics

PAPER = "Gao et al. 2020"


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


NOTEBOOK = LaptopRecipe(people=60, photos=6, sources=200, views=2, steps=500, texture_from=10_000, progress=False)
SCALES: dict[str, tuple[Recipe, Sizes]] = {
    "smoke": (
        replace(NOTEBOOK, scanned=60, people=4, photos=2, sources=4, image_size=32, steps=3, warm_up=1, batch_size=8),
        Sizes(1, 3, 4, 60, 2, 1, 3),
    ),
    "notebook": (NOTEBOOK, Sizes(12, 4, 200, 200, 4, 2, 60)),
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
        networks.to(world.device)
        steps = updates(recipe, stuff, networks, prior)
        loop = TrainingLoop(recipe, world, {"networks": networks}, steps, double_backward=["networks"])
        loop.run()
        return Trained(networks.model.eval().cpu(), stuff, read_metrics(Path(folder) / "metrics.jsonl"))


@lru_cache(maxsize=4)
def backbone(data: str, scale: str, seed: int) -> Mapping[str, Tensor] | None:
    """The backbone after the warm-up, from which every method of a run starts; None where there is no warm-up."""
    recipe = replace(SCALES[scale][0], data=data, seed=seed)
    if not recipe.warm_up:
        return None
    warm = train(replace(recipe, steps=recipe.warm_up), material(data, scale, seed))
    return warm.model.encoder.backbone.state_dict()


LINEAR = LossWeights(softmax=0.0, center=0.0, smooth=0.0, symmetry=0.0, adversarial=0.0, pair=0.0, codes=0.02)
"""The 3DMM regressor needs no regulariser but a pull of its coefficients to zero."""

VARIANTS: dict[str, Mapping[str, object]] = {
    "full model": {},
    "w/o L_recog": {"weights": LossWeights(softmax=0.0, center=0.0)},
    "w/o L_adv": {"weights": LossWeights(adversarial=0.0)},
    "conventional smoothing": {"conventional_smoothing": True},
    "trained neutral code": {"weights": LossWeights(neutral=1.0)},
    "linear 3DMM regressor": {},
}
"""What each method changes in the recipe."""


@lru_cache(maxsize=32)
def trained(data: str, scale: str, seed: int, variant: str) -> Trained:
    """One of ``VARIANTS``, trained once for all experiments of a process."""
    recipe = replace(SCALES[scale][0], data=data, seed=seed, **VARIANTS[variant])
    recipe = replace(recipe, steps=recipe.steps - recipe.warm_up, warm_up=0)
    start = backbone(data, scale, seed)
    return train(recipe, material(data, scale, seed), variant == "linear 3DMM regressor", start)


def _twin(name: str, run: Run, outputs: tuple[str, ...], **sizes: int) -> FaceWorld:
    """A test twin of a run: its people are in no training set."""
    if not parse_data(run.data).is_world:
        raise DataError(f"the reconstruction experiments are measured in the face world, found --data {run.data}")
    image_size = SCALES[run.scale][0].image_size
    face_model = material(run.data, run.scale, run.seed).face_model
    return twin(name, image_size=image_size, model=face_model, seed=run.seed, outputs=outputs, **sizes)


def _note(run: Run) -> Sizes:
    """Write the settings into the record."""
    recipe, sizes = SCALES[run.scale]
    stuff = material(run.data, run.scale, run.seed)
    run.config |= {
        "vertices": stuff.prior.model.num_vertices,
        "labelled": len(stuff.labelled),
        "unlabelled": len(stuff.unlabelled),
        "encoder": recipe.encoder,
        "image_size": recipe.image_size,
        "steps": recipe.steps,
        "warm_up": recipe.warm_up,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "subjects": sizes.subjects,
        "frames": sizes.frames,
    }
    return sizes


def _neutral(variant: str, result: Trained) -> Tensor:
    """The neutral expression code of a method: trained, or zero coefficients, or the mean over calm photographs."""
    size = result.model.encoder.heads["expression"].out_features
    if variant in ("trained neutral code", "linear 3DMM regressor"):
        return torch.zeros(size)
    return evaluation.neutral_expression(result.model, result.material.labelled)


def _by_identity(run: Run, variant: str) -> dict[str, float]:
    """The MICC errors of a variant, "average over identity"."""
    result, sizes = trained(run.data, run.scale, run.seed, variant), SCALES[run.scale][1]
    source = _micc(run.data, run.scale, run.seed)
    faces = evaluation.average_over_identity(result.model, source, _neutral(variant, result), sizes.frames)
    return evaluation.micc_errors(faces, result.model, source, source.model)


def _by_views(run: Run, variant: str) -> dict[str, float]:
    """The MICC errors of a variant, "average over three views"."""
    result, sizes = trained(run.data, run.scale, run.seed, variant), SCALES[run.scale][1]
    source = _micc(run.data, run.scale, run.seed)
    faces = evaluation.average_over_views(result.model, source, sizes.frames)
    return evaluation.micc_errors(faces, result.model, source, source.model)


@lru_cache(maxsize=4)
def _micc(data: str, scale: str, seed: int) -> FaceWorld:
    sizes = SCALES[scale][1]
    outputs = ("image", "mask", "landmarks")
    return _twin("micc", Run(data, scale, seed), outputs, subjects=sizes.subjects, frames=sizes.frames)


def _fitted(run: Run) -> dict[str, float]:
    """The MICC errors of per-image optimisation; the identity coefficients are averaged over a few frames."""
    sizes, source = SCALES[run.scale][1], _micc(run.data, run.scale, run.seed)
    prior = material(run.data, run.scale, run.seed).prior.model
    model = baselines.linear_reconstructor(prior, source.image_size, "resnet_tiny", "random")
    rows = evaluation.micc_frames(source, sizes.fit_frames)
    faces: dict[tuple[str, str], list[Tensor]] = {}
    for part in np.array_split(np.arange(len(rows)), -(-len(rows) // evaluation.CHUNK)):
        chosen = rows.iloc[part]
        batch = source.batch(chosen.index.to_numpy())
        fit = baselines.fit_photos(
            model, prior, batch["image"], batch["mask"], batch["landmarks"], steps=sizes.fit_steps
        )
        for key, face in zip(zip(chosen["subject"], chosen["condition"], strict=True), fit.neutral, strict=True):
            faces.setdefault(key, []).append(face)
    means = {key: torch.stack(shapes).mean(dim=0) for key, shapes in faces.items()}
    return evaluation.micc_errors(means, prior, source, source.model)


CONDITION_COLUMNS = tuple(f"{name}_{what}" for name in evaluation.CONDITIONS for what in ("mean", "std"))


def _row(*numbers: float) -> dict[str, float]:
    return dict(zip(CONDITION_COLUMNS, numbers, strict=False))


@experiment(
    "reconstruction/table1",
    paper=PAPER,
    title="MICC: point-to-plane error (mm), mean and standard deviation over the subjects",
    columns=CONDITION_COLUMNS,
    published={
        "identity: Tran17": _row(1.93, 0.27, 2.02, 0.25, 1.86, 0.23),
        "identity: Genova18": _row(1.50, 0.13, 1.50, 0.11, 1.48, 0.11),
        "identity: full model": _row(1.17, 0.27, 1.20, 0.28, 1.21, 0.28),
        "three views: Tran17": _row(1.40, 0.29, 1.38, 0.32),
        "three views: Tewari17": _row(1.37, 0.32, 1.29, 0.27),
        "three views: Genova18": _row(1.37, 0.35, 1.26, 0.31),
        "three views: MVF-Net": _row(1.22, 0.25, 1.23, 0.24),
        "three views: full model": _row(1.16, 0.29, 1.24, 0.30, 1.22, 0.28),
    },
)
def table1(run: Run) -> Measured:
    """The model, both averages, beside the mean face, the 3DMM regressor and per-image optimisation."""
    sizes = _note(run)
    source = _micc(run.data, run.scale, run.seed)
    prior = material(run.data, run.scale, run.seed).prior.model
    rows = evaluation.micc_frames(source, 1)
    mean_face = {(row.subject, row.condition): prior.mean for row in rows.itertuples()}
    measured = {
        "the mean face": evaluation.micc_errors(mean_face, prior, source, source.model),
        "identity: full model": _by_identity(run, "full model"),
        "identity: linear 3DMM regressor": _by_identity(run, "linear 3DMM regressor"),
    }
    if sizes.frames >= 3:
        for variant in ("full model", "linear 3DMM regressor"):
            measured[f"three views: {variant}"] = _by_views(run, variant)
    return measured | {"per-image optimisation": _fitted(run)}


@experiment(
    "reconstruction/table2",
    paper=PAPER,
    title="Ablation on MICC, average over identity: point-to-plane error (mm)",
    columns=CONDITION_COLUMNS,
    published={
        "w/o L_recog": _row(1.39, 0.73, 1.40, 0.82, 1.54, 0.76),
        "w/o L_adv": _row(1.27, 0.27, 1.23, 0.26, 1.24, 0.26),
        "full model": _row(1.17, 0.27, 1.20, 0.28, 1.21, 0.28),
    },
)
def table2(run: Run) -> Measured:
    """Terms left out, and conventional smoothing instead of Eq. (9), for which the paper only shows faces."""
    _note(run)
    variants = ("w/o L_recog", "w/o L_adv", "conventional smoothing", "full model")
    return {variant: _by_identity(run, variant) for variant in variants}


@experiment(
    "reconstruction/beyond",
    paper=PAPER,
    title="Beyond the paper: a neutral expression code that is trained; MICC, average over identity (mm)",
    columns=CONDITION_COLUMNS,
    published={"full model": _row(1.17, 0.27, 1.20, 0.28, 1.21, 0.28)},
)
def beyond(run: Run) -> Measured:
    """MICC asks for neutral faces, but no loss of the paper says which code is neutral; one more term does."""
    _note(run)
    return {variant: _by_identity(run, variant) for variant in ("full model", "trained neutral code")}


@experiment(
    "reconstruction/codes",
    paper=PAPER,
    title="What the codes know: pose (degrees) and landmarks (% of the box) on AFLW2000, verification (%) on CelebA",
    columns=("pitch", "yaw", "roll", "nme", "auc", "eer"),
)
def codes(run: Run) -> Measured:
    """Pose and landmark errors, and identity verification from the identity codes."""
    sizes = _note(run)
    wild = _twin("aflw2000", run, ("image", "landmarks", "pose"), subjects=sizes.pictures)
    collections = _twin("celeba", run, ("image",), subjects=sizes.people, photos=sizes.photos).split("test")
    pictures, album = load_all(wild), load_all(collections, ("image",))
    measured = {}
    for variant in ("full model", "w/o L_recog", "linear 3DMM regressor"):
        model = trained(run.data, run.scale, run.seed, variant).model
        found = evaluation.encode(model, pictures["image"])
        with torch.no_grad():
            vertices = model.shape_decoder(found.identity, found.expression)
            pose = model.pose(found.pose)
            projected = weak_perspective(vertices, pose)[:, model.landmarks, :2]
        names = collections.table["subject"].to_numpy()
        measured[variant] = evaluation.pose_and_landmarks(pose, projected, pictures["pose"], pictures["landmarks"])
        measured[variant] |= evaluation.verification(evaluation.encode(model, album["image"]).identity, names)
    return measured
