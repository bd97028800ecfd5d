"""`make book` on a machine that lacks something says so in one sentence. Stand-ins play the machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def machine(tmp_path):
    """A folder of stand-in commands that is searched first, and a function that runs the install script there."""
    commands = tmp_path / "bin"
    commands.mkdir()

    def add(path, script):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install(**settings):
        environment = os.environ | {"PATH": f"{commands}:{os.environ['PATH']}"} | settings
        command = ["sh", str(ROOT / "scripts" / "install.sh"), str(tmp_path / "venv")]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    install.add = add
    install.commands = commands
    install.python = tmp_path / "venv" / "bin" / "python"
    return install


def free(gigabytes):
    return f"echo header; echo disk 0 0 {gigabytes * 1048576} 0 /"


def sentence(done):
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("facekit: "), done.stderr
    return lines[0]


def test_no_recent_python(machine):
    machine.add(machine.commands / "oldpython", "exit 1")
    assert "Python 3.11 or newer is needed" in sentence(machine(PYTHON="oldpython"))


def test_python_without_environments(machine):
    machine.add(machine.commands / "barepython", 'case "$2" in *ensurepip*) exit 1;; esac')
    assert "barepython cannot make virtual environments" in sentence(machine(PYTHON="barepython"))


def test_full_disk(machine):
    machine.add(machine.python, 'case "$2" in *torch*) exit 1;; esac')
    machine.add(machine.commands / "df", free(3))
    assert "only 3 GB are free" in sentence(machine())


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Failed to establish a new connection", "check the network"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_pip_fails_for_a_known_reason(machine, said, meant):
    machine.add(machine.python, f'case "$2" in *torch*|pip) echo "{said}"; exit 1;; esac')
    machine.add(machine.commands / "df", free(50))
    assert meant in sentence(machine())


def test_pip_fails_for_another_reason(machine):
    machine.add(machine.python, 'case "$2" in pip) echo "error: no wheel"; exit 1;; esac')
    done = machine()
    assert done.returncode == 1 and "error: no wheel\nfacekit: pip could not install" in done.stderr


def test_second_run_installs_nothing(tmp_path):
    """The environment is made anew only when the dependencies or the script change."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    stamp = tmp_path / ".venv" / ".facekit-installed"
    question = ["make", "--question", "--no-print-directory", str(stamp.relative_to(tmp_path))]
    assert subprocess.run(question, cwd=tmp_path, capture_output=True).returncode == 1
    stamp.parent.mkdir()
    stamp.touch()
    assert subprocess.run(question, cwd=tmp_path, capture_output=True).returncode == 0
    os.utime(tmp_path / "pyproject.toml", (stamp.stat().st_mtime + 10,) * 2)
    assert subprocess.run(question, cwd=tmp_path, capture_output=True).returncode == 1
