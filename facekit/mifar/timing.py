"""How long is an epoch? (Figure 2.) ``torchrun -m facekit.mifar.timing BATCH SCANS SIZE ENCODER STEPS`` tells.

The images are random: time does not depend on what they show. The first process prints the seconds of an epoch.
"""

import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import torch

from facekit.mifar.recipe import Recipe, build_model, pretraining_update
from facekit.training import TensorSource, TrainingLoop, distributed_run, read_metrics


def epoch_seconds(batch: int, scans: int, size: int, encoder: str, steps: int) -> float:
    """Median time of a step, in this world of processes, times the whole batches in ``scans`` scans; 0 in all processes
    but the first. The embeddings are as wide as the batch is large, as in the paper."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(
            out_dir=folder, batch_size=batch, image_size=size, encoder=encoder, steps=steps + 1, log_every=1,
            projector=(batch, batch), progress=False, save_every=steps + 1,
        )  # fmt: skip
        with distributed_run(recipe) as world:
            count = max(scans, batch)
            random = torch.Generator().manual_seed(0)
            images = torch.randint(
                256, (count, 3, recipe.num_channels, size, size), generator=random, dtype=torch.uint8
            )
            model = build_model(recipe).to(world.device)
            source = TensorSource(images=images)
            loop = TrainingLoop(recipe, world, {"mifar": model}, [pretraining_update(recipe, world, model)], source)
            loop.run()
            if not world.is_main:
                return 0.0
        ends = [line["seconds"] for line in read_metrics(Path(folder) / "metrics.jsonl")]
        return statistics.median(b - a for a, b in pairwise(ends)) * (count // batch)


def launched_seconds(processes: int, *settings: object) -> float:
    """``epoch_seconds`` in so many processes on this machine, through torchrun.

    Raises:
        RuntimeError: a process failed; the message is what it printed.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*torchrun, "-m", "facekit.mifar.timing", *map(str, settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("epoch ")]
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return float(lines[-1].split()[1])


def main(words: list[str]) -> None:
    batch, scans, size, encoder, steps = words
    seconds = epoch_seconds(int(batch), int(scans), int(size), encoder, int(steps))
    if seconds:
        print(f"epoch {seconds}")


if __name__ == "__main__":
    main(sys.argv[1:])
