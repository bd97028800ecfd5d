"""Time specificity and diversity at the paper's sizes against loops that take one pair of meshes after the other.

Run it alone (`OMP_NUM_THREADS=1 python tests/benchmarks/bench_generation_metrics.py`). The training set is a file that
is mapped into memory; `--meshes 30559` takes the paper's number (8 GB of disk), the default an eighth of it. The
shapes are a hard case: Gaussian in sixty directions, so that a sample's nearest mesh is hardly nearer than many others.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.decoupled_gan import Generator
from facekit.metrics import (
    diversity,
    draw_pairs,
    mean_displacement,
    mean_vertex_distance,
    nearest_training_mesh,
    pair_distances,
)

VERTICES, DIRECTIONS, CHUNK = 22_129, 60, 256


def directions() -> tuple[Tensor, Tensor]:
    """A cloud of points (3V,) of a face's size and smooth displacement fields (K, 3V) of falling strength, in mm."""
    random = torch.Generator().manual_seed(7)
    points = torch.rand(VERTICES, 3, generator=random) * torch.tensor([150.0, 200.0, 80.0])
    waves = torch.randn(3, DIRECTIONS, generator=random) / torch.logspace(2.3, 1.0, DIRECTIONS)
    fields = torch.cos(points @ waves + 6.28 * torch.rand(DIRECTIONS, generator=random))
    strength = 1.2 * 0.97 ** torch.arange(DIRECTIONS)[:, None] * torch.randn(DIRECTIONS, 3, generator=random)
    return points.flatten(), torch.einsum("vk,kc->kvc", fields, strength).flatten(1)


def write_shapes(file: Path, count: int, seed: int) -> Tensor:
    """``count`` shapes (count, V, 3) in a file, mapped into memory."""
    points, fields = directions()
    random = torch.Generator().manual_seed(seed)
    array = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(count, VERTICES, 3))
    for start in range(0, count, CHUNK):
        weights = torch.randn(min(CHUNK, count - start), DIRECTIONS, generator=random)
        array[start : start + len(weights)] = (points + weights @ fields).view(-1, VERTICES, 3).numpy()
    array.flush()
    return torch.from_numpy(np.load(file, mmap_mode="c"))


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def line(what: str, ours: float, loop: float) -> None:
    print(f"{what}: {1e6 * ours:.1f} us per pair, loop {1e6 * loop:.1f} us, {loop / ours:.1f} times as long")


def specificity_against_loop(samples: Tensor, training: Tensor) -> None:
    """The loop is timed on some pairs before and after, the search as a whole; both must find the same mesh."""
    distance, nearest = torch.empty(0), torch.empty(0)

    def loop(few: Tensor) -> Tensor:
        return torch.stack([(samples[0] - mesh).norm(dim=-1).mean() for mesh in few])

    def search() -> None:
        nonlocal distance, nearest
        distance, nearest = nearest_training_mesh(samples, training)

    before = seconds(lambda: loop(training[:500]))
    ours = seconds(search)
    after = seconds(lambda: loop(training[:500]))
    everything = torch.cat([mean_vertex_distance(samples[0], part) for part in training.split(CHUNK)])
    assert nearest[0] == everything.argmin() and torch.isclose(distance[0], everything.min())
    pairs = len(samples) * len(training)
    line(f"specificity, {len(samples)} samples, {len(training)} meshes", ours / pairs, (before + after) / 1000)


def diversity_against_loop(training: Tensor) -> None:
    """Distances of given meshes: every pair is new and must be read from memory, which bounds what can be gained."""
    pairs = draw_pairs(len(training), 400, torch.Generator().manual_seed(0))

    def loop() -> None:
        torch.stack([(training[i] - training[j]).norm(dim=-1).mean() for i, j in pairs.tolist()])

    ours = [seconds(lambda: pair_distances(training, pairs)) for _ in range(3)]
    theirs = [seconds(loop) for _ in range(3)]
    line("diversity of given meshes", min(ours) / len(pairs), min(theirs) / len(pairs))


@torch.no_grad()
def diversity_of_a_generator(pairs: int = 64) -> None:
    """Samples are made anew for each pair: making them is the work. A batch reads the 34 million weights once, and the
    linear last layer is asked about the difference of a pair, once instead of twice."""
    generator, random = Generator(torch.zeros(VERTICES, 3)), torch.Generator().manual_seed(0)

    def batched() -> None:
        mean_displacement(generator.difference(*(generator.sample_codes(pairs, random) for _ in range(2))))

    def loop() -> None:
        for _ in range(pairs):
            one, other = (generator(generator.sample_codes(1, random)) for _ in range(2))
            (one - other).norm(dim=-1).mean()

    line("diversity of a generator", seconds(batched) / pairs, seconds(loop) / pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meshes", type=int, default=4000)
    parser.add_argument("--samples", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        training = write_shapes(Path(folder) / "training.npy", arguments.meshes, 1)
        samples = write_shapes(Path(folder) / "samples.npy", arguments.samples, 2).clone()
        specificity_against_loop(samples, training)
        diversity_against_loop(training)
        everything = seconds(lambda: diversity(training, torch.Generator().manual_seed(1)))
        print(f"diversity over 10,000 pairs: {everything:.1f} s")
    diversity_of_a_generator()


if __name__ == "__main__":
    main()
