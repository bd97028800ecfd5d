"""Experiments of the decoupled face model: the paper's tables and figures, at four scales.

``python -m facekit run decoupled_gan/table1 --data world --scale notebook`` trains every model of Table 1 on the same
meshes and writes decoupling, diversity and specificity beside the paper's numbers. ``core`` is the paper's model alone
with a quick linear check of decoupling.
"""

from collections.abc import Mapping
from typing import Any

import torch

from facekit.decoupled_gan.comparison import (
    BASELINES,
    BEYOND,
    SPREADS,
    VARIANTS,
    Setting,
    gan_of,
    judges_of,
    meshes_of,
    model_of,
    speech_recipe,
)
from facekit.decoupled_gan.evaluation import FaceSampler, LinearEmbedding, LinearGaussian, evaluate, evaluate_data
from facekit.decoupled_gan.fitting import extreme_faces, fit_landmarks, landmark_vertices, surface_rmse
from facekit.decoupled_gan.judges import decoupling, fit_judge
from facekit.decoupled_gan.manipulation import transfer
from facekit.decoupled_gan.population import topology
from facekit.decoupled_gan.recipe import make_meshes, open_face_model
from facekit.decoupled_gan.training import train_gan
from facekit.experiments import Measured, Run, experiment

PAPER = "Fernandez Abrevaya et al. 2019"
DIVERSITIES = ("diversity", "diversity_identity", "diversity_expression")
TABLE_1 = ("decoupling_identity", "decoupling_expression", *DIVERSITIES, "specificity")
DATA_ROW = dict(zip(DIVERSITIES, (4.89, 3.30, 5.04), strict=True))
LAMBDAS = {"lambda_0": 0.0, "lambda_0_01": 0.01, "lambda_10": 10.0}


def _setting(run: Run) -> Setting:
    """The setting of a run, whose main sizes go into the record."""
    setting = Setting(run.data, run.scale, run.seed)
    recipe, meshes = setting.recipe, meshes_of(setting)
    run.config |= {"meshes": len(meshes), "vertices": meshes.num_vertices, **_about(recipe)}
    return setting


def _about(recipe: Any) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in ("steps", "batch_size", "image_size", "learning_rate")}


def _rows(table: Mapping[str, tuple[float, ...]], columns: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {method: dict(zip(columns, numbers, strict=True)) for method, numbers in table.items()}


@experiment(
    "decoupled_gan/core",
    paper=PAPER,
    title="Diversity and specificity (mm); decoupling (%) by a quick linear check instead of the paper's networks",
    columns=(*DIVERSITIES, "specificity", "linear_decoupling_identity", "linear_decoupling_expression"),
    published={
        "training data": DATA_ROW,
        "decoupled GAN": dict(zip((*DIVERSITIES, "specificity"), (4.74, 1.94, 4.22, 2.01), strict=True)),
    },
)
def core(run: Run) -> Measured:
    """The trained model beside its training data and beside principal components with a Gaussian."""
    setting = _setting(run)
    meshes, sizes = meshes_of(setting), setting.sizes
    embeddings = {factor: LinearEmbedding.fit(meshes, factor) for factor in meshes.labels}
    settings = {"pairs": sizes.pairs, "samples": sizes.samples, "seed": run.seed}
    measured = evaluate(model_of(setting, "decoupled GAN"), meshes, embeddings, **settings)
    return {
        "training data": evaluate_data(meshes, sizes.pairs, run.seed),
        "principal components + Gaussian": evaluate(LinearGaussian(meshes), meshes, **settings),
        "decoupled GAN": {name.replace("decoupling_", "linear_decoupling_"): value for name, value in measured.items()},
    }


@experiment(
    "decoupled_gan/table1",
    paper=PAPER,
    title="Decoupling (%) by triplet networks, diversity and specificity (mm) of all models on the same meshes",
    columns=TABLE_1,
    published={
        "training data": DATA_ROW,
        **_rows(
            {
                "without mesh regularisation": (99.6, 99.1, 1.41, 0.65, 1.25, 3.61),
                "without expression classification": (100.0, 42.8, 4.81, 0.11, 4.87, 2.01),
                "without feature loss": (96.0, 80.3, 4.47, 1.75, 4.01, 2.00),
                "MAE": (99.5, 53.3, 3.89, 0.92, 3.76, 2.00),
                "COMA": (97.5, 65.5, 3.38, 1.71, 2.90, 2.47),
                "decoupled GAN": (98.6, 89.7, 4.74, 1.94, 4.22, 2.01),
            },
            TABLE_1,
        ),
    },
)
def table1(run: Run) -> Measured:
    """Ablations, baselines, the paper's model and one with a linear start."""
    setting = _setting(run)
    meshes = meshes_of(setting)
    run.config |= {f"judge of {name}": judge.quality._asdict() for name, judge in judges_of(setting).items()}
    rows = {"training data": evaluate_data(meshes, setting.sizes.pairs, run.seed)}
    for method in (*VARIANTS, *BASELINES):
        rows[method] = judged(setting, model_of(setting, method))
    return rows


@experiment(
    "decoupled_gan/beyond",
    paper=PAPER,
    title="Beyond the paper: decoupling (%), diversity, specificity (mm) with a wide linear start and milder codes",
    columns=TABLE_1,
)
def beyond(run: Run) -> Measured:
    """Whether a wide linear start raises decoupling and diversity together, and what milder codes do to both models."""
    setting = _setting(run)
    run.config |= {f"judge of {name}": judge.quality._asdict() for name, judge in judges_of(setting).items()}
    rows = {}
    for method in BEYOND:
        generator = gan_of(setting, method).generator
        for spread in SPREADS:
            row = method if spread == 1 else f"{method}, codes x {spread}"
            rows[row] = judged(setting, generator.truncated(spread))
    return rows


def judged(setting: Setting, model: FaceSampler) -> dict[str, float]:
    """The six numbers of Table 1 for one model."""
    sizes, meshes = setting.sizes, meshes_of(setting)
    measured = evaluate(model, meshes, pairs=sizes.pairs, samples=sizes.samples, seed=setting.seed)
    for factor, judge in judges_of(setting).items():
        random = torch.Generator().manual_seed(setting.seed)
        measured[f"decoupling_{factor}"] = decoupling(model, factor, judge, sizes.anchors, sizes.members, random)
    return measured


@experiment(
    "decoupled_gan/table2",
    paper=PAPER,
    title="Fitting 85 landmarks of expressions never seen: RMSE to the true surface (mm) for three weights of the code",
    columns=tuple(LAMBDAS),
    published=_rows(
        {"MAE": (4.46, 4.06, 2.78), "COMA": (3.05, 3.02, 2.83), "decoupled GAN": (2.62, 2.55, 2.42)}, tuple(LAMBDAS)
    ),
)
def table2(run: Run) -> Measured:
    """New people with extreme expressions, from 85 points each."""
    setting = _setting(run)
    landmarks, truth = unseen_faces(setting)
    run.config |= {"faces": len(truth), "fit_steps": setting.sizes.fit_steps}
    rows = {}
    for method in ("decoupled GAN", "decoupled GAN, linear start", *BASELINES):
        rows[method] = {}
        for column, weight in LAMBDAS.items():
            fitted = fit(setting, method, landmarks, truth, weight)
            rows[method][column] = surface_rmse(fitted, truth, meshes_of(setting).faces)
    return rows


def unseen_faces(setting: Setting) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of the 85 landmark vertices, and the faces (B, V, 3) to fit, on the topology of the training meshes."""
    recipe, meshes = setting.recipe, meshes_of(setting)
    model = open_face_model(recipe)
    kept, _, _ = topology(model, recipe.num_vertices or None, recipe.crop)
    neutral = model.shape(torch.zeros(1, model.num_identity), model.neutral_expression())[0]
    truth = extreme_faces(model, kept, setting.sizes.people, setting.seed)
    return landmark_vertices(meshes.mean(), neutral[model.landmarks]), truth


def fit(setting: Setting, method: str, landmarks: torch.Tensor, truth: torch.Tensor, weight: float) -> torch.Tensor:
    """Meshes of one model, fitted to the landmarks of ``truth``."""
    model, steps = model_of(setting, method), setting.sizes.fit_steps
    return fit_landmarks(model, landmarks, truth[:, landmarks], weight, steps, seed=setting.seed)


@experiment(
    "decoupled_gan/figure6",
    paper=PAPER,
    title="Expressions made from codes (%): is it still the target's person, is it the source's expression?",
    columns=("replaced_person", "replaced_expression", "added_person", "added_expression"),
)
def figure6(run: Run) -> Measured:
    """Replacing and adding expression codes, Figures 4 and 6, by the judges of Table 1."""
    setting = _setting(run)
    pairs = setting.sizes.anchors * setting.sizes.members // 4
    methods = ("decoupled GAN", "decoupled GAN, linear start", *BASELINES)
    return {method: transfer(model_of(setting, method), judges_of(setting), pairs, run.seed) for method in methods}


@experiment(
    "decoupled_gan/figure5",
    paper=PAPER,
    title="Three factors on the speech corpus: decoupling (%) by triplet networks, diversity of pairs (mm)",
    columns=tuple(f"{what}_{name}" for what in ("decoupling", "diversity") for name in
                  ("identity", "expression", "viseme")),
)  # fmt: skip
def figure5(run: Run) -> Measured:
    """The supplement's identity-expression-viseme model beside its data."""
    setting = Setting(run.data, run.scale, run.seed)
    recipe, sizes = speech_recipe(setting), setting.sizes
    meshes = make_meshes(recipe)
    run.config |= {"meshes": len(meshes), "vertices": meshes.num_vertices, **_about(recipe)}
    gan, _ = train_gan(recipe, meshes)
    of_data = evaluate_data(meshes, sizes.pairs, run.seed)
    measured = evaluate(gan.generator, meshes, pairs=sizes.pairs, samples=sizes.samples, seed=run.seed)
    for factor in meshes.labels:
        judge = fit_judge(meshes, factor, sizes.judge, run.seed)
        run.config[f"judge of {factor}"] = judge.quality._asdict()
        random = torch.Generator().manual_seed(run.seed)
        settings = (sizes.anchors, sizes.members, random)
        measured[f"decoupling_{factor}"] = decoupling(gan.generator, factor, judge, *settings)
    for numbers in (of_data, measured):
        for name in ("diversity", "specificity"):
            numbers.pop(name, None)
    return {"training data": of_data, "decoupled GAN": measured}
