"""How Sphinx reads a notebook: its Plotly figures become the HTML that the pages draw.

A committed notebook holds a figure as JSON, which JupyterLab draws, and its description in words. ``read_notebook`` is
the reader of notebooks that ``_config.yml`` names; the files, which the pages offer for download, stay as they are.
"""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode

from facekit.plotting import PLOTLY_MIME, figure_html


def read_notebook(text: str) -> NotebookNode:
    """Return the notebook written in ``text``, each of its Plotly figures as HTML and words alone."""
    notebook = nbformat.reads(text, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PLOTLY_MIME in data:
                data["text/html"] = figure_html(data.pop(PLOTLY_MIME), "".join(data["text/plain"]))
    return notebook
