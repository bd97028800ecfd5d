"""How fast the face world makes labelled pictures: whole batches against one picture at a time, and tables by the row.

No library makes the same pictures, and the renderer has its own benchmark beside PyTorch3D; here the world is held
against 150 pictures a second and against itself without batching.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from facekit.data import RenderCache
from facekit.data.world import PROTOCOLS, twin, twin_table

WANTED = 150.0  # pictures a second at 112 x 112 on two cores


def per_second(work: Callable[[], object], count: int, repeats: int = 5) -> float:
    """Items a second in the fastest of some runs."""
    work()
    best = min(_seconds(work) for _ in range(repeats))
    return count / best


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rendering() -> None:
    for name in ("kdef", "celeba"):
        world = twin(name, subjects=60, outputs=("image", "mask", "landmarks", "pose", "expression"))
        rows = np.linspace(0, len(world) - 1, 128).astype(int)
        batched = per_second(lambda world=world, rows=rows: [world[rows[:64]], world[rows[64:]]], 128)
        single = per_second(lambda world=world, rows=rows: [world[int(row)] for row in rows[:16]], 16, 2)
        print(
            f"face world, {name} at 112x112, {torch.get_num_threads()} threads: {batched:.0f} pictures/s, "
            f"{batched / WANTED:.1f} x the wanted {WANTED:.0f}, {batched / single:.1f} x one at a time ({single:.0f}/s)"
        )


def labels_only() -> None:
    world = twin("bu4dfe", subjects=20, outputs=("vertices", "landmarks", "action_units"))
    rate = per_second(lambda: world[np.arange(64)], 64)
    print(f"face world without pictures: {rate:.0f} meshes/s")


def tables() -> None:
    for name in ("bp4d", "disfa", "celeba", "multipie", "fanelli"):
        seconds = min(_seconds(lambda name=name: twin_table(name)) for _ in range(2))
        rows = len(twin_table(name))
        title = PROTOCOLS[name].title
        print(f"table of the twin of {title}: {rows} rows in {seconds:.2f} s, {rows / seconds:.0f} rows/s")


def cache(folder: str) -> None:
    world = twin("kdef", subjects=4, outputs=("image", "landmarks", "expression"))
    kept = RenderCache(world, folder).build()
    rows = np.random.default_rng(0).permutation(len(world))[:128]
    made, read = per_second(lambda: world[rows], 128, 2), per_second(lambda: kept[rows], 128)
    print(f"cache of rendered pictures: {read:.0f} pictures/s, {read / made:.0f} x rendering them")


def main() -> None:
    import tempfile

    rendering()
    labels_only()
    tables()
    with tempfile.TemporaryDirectory() as folder:
        cache(folder)


if __name__ == "__main__":
    main()
