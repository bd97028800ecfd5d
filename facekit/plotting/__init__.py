"""Figures for the book: meshes to turn around, image grids, curves, confusion matrices and embeddings in one look.

Chart functions return a ``plotly.graph_objects.Figure``; pass it to ``show``, which draws it both in JupyterLab and in
the built pages. ``image_grid`` returns a PIL image, which a notebook displays by itself.
"""

from facekit.plotting.charts import confusion_matrix, curves, embedding
from facekit.plotting.images import image_grid
from facekit.plotting.meshes import mesh_figure
from facekit.plotting.show import PLOTLY_MIME, figure_html, show
from facekit.plotting.style import DIVERGING, PALETTE, SEQUENTIAL

__all__ = [
    "DIVERGING",
    "PALETTE",
    "PLOTLY_MIME",
    "SEQUENTIAL",
    "confusion_matrix",
    "curves",
    "embedding",
    "figure_html",
    "image_grid",
    "mesh_figure",
    "show",
]
