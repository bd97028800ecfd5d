"""Sphinx extension: signatures on the package's pages name types without the module in which they are written."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_QUALIFIED = re.compile(r"~(?:\w+\.)+(\w+)")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def shorten(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """``world: ~facekit.training.process_group.World`` becomes ``world: World``."""
    return tuple(text and _QUALIFIED.sub(r"\1", text) for text in (signature, returned))
