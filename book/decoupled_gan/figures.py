"""Make the meshes that the figures of *Experiments* show: train every model once and sample it.

    python book/decoupled_gan/figures.py --scale notebook

The models are those of ``python -m facekit run decoupled_gan/table1`` with the same scale, data and seed.
"""

from pathlib import Path

import numpy as np

from facekit.decoupled_gan import Setting, figure_meshes, mesh_arrays, meshes_of
from facekit.experiments import figure_command


def make(data: str, scale: str, seed: int) -> dict[str, np.ndarray]:
    """Meshes and triangles, as ``load_meshes`` reads them."""
    setting = Setting(data, scale, seed)
    return mesh_arrays(figure_meshes(setting), meshes_of(setting).faces)


if __name__ == "__main__":
    figure_command(make, Path(__file__).parent / "results" / "figures.npz", __doc__)
