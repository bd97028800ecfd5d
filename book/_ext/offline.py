"""Sphinx extension: the pages carry plotly.js and MathJax themselves, so that they ask no other host for anything.

Both are copied at build time from the installed packages ``plotly`` and ``sphinx-mathjax-offline``; a page loads
plotly.js only where it has a figure to draw. Thebe, which would run code on a remote machine, is left out.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_CARRIED = {
    "plotly.min.js": ("plotly", "package_data/plotly.min.js"),
    "mathjax.js": ("sphinx-mathjax-offline", "static/mathjax/tex-svg.js"),
}

_THEBE = {"init_thebe_core", "update_thebe_context"}


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", copy_scripts)
    app.connect("html-page-context", load_scripts)
    app.connect("config-inited", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy_scripts(app: Sphinx) -> None:
    """Copy the scripts from the installed packages into the pages' static folder.

    Raises:
        ExtensionError: if a package is not installed.
    """
    if app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    for name, (package, path) in _CARRIED.items():
        found = importlib.util.find_spec(package)
        source = Path(found.submodule_search_locations[0], path) if found else None
        if source is None or not source.is_file():
            raise ExtensionError(f"{name} is missing: install the package {package} (it is part of facekit[book])")
        shutil.copyfile(source, static / name)


def load_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Add plotly.js and the drawing script to a page with a figure, the sorting script to one with a sortable table."""
    body = context.get("body", "")
    if "plotly-graph-div" in body:
        app.add_js_file("plotly.min.js", priority=100)
        app.add_js_file("figures.js", priority=101)
    if "sortable" in body:
        app.add_js_file("tables.js", priority=101)


def drop_thebe(app: Sphinx, config: Any) -> None:
    """Keep sphinx-thebe, which writes the address of another host into every page, from writing."""
    for listeners in app.events.listeners.values():
        listeners[:] = [item for item in listeners if getattr(item.handler, "__name__", "") not in _THEBE]
