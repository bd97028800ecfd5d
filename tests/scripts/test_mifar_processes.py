"""MiFaR's losses in two processes against one."""

from launching import run


def test_losses_of_two_processes_are_those_of_one() -> None:
    for rank, (status, output) in enumerate(run("tests/scripts/mifar_checks.py", processes=2)):
        assert status == 0, output
        assert f"checked {rank} of 2" in output
