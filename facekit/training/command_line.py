"""The last lines of a script: ``command_line(main, Config)``."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facekit.training.checkpoint import CheckpointFolder, why_unwritable
from facekit.training.config import Config, TrainingConfig, parse_config
from facekit.training.errors import ConfigError, DeviceMemoryError, LaunchError, TrainingError

INTERRUPTED = 130
"""Exit status of a program that was ended by Ctrl-C."""


def command_line(main: Callable[[Config], Any], config_class: type[Config]) -> None:
    """Parse the command line and call ``main(config)``; a :class:`TrainingError` becomes a sentence and exit status 2.

    So does, before anything starts, an ``out_dir`` that cannot be written; Ctrl-C becomes a sentence that says how the
    run goes on, and exit status 130. What all processes share is printed by the first one.
    """
    first, config = os.environ.get("RANK", "0") == "0", None
    try:
        config = parse_config(config_class)
        if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":  # torchrun --max-restarts: the run has begun
            config.restart = False
        if first:
            _check_folder(config)
        main(config)
    except TrainingError as error:
        if first or isinstance(error, LaunchError | DeviceMemoryError):
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
    except KeyboardInterrupt:
        if first and config is not None:
            print(f"interrupted{_how_to_go_on(config)}", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)


def _check_folder(config: TrainingConfig) -> None:
    reason = why_unwritable(config.out_dir)
    if reason:
        raise ConfigError(f"out_dir is {config.out_dir!r}, but {reason}; choose another with --out_dir")


def _how_to_go_on(config: TrainingConfig) -> str:
    kept = CheckpointFolder(Path(config.out_dir) / "checkpoints").paths()
    if not kept:
        return f" before the first checkpoint; the same command starts anew (save_every is {config.save_every})"
    words = "the same command without --restart" if config.restart else "the same command"
    return f"; {words} goes on from step {int(kept[-1].stem.removeprefix('step-'))} of {config.steps}"
