"""The page on one's own data: its commands run in order in an empty folder and print what the page says."""

import re
from pathlib import Path

import pytest

from facekit.__main__ import main
from facekit.data import READERS
from facekit.data.readers import PUBLISHED
from facekit.data.readers.own_manifest import OWN_COLUMNS

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "book" / "your_own_data.md"

_BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(text: str) -> list[tuple[str, str, str]]:
    """Kind, content and expected output of each block that is run or written, in the page's order."""
    blocks = [(match["kind"], match["body"]) for match in _BLOCK.finditer(text)]
    found = []
    for number, (kind, body) in enumerate(blocks):
        follows = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
        if kind in ("python", "bash"):
            found.append((kind, body, follows[1] if follows[0] == "text" else ""))
        elif kind == "{code-block}":
            caption, _, content = body.partition("\n")
            found.append((caption.removeprefix(":caption: "), content, ""))
    return found


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_pages_commands_print_what_it_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, ran = {}, 0
    for kind, body, expected in steps(page):
        if kind == "python":
            exec(compile(body, "the page", "exec"), names)
        elif kind == "bash":
            program, *arguments = body.split()
            assert program == "python" and arguments[:2] == ["-m", "facekit"]
            assert main(arguments[2:]) in (0, 1)
        else:
            Path(kind).write_text(body, encoding="utf-8")
            continue
        assert capsys.readouterr().out == expected, body
        ran += 1
    assert ran >= 5


def test_the_page_names_every_data_set_and_column(page):
    for name in READERS:
        assert f"| `{name}` |" in page or name == "own"
    columns = [name for name in OWN_COLUMNS if name not in ("phase", "mirrored", "recording")]
    assert not [name for name in columns if f"`{name}`" not in page]
    for name, counts in PUBLISHED.items():
        (row,) = re.findall(rf"^\| `{name}` .*$", page, re.MULTILINE)
        for number in (counts.subjects, counts.samples):
            assert number is None or name == "facewarehouse" or f"{number:,}" in row, (name, number)


def test_the_check_itself_sees_a_wrong_output(page):
    kinds = [kind for kind, _, _ in steps(page)]
    assert kinds.count("python") == 4 and kinds.count("bash") == 3 and "faces/manifest.csv" in kinds
    assert all(expected for kind, _, expected in steps(page) if kind == "bash")
