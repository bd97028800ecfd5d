"""Display a Plotly figure in JupyterLab and in the built pages, without an embedded copy of plotly.js.

A notebook keeps a figure once, as Plotly's JSON. JupyterLab draws that form; the book makes HTML of it when built.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from facekit.plotting.style import TEMPLATE

PLOTLY_MIME = "application/vnd.plotly.v1+json"
"""The MIME type under which a notebook holds a Plotly figure."""

_UNUSED_BUTTONS = (
    "sendChartToCloud",  # it would send the figure to another host
    "select2d",
    "lasso2d",
    "zoom3d",
    "orbitRotation",
    "tableRotation",
    "resetCameraLastSave3d",
)
_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": list(_UNUSED_BUTTONS),
    "plotlyServerURL": "",
    "responsive": True,
    "scrollZoom": False,
}

_DIV = """<div class="plotly-graph-div" role="img" aria-label="{alt}" style="width:100%;height:{height}px"></div>
<script>(window.drawFigure || Plotly.newPlot)(document.currentScript.previousElementSibling, {figure})</script>"""


def show(figure: go.Figure, alt: str = "") -> None:
    """Display ``figure`` as a notebook output that works in JupyterLab and in the built book.

    The output has the figure under ``PLOTLY_MIME``, which JupyterLab draws and of which the book makes its HTML (see
    ``figure_html``), and its alternative text under ``text/plain``. In a plain Python session it opens in the browser.

    Args:
        figure: the figure to draw.
        alt: what the figure shows, for readers who cannot see it; the figure's title where it is left out.

    Raises:
        TypeError: if ``figure`` is not a Plotly figure.
    """
    if not isinstance(figure, go.Figure):
        raise TypeError(f"show expects a plotly Figure, found {type(figure).__name__}")
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        figure.show()
    else:
        display(figure_bundle(figure, alt), raw=True)


def figure_bundle(figure: go.Figure, alt: str = "") -> dict[str, Any]:
    """Return the MIME bundle that ``show`` displays: the JSON of ``figure`` and its alternative text.

    Whoever made the figure, it is drawn in the look of the book.
    """
    content = json.loads(figure.to_json())
    content["layout"]["template"] = TEMPLATE.to_plotly_json()
    content["config"] = _CONFIG
    return {PLOTLY_MIME: content, "text/plain": alt or figure.layout.title.text or "interactive figure"}


def figure_html(content: Mapping[str, Any], alt: str) -> str:
    """Return the HTML of a figure for a page that has loaded plotly.js, which is not embedded.

    Args:
        content: the figure as ``show`` wrote it under ``PLOTLY_MIME``: data, layout, frames and config.
        alt: what the figure shows, for readers who cannot see it.
    """
    height = int(content["layout"].get("height") or 450)
    text = json.dumps(content, separators=(",", ":")).replace("</", "<\\/")
    return _DIV.format(alt=html.escape(alt, quote=True), height=height, figure=text)
