"""What a chapter must be, as functions that take a notebook and return its problems in words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
Cell = dict[str, Any]

MOST_CODE_LINES = 170
MOST_LINES_WITH_SOLUTIONS = 210
FOLDED = {"hide-cell", "hide-input", "hide-output"}
PLOTLY = "application/vnd.plotly.v1+json"
MACHINE_PATH = re.compile(r"/(?:tmp|root|home|Users|private)/|[A-Z]:\\+Users\b|site-packages")
PAPERS = {"decoupled_gan", "reconstruction", "mifar", "dmlnet", "rrl"}


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def code_cells(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and source(cell).strip()]


def outputs(notebook: Notebook) -> Iterator[tuple[int, Cell, dict[str, Any]]]:
    """Every output with the number and the cell that it stands under."""
    for number, cell in enumerate(code_cells(notebook), 1):
        for output in cell["outputs"]:
            yield number, cell, output


def headings(notebook: Notebook) -> list[tuple[int, str, int]]:
    """Level, text and cell index of every heading."""
    found = []
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^(```|~~~).*?^\1", "", source(cell), flags=re.MULTILINE | re.DOTALL)
            found += [(len(marks), title, index) for marks, title in re.findall(r"^(#+) +(.+?) *$", text, re.MULTILINE)]
    return found


def lines_of(cell: Cell) -> int:
    return sum(bool(line.strip()) for line in source(cell).splitlines())


def tags(cell: Cell) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def is_compared(cell: Cell) -> bool:
    """Whether the cell has an output that nbval holds against a new run."""
    return bool(cell["outputs"]) and "nbval-ignore-output" not in tags(cell)


def execution_problems(notebook: Notebook) -> list[str]:
    """Every code cell was run, once, from top to bottom, without an error and without a word on stderr."""
    counts = [cell.get("execution_count") for cell in code_cells(notebook)]
    problems = [f"code cell {number} was not run" for number, count in enumerate(counts, 1) if count is None]
    if not problems and counts != list(range(1, len(counts) + 1)):
        problems.append(f"cells were not run once from top to bottom: {counts}")
    for number, cell, output in outputs(notebook):
        if output["output_type"] == "error" and "raises-exception" not in tags(cell):
            problems.append(f"code cell {number} ended in {output.get('ename')}")
        if output.get("name") == "stderr":
            problems.append(f"code cell {number} wrote to stderr: {''.join(output['text'])[:80]!r}")
    return problems


def stripped_problems(notebook: Notebook) -> list[str]:
    """Cells that print or show something still have their outputs."""
    speaks = re.compile(r"^(print|show|display)\(", re.MULTILINE)
    return [
        f"code cell {number} prints or shows something, but its output is gone"
        for number, cell in enumerate(code_cells(notebook), 1)
        if speaks.search(source(cell)) and not cell["outputs"]
    ]


def length_problems(notebook: Notebook) -> list[str]:
    """A chapter stays short: few lines of code, mostly in small cells."""
    cells = code_cells(notebook)
    own = [lines_of(cell) for cell in cells if not tags(cell) & FOLDED]
    total = sum(map(lines_of, cells))
    problems = []
    if sum(own) > MOST_CODE_LINES:
        problems.append(f"{sum(own)} lines of code, at most {MOST_CODE_LINES} are wanted")
    if total > MOST_LINES_WITH_SOLUTIONS:
        problems.append(f"{total} lines of code with solutions, at most {MOST_LINES_WITH_SOLUTIONS} are wanted")
    if sum(lines <= 12 for lines in own) < 0.7 * len(own):
        problems.append(f"too many long cells: {own} lines")
    return problems


def section_problems(notebook: Notebook, in_paper: bool) -> list[str]:
    """The parts of a chapter stand in their order, and no heading skips a level."""
    found = headings(notebook)
    wanted = ["able to do", *(["leaves open"] if in_paper else []), "Exercises", "Summary", "References"]
    places = [next((i for i, (_, text, _) in enumerate(found) if part in text), None) for part in wanted]
    problems = [f"no section {part!r}" for part, place in zip(wanted, places, strict=True) if place is None]
    if not problems and places != sorted(places):
        problems.append(f"sections out of order; wanted {wanted}")
    if not found or found[0][0] != 1 or found[0][2] != 0:
        problems.append("the first cell does not open with a title")
    if sum(level == 1 for level, _, _ in found) != 1:
        problems.append("there must be exactly one title (a line with one #)")
    for (before, _, _), (level, text, _) in itertools.pairwise(found):
        if level > before + 1:
            problems.append(f"heading {text!r} skips a level")
    return problems


def exercise_problems(notebook: Notebook) -> list[str]:
    """Three to five exercises, each with a folded solution that asserts something or prints what is compared."""
    marks = [(text, index) for _, text, index in headings(notebook) if re.match(r"(Exercise \d|Solution)", text)]
    exercises = [text for text, _ in marks if text.startswith("Exercise")]
    problems = [] if 3 <= len(exercises) <= 5 else [f"{len(exercises)} exercises, three to five are wanted"]
    for (text, index), following in zip(marks, [*marks[1:], (None, len(notebook["cells"]))], strict=True):
        if text.startswith("Exercise"):
            if not (following[0] or "").startswith("Solution"):
                problems.append(f"{text}: no solution follows")
            continue
        cells = [cell for cell in notebook["cells"][index : following[1]] if cell["cell_type"] == "code"]
        folded = [cell for cell in cells if tags(cell) & FOLDED]
        if not any("assert" in source(cell) or is_compared(cell) for cell in folded):
            problems.append(f"the solution in cell {index + 1} has no folded code cell that checks itself")
    return problems


def figure_problems(notebook: Notebook) -> list[str]:
    """Figures are stored once, draw without another host, and are left out of the comparison."""
    problems = []
    for number, cell, output in outputs(notebook):
        data = output.get("data", {})
        page = "".join(data.get("text/html", ""))
        if PLOTLY in data and set(data) != {PLOTLY, "text/plain"}:
            problems.append(f"code cell {number}: a Plotly figure in more than one form; use facekit.plotting.show")
        if re.search(r"""(src|href)=["']https?:""", page) or len(page) > 4_000_000:
            problems.append(f"code cell {number}: an output that loads from another host or embeds a library")
        if any("widget" in kind for kind in data):
            problems.append(f"code cell {number}: a widget, which the page cannot show; use Plotly sliders")
        if is_pictured(output) and "nbval-ignore-output" not in tags(cell):
            problems.append(f"code cell {number}: shows a figure and lacks the tag nbval-ignore-output")
    return problems


def is_pictured(output: dict[str, Any]) -> bool:
    data = output.get("data", {})
    return PLOTLY in data or any(kind.startswith("image/") for kind in data)


def caption_problems(notebook: Notebook) -> list[str]:
    """A cell shows one figure at most, which says below it what it shows, and in words what a blind reader needs."""
    problems = []
    for number, cell in enumerate(code_cells(notebook), 1):
        figures = [output for output in cell["outputs"] if is_pictured(output)]
        settings = cell["metadata"].get("mystnb", {})
        spoken = [PLOTLY in output["data"] for output in figures]
        if len(figures) > 1:
            problems.append(f"code cell {number}: {len(figures)} figures, one caption; give each a cell of its own")
        if figures and len(settings.get("figure", {}).get("caption", "")) < 20:
            problems.append(f"code cell {number}: a figure without a caption in mystnb.figure.caption")
        if not all(spoken) and len(settings.get("image", {}).get("alt", "")) < 20:
            problems.append(f"code cell {number}: a picture without an alternative text in mystnb.image.alt")
        for data in (output["data"] for output in figures):
            if PLOTLY in data and len("".join(data.get("text/plain", ""))) < 20:
                problems.append(
                    f"code cell {number}: a Plotly figure without an alternative text; use show(..., alt=...)"
                )
    return problems


def privacy_problems(text: str, root: Path) -> list[str]:
    """No path of the machine on which the notebook ran."""
    text = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)  # encoded pictures and meshes
    found = {place for place in (str(root), str(Path.home())) if place in text} | set(MACHINE_PATH.findall(text))
    return [f"names the path {place} of a machine" for place in sorted(found)]


def citation_problems(text: str, bibliography: str) -> list[str]:
    """Every cited work is in the bibliography."""
    known = set(re.findall(r"^@\w+\{([^,]+),", bibliography, re.MULTILINE))
    cited = {key.strip() for keys in re.findall(r"\{cite(?::\w)?\}`([^`]+)`", text) for key in keys.split(",")}
    return [f"cites {key!r}, which references.bib lacks" for key in sorted(cited - known)]


def import_problems(notebook: Notebook) -> list[str]:
    """Readers import from rooms, not from the files inside them; a paper's experiments are a file by themselves."""
    deep = re.compile(r"^\s*(?:from|import) (facekit\.\w+\.(?!experiments\b)\w+)", re.MULTILINE)
    return [f"imports from {name}" for cell in code_cells(notebook) for name in deep.findall(source(cell))]
