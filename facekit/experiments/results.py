"""The JSON file that an experiment leaves: what was measured, by which command, on what, and how it is read again."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facekit.training import write_atomically

if TYPE_CHECKING:
    import pandas as pd


def build_result(
    about: Mapping[str, str],
    columns: Sequence[str],
    published: Mapping[str, Mapping[str, float | None]],
    runs: Sequence[Mapping[str, Mapping[str, float | None]]],
    seeds: Sequence[int],
    config: Mapping[str, Any],
    seconds: float,
    asked: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the record of an experiment.

    Args:
        about: ``id``, ``paper``, ``title``, ``data`` and ``scale``; a path in ``data`` is left out of the record.
        columns: names of the measured quantities.
        published: the paper's numbers by method and column.
        runs: measured numbers by method and column, one mapping per seed.
        seeds: as many as runs.
        config: settings noted by the experiment.
        seconds: duration of all runs; models that an earlier experiment of the same command trained are not in it.
        asked: ids or patterns of the command; without any, the experiment's own id.
    """
    methods = dict.fromkeys([*published, *(method for measured in runs for method in measured)])
    rows = []
    for method in methods:
        measured = {column: _summary([run.get(method, {}).get(column) for run in runs]) for column in columns}
        rows.append({"method": method, "paper": dict(published.get(method, {})), "measured": measured})
    data = re.sub(r"=[^,]*", "=PATH", about["data"])
    ids = shlex.join(asked or [about["id"]])
    command = f"python -m facekit run {ids} --data {data} --scale {about['scale']} --seeds {len(seeds)}"
    return {
        **about,
        "data": without_path(about["data"]),
        "columns": list(columns),
        "rows": rows,
        "seeds": list(seeds),
        "config": dict(config),
        "command": command,
        "commit": _commit(),
        "hardware": _hardware(),
        "seconds": round(seconds, 1),
    }


def earlier_result(path: Path, id: str, data: str, scale: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Return what an unfinished run of the same experiment left at ``path``; empty where it cannot be continued.

    It can where the code is that of one commit, then and now, the hardware is the same, and its seeds are the first of
    ``seeds``.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    commit = _commit()
    now = {"id": id, "data": without_path(data), "scale": scale, "commit": commit, "hardware": _hardware()}
    same = isinstance(found, dict) and all(found.get(key) == value for key, value in now.items())
    clean = commit is not None and "+" not in commit
    return found if same and clean and found["seeds"] == list(seeds)[: len(found["seeds"])] else {}


def runs_of(result: Mapping[str, Any]) -> list[dict[str, dict[str, float | None]]]:
    """Return the numbers of each seed by method and column, as the experiment's function gave them."""
    return [
        {
            row["method"]: {column: cell and cell["runs"][turn] for column, cell in row["measured"].items()}
            for row in result["rows"]
        }
        for turn in range(len(result.get("seeds", ())))
    ]


def result_path(id: str, data: str, scale: str) -> Path:
    """Return where a result belongs: ``book/<paper>/results`` in the repository, ``<paper>/results`` elsewhere."""
    room, _, name = id.partition("/")
    folder = Path("book", room) if Path("book", room).is_dir() else Path(room)
    kind = re.sub(r"[^a-z0-9]+", "_", without_path(data).lower())
    return folder / "results" / f"{name}.{kind}.{scale}.json"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` to ``path`` in one step: a reader finds the old file or the new one, never a part."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(text.encode()))


def result_table(result: Mapping[str, Any] | str | Path) -> pd.DataFrame:
    """Return a result as a table: methods down, and for every column the paper's number beside ours as mean ± std.

    Args:
        result: what ``run_experiment`` returned, or the path of a JSON file that it wrote.
    """
    import pandas as pd

    if not isinstance(result, Mapping):
        result = json.loads(Path(result).read_text(encoding="utf-8"))
    rows = {}
    for row in result["rows"]:
        cells = {}
        for column in result["columns"]:
            ours = row["measured"].get(column)
            cells[column, "paper"] = "–" if row["paper"].get(column) is None else f"{row['paper'][column]:g}"
            cells[column, "ours"] = "–" if ours is None else f"{ours['mean']:.3g} ± {_rounded(ours['std'])}"
        rows[row["method"]] = cells
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(table.columns), axis=1)


def _rounded(spread: float) -> str:
    """One significant digit, but no exponent: 0.04, 0.7, 12."""
    return f"{spread:.1g}" if spread < 9.5 else f"{spread:.0f}"


def without_path(data: str) -> str:
    """Return a data argument without the reader's paths: ``world:procedural``, ``world:ict``, ``300wlp,celeba``."""
    kinds = ",".join(part.split("=")[0] for part in data.split(","))
    return "world:procedural" if kinds == "world" else kinds


def _summary(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Return mean, standard deviation (between runs) and the runs themselves; None if a run did not measure it."""
    if any(value is None for value in values):
        return None
    runs = [float(value) for value in values]
    spread = statistics.stdev(runs) if len(runs) > 1 else 0.0
    return {"mean": statistics.fmean(runs), "std": spread, "runs": runs}


def _commit() -> str | None:
    """Return the commit of the running code, marked when files differ from it; None outside a repository."""
    folder = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(folder))
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _hardware() -> str:
    """Describe the processor, its cores and the GPUs."""
    import torch

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file() and (found := re.search(r"model name\s*:\s*(.+)", info.read_text())):
        name = found[1]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join([f"{cores} x {name}", *gpus])
