"""Time and memory of MiFaR's loss, forward and backward, against its textbook form.

Run it alone (`OMP_NUM_THREADS=1 python tests/benchmarks/bench_mifar_loss.py`); times are medians of interleaved runs,
memory is what a fresh process needs beyond the embeddings.
"""

import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from facekit.mifar import cheaper_form, mifar_loss
from tests.mifar.textbook import textbook_loss

FORMS = {
    "textbook": textbook_loss,
    "facekit, gram": lambda a, b: mifar_loss(a, b, form="gram"),
    "facekit, textbook": lambda a, b: mifar_loss(a, b, form="textbook"),
}


def embeddings(batch: int, width: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    first = torch.randn(3, batch, width)
    return [first.requires_grad_(), (first.detach() + torch.randn(3, batch, width)).requires_grad_()]


def seconds(name: str, inputs: list[torch.Tensor]) -> float:
    start = time.perf_counter()
    torch.autograd.grad(sum(FORMS[name](*inputs).values()), inputs)
    return time.perf_counter() - start


def memory(name: str, batch: int, width: int) -> float:
    """MiB that one call needs at its peak beyond what was there before, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, batch, width))


def _peak(name: str, batch: int, width: int) -> float:
    inputs = embeddings(batch, width)
    seconds(name, embeddings(8, 16))
    before = _largest_so_far()
    seconds(name, inputs)
    return _largest_so_far() - before


def _largest_so_far() -> float:
    """Largest resident memory of this process in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def compare(batch: int, width: int, rounds: int) -> None:
    inputs = embeddings(batch, width)
    expected = torch.autograd.grad(sum(textbook_loss(*inputs).values()), inputs)
    found = torch.autograd.grad(sum(mifar_loss(*inputs, form="gram").values()), inputs)
    error = max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))
    times: dict[str, list[float]] = {name: [] for name in FORMS}
    for _ in range(rounds):
        for name in FORMS:
            times[name].append(seconds(name, inputs))
    print(f"3 views, N = {batch}, D = {width}; gradients differ by {error:.0e}; auto: {cheaper_form(3, batch, width)}")
    base = statistics.median(times["textbook"])
    for name, runs in times.items():
        median, peak = statistics.median(runs), memory(name, batch, width)
        print(f"  {name:18} {1e3 * median:8.0f} ms, {base / median:5.1f} times as fast, {peak:6.0f} MiB")


if __name__ == "__main__":
    compare(256, 8192, 3)
    compare(256, 1024, 9)
    compare(1024, 1024, 5)
