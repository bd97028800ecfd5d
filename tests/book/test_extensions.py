"""The book's own Sphinx extensions, each by itself."""

import inspect
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))
pytest.importorskip("sphinx")

import attributes
import constants
import nbformat
import plotly_figures
import short_types
import torch
from docutils.core import publish_parts
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.ext import napoleon
from sphinx.pycode import ModuleAnalyzer

from facekit.plotting import PLOTLY_MIME


def test_the_pages_draw_a_figure_that_a_notebook_holds_as_json():
    figure = {"data": [{"type": "mesh3d"}], "layout": {"height": 360}}
    outputs = [
        new_output("display_data", data={PLOTLY_MIME: figure, "text/plain": "A face, its eyes < 2 mm open"}),
        new_output("execute_result", data={"text/html": "<table></table>", "text/plain": "a table"}),
        new_output("stream", text="words"),
    ]
    cells = [new_markdown_cell("ä"), new_code_cell("show(figure)", outputs=outputs)]
    read = plotly_figures.read_notebook(nbformat.writes(new_notebook(cells=cells))).cells
    page = read[1].outputs[0].data["text/html"]
    assert 'aria-label="A face, its eyes &lt; 2 mm open"' in page and "height:360px" in page and '"mesh3d"' in page
    assert set(read[1].outputs[0].data) == {"text/html", "text/plain"}
    assert read[1].outputs[1:] == outputs[1:] and read[0].source == "ä"


def test_a_room_knows_the_words_of_its_constants():
    constants.hand_on("facekit.data")
    words = ModuleAnalyzer.for_module("facekit.data").attr_docs
    assert "".join(words["", "OUTPUTS"]).strip()
    assert ("", "derive_seeds") not in words


def test_a_room_may_rename_a_constant_and_two_files_may_share_a_name():
    for room in ("facekit.morphable", "facekit.data.scans"):
        constants.hand_on(room)
    words = ModuleAnalyzer.for_module("facekit.morphable").attr_docs
    assert "action units" in " ".join(words["", "ACTION_UNIT_TABLE"])
    assert "render_scan" in " ".join(ModuleAnalyzer.for_module("facekit.data.scans").attr_docs["", "VIEW_OUTPUTS"])
    table, other = (1, 2), (1, 3)
    assert constants.aliases(table, "TABLE", {"UNITS": table}) == ["UNITS"]
    assert constants.aliases(table, "TABLE", {"UNITS": table, "TABLE": other}) == []


@pytest.mark.parametrize("line", ["world, world:ict=PATH or a copy: kdef=PATH", "no colon here"])
def test_words_before_a_colon_stay(line, repository):
    settings = yaml.safe_load((repository / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    config = napoleon.Config(**{name: value for name, value in settings.items() if name.startswith("napoleon_")})

    def read(lines):
        napoleon._process_docstring(SimpleNamespace(config=config), "attribute", "Recipe.data", None, None, lines)
        return " ".join(lines)

    lines = [line, "and more."]
    attributes.keep_words(None, "attribute", "Recipe.data", None, None, lines)
    kept = read(lines)
    assert line in kept and ":type:" not in kept
    assert (":" not in line) or ":type:" in read([line])


def test_words_of_python_and_pytorch_are_left_out():
    borrowed = inspect.getdoc(torch.nn.Module.forward), "Alias for field number 12"
    for words in borrowed:
        for lines, kept in ((words.splitlines(), 0), (["What we say.", *words.splitlines()], 1)):
            before = len(lines)
            attributes.drop_borrowed_words(None, "method", "Model.forward", None, None, lines)
            assert len(lines) == kept * before


def test_a_description_of_one_letter_is_no_list():
    lines = ["Draw.", "", "Args:", "    count: n.", "    size: side S."]
    attributes.keep_letters(None, "function", "draw", None, None, lines)
    napoleon_lines = napoleon.GoogleDocstring(lines, napoleon.Config(napoleon_use_param=True)).lines()
    page = publish_parts("\n".join(napoleon_lines), writer_name="html")["fragment"]
    assert "n." in page and "<ol" not in page


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("(world: ~facekit.training.World = <factory>)", "(world: World = ...)"),
        (
            "(sizes: tuple[int, int], progress: Callable = <function <lambda>>)",
            "(sizes: tuple[int, int], progress: Callable = ...)",
        ),
        ("(progress: Callable = <function Update.<lambda>>)", "(progress: Callable = ...)"),
        ("(say: Callable = <built-in function print>)", "(say: Callable = print)"),
        ("(name: str = '<path>')", "(name: str = '<path>')"),
    ],
)
def test_signatures_can_be_read(written, read):
    assert short_types.shorten(None, "class", "Recipe", None, None, written, None) == (read, None)
