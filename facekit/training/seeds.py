"""Seeds and random states.

Every random number of a run follows from one seed and a few words that say what it is for: ``derive_seed(0, "noise",
step)``. Nothing depends on how many numbers were drawn before, so that a resumed run, another number of workers and
another number of processes all see the same draws.

NumPy's legacy global generator appears here because other people's data sets draw from it.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derive_seed(seed: int, *keys: int | str) -> int:
    """A 63-bit seed that is a fixed function of ``seed`` and ``keys`` (whole numbers >= 0 or words)."""
    return int(derive_seeds(1, seed, *keys)[0])


def derive_seeds(count: int, seed: int, *keys: int | str) -> torch.Tensor:
    """``count`` seeds (count,) int64 at once, one per sample of a batch, say; the first is :func:`derive_seed`."""
    numbers = [_number(key) if isinstance(key, str) else key for key in keys]
    state = np.random.SeedSequence([seed, *numbers]).generate_state(count, np.uint64)
    return torch.from_numpy((state >> np.uint64(1)).astype(np.int64))


def _number(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")


def derive_generator(seed: int, *keys: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on ``device`` that is seeded with :func:`derive_seed`."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *keys))


def seed_everything(seed: int, *keys: int | str) -> None:
    """Seed the global generators of Python, NumPy and PyTorch (all devices): initial weights and dropout use them."""
    derived = derive_seed(seed, *keys)
    random.seed(derived)
    np.random.seed(derived % 2**32)  # noqa: NPY002
    torch.manual_seed(derived)


def random_state(device: torch.device) -> dict[str, Any]:
    """The global random state of this process, in types that ``torch.load(weights_only=True)`` accepts."""
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Put back what :func:`random_state` returned."""
    keys, position, has_gauss, gauss = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)


@contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Run the body with the CPU's global generators seeded with ``seed``; put them back afterwards.

    Data sets that draw from the global generators (most image transforms do) become a function of ``seed`` and leave
    the random numbers of the model alone.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


@contextmanager
def repeatable_kernels(wanted: bool) -> Iterator[None]:
    """Inside, PyTorch picks kernels that give the same bits every time, and warns where it has none."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, fill = torch.backends.cudnn.benchmark, torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark, torch.utils.deterministic.fill_uninitialized_memory = False, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark, torch.utils.deterministic.fill_uninitialized_memory = benchmark, fill
