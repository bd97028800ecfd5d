"""Train the face reconstruction model of Gao et al. (2020).

    python book/reconstruction/train.py --preset laptop
    torchrun --standalone --nproc-per-node=2 book/reconstruction/train.py --preset laptop
    torchrun --standalone --nproc-per-node=8 book/reconstruction/train.py --data world:ict=PATH/TO/ict_facekit.npz
    torchrun --standalone --nproc-per-node=8 book/reconstruction/train.py --data 300wlp=PATH,celeba=PATH,bfm=PATH

The first is minutes on two cores, the last takes licensed copies (``facekit.reconstruction.copies``). Without
``--preset laptop`` the sizes are the paper's and want GPUs (and, with ``--workers``, cores that render). Every
setting of ``facekit.reconstruction.Recipe`` is an option (``--help`` lists them). The run leaves in ``--out_dir``:
the settings, metrics.jsonl, checkpoints, weights.pt, and in samples/ the first photographs' faces as PLY files. The
same command continues it.
"""

import argparse
from pathlib import Path

import torch

from facekit.meshes import save_mesh
from facekit.metrics import vertex_errors
from facekit.reconstruction import PRESETS, Material, Networks, Recipe, Reconstructor, open_material, updates
from facekit.training import TrainingLoop, command_line, distributed_run


def main(config: Recipe) -> dict[str, float]:
    """Train, write sample faces, and return the last metrics."""
    with distributed_run(config) as world:
        # A linear 3DMM of the face region; labelled photographs (300W-LP) and photo collections (CelebA).
        material = open_material(config)
        prior = material.prior.model.to(world.device)

        # Image -> identity, expression, pose, light -> shape and albedo -> image; who is it? is it a face?
        networks = Networks(config, prior, material.labelled.people).to(world.device)

        # One step of the mesh critic, Eq. (11), and one of the encoder and the decoders, Eq. (4) to (11).
        steps = updates(config, material, networks, prior)

        def measure(_step: int) -> dict[str, float]:
            return {"shape_error_mm": shape_error(networks.model, material, prior)}

        loop = TrainingLoop(
            config, world, {"networks": networks}, steps, evaluate=measure, double_backward=["networks"]
        )
        metrics = loop.run()
        if world.is_main:
            with loop.averaged():
                textured = config.texture_from < config.steps
                write_samples(networks.model, material, Path(config.out_dir) / "samples", textured)
        return metrics


@torch.no_grad()
def shape_error(model: Reconstructor, material: Material, prior: torch.nn.Module, count: int = 64) -> float:
    """Mean distance in mm between reconstructions of the first labelled photographs and their 3DMM shapes."""
    batch = material.labelled.batch(torch.arange(min(count, len(material.labelled))))
    truth = prior.shape(batch["shape_code"].to(prior.device), batch["expression_code"].to(prior.device))
    model.eval()
    found = model(batch["image"].to(prior.device)).vertices
    model.train()
    return float(vertex_errors(found, truth).mean())


@torch.no_grad()
def write_samples(model: Reconstructor, material: Material, folder: Path, textured: bool, count: int = 6) -> None:
    """The faces of the first unlabelled photographs as PLY files, in the colours of the last albedo decoder."""
    folder.mkdir(parents=True, exist_ok=True)
    images = material.unlabelled.batch(torch.arange(min(count, len(material.unlabelled))))["image"]
    model.eval()
    faces = model(images.to(model.template.device), texture=textured)
    for number, (vertices, albedo) in enumerate(zip(faces.vertices, model.vertex_albedo(faces), strict=True)):
        save_mesh(folder / f"face_{number}.ply", vertices, model.faces, albedo=albedo)


def preset() -> type[Recipe]:
    """The settings that the run starts from: those of ``--preset``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="paper")
    return PRESETS.get(parser.parse_known_args()[0].preset, Recipe)


if __name__ == "__main__":
    command_line(main, preset())
