"""The last lines of a script: ``command_line(main, Config)``."""

import os
import sys
from collections.abc import Callable
from typing import Any

from facekit.training.config import Config, parse_config
from facekit.training.errors import DeviceMemoryError, LaunchError, TrainingError


def command_line(main: Callable[[Config], Any], config_class: type[Config]) -> None:
    """Parse the command line and call ``main(config)``; a :class:`TrainingError` becomes a sentence and exit status 2.

    An error that all processes share is printed by the first one.
    """
    try:
        main(parse_config(config_class))
    except TrainingError as error:
        if isinstance(error, LaunchError | DeviceMemoryError) or os.environ.get("RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
