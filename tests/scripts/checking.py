"""What a file of checks does as a script, in each process of a group."""

from collections.abc import Mapping
from typing import Any

from facekit.training import distributed_run


def run_checks(defined: Mapping[str, Any]) -> None:
    """Call every ``check_...(world)`` among what a module defines, and say so at the end."""
    with distributed_run() as world:
        for name, check in list(defined.items()):
            if name.startswith("check_"):
                check(world)
        print(f"checked {world.rank} of {world.size}")
