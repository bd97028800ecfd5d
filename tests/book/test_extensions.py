"""The book's own Sphinx extensions, each by itself."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))
pytest.importorskip("sphinx")

import attributes
import constants
import downloads
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.pycode import ModuleAnalyzer


def test_a_notebook_to_download_holds_a_figure_once(tmp_path):
    figure = {"application/vnd.plotly.v1+json": {"data": []}, "text/html": "<div></div>", "text/plain": "a face"}
    table = {"text/html": "<table></table>", "text/plain": "a table"}
    cell = {"cell_type": "code", "outputs": [{"data": dict(figure)}, {"data": dict(table)}, {"name": "stdout"}]}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [cell, {"cell_type": "markdown", "source": "ä"}]}))
    downloads.lighten(path)
    kept = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert set(kept[0]["outputs"][0]["data"]) == {"application/vnd.plotly.v1+json", "text/plain"}
    assert kept[0]["outputs"][1]["data"] == table
    assert kept[1]["source"] == "ä"


def test_a_room_knows_the_words_of_its_constants():
    constants.hand_on("facekit.data")
    words = ModuleAnalyzer.for_module("facekit.data").attr_docs
    assert "".join(words["", "OUTPUTS"]).strip()
    assert ("", "derive_seeds") not in words


@pytest.mark.parametrize("line", ["world, world:ict=PATH or a copy: kdef=PATH", "no colon here"])
def test_words_before_a_colon_stay(line):
    def read(lines):
        return " ".join(GoogleDocstring(lines, Config(), what="attribute", name="Recipe.data").lines())

    lines = [line, "and more."]
    attributes.keep_words(None, "attribute", "Recipe.data", None, None, lines)
    assert line in read(lines) and ":type:" not in read(lines)
    assert (":" not in line) or ":type:" in read([line])
