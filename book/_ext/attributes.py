"""Sphinx extension: what stands below an attribute or a method is what this package says about it.

Napoleon reads the words before a colon as an attribute's type and moves them away. The types of this package are in its
annotations, so an empty one is put before such words. Words that a method or an attribute has from Python or PyTorch,
and that are the same for all of them, are left out. A description that is one letter stays a letter, and does not begin
a list.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_BEFORE_NAPOLEON = 400
_LETTER = re.compile(r"^(\s+\w+: )(\w\.)$")
_BORROWED = re.compile(r"Alias for field number \d+$|Define the computation performed at every call\.$")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", keep_words, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", keep_letters, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", drop_borrowed_words, priority=_BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep_words(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Give a first line with a colon an empty type."""
    if what in {"attribute", "data", "property"} and lines and ":" in lines[0]:
        lines[0] = ": " + lines[0]


def keep_letters(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """``count: n.`` is not the fourteenth item of an empty list."""
    lines[:] = [_LETTER.sub(r"\1\\\2", line) for line in lines]


def drop_borrowed_words(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Leave out what a field of a named tuple, or ``forward``, says where its class has no words for it."""
    if lines and _BORROWED.match(lines[0].strip()):
        lines.clear()
