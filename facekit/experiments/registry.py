"""Experiments by id, and running them."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import importlib.util
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facekit.experiments.results import build_result, earlier_result, runs_of, write_json
from facekit.training import why_unwritable

PAPER_ROOMS = ("decoupled_gan", "reconstruction", "mifar", "dmlnet", "rrl")
"""The rooms of the five papers, in the order of the book."""
SCALES = ("smoke", "notebook", "small", "paper")
"""Sizes of a run: smoke (seconds), notebook (about a minute on two cores), small (hours), paper (its own)."""

Measured = Mapping[str, Mapping[str, float | None]]
"""Method to column to number; None where the number would need data that is not there."""


class ExperimentError(ValueError):
    """An experiment that is not known, or a request or a result that does not fit it."""


@dataclass
class Run:
    """What one run of an experiment is asked for.

    Attributes:
        data: ``world``, ``world:ict=PATH``, or ``<data set>=<path>``; ``facekit.data.parse_data`` reads it.
        scale: one of ``SCALES``.
        seed: every random choice of the run follows from it.
        config: settings that the function notes for the record.
    """

    data: str
    scale: str
    seed: int
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A registered experiment: see ``experiment`` for the fields."""

    id: str
    paper: str
    title: str
    columns: tuple[str, ...]
    published: Measured
    function: Callable[[Run], Measured]


_REGISTRY: dict[str, Experiment] = {}


def experiment(
    id: str, *, paper: str, title: str, columns: Sequence[str], published: Measured | None = None
) -> Callable[[Callable[[Run], Measured]], Callable[[Run], Measured]]:
    """Register the decorated function as the experiment ``id``.

    Args:
        id: ``<paper's room>/<table or figure>``.
        paper: the paper in a few words.
        title: what is measured.
        columns: names of the measured quantities, with the unit where it is not a rate.
        published: the paper's own numbers by method and column; methods that it lacks are our additions.

    Raises:
        ExperimentError: if the id is taken or malformed, or a published column is not among ``columns``.
    """
    if not re.fullmatch(r"[a-z_]+/[a-z0-9_]+", id):
        raise ExperimentError(f"experiment id {id!r}: expected <paper>/<table or figure>, such as dmlnet/table8")
    published = {method: dict(numbers) for method, numbers in (published or {}).items()}
    _check_columns(id, published, columns)

    def register(function: Callable[[Run], Measured]) -> Callable[[Run], Measured]:
        if id in _REGISTRY:
            raise ExperimentError(f"experiment {id} is registered twice")
        _REGISTRY[id] = Experiment(id, paper, title, tuple(columns), published, function)
        return function

    return register


def load_experiments() -> dict[str, Experiment]:
    """Import every paper's ``experiments`` module that exists and return all experiments by id, in the book's order."""
    for room in PAPER_ROOMS:
        name = f"facekit.{room}"
        if importlib.util.find_spec(name) and importlib.util.find_spec(f"{name}.experiments"):
            importlib.import_module(f"{name}.experiments")
    rank = {room: index for index, room in enumerate(PAPER_ROOMS)}
    ids = sorted(_REGISTRY, key=lambda id: (rank.get(id.split("/")[0], len(rank)), _natural(id)))
    return {id: _REGISTRY[id] for id in ids}


def chosen_experiments(patterns: Iterable[str]) -> list[str]:
    """Return the ids that any of the patterns names, each once: ``dmlnet/table8_kdef``, ``dmlnet/table*``, ``rrl/*``.

    Raises:
        ExperimentError: if a pattern names no experiment.
    """
    known = load_experiments()
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = fnmatch.filter(known, pattern)
        if not found:
            raise _unknown(pattern, known)
        chosen |= dict.fromkeys(found)
    return list(chosen)


def run_experiment(
    id: str,
    data: str = "world",
    scale: str = "small",
    seeds: Iterable[int] = (0, 1, 2),
    out: Path | None = None,
    asked: Sequence[str] = (),
    restart: bool = False,
) -> dict[str, Any]:
    """Run an experiment once per seed and return its result; with ``out``, write it there after every seed.

    A run that was broken off is continued: seeds are not measured again that ``out`` holds already, if they were
    measured by the same commit, without changes to it, on the same hardware.

    Args:
        id: the experiment.
        data, scale: see ``Run``.
        seeds: one run each.
        out: JSON file, replaced as a whole, so that it is never half written.
        asked: ids or patterns of the command that runs this experiment and perhaps others, for the record.
        restart: measure all seeds, whatever ``out`` holds.

    Raises:
        ExperimentError: if the id or the scale is not known or ``out`` cannot be written, all before the first seed; or
            if the function measures a column it did not announce, or the disk is full when a seed is measured.
    """
    known = load_experiments()
    if id not in known:
        raise _unknown(id, known)
    if scale not in SCALES:
        raise ExperimentError(f"scale {scale!r}: expected one of {', '.join(SCALES)}")
    seeds = list(seeds)
    if not seeds:
        raise ExperimentError("at least one seed is needed")
    if out is not None:
        _check_out(out)
    result = {} if restart or out is None else earlier_result(out, id, data, scale, seeds)
    done, spent = runs_of(result), result.get("seconds", 0.0)
    started = time.monotonic()
    for seed in seeds[len(done) :]:
        run = Run(data, scale, seed)
        measured = known[id].function(run)
        _check_columns(id, measured, known[id].columns)
        done.append(measured)
        seconds = spent + time.monotonic() - started
        result = _record(known[id], run, done, seeds[: len(done)], seconds, asked or (id,))
        if out is not None:
            _keep(out, result)
    return result


def _keep(out: Path, result: Mapping[str, Any]) -> None:
    """Write the result; where the disk is full by now, say the numbers rather than lose them."""
    try:
        write_json(out, result)
    except OSError as error:
        reason = f"the result cannot be written to {out}: {error.strerror or error}"
        raise ExperimentError(f"{reason}; so far it is {json.dumps(result)}") from error


def _unknown(id: str, known: Iterable[str]) -> ExperimentError:
    known = list(known)
    nearest = difflib.get_close_matches(id, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(nearest)}? " if nearest else ""
    return ExperimentError(f"no experiment {id!r}; {hint}`python -m facekit list` prints all {len(known)}")


def _check_out(out: Path) -> None:
    reason = f"{out} is a folder" if Path(out).is_dir() else why_unwritable(Path(out).parent)
    if reason:
        raise ExperimentError(f"the result cannot be written to {out}: {reason}; name another JSON file with --out")


def _check_columns(id: str, numbers: Measured, columns: Sequence[str]) -> None:
    for method, cells in numbers.items():
        for column, value in cells.items():
            if column not in columns:
                raise ExperimentError(f"{id}, {method}: column {column!r} is not one of {', '.join(columns)}")
            if value is not None and not math.isfinite(value):
                raise ExperimentError(f"{id}, {method}: {column} is {value}; expected a finite number or None")


def _natural(id: str) -> list[Any]:
    """Sort key that puts table10 after table9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", id)]


def _record(
    chosen: Experiment, run: Run, runs: Sequence[Measured], seeds: Sequence[int], seconds: float, asked: Sequence[str]
) -> dict[str, Any]:
    about = {"id": chosen.id, "paper": chosen.paper, "title": chosen.title, "data": run.data, "scale": run.scale}
    return build_result(about, chosen.columns, chosen.published, runs, seeds, run.config, seconds, asked)
