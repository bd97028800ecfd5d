"""Draw the pictures that the figures of *Experiments* show: train every model once and render its faces.

    python book/reconstruction/figures.py --scale notebook

The models are those of ``python -m facekit run reconstruction/table2`` with the same scale, data and seed.
"""

import argparse
from pathlib import Path

import numpy as np

from facekit.reconstruction import SCALES, figure_pictures

RESULTS = Path(__file__).parent / "results"


def main(words: list[str] | None = None) -> None:
    """Parse the command line, draw, and write an .npz file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="world", help="world (default) or world:ict=PATH")
    parser.add_argument("--scale", default="notebook", choices=SCALES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "figures.npz")
    arguments = parser.parse_args(words)
    np.savez_compressed(arguments.out, **figure_pictures(arguments.data, arguments.scale, arguments.seed))
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
