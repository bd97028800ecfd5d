"""The command line of the scripts that train a chapter's models and keep what its figures show of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from facekit.data import DataError, ManifestError
from facekit.experiments.registry import SCALES, ExperimentError
from facekit.morphable import FaceModelError
from facekit.training import TrainingError, why_unwritable, write_atomically


def figure_command(
    make: Callable[..., Mapping[str, np.ndarray]],
    out: Path,
    description: str | None = None,
    data: str = "world (default) or world:ict=PATH",
    words: Sequence[str] | None = None,
) -> None:
    """Parse ``--data``, ``--scale``, ``--seed`` and ``--out``, make arrays and write them to a compressed .npz file.

    The file is written whole or not at all. A request that does not fit becomes a sentence and exit status 2, and where
    the file cannot be written, that is before anything is trained.

    Args:
        make: called with ``data``, ``scale`` and ``seed`` by these names; returns arrays by name.
        out: the file, unless ``--out`` names another.
        description: of the script, for ``--help``.
        data: what ``--help`` says of ``--data``.
        words: the command line; by default that of the process.
    """
    about = (description or "").replace("``", "")
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", default="world", help=data)
    parser.add_argument("--scale", default="notebook", choices=SCALES, help="notebook (minutes) by default")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice; default 0")
    parser.add_argument("--out", type=Path, default=out, help="an .npz file; default among the chapter's results")
    asked = parser.parse_args(words)
    if asked.seed < 0:
        parser.error(f"--seed {asked.seed}: expected a whole number from 0")
    if asked.out.suffix != ".npz":
        parser.error(f"--out {asked.out}: expected the name of an .npz file")
    if not asked.out.parent.is_dir():
        parser.error(f"--out {asked.out}: there is no folder {asked.out.parent}")
    if reason := why_unwritable(asked.out.parent):
        parser.error(f"--out {asked.out}: {reason}")
    try:
        arrays = make(data=asked.data, scale=asked.scale, seed=asked.seed)
    except (DataError, FaceModelError, ManifestError, ExperimentError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    write_atomically(asked.out, lambda file: np.savez_compressed(file, **arrays))
    print(f"written to {asked.out}")
