"""The committed notebooks are whole, short, ordered, and free of the machine that ran them."""

import copy
import json
from pathlib import Path

import notebook_checks as checks
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
NOTEBOOKS = sorted(path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
PAGES = sorted([*NOTEBOOKS, *BOOK.rglob("*.md")])

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(BOOK)))
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(BOOK)))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@each_notebook
def test_cells_were_run_in_order(path):
    assert not checks.execution_problems(read(path)) + checks.stripped_problems(read(path))


@each_notebook
def test_chapter_is_short(path):
    assert not checks.length_problems(read(path))
    assert path.stat().st_size < 5_000_000


@each_notebook
def test_sections_stand_in_order(path):
    if path.parent != BOOK:
        assert not checks.section_problems(read(path), path.parent.name in checks.PAPERS)


@each_notebook
def test_exercises_have_solutions(path):
    if path.parent != BOOK:
        assert not checks.exercise_problems(read(path))


@each_notebook
def test_figures_need_no_other_host(path):
    assert not checks.figure_problems(read(path))


@each_notebook
def test_figures_have_captions(path):
    assert not checks.caption_problems(read(path))


@each_notebook
def test_imports_come_from_rooms(path):
    assert not checks.import_problems(read(path))


@each_notebook
def test_kernel_is_any_python(path):
    metadata = read(path)["metadata"]
    assert metadata["kernelspec"]["name"] == "python3" and "widgets" not in metadata


@each_page
def test_page_names_no_machine(path):
    assert not checks.privacy_problems(path.read_text(encoding="utf-8"), ROOT)


@each_page
def test_citations_are_known(path):
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    assert not checks.citation_problems(path.read_text(encoding="utf-8"), bibliography)


def toc_files(entry):
    """Every file that a node of _toc.yml names."""
    if isinstance(entry, list):
        return [file for item in entry for file in toc_files(item)]
    if not isinstance(entry, dict):
        return []
    own = [entry[key] for key in ("file", "root") if key in entry]
    return own + [file for value in entry.values() for file in toc_files(value)]


def test_table_of_contents_names_every_page_once():
    named = toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    written = [str(path.relative_to(ROOT).with_suffix("")) for path in PAGES]
    assert sorted(named) == sorted(written)


def markdown(*lines):
    return {"cell_type": "markdown", "metadata": {}, "source": "\n".join(lines)}


def code(count, text, *outputs, tags=(), **metadata):
    metadata |= {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "metadata": metadata,
        "execution_count": count,
        "source": text,
        "outputs": list(outputs),
    }


def shown(**forms):
    return {"output_type": "display_data", "data": forms}


PRINTED = {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
FIGURE = {checks.PLOTLY: {}, "text/plain": "A face to turn around"}
IGNORED = ["nbval-ignore-output"]
CAPTIONED = {"tags": IGNORED, "mystnb": {"figure": {"caption": "A face to turn around."}}}

GOOD = {
    "metadata": {"kernelspec": {"name": "python3"}},
    "cells": [
        markdown("# A title {cite}`known2020`", "## What you will be able to do"),
        code(1, "print(1)", PRINTED),
        code(2, "show(a)", shown(**FIGURE), **CAPTIONED),
        markdown("## What the paper leaves open", "## Exercises"),
        *[
            cell
            for number in (1, 2, 3)
            for cell in (
                markdown(f"### Exercise {number}", "", "#### Solution"),
                code(2 + number, "assert 1 + 1 == 2", tags=["hide-cell"]),
            )
        ],
        markdown("## Summary", "## References"),
    ],
}


def all_problems(notebook):
    text = json.dumps(notebook)
    return [
        *checks.execution_problems(notebook),
        *checks.stripped_problems(notebook),
        *checks.length_problems(notebook),
        *checks.section_problems(notebook, in_paper=True),
        *checks.exercise_problems(notebook),
        *checks.figure_problems(notebook),
        *checks.caption_problems(notebook),
        *checks.import_problems(notebook),
        *checks.privacy_problems(text, ROOT),
        *checks.citation_problems(text, "@book{known2020,\n"),
    ]


def test_a_good_notebook_passes():
    assert not all_problems(GOOD)


WIDGET = {"application/vnd.jupyter.widget-view+json": {}}


@pytest.mark.parametrize(
    ("cell", "change", "problem"),
    [
        (1, {"execution_count": None}, "was not run"),
        (1, {"execution_count": 7}, "top to bottom"),
        (1, {"outputs": []}, "its output is gone"),
        (1, {"outputs": [{"output_type": "error", "ename": "KeyError"}]}, "ended in KeyError"),
        (1, {"outputs": [PRINTED | {"name": "stderr"}]}, "wrote to stderr"),
        (1, {"source": "a = 1\n" * 171}, "172 lines of code"),
        (1, {"source": "from facekit.meshes.uv import harmonic_uv"}, "imports from facekit.meshes.uv"),
        (1, {"source": f"print('{Path.home()}/x')"}, "of a machine"),
        *[
            (1, {"source": "/".join(["", place, "x"])}, f"path /{place}/ of a machine")
            for place in ("tmp", "root", "home")
        ],
        (2, {"metadata": {}}, "lacks the tag"),
        (2, {"outputs": [shown(**FIGURE, **{"text/html": "<div></div>"})]}, "in more than one form"),
        (2, {"metadata": {"tags": IGNORED}}, "without a caption"),
        (2, {"outputs": [shown(**FIGURE)] * 2}, "2 figures, one caption"),
        (2, {"outputs": [shown(**FIGURE | {"text/plain": "interactive figure"})]}, "use show(..., alt=...)"),
        (2, {"outputs": [shown(**{"image/png": "iVBOR"})]}, "without an alternative text in mystnb.image.alt"),
        (2, {"outputs": [shown(**{"text/html": '<script src="https://cdn"'})]}, "another host"),
        (2, {"outputs": [shown(**WIDGET)]}, "a widget"),
        (0, {"source": "# A title\n# Another\n## able to do"}, "exactly one title"),
        (0, {"source": "# A title\n### able to do"}, "skips a level"),
        (0, {"source": "# A title\n## able to do {cite}`nobody1900, known2020`"}, "cites 'nobody1900'"),
        (3, {"source": "## Exercises"}, "no section 'leaves open'"),
        (3, {"source": "## Exercises\n## What the paper leaves open"}, "out of order"),
        (4, {"source": "### Exercise 1"}, "no solution follows"),
        (4, {"source": "### A remark"}, "2 exercises"),
        (5, {"metadata": {}}, "no folded code cell"),
        (5, {"source": "print(2)"}, "no folded code cell that checks itself"),
    ],
)
def test_each_check_can_fail(cell, change, problem):
    notebook = copy.deepcopy(GOOD)
    notebook["cells"][cell].update(change)
    assert any(problem in found for found in all_problems(notebook)), all_problems(notebook)
