"""Starting scripts as separate processes, for the tests of this folder.

The processes are forked from a server that has imported PyTorch once, because importing it takes longer than the tests.
"""

import contextlib
import multiprocessing
import os
import runpy
import socket
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["facekit.training", "torch._dynamo"])  # the latter is what optimisers import


def environment() -> dict[str, str]:
    """One thread per process, the repository on the path, no GPU, no trace of an outer launcher."""
    kept = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}


def run(script: str, *arguments: object, processes: int = 1) -> list[tuple[int, str]]:
    """Run ``processes`` copies of ``script`` (relative to the repository), placed as torchrun would place them.

    Returns (exit status, what it printed) of each; a killed process has the negative number of its signal.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder) / str(rank) for rank in range(processes)]
        started = []
        for rank, path in enumerate(printed):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
            place |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
            command = [str(ROOT / script), *map(str, arguments)]
            child = _CONTEXT.Process(target=_run, args=(command, environment(), place if processes > 1 else {}, path))
            child.start()
            started.append(child)
        for child in started:
            child.join(120)
        return [(child.exitcode, path.read_text()) for child, path in zip(started, printed, strict=True)]


def _run(command: list[str], environment: dict[str, str], place: dict[str, str], output: Path) -> None:
    os.environ.clear()
    os.environ.update(environment | place)
    sys.argv = command
    torch.set_num_threads(1)
    with open(output, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        runpy.run_path(command[0], run_name="__main__")
