"""Sphinx extension: what stands below an attribute is words, a colon included.

Napoleon reads the words before a colon as the attribute's type and moves them away. The types of this package are in
its annotations, so an empty one is put before such words.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

_BEFORE_NAPOLEON = 400


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", keep_words, priority=_BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep_words(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Give a first line with a colon an empty type."""
    if what in {"attribute", "data", "property"} and lines and ":" in lines[0]:
        lines[0] = ": " + lines[0]
