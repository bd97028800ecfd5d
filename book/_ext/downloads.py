"""Sphinx extension: the notebooks that the pages offer for download hold each figure once.

A committed notebook holds a Plotly figure in two forms, one for JupyterLab and one for the page. The page has its own
by now, so the copy to download keeps the first alone and is smaller by a third.
"""

from __future__ import annotations

import json
from pathlib import Path

from sphinx.application import Sphinx

_FOR_JUPYTERLAB = "application/vnd.plotly.v1+json"
_FOR_THE_PAGE = "text/html"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", lighten_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lighten_all(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the notebooks in the pages' ``_sources`` folder."""
    if exception is None and app.builder.format == "html":
        for path in Path(app.outdir, "_sources").rglob("*.ipynb"):
            lighten(path)


def lighten(path: Path) -> None:
    """Drop the page's form of every figure that has one for JupyterLab."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if _FOR_JUPYTERLAB in output.get("data", {}):
                output["data"].pop(_FOR_THE_PAGE, None)
    path.write_text(json.dumps(notebook, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
