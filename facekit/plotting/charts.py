"""Curves, confusion matrices and two-dimensional embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from facekit.plotting.arrays import to_numpy
from facekit.plotting.style import PALETTE, RULE, TEMPLATE

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x", "star", "pentagon")
_BLUES = ((0.0, "#f4f8fb"), (1.0, "#0072B2"))


def curves(
    series: Mapping[str, Any],
    *,
    x_label: str = "",
    y_label: str = "",
    title: str = "",
    log_x: bool = False,
    log_y: bool = False,
    height: int = 340,
) -> go.Figure:
    """Return lines, each with its own colour and dash.

    Args:
        series: name to y values ``(T,)``, drawn over 0, 1, ...; or name to a pair ``(x, y)``; or name to ``(x, mean,
            spread)``, which adds a band of one spread to either side.
        x_label, y_label, title: headings, with units.
        log_x, log_y: logarithmic axes.
        height: in pixels; the width follows the page.

    Raises:
        ValueError: if a series' parts differ in length or are not one-dimensional.
    """
    figure = go.Figure(layout={"template": TEMPLATE, "height": height, "title": {"text": title or None}})
    for index, (name, values) in enumerate(series.items()):
        x, y, spread = _as_curve(name, values)
        colour = PALETTE[index % len(PALETTE)]
        if spread is not None:
            outline = np.concatenate([y + spread, (y - spread)[::-1]])
            band = {"fill": "toself", "fillcolor": colour, "opacity": 0.2, "line": {"width": 0}, "hoverinfo": "skip"}
            figure.add_scatter(x=np.concatenate([x, x[::-1]]), y=outline, showlegend=False, **band)
        line = {"color": colour, "dash": _DASHES[index // len(PALETTE) % len(_DASHES)], "width": 2}
        mode = "lines" if len(x) > 12 else "lines+markers"
        symbol = {"symbol": _SYMBOLS[index % len(_SYMBOLS)], "size": 8}
        figure.add_scatter(x=x, y=y, name=name, mode=mode, line=line, marker=symbol)
    figure.update_xaxes(title=x_label, type="log" if log_x else "linear")
    figure.update_yaxes(title=y_label, type="log" if log_y else "linear")
    return figure.update_layout(showlegend=len(series) > 1)


def _as_curve(name: str, values: Any) -> tuple[Any, Any, Any]:
    """Return x, y and, where it is given, the spread of one series."""
    parts = [to_numpy(part) for part in (values if isinstance(values, tuple) else (values,))]
    shapes = [part.shape for part in parts]
    if len(parts) not in (1, 2, 3) or len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise ValueError(f"series {name!r}: expected y, (x, y) or (x, y, spread) of shape (T,), found {shapes}")
    if len(parts) == 1:
        parts.insert(0, np.arange(len(parts[0])))
    return parts[0], parts[1], parts[2] if len(parts) == 3 else None


def confusion_matrix(counts: Any, labels: Sequence[str], *, title: str = "", height: int | None = None) -> go.Figure:
    """Return a confusion matrix; every cell shows the percentage of its row and, on hover, the count.

    Args:
        counts: ``(C, C)``, rows the true class, columns the predicted class.
        labels: the C class names.
        title: heading.
        height: in pixels; by default it grows with C.

    Raises:
        ValueError: if ``counts`` is not square or ``labels`` are not C.
    """
    table = to_numpy(counts)
    if table.ndim != 2 or table.shape != (len(labels), len(labels)):
        raise ValueError(
            f"counts: expected shape ({len(labels)}, {len(labels)}) for {len(labels)} labels, found {table.shape}"
        )
    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    names = list(labels)
    figure = go.Figure(
        layout={"template": TEMPLATE, "height": height or 140 + 42 * len(names), "title": {"text": title or None}}
    )
    figure.add_heatmap(
        z=share,
        x=names,
        y=names,
        customdata=table,
        texttemplate="%{z:.0f}",
        hovertemplate="true %{y}<br>predicted %{x}<br>%{customdata} samples, %{z:.1f} %<extra></extra>",
        colorscale=_BLUES,
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "% of the row", "side": "right"}, "thickness": 14},
    )
    figure.update_xaxes(title="predicted", showgrid=False)
    return figure.update_yaxes(title="true", autorange="reversed", showgrid=False)


def embedding(
    points: Any, labels: Sequence[Any], *, title: str = "", hover: Sequence[str] | None = None, height: int = 460
) -> go.Figure:
    """Return a scatter plot of a two-dimensional embedding; colour and symbol together tell up to 64 labels apart.

    Args:
        points: ``(N, 2)``.
        labels: a label per point, in the legend in order of first appearance.
        title: heading.
        hover: a text per point, shown under the pointer.
        height: in pixels.

    Raises:
        ValueError: if ``points`` is not ``(N, 2)``, or labels or texts are not N.
    """
    places = to_numpy(points)
    names = [str(label) for label in (labels.tolist() if hasattr(labels, "tolist") else labels)]
    if places.ndim != 2 or places.shape[1] != 2 or len(names) != len(places):
        raise ValueError(f"points: expected shape ({len(names)}, 2) for {len(names)} labels, found {places.shape}")
    if hover is not None and len(hover) != len(places):
        raise ValueError(f"hover: expected {len(places)} texts, one for each point, found {len(hover)}")
    figure = go.Figure(layout={"template": TEMPLATE, "height": height, "title": {"text": title or None}})
    groups = np.asarray(names)
    for index, name in enumerate(dict.fromkeys(names)):
        chosen = groups == name
        text = None if hover is None else np.asarray(hover)[chosen]
        turn, place = divmod(index, len(PALETTE))  # a second turn through the colours meets other symbols
        marker = {"color": PALETTE[place], "symbol": _SYMBOLS[(place + turn) % len(_SYMBOLS)], "size": 6}
        x, y = places[chosen].T.astype(np.float32)
        figure.add_scatter(x=x, y=y, name=name, mode="markers", marker=marker, text=text, hoverinfo="text+name")
    frame = {"showticklabels": False, "showline": True, "mirror": True, "linecolor": RULE, "zeroline": False}
    figure.update_xaxes(**frame)
    return figure.update_yaxes(**frame, scaleanchor="x")
