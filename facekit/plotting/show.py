"""Display a Plotly figure in JupyterLab and in the built pages, without an embedded copy of plotly.js."""

from __future__ import annotations

import html
import json
from typing import Any

import plotly.graph_objects as go

from facekit.plotting.style import TEMPLATE

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

    Two forms are emitted: ``application/vnd.plotly.v1+json``, which JupyterLab draws, and ``text/html``, which the
    page draws with the one copy of plotly.js that the book carries. In a plain Python session the figure opens in the
    browser.

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
    """Return the MIME bundle that ``show`` displays: the Plotly JSON form and the HTML form of ``figure``.

    Whoever made the figure, it is drawn in the look of the book.
    """
    content = json.loads(figure.to_json())
    content["layout"]["template"] = TEMPLATE.to_plotly_json()
    content["config"] = _CONFIG
    alt = alt or figure.layout.title.text or "interactive figure"
    height = int(figure.layout.height or 450)
    text = json.dumps(content, separators=(",", ":")).replace("</", "<\\/")
    return {
        "application/vnd.plotly.v1+json": content,
        "text/html": _DIV.format(alt=html.escape(alt, quote=True), height=height, figure=text),
        "text/plain": alt,
    }
