"""Training the adversarial model on meshes in memory."""

import tempfile
from dataclasses import replace
from pathlib import Path

from facekit.decoupled_gan.adversarial import DecoupledGAN
from facekit.decoupled_gan.data import MeshDataset
from facekit.decoupled_gan.recipe import Recipe, build_gan, gan_updates
from facekit.training import TrainingLoop, distributed_run, read_metrics


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
