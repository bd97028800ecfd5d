"""All results in one table: the papers' numbers beside ours, and whether they order the methods alike."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facekit.experiments.registry import ExperimentError, load_experiments

if TYPE_CHECKING:
    import pandas as pd

Result = Mapping[str, Any]

_FIELDS = {"id", "data", "scale", "columns", "rows", "seeds", "command", "commit", "hardware", "seconds"}


def load_results(folder: str | Path) -> list[dict[str, Any]]:
    """The results below ``folder`` (``*/results/*.json``), in the order of the experiments.

    Raises:
        ExperimentError: a file is not a result, or its experiment is not known any more; names the file.
    """
    order = list(load_experiments())
    results = []
    for path in sorted(Path(folder).glob("*/results/*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ExperimentError(f"{path} is not valid JSON: {error}") from None
        missing = sorted(_FIELDS - set(result)) if isinstance(result, dict) else ["id"]
        if missing:
            raise ExperimentError(f"{path} is not the result of an experiment: it lacks {missing[0]!r}")
        if result["id"] not in order:
            raise ExperimentError(f"{path} holds the experiment {result['id']!r}, which no room registers")
        results.append(result)
    return sorted(results, key=lambda result: order.index(result["id"]))


def scoreboard(results: Iterable[Result]) -> pd.DataFrame:
    """One row for each experiment, data, method and quantity that was published or measured.

    Columns: ``experiment``, ``method``, ``quantity``, ``published``, ``measured``, ``spread`` (standard deviation over
    the runs), ``runs``, ``agreement`` (see :func:`agreement`), ``data``, ``scale``, ``minutes``, ``hardware``,
    ``commit``, ``command``. Numbers that do not exist are missing values.
    """
    import pandas as pd

    lines = []
    for result in results:
        words = {column: agreement(result, column) for column in result["columns"]}
        for row, column in itertools.product(result["rows"], result["columns"]):
            published, ours = row["paper"].get(column), row["measured"].get(column)
            if published is None and ours is None:
                continue
            lines.append({
                "experiment": result["id"], "method": row["method"], "quantity": column, "published": published,
                "measured": ours and ours["mean"], "spread": ours and ours["std"],
                "runs": len(ours["runs"]) if ours else 0, "agreement": words[column],
                "data": result["data"], "scale": result["scale"], "minutes": result["seconds"] / 60,
                "hardware": result["hardware"], "commit": result["commit"], "command": result["command"],
            })  # fmt: skip
    return pd.DataFrame(lines)


def agreement(result: Result, column: str) -> str:
    """In words, how far our numbers order the methods of a result as the published ones do.

    Only pairs of methods with both numbers count, and of these only pairs that the paper tells apart. A pair whose
    means of ours are nearer than the sum of their standard deviations is called open.
    """
    both = [
        (row["paper"][column], row["measured"][column])
        for row in result["rows"]
        if row["paper"].get(column) is not None and row["measured"].get(column) is not None
    ]
    same = other = open_ = 0
    for (theirs, ours), (theirs_too, ours_too) in itertools.combinations(both, 2):
        if theirs == theirs_too:
            continue
        gap = ours["mean"] - ours_too["mean"]
        if abs(gap) <= ours["std"] + ours_too["std"]:
            open_ += 1
        elif (gap > 0) == (theirs > theirs_too):
            same += 1
        else:
            other += 1
    if not same + other + open_:
        return "nothing to compare"
    counts = {"same order": same, "other order": other, "open": open_}
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count)
