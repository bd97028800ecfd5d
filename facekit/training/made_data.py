"""Data that a run needs and makes itself: once, by its first process, in a folder that all of its processes read."""

import json
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from facekit.training.checkpoint import why_unwritable, write_atomically
from facekit.training.config import TrainingConfig, config_to_dict
from facekit.training.errors import ConfigError, LaunchError
from facekit.training.process_group import World
from facekit.training.sharing import wait_for_all

RECORD = "made_with.json"


def make_once(
    folder: str | Path, config: TrainingConfig, depends_on: Iterable[str], world: World, make: Callable[[Path], None]
) -> None:
    """Let the first process fill ``folder``, unless an earlier run with the same settings has; the others wait for it.

    The settings are kept beside the data in ``made_with.json``, which is written last: without it the data were not
    finished, and are made anew.

    Args:
        folder: where the data stay; on several machines one that all of them see.
        config: of the run. ``config.restart`` makes the data anew in any case.
        depends_on: names of the settings that the data follow from.
        world: the processes of the run; all of them call this function.
        make: given ``folder``, which exists, writes the data into it.

    Raises:
        ConfigError: the folder cannot be written to or holds data made with other settings.
        LaunchError: this process does not see what the first one made.
    """
    folder = Path(folder)
    if world.is_main:
        chosen = config_to_dict(config)
        _fill(folder, {name: chosen[name] for name in depends_on}, config.restart, make)
    wait_for_all()
    if not (folder / RECORD).exists():
        raise LaunchError(  # which every process prints, also one of a machine without the first
            f"process {world.rank} on {socket.gethostname()} does not find {(folder / RECORD).absolute()}, which the "
            "first process wrote; with several machines, out_dir must be a folder that all of them see"
        )


def _fill(folder: Path, settings: dict, restart: bool, make: Callable[[Path], None]) -> None:
    record = folder / RECORD
    if record.exists() and not restart:
        _compare(settings, record)
        return
    if reason := why_unwritable(folder):
        raise ConfigError(f"nothing can be kept in {folder}: {reason}")
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    make(folder)
    write_atomically(record, lambda file: file.write(json.dumps(settings).encode()))


def _compare(settings: dict, record: Path) -> None:
    before = json.loads(record.read_text(encoding="utf-8"))
    for name, value in json.loads(json.dumps(settings)).items():
        if before.get(name) != value:
            raise ConfigError(
                f"{record.parent} was made with {name} {before.get(name)!r}, this run has {value!r}; "
                "set it back, choose another out_dir, or start again with --restart True"
            )
