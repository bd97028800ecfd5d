"""Make what Figures 10 to 14 of *Experiments* show: four networks on BU-3DFE, t-SNE of their test faces, clusters.

    python book/dmlnet/figures.py --scale notebook

The networks are those of ``python -m facekit run dmlnet/figures10_13 dmlnet/figure14`` with the same scale, data and
seed.
"""

from pathlib import Path

from facekit.dmlnet import make_pictures
from facekit.experiments import figure_command

if __name__ == "__main__":
    out = Path(__file__).parent / "results" / "figures10_14.npz"
    figure_command(make_pictures, out, __doc__, data="world (default), world:ict=PATH or bu3dfe=PATH")
