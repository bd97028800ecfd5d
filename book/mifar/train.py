"""Train MiFaR (Behzad and Zhao, 2021) without labels on all folds of people but one, then probe the one.

    python book/mifar/train.py --preset laptop
    python book/mifar/train.py --preset laptop --method simclr --out_dir runs/simclr
    python book/mifar/train.py --preset laptop --subjects 0 --data bu3dfe=/data/BU_3DFE --out_dir runs/bu3dfe
    torchrun --standalone --nproc-per-node=2 book/mifar/train.py --preset laptop --out_dir runs/two_processes
    torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=HOST:29400 book/mifar/train.py

The first is minutes on two cores; without ``--preset laptop`` the sizes are the paper's and want GPUs.
``--standalone`` finds a free address and port by itself; on several machines the same command is given on each, with
the name of one of them as HOST. Each process renders its share of the views; those of a licensed copy are made once
and kept in ``--cache`` (``~/.cache/facekit/mifar``). Every setting of ``facekit.mifar.Recipe`` is an option
(``--help`` lists them). The run leaves config.yml, metrics.jsonl, checkpoints and weights.pt in ``--out_dir``, a
folder of its own for each run; the same command continues it.
"""

import argparse

from tqdm import tqdm

from facekit.data import DataError, ManifestError
from facekit.metrics import accuracy
from facekit.mifar import (
    PRESETS,
    Recipe,
    build_model,
    open_fold,
    pretraining_update,
    probe_counts,
    with_labels,
    without_labels,
)
from facekit.morphable import FaceModelError
from facekit.training import ConfigError, TrainingLoop, command_line, distributed_run


def main(config: Recipe) -> dict[str, float]:
    """Train and return the last metrics, the probes' accuracy on the fold that was not seen among them."""
    with distributed_run(config) as world:
        # Left, front and right images of every scan; nobody of the test part is in the training part.
        with tqdm(desc="rendering views", unit="scan", disable=not (config.progress and world.is_main)) as bar:

            def rendered(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            try:
                train, test = open_fold(config, rendered)
            except (DataError, FaceModelError, ManifestError) as error:
                raise ConfigError(str(error)) from error

        # One encoder and one projector per view; Eq. (1) on two distorted versions of the batch.
        model = build_model(config).to(world.device)
        update = pretraining_update(config, world, model)

        # The projectors are bypassed: a linear and a k-nearest-neighbour probe on the encoders' vectors.
        labelled = with_labels(train), with_labels(test)

        def measure(step: int) -> dict[str, float]:
            kinds = ("linear", "neighbours")
            return {f"probe/{kind}": accuracy(probe_counts(model.encoder, *labelled, kind)) for kind in kinds}

        loop = TrainingLoop(config, world, {"mifar": model}, [update], without_labels(train), evaluate=measure)
        return loop.run()


def preset() -> type[Recipe]:
    """The settings that the run starts from: those of ``--preset``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="paper")
    return PRESETS.get(parser.parse_known_args()[0].preset, Recipe)


if __name__ == "__main__":
    command_line(main, preset())
