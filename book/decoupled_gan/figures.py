"""Make the meshes that the figures of *Experiments* show: train every model once and sample it.

    python book/decoupled_gan/figures.py --scale notebook

The models are those of ``python -m facekit run decoupled_gan/table1`` with the same scale, data and seed.
"""

import argparse
from pathlib import Path

from facekit.decoupled_gan import SCALES, Setting, figure_meshes, meshes_of, save_meshes

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="world", help="world (default) or world:ict=PATH")
    parser.add_argument("--scale", default="notebook", choices=SCALES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "figures.npz")
    arguments = parser.parse_args()
    setting = Setting(arguments.data, arguments.scale, arguments.seed)
    save_meshes(arguments.out, figure_meshes(setting), meshes_of(setting).faces)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
