"""The set-up brings a browser where it can, and says in one sentence where it cannot. Stand-ins play the machine."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "browser.sh"


@pytest.fixture
def machine(tmp_path):
    """Runs the script where only the stand-in commands exist; ``add`` makes one of them."""

    def add(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def run():
        return subprocess.run(["/bin/sh", SCRIPT], capture_output=True, text=True, env={"PATH": str(tmp_path)})

    run.add, run.log = add, tmp_path / "log"
    return run


def test_an_installed_browser_is_enough(machine):
    machine.add("google-chrome", "exit 1")
    machine.add("apt-get", f"echo called >>{machine.log}")
    done = machine()
    assert done.returncode == 0 and not done.stdout and not machine.log.exists()


def test_an_administrator_gets_debians_package(machine):
    machine.add("id", "echo 0")
    machine.add("apt-get", f'echo "$@" >>{machine.log}')
    done = machine()
    assert done.returncode == 0 and done.stdout.startswith("facekit: installing Chromium")
    assert machine.log.read_text().splitlines()[-1].split()[-1] == "chromium"


@pytest.mark.parametrize(("user", "answer"), [("1000", "exit 0"), ("0", "exit 100")])
def test_without_one_the_rest_is_tested(machine, user, answer):
    machine.add("id", f"echo {user}")
    machine.add("apt-get", answer)
    done = machine()
    assert done.returncode == 0 and "no Chromium or Chrome was found" in done.stdout
