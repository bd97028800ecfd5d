"""Checkpoints that survive a kill at any moment.

A checkpoint is written under a temporary name, flushed to the disk, and only then renamed: its final name either holds
the whole file or does not exist. It is read with ``weights_only=True``, so that no code inside a file ever runs, and
its checksums are compared first.
"""

import copy
import os
import pickle
import socket
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facekit.training.errors import CheckpointError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_FORMAT = "facekit.training 1"


def write_atomically(path: str | Path, write: Callable[[Any], None]) -> None:
    """Call ``write(file)`` on a temporary file beside ``path``, flush it to the disk and rename it to ``path``."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def why_unwritable(folder: str | Path) -> str | None:
    """Why nothing can be written to ``folder``, which need not exist yet; None where nothing speaks against it.

    Asked before a long computation, so that its result is not lost at the end. Nothing is made.
    """
    folder = Path(folder).absolute()
    existing = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not os.path.isdir(existing):
        return f"{existing} is no folder"
    return None if os.access(existing, os.W_OK | os.X_OK) else f"there is no permission to write to {existing}"


def _flush_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut (where the system can)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_checkpoint(path: str | Path, state: dict[str, Any], kind: str = "run") -> None:
    """Write ``state`` (tensors, numbers, words, dictionaries, lists, tuples) to ``path``, marked as ``kind``.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    marked = {"format": _FORMAT, "kind": kind, **state}
    try:
        write_atomically(path, lambda file: torch.save(marked, file))
    except RuntimeError as error:  # PyTorch's own, about its place in the file, which hides the system's
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load_checkpoint(path: str | Path, kind: str = "run") -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, onto the CPU.

    Raises:
        CheckpointError: if the file is missing, truncated, damaged, not one of ours, or of another kind.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(f"{path} is truncated or no checkpoint ({error})") from None
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged: the checksum of {damaged} does not match")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(f"{path} is no checkpoint of this project and was not loaded ({reason})") from None
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is not a file of {_FORMAT}")
    if state["kind"] != kind:
        raise CheckpointError(f"{path} holds a {state['kind']!r}, expected a {kind!r}")
    return state


class CheckpointFolder:
    """The checkpoints of one run: ``step-00000500.pt``, ... in ``folder``, the last ``keep`` of them."""

    def __init__(self, folder: str | Path, keep: int = 3) -> None:
        self.folder = Path(folder)
        self.keep = keep
        self._lock = None

    def lock(self) -> None:
        """Reserve the folder for this process; the system lets go of it when the process ends, however it ends.

        Raises:
            CheckpointError: if another process has it (of a run whose launcher alone was killed, say).
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            return
        self._lock = open(self.folder / ".lock", "a+", encoding="utf-8")
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self._lock.seek(0)
            owner = self._lock.read().strip()
            raise CheckpointError(f"{self.folder} is in use by process {owner}, end that one first") from None
        except OSError:
            return  # a file system without locks
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()} on {socket.gethostname()}")
        self._lock.flush()

    def unlock(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def paths(self) -> list[Path]:
        """Finished checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*.pt"))

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write ``state`` as the checkpoint after ``step`` steps, then remove those beyond ``keep``.

        Files of later steps, which could not be read when the run went on from an earlier one, are not among the kept.
        """
        path = self.folder / f"step-{step:08d}.pt"
        save_checkpoint(path, state)
        for old in [kept for kept in self.paths() if kept <= path][: -self.keep]:
            old.unlink()
        return path

    def load_newest(self, report: Callable[[str], None] = print) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be read, or None where the folder has none; each refusal is ``report``-ed.

        Raises:
            CheckpointError: if there are checkpoints, but none can be read.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                return path, load_checkpoint(path)
            except CheckpointError as error:
                report(f"refused: {error}")
        if paths:
            raise CheckpointError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read; start again with --restart True"
            )
        return None

    def clear(self) -> None:
        """Remove every checkpoint of this folder and what killed runs left half-written."""
        for path in self.paths():
            path.unlink()
        self.clear_unfinished()

    def clear_unfinished(self) -> None:
        """Remove temporary files of runs that were killed while writing."""
        for path in self.folder.glob(".step-*.tmp"):
            path.unlink()


def save_weights(path: str | Path, models: Mapping[str, nn.Module], average: Any = None) -> None:
    """Write the models' weights alone, by name, and their moving averages where there is a ``WeightAverage``."""
    state = {"models": {name: model.state_dict() for name, model in models.items()}}
    if average is not None:
        with average.applied():
            averaged = {name: copy.deepcopy(model.state_dict()) for name, model in models.items()}
        state["averaged"] = averaged
    save_checkpoint(path, state, kind="weights")


def load_weights(path: str | Path, models: Mapping[str, nn.Module], averaged: bool = True) -> None:
    """Load ``out_dir/weights.pt`` into ``models``: the averaged weights where there are any and they are wanted.

    Raises:
        CheckpointError: the file cannot be read, or a model is missing or has other shapes.
    """
    content = load_checkpoint(path, kind="weights")
    states = content["averaged"] if averaged and "averaged" in content else content["models"]
    for name, model in models.items():
        if name not in states:
            raise CheckpointError(f"{path} holds the models {sorted(states)}, expected {name!r} among them")
        try:
            model.load_state_dict(states[name])
        except RuntimeError as error:
            raise CheckpointError(f"{path} does not fit model {name!r}: {' '.join(str(error).split())}") from None
