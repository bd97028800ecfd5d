"""Train DML-Net (Liu et al., 2021).

    python book/dmlnet/train.py --preset laptop --dataset kdef
    python book/dmlnet/train.py --preset laptop --dataset kdef --weighting progress --out_dir runs/progress
    python book/dmlnet/train.py --preset laptop --dataset bu3dfe --weighting equal --out_dir runs/bu3dfe
    torchrun --standalone --nproc-per-node=2 book/dmlnet/train.py --data kdef=PATH --batch_size 30 --out_dir runs/kdef

The first three are minutes on two cores; without ``--preset laptop`` the sizes are the paper's and want GPUs. Every
setting of ``facekit.dmlnet.Recipe`` is an option (``--help`` lists them). The run leaves in ``--out_dir``, a folder of
its own for each run: the faces, the settings, metrics.jsonl, checkpoints and weights.pt. The same command continues it.
"""

import argparse

from facekit.dmlnet import (
    PRESETS,
    Objective,
    Recipe,
    answer,
    build_network,
    network_update,
    open_faces,
    recognition_rates,
)
from facekit.training import TrainingLoop, command_line, distributed_run, seed_everything


def main(config: Recipe) -> dict[str, float]:
    """Train, and return the last metrics with the rates on the test people."""
    with distributed_run(config) as world:
        # Faces of the training and of the test people, with expression, pose and subject.
        train, test = open_faces(config, world)

        # Face, eyes and mouth -> fused feature -> embedding -> expression; fused feature -> pose.
        seed_everything(config.seed, "network")
        network = build_network(config, train).to(world.device)

        # Cross-entropies and hardest triplets over the global batch, weighted by how fast they fall, Eq. (7) and (8).
        objective = Objective(config, network, len(train.expressions)).to(world.device)
        updates = [network_update(config, network, objective, train)]

        def measure(step: int) -> dict[str, float]:
            rates = recognition_rates(answer(network.eval(), test), test)
            return {f"test/{name}": rate for name, rate in rates.items()}

        models = {"network": network, "objective": objective}
        memory = {"weights": objective.rule}
        return TrainingLoop(config, world, models, updates, evaluate=measure, state=memory).run()


def preset() -> type[Recipe]:
    """The settings that the run starts from: those of ``--preset``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="paper")
    return PRESETS.get(parser.parse_known_args()[0].preset, Recipe)


if __name__ == "__main__":
    command_line(main, preset())
