"""Who may import whom: read from the source, so that the rules hold without importing anything."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "facekit"
SHARED_ROOMS = {"meshes", "morphable", "render", "data", "nn", "training", "metrics"}
PAPER_ROOMS = {"decoupled_gan", "reconstruction", "mifar", "dmlnet", "rrl"}
FRONT = {"__init__", "__main__", "experiments"}

ALLOWED = {
    "meshes": set(),
    "morphable": {"meshes"},
    "render": {"meshes"},
    "nn": {"meshes"},
    "metrics": {"meshes"},
    "training": set(),
    "plotting": {"meshes"},
    "data": {"meshes", "morphable", "render"},
} | {room: SHARED_ROOMS | {"plotting", "experiments"} for room in PAPER_ROOMS}


def room_of(path: Path) -> str:
    """The folder of the package in which a module lies, or the module's own name at the top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imported_modules(source: str, package: str) -> set[str]:
    """Full names of all modules that ``source`` imports, anywhere in it; ``package`` resolves relative imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            found.add(module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def top_level_modules(source: str) -> set[str]:
    """Names of the modules that ``source`` imports when it is itself imported (not those inside functions)."""
    pending, found = list(ast.parse(source).body), set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)
    return found


def forbidden_rooms(source: str, room: str, package: str) -> set[str]:
    """Rooms of facekit that a module of ``room`` imports although it may not."""
    names = imported_modules(source, package)
    rooms = {name.split(".")[1] for name in names if name.startswith("facekit.")}
    rooms &= SHARED_ROOMS | PAPER_ROOMS | {"plotting", "experiments"}
    return rooms - ALLOWED[room] - {room}


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_room_imports_only_what_it_may(path):
    room = room_of(path)
    if room in FRONT:
        return
    assert room in ALLOWED, f"{room} is not a room of the plan; add it to ALLOWED with what it may import"
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    wrong = forbidden_rooms(path.read_text(), room, package)
    assert not wrong, f"{path.relative_to(ROOT)} ({room}) may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_tools_stay_outside(path):
    source = path.read_text()
    names = {name.split(".")[0] for name in imported_modules(source, "facekit")}
    assert "book" not in names, f"{path}: the package may not import the book"
    at_import = top_level_modules(source) & {"IPython", "ipywidgets"}
    assert not at_import, f"{path}: imports {sorted(at_import)} at import time"
    if room_of(path) != "plotting":
        assert "plotly" not in names, f"{path}: only facekit.plotting imports plotly"


def test_names_say_something():
    empty = {"utils", "helpers", "misc", "common"}
    assert not [path for path in MODULES if path.stem in empty]


def test_package_import_is_light():
    check = "import facekit, sys; print(sorted({'torch', 'numpy', 'pandas', 'plotly'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "room", "wrong"),
    [
        ("from facekit.render import rasterize", "meshes", {"render"}),
        ("def late():\n    import facekit.data.world", "render", {"data"}),
        ("from facekit import dmlnet", "rrl", {"dmlnet"}),
        ("from ..rrl import model", "training", {"rrl"}),
        ("from facekit.meshes import face_normals\nimport torch", "render", set()),
        ("from . import camera", "render", set()),
    ],
)
def test_the_rule_itself(source, room, wrong):
    assert forbidden_rooms(source, room, f"facekit.{room}") == wrong


def test_the_rule_sees_late_imports():
    source = "import torch\nif True:\n    import IPython\ndef show():\n    import ipywidgets"
    assert top_level_modules(source) == {"torch", "IPython"}
