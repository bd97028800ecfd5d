"""What a run says while it runs: ``metrics.jsonl`` and one progress bar."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from facekit.training.checkpoint import write_atomically
from facekit.training.errors import CheckpointError


class MetricsLog:
    """``metrics.jsonl``: one JSON object per line, each with a ``step``, in order and without repeats."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = None

    def continue_after(self, step: int) -> None:
        """Open for appending; lines of later steps, and a last line cut short by a kill, are dropped first."""
        lines = [json.dumps(line) for line in read_metrics(self.path) if line["step"] <= step] if step else []
        content = "".join(line + "\n" for line in lines).encode()
        write_atomically(self.path, lambda file: file.write(content))
        self._file = open(self.path, "a", encoding="utf-8")

    def write(self, values: Mapping[str, float]) -> None:
        """Append one line and hand it to the system, so that a kill does not lose it; NaN is written as null."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps(finite) + "\n")
        self._file.flush()

    def flush(self) -> None:
        """Force the lines onto the disk (before a checkpoint that counts on them)."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a line that could not be written, which write() has said
                self._file.close()


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The whole lines of a ``metrics.jsonl``; a last line without its end is left out. Empty where there is no file.

    Raises:
        CheckpointError: a whole line is damaged; names the file and the line.
    """
    path = Path(path)
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [_line(path, number, line) for number, line in enumerate(lines, start=1)]


def _line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        content = json.loads(line)
        if isinstance(content, dict) and "step" in content:
            return content
    raise CheckpointError(f"{path}, line {number}, is no JSON object with a step; remove or mend the line")


class Progress:
    """A progress bar on standard output in one process, nothing in the others."""

    def __init__(self, steps: int, start: int, show: bool) -> None:
        self._bar = tqdm(total=steps, initial=start, disable=not show, file=sys.stdout, unit="step", dynamic_ncols=True)

    def advance(self, values: Mapping[str, float] | None = None) -> None:
        """One step further; ``values`` (a few numbers) are shown beside the bar."""
        if values:
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()}, refresh=False)
        self._bar.update()

    def close(self) -> None:
        """Leave the bar where it is."""
        self._bar.close()
