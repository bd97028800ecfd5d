"""Prose and docstrings are spelt right, and the British way."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("book/**/*.md"), *ROOT.glob("book/**/*.ipynb"), ROOT / "README.md"])
CODE = sorted(path for room in ("facekit", "book", "scripts", "tests") for path in ROOT.glob(f"{room}/**/*.py"))

NAMES = "coo,fro,ot,lins,thi,theis,gool,sise,expresion,nd,te,ser,hist,ture,lod,parm,fo"
"""What the speller takes for typing errors: names in code, people, and errors that tests make on purpose."""

AMERICAN = re.compile(
    r"\b(colou?rless|colors?|colored|centers?|centered|behaviors?|neighbors?|neighborhood|gray|model(ing|ed)|label(ed|ing)"
    r"|analyze[sd]?|optimizers?|regularizers?|optimize[sd]?|favor(s|ite)?|meters|traveled|fulfill"
    r"|normali(ze|zes|zed|zation)|initiali(ze|zes|zed|zation)|visuali(ze|zes|zed|zation)|recogni(ze|zes|zed)"
    r"|minimi(ze|zes|zed)|maximi(ze|zes|zed)|generali(ze|zes|zed)|standardi(ze|zes|zed)|summari(ze|zes|zed))\b",
    re.IGNORECASE,
)
NOT_PROSE = re.compile(
    r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\{[a-z:-]+\}|\]\([^)]*\)|<[^>\n]*>|https?://\S+|^    .*?$",
    re.DOTALL | re.MULTILINE,
)


def prose(path):
    """The text that a reader of a page reads, without code, equations and addresses."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        text += "".join("\n\n" + words for cell in cells for words in figure_words(cell["metadata"].get("mystnb", {})))
    return NOT_PROSE.sub(" ", text)


def figure_words(settings):
    """The caption and the alternative text of a cell's figure."""
    return [settings.get("figure", {}).get("caption", ""), settings.get("image", {}).get("alt", "")]


def typing_errors(*paths):
    """The lines that the speller complains about."""
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", NAMES, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_is_british(path):
    assert not [match.group() for match in AMERICAN.finditer(prose(path))]


def test_pages_have_no_typing_errors(tmp_path):
    for path in PAGES:
        (tmp_path / "_".join(path.relative_to(ROOT).parts)).with_suffix(".txt").write_text(prose(path))
    assert not typing_errors(tmp_path)


def test_code_has_no_typing_errors():
    assert not typing_errors(*CODE)


def test_the_checks_can_fail(tmp_path):
    page = tmp_path / "page.md"
    wrong = "reci" + "eved"
    page.write_text(f"The {wrong} picture has a color, $color$ and `color`, and we normalize it.")
    assert [match.group() for match in AMERICAN.finditer(prose(page))] == ["color", "normalize"]
    assert wrong in typing_errors(page)[0]
    chapter = tmp_path / "chapter.ipynb"
    figure = {"figure": {"caption": "A gray face"}, "image": {"alt": "A colored face"}}
    chapter.write_text(json.dumps({"cells": [{"cell_type": "code", "source": "", "metadata": {"mystnb": figure}}]}))
    assert [match.group() for match in AMERICAN.finditer(prose(chapter))] == ["gray", "colored"]
