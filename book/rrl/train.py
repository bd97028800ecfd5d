"""Pre-train an encoder for action units (AUs) with region and relation learning (Song and Liu, 2023).

    python book/rrl/train.py --preset laptop
    python book/rrl/train.py --preset laptop --units disfa --weights.relation 0
    torchrun --standalone --nproc-per-node=8 book/rrl/train.py --data emotionet=PATH,bp4d=PATH
    python book/rrl/train.py --data emotionet=PATH --weights.relation 0 --probe False

The first is about ten minutes on two cores; without ``--preset laptop`` the sizes are the paper's and want GPUs. Every
setting of ``facekit.rrl.Recipe`` is an option (``--help`` lists them). The run leaves in ``--out_dir``: settings,
metrics.jsonl, checkpoints and weights.pt, whose encoder ``facekit.rrl.load_encoder`` reads. The same command goes on.
The last needs no labelled face: neither relations of AUs nor a probe.
"""

import argparse

from facekit.rrl import (
    PRESETS,
    Recipe,
    always_present,
    build_model,
    encode,
    open_labelled,
    open_pairs,
    probe_scores,
    training_loop,
)
from facekit.training import command_line, distributed_run


def main(config: Recipe) -> dict[str, float]:
    """Train, probe the frozen encoder on the labelled faces, and return the last metrics."""
    with distributed_run(config) as world:
        # Unlabelled faces: two views of each, and where its AUs would show on either.
        pairs = open_pairs(config)

        # Encoder, local branch, projector and predictor; and the slow copy that they learn from.
        model = build_model(config).to(world.device)

        # Labelled faces, for the evaluation alone: no gradient of theirs reaches the encoder.
        faces = open_labelled(config) if config.probe else None

        def measure(step: int) -> dict[str, float]:
            features = encode(model.online.encoder, faces.images, shared=True)
            scores = probe_scores(features, faces, seed=config.seed)
            return {"probe_f1": scores.mean, "always_yes_f1": always_present(faces).mean}

        # A step: Eq. (7) on both views, AdamW, then Eq. (1) for the slow copy.
        return training_loop(config, world, model, pairs, measure if config.probe else None).run()


def preset() -> type[Recipe]:
    """The settings that the run starts from: those of ``--preset``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="paper")
    return PRESETS.get(parser.parse_known_args()[0].preset, Recipe)


if __name__ == "__main__":
    command_line(main, preset())
