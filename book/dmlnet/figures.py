"""Make what Figures 10 to 14 of *Experiments* show: four networks on BU-3DFE, t-SNE of their test faces, clusters.

    python book/dmlnet/figures.py --scale notebook

The networks are those of ``python -m facekit run dmlnet/figures10_13 dmlnet/figure14`` with the same scale, data and
seed.
"""

import argparse
from pathlib import Path

from facekit.dmlnet import SCALES, make_pictures, save_pictures

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="world", help="world (default), world:ict=PATH or bu3dfe=PATH")
    parser.add_argument("--scale", default="notebook", choices=SCALES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "figures10_14.npz")
    arguments = parser.parse_args()
    save_pictures(arguments.out, make_pictures(arguments.scale, arguments.data, arguments.seed))
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
