"""Draw the pictures that the figures of *Experiments* show: train every model once and render its faces.

    python book/reconstruction/figures.py --scale notebook

The models are those of ``python -m facekit run reconstruction/table2`` with the same scale, data and seed.
"""

from pathlib import Path

from facekit.experiments import figure_command
from facekit.reconstruction import figure_pictures

if __name__ == "__main__":
    figure_command(figure_pictures, Path(__file__).parent / "results" / "figures.npz", __doc__)
