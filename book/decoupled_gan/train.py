"""Train the decoupled 3D face model of Fernandez Abrevaya et al. (2019).

    python book/decoupled_gan/train.py --preset laptop
    python book/decoupled_gan/train.py --preset laptop --data world:ict=PATH/TO/ict_facekit.npz
    torchrun --standalone --nproc-per-node=2 book/decoupled_gan/train.py --data world:ict=PATH/TO/ict_facekit.npz

The first is minutes on two cores; without ``--preset laptop`` the sizes are the paper's and want GPUs. Every setting of
``facekit.decoupled_gan.Recipe`` is an option (``--help`` lists them). The run leaves in ``--out_dir``: the meshes, the
settings, metrics.jsonl, checkpoints, weights.pt, and faces as PLY files in samples/. The same command continues it.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from facekit.decoupled_gan import (
    PRESETS,
    DecoupledGAN,
    LinearEmbedding,
    MeshDataset,
    Recipe,
    build_gan,
    evaluate,
    gan_updates,
    open_meshes,
)
from facekit.meshes import save_mesh
from facekit.training import TrainingLoop, command_line, distributed_run


def main(config: Recipe) -> dict[str, float]:
    """Train, write sample faces, and return the last metrics."""
    with distributed_run(config) as world:
        # Registered meshes with sparse labels: everybody has an identity, about 7 % have an expression.
        with tqdm(desc="making faces", unit="face", disable=not (config.progress and world.is_main)) as bar:
            meshes = open_meshes(config, world, lambda done, total: bar.reset(total) or bar.update(done))

        # Codes -> mesh -> geometry image -> real? who? which expression?
        gan = build_gan(config, meshes).to(world.device)

        # Three steps of the discriminator, Eq. (6), for each of the generator, Eq. (8).
        updates = gan_updates(config, world, gan, meshes)

        embeddings = {factor: LinearEmbedding.fit(meshes, factor) for factor in meshes.labels}

        def measure(step: int) -> dict[str, float]:
            return evaluate(gan.generator, meshes, embeddings, seed=config.seed)

        loop = TrainingLoop(config, world, {"gan": gan}, updates, evaluate=measure, double_backward=["gan"])
        metrics = loop.run()
        if world.is_main:
            with loop.averaged():
                write_samples(gan, meshes, Path(config.out_dir) / "samples", config.seed)
        return metrics


@torch.no_grad()
def write_samples(gan: DecoupledGAN, meshes: MeshDataset, folder: Path, seed: int, count: int = 7) -> None:
    """Faces at random, one person with every labelled expression, one expression on several people, as PLY files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(seed)
    codes = gan.generator.sample_codes(count, random)
    labels = torch.arange(count) % meshes.num_labels["expression"]
    one_person = {**codes, "identity": codes["identity"][:1].expand(count, -1)}
    one_person["expression"] = gan.fixed("expression", labels)
    one_expression = {**codes, "expression": codes["expression"][:1].expand(count, -1)}
    for name, chosen in {"random": codes, "person": one_person, "expression": one_expression}.items():
        for number, vertices in enumerate(gan.generator(chosen).cpu()):
            save_mesh(folder / f"{name}_{number}.ply", vertices, meshes.faces)


def preset() -> type[Recipe]:
    """The settings that the run starts from: those of ``--preset``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="paper")
    return PRESETS.get(parser.parse_known_args()[0].preset, Recipe)


if __name__ == "__main__":
    command_line(main, preset())
