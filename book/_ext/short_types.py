"""Sphinx extension: signatures on the package's pages name types without the module in which they are written.

A default that has no text, a function without a name or what a dataclass makes anew, is written as three dots; Sphinx
cannot read a signature that holds one, and would break it at every comma.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_QUALIFIED = re.compile(r"~(?:\w+\.)+(\w+)")
_FUNCTION = re.compile(r"<(?:built-in )?function (\w+)(?: at 0x[0-9a-f]+)?>")
_NAMELESS = re.compile(r"<factory>|<function (?:[\w.]|<locals>)*<lambda>(?: at 0x[0-9a-f]+)?>")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def shorten(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """``world: ~facekit.training.process_group.World = <factory>`` becomes ``world: World = ...``."""
    return tuple(text and _shortened(text) for text in (signature, returned))


def _shortened(text: str) -> str:
    return _QUALIFIED.sub(r"\1", _FUNCTION.sub(r"\1", _NAMELESS.sub("...", text)))
