"""One look for every figure: colours that colour-blind readers can tell apart, legible on white and on black."""

from __future__ import annotations

import plotly.graph_objects as go

GREY = "#7c7c7c"
"""Text: as far from white paper as from the dark theme's background (contrast 4.2 : 1 to both)."""

RULE = "rgba(124, 124, 124, 0.35)"
"""Grid lines and frames."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C8C00", "#8C8C8C")
"""Okabe and Ito's colours, blue first; yellow and black, which vanish on one of the two themes, are replaced."""

SEQUENTIAL = "Cividis"
"""Colour scale for a magnitude."""

DIVERGING = ((0.0, "#0072B2"), (0.5, "#d9d9d9"), (1.0, "#D55E00"))
"""Colour scale for a signed quantity; grey is zero."""

_AXIS = {"gridcolor": RULE, "zerolinecolor": RULE, "linecolor": RULE, "automargin": True}

TEMPLATE = go.layout.Template(
    layout={
        "colorway": PALETTE,
        "font": {"color": GREY, "size": 13},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
        "title": {
            "x": 0.5,
            "xanchor": "center",
            "y": 0.98,
            "yref": "container",
            "yanchor": "top",
            "font": {"size": 15},
        },
        "legend": {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0.0, "xanchor": "left", "x": 0.0},
        "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": RULE, "activecolor": GREY},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)
