"""Sphinx extension: a room's page shows the constants that the room takes from its files, with their words.

Sphinx finds the words below a constant only in the file where it is written, and under the name that it has there; a
room imports its constants from such files, some under another name. Here the words are handed on to the room.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

from sphinx.application import Sphinx
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

import facekit


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", hand_on_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def hand_on_all(app: Sphinx) -> None:
    """Hand on the constants' words in every room of the package, and in the rooms inside them."""
    for found in pkgutil.walk_packages(facekit.__path__, "facekit."):
        if found.ispkg:
            hand_on(found.name)


def hand_on(room: str) -> None:
    """Let ``room`` know what its files say about the constants in its ``__all__``."""
    package = importlib.import_module(room)
    wanted = {name: vars(package)[name] for name in getattr(package, "__all__", ())}
    known = ModuleAnalyzer.for_module(room)
    known.analyze()
    for file in pkgutil.walk_packages(package.__path__, room + "."):
        try:
            words = ModuleAnalyzer.for_module(file.name).find_attr_docs()
        except PycodeError:
            continue
        written = vars(sys.modules.get(file.name, facekit))
        for (scope, name), lines in words.items():
            if not scope and name in written:
                for alias in aliases(written[name], name, wanted):
                    known.attr_docs.setdefault(("", alias), lines)


def aliases(value: object, name: str, wanted: dict[str, object]) -> list[str]:
    """The names under which a room has ``value``, which one of its files calls ``name``."""
    if name in wanted:
        return [name] if wanted[name] is value else []
    return [alias for alias, found in wanted.items() if found is value and isinstance(value, (tuple, dict))]
