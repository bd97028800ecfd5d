"""Experiments of the reconstruction chapter: Tables 1 and 2, and the numbers behind the figures, at four scales.

``python -m facekit run reconstruction/table1 --data world --scale notebook`` trains the model and its baselines on the
same photographs and measures them on the MICC twin.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from facekit.data import DataSource, load_all, parse_data, twin
from facekit.experiments import Measured, Run, experiment
from facekit.reconstruction import baselines, evaluation
from facekit.reconstruction.copies import open_copy
from facekit.reconstruction.methods import SCALES, Sizes, material, neutral_code, trained
from facekit.reconstruction.settings import compare_settings
from facekit.render import weak_perspective

PAPER = "Gao et al. 2020"


def _test_data(name: str, run: Run, outputs: tuple[str, ...], **sizes: int) -> DataSource:
    """A test set of a run, whose people are in no training set: the twin, or the reader's copy."""
    image_size = SCALES[run.scale][0].image_size
    if not parse_data(run.data).is_world:
        offered = {key: value for key, value in sizes.items() if key in ("subjects", "frames", "photos")}
        return open_copy(run.data, name, image_size, split="test", **offered)
    face_model = material(run.data, run.scale, run.seed).face_model
    return twin(name, image_size=image_size, model=face_model, seed=run.seed, outputs=outputs, **sizes).split("test")


def _note(run: Run, longer: int = 1) -> Sizes:
    """Write the settings into the record; ``longer`` as in ``trained``."""
    recipe, sizes = SCALES[run.scale]
    stuff = material(run.data, run.scale, run.seed)
    run.config |= {
        "vertices": stuff.prior.model.num_vertices,
        "labelled": len(stuff.labelled),
        "unlabelled": len(stuff.unlabelled),
        "encoder": recipe.encoder,
        "image_size": recipe.image_size,
        "steps": recipe.warm_up + longer * (recipe.steps - recipe.warm_up),
        "warm_up": recipe.warm_up,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "subjects": sizes.subjects,
        "frames": sizes.frames,
    }
    return sizes


def _by_identity(run: Run, variant: str, longer: int = 1) -> dict[str, float]:
    """The MICC errors of a variant, "average over identity"."""
    result, sizes = trained(run.data, run.scale, run.seed, variant, longer), SCALES[run.scale][1]
    source = _micc(run.data, run.scale, run.seed)
    faces = evaluation.average_over_identity(result.model, source, neutral_code(result), sizes.frames)
    return evaluation.micc_errors(faces, result.model, source, source.model)


def _by_views(run: Run, variant: str) -> dict[str, float]:
    """The MICC errors of a variant, "average over three views"."""
    result, sizes = trained(run.data, run.scale, run.seed, variant), SCALES[run.scale][1]
    source = _micc(run.data, run.scale, run.seed)
    faces = evaluation.average_over_views(result.model, source, sizes.frames)
    return evaluation.micc_errors(faces, result.model, source, source.model)


@lru_cache(maxsize=4)
def _micc(data: str, scale: str, seed: int) -> DataSource:
    sizes = SCALES[scale][1]
    outputs = ("image", "mask", "landmarks")
    return _test_data("micc", Run(data, scale, seed), outputs, subjects=sizes.subjects, frames=sizes.frames)


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
    """The model, both averages, beside the mean face, the 3DMM regressor and per-image optimisation.

    The optimisation needs masks and landmarks of every frame, so it is left out where MICC is a copy.
    """
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
    if parse_data(run.data).is_world:
        measured["per-image optimisation"] = _fitted(run)
    return measured


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
    title="Beyond the paper: codes and shape decoder start from the 3DMM; MICC, average over identity (mm)",
    columns=CONDITION_COLUMNS,
    published={"full model": _row(1.17, 0.27, 1.20, 0.28, 1.21, 0.28)},
)
def beyond(run: Run) -> Measured:
    """The paper's decoder has to learn the 3DMM from its samples; this one adds to it, and its codes know it."""
    _note(run)
    return {variant: _by_identity(run, variant) for variant in ("full model", "from the 3DMM")}


@experiment(
    "reconstruction/longer",
    paper=PAPER,
    title="MICC, average over identity (mm), after ten times the steps that follow the warm-up in the other tables",
    columns=CONDITION_COLUMNS,
    published={"full model": _row(1.17, 0.27, 1.20, 0.28, 1.21, 0.28)},
)
def longer(run: Run) -> Measured:
    """Whether the methods are level with the mean face because the training is short."""
    _note(run, longer=10)
    variants = ("full model", "linear 3DMM regressor")
    return {variant: _by_identity(run, variant, longer=10) for variant in variants}


@experiment(
    "reconstruction/codes",
    paper=PAPER,
    title="What the codes know: pose (degrees) and landmarks (% of the box) on AFLW2000, verification (%) on CelebA",
    columns=("pitch", "yaw", "roll", "nme", "auc", "eer"),
)
def codes(run: Run) -> Measured:
    """Pose and landmark errors, and identity verification from the identity codes."""
    sizes = _note(run)
    wild = _test_data("aflw2000", run, ("image", "landmarks", "pose"), subjects=sizes.pictures)
    collections = _test_data("celeba", run, ("image",), subjects=sizes.people, photos=sizes.photos)
    pictures, album = load_all(wild, ("image", "landmarks", "pose")), load_all(collections, ("image",))
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


@experiment(
    "reconstruction/settings",
    paper=PAPER,
    title="Shape error (mm) on unseen labelled photographs, by the number of people and the length of the warm-up",
    columns=("shape_error",),
)
def settings(run: Run) -> Measured:
    """What the sizes of the small run were judged by, which is nothing that a table measures."""
    recipe, sizes = SCALES[run.scale]
    run.config |= {
        "sources": recipe.sources,
        "views": recipe.views,
        "warm_up": recipe.warm_up,
        "steps": recipe.steps,
        "pictures": sizes.pictures,
    }
    errors = compare_settings(run.data, run.scale, run.seed)
    return {method: {"shape_error": error} for method, error in errors.items()}
