"""Experiments of the decoupled face model: what is measured, at four scales.

``python -m facekit run decoupled_gan/core --data world --scale small`` trains the model and a linear baseline on the
same meshes and writes diversity, specificity and a quick decoupling check beside the paper's numbers.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from facekit.decoupled_gan.adversarial import DecoupledGAN
from facekit.decoupled_gan.data import MeshDataset
from facekit.decoupled_gan.evaluation import LinearEmbedding, LinearGaussian, evaluate, evaluate_data
from facekit.decoupled_gan.losses import LossWeights
from facekit.decoupled_gan.recipe import LaptopRecipe, Recipe, build_gan, gan_updates, make_meshes
from facekit.experiments import Measured, Run, experiment
from facekit.training import TrainingLoop, distributed_run, read_metrics

SCALES = {
    "smoke": LaptopRecipe(share=0.02, level=0, num_vertices=300, image_size=16, steps=4, batch_size=8),
    "notebook": LaptopRecipe(
        share=0.1, num_vertices=1000, image_size=32, steps=450, weights=LossWeights(regularizer=40.0)
    ),
    "small": LaptopRecipe(),
    "paper": Recipe(),
}
"""Settings of each scale."""

COUNTS = {"smoke": (40, 10), "notebook": (1000, 100), "small": (10_000, 1000), "paper": (10_000, 1000)}
"""Pairs for diversity and samples for specificity; the paper takes 10,000 and 1,000."""


def train_gan(recipe: Recipe, dataset: MeshDataset) -> tuple[DecoupledGAN, list[dict[str, float]]]:
    """Train on meshes in memory; return the networks, with averaged weights where the recipe asks so, and the metrics.

    The metrics are the lines of the run's metrics.jsonl; nothing else is kept.
    """
    with tempfile.TemporaryDirectory() as folder, distributed_run(recipe) as world:
        gan = build_gan(recipe, dataset).to(world.device)
        updates = gan_updates(recipe, world, gan, dataset)
        loop = TrainingLoop(replace(recipe, out_dir=folder), world, {"gan": gan}, updates, double_backward=["gan"])
        loop.run()
        with loop.averaged():
            weights = {name: value.clone() for name, value in gan.state_dict().items()}
        gan.load_state_dict(weights)
        return gan.eval(), read_metrics(Path(folder) / "metrics.jsonl")


@experiment(
    "decoupled_gan/core",
    paper="Fernandez Abrevaya et al. 2019",
    title="Diversity and specificity (mm); decoupling (%) by a quick linear check instead of the paper's networks",
    columns=(
        "diversity",
        "diversity_identity",
        "diversity_expression",
        "specificity",
        "linear_decoupling_identity",
        "linear_decoupling_expression",
    ),
    published={
        "training data": {"diversity": 4.89, "diversity_identity": 3.30, "diversity_expression": 5.04},
        "decoupled GAN": {
            "diversity": 4.74,
            "diversity_identity": 1.94,
            "diversity_expression": 4.22,
            "specificity": 2.01,
        },
    },
)
def core(run: Run) -> Measured:
    """The trained model beside its training data and beside principal components with a Gaussian."""
    recipe = replace(SCALES[run.scale], data=run.data, seed=run.seed, progress=False)
    dataset = make_meshes(recipe)
    run.config |= {
        "meshes": len(dataset),
        "vertices": dataset.num_vertices,
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "image_size": recipe.image_size,
        "learning_rate": recipe.learning_rate,
    }
    pairs, samples = COUNTS[run.scale]
    embeddings = {factor: LinearEmbedding.fit(dataset, factor) for factor in dataset.labels}
    settings = {"pairs": pairs, "samples": samples, "seed": run.seed}
    gan, _ = train_gan(recipe, dataset)
    return {
        "training data": evaluate_data(dataset, pairs, run.seed),
        "principal components + Gaussian": evaluate(LinearGaussian(dataset), dataset, **settings),
        "decoupled GAN": _by_column(evaluate(gan.generator, dataset, embeddings, **settings)),
    }


def _by_column(measured: dict[str, float]) -> dict[str, float]:
    """The same numbers, the decoupling named after the check that it comes from."""
    return {name.replace("decoupling_", "linear_decoupling_"): value for name, value in measured.items()}
