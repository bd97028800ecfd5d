"""Sphinx extension: a room's page shows the constants that the room takes from its files, with their words.

Sphinx finds the words below a constant only in the file where it is written, and a room imports its constants from such
files. Here they are handed on to the room.
"""

from __future__ import annotations

import importlib
import pkgutil

from sphinx.application import Sphinx
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

import facekit


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", hand_on_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def hand_on_all(app: Sphinx) -> None:
    """Hand on the constants' words in every room of the package."""
    for found in pkgutil.iter_modules(facekit.__path__, "facekit."):
        if found.ispkg:
            hand_on(found.name)


def hand_on(room: str) -> None:
    """Let ``room`` know what its files say about the constants in its ``__all__``."""
    package = importlib.import_module(room)
    wanted = set(getattr(package, "__all__", ()))
    known = ModuleAnalyzer.for_module(room)
    known.analyze()
    for file in pkgutil.walk_packages(package.__path__, room + "."):
        try:
            words = ModuleAnalyzer.for_module(file.name).find_attr_docs()
        except PycodeError:
            continue
        for (scope, name), lines in words.items():
            if not scope and name in wanted:
                known.attr_docs.setdefault((scope, name), lines)
