"""Which process am I, and how do the processes of this run talk to each other?

``torchrun`` starts N copies of a script and tells each one its place through the environment: ``RANK`` (0 to N - 1
over all machines), ``LOCAL_RANK`` (on this machine) and ``WORLD_SIZE`` (N). A script that is started by plain
``python`` has none of them and is a world of one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from facekit.training.config import TrainingConfig
from facekit.training.errors import LaunchError
from facekit.training.seeds import seed_everything


@dataclass(frozen=True)
class World:
    """This process's place in the run: its ``rank`` of ``size`` processes, and its ``device``."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """True in the one process that prints, logs and writes checkpoints."""
        return self.rank == 0


@contextmanager
def distributed_run(config: TrainingConfig | None = None) -> Iterator[World]:
    """Join the other processes of this run, if there are any, and yield the :class:`World`.

    The global generators are seeded with ``config.seed``, so that all processes build the same initial models.
    ``config.device`` is ``"auto"`` (CUDA where there is one, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    Tensors on CUDA travel by NCCL, tensors on the CPU by Gloo. Inside another ``distributed_run`` it joins the group
    that exists.

    Raises:
        LaunchError: if the environment is incomplete or this process has no GPU of its own.
    """
    config = config or TrainingConfig()
    rank, local_rank, size = _place()
    chosen = _choose_device(config.device, local_rank, size)
    seed_everything(config.seed, "models")
    if size == 1 or dist.is_initialized():
        yield World(rank, size, chosen)
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo", rank=rank, world_size=size)
    yield World(rank, size, chosen)
    # Only after a good end: after an error the others may be waiting in a collective, and torchrun ends them all.
    dist.destroy_process_group()


def _place() -> tuple[int, int, int]:
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
    found = {name: os.environ.get(name) for name in names}
    if all(value is None for value in found.values()):
        return 0, 0, 1
    bad = [name for name, value in found.items() if value is None or not value.isdigit()]
    if bad:
        raise LaunchError(f"the environment has {_listed(found)}: {bad[0]} must be a whole number; start with torchrun")
    rank, local_rank, size = (int(found[name]) for name in names)
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if size > 1 and missing:
        raise LaunchError(f"WORLD_SIZE is {size}, but {missing[0]} is not set; start with torchrun, which sets it")
    if rank >= size:
        raise LaunchError(f"RANK is {rank}, but must be below WORLD_SIZE, which is {size}")
    return rank, local_rank, size


def _listed(found: dict[str, str | None]) -> str:
    return ", ".join(f"{name}={value}" if value is not None else f"no {name}" for name, value in found.items())


def _choose_device(device: str, local_rank: int, size: int) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise LaunchError(f"device is {device!r}, expected auto, cpu, cuda or cuda:<number>") from None
    if chosen.type != "cuda":
        return chosen
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # repeatable matrix products; read when CUDA starts
    count = torch.cuda.device_count()
    index = local_rank if size > 1 else (chosen.index or 0)
    if index >= count:
        raise LaunchError(
            f"process {local_rank} of this machine wants GPU {index}, but it has {count}; "
            "lower --nproc-per-node or use --device cpu"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
