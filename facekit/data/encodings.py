"""Labels as numbers: one numbering of expressions, visemes, poses and action units for every data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from facekit.data.manifest import EXPRESSION_LABELS, OCCLUDERS, ManifestError, au_columns

EXPRESSION_WORDS: dict[str, str] = {
    "neutral": "neutral", "angry": "anger", "disgusted": "disgust", "afraid": "fear", "fearful": "fear",
    "scared": "fear", "happy": "happiness", "joy": "happiness", "sad": "sadness", "surprised": "surprise",
    "painful": "pain", "nervous": "nervousness", "smiling": "smile", "squinting": "squint", "screaming": "scream",
}  # fmt: skip
"""What folders and tables of others call the expressions, in lower case, beside our own names."""


def expression_name(word: str) -> str:
    """Our name of an expression that a folder or a table calls "Happy" or "anger"; empty for an empty word.

    Raises:
        ManifestError: if the word stands for no expression.
    """
    plain = word.strip().lower()
    name = EXPRESSION_WORDS.get(plain, plain)
    if name and name not in EXPRESSION_LABELS:
        raise ManifestError(f"{word!r} is not an expression; known are {', '.join(EXPRESSION_LABELS)}")
    return name


def expression_ids(labels: pd.Series | Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Class numbers (N,) int64 of expression names: position in `classes`, -1 where the label is missing or no class.

    Raises:
        ManifestError: if `classes` repeats a name or holds one that is not in EXPRESSION_LABELS.
    """
    unknown = [name for name in classes if name not in EXPRESSION_LABELS]
    if unknown:
        raise ManifestError(f"{unknown[0]!r} is not an expression; known are {', '.join(EXPRESSION_LABELS)}")
    if len(set(classes)) != len(classes):
        raise ManifestError(f"the classes must differ from each other, found {list(classes)}")
    return positions(labels, classes)


def label_ids(labels: pd.Series | Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Class numbers (N,) int64 of any text labels and the sorted names they stand for; -1 for an empty label."""
    classes = sorted({str(label) for label in pd.unique(pd.Series(labels))} - {""})
    return positions(labels, classes), classes


def positions(labels: pd.Series | Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Place (N,) int64 of each label in `names`, -1 where it is none of them."""
    labels, names = pd.Series(labels), pd.Index(list(names))
    if not isinstance(labels.dtype, pd.CategoricalDtype):
        return names.get_indexer(labels).astype(np.int64)
    places = np.append(names.get_indexer(labels.cat.categories), -1)
    return places[labels.cat.codes].astype(np.int64)


def pose_classes(yaw: ArrayLike, centres: Sequence[float]) -> np.ndarray:
    """Number (N,) int64 of the nearest pose in `centres` (degrees, ascending); -1 where yaw is NaN."""
    centres = np.asarray(centres, dtype=np.float64)
    if centres.ndim != 1 or len(centres) == 0 or np.any(np.diff(centres) <= 0):
        raise ValueError(f"pose centres must ascend, found {centres.tolist()}")
    yaw = np.asarray(yaw, dtype=np.float64)
    edges = (centres[1:] + centres[:-1]) / 2
    return np.where(np.isnan(yaw), -1, np.searchsorted(edges, yaw, side="right")).astype(np.int64)


def au_matrix(
    table: pd.DataFrame, units: Sequence[int], positive_from: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Occurrence (N, K) float32 of the action units in {0, 1}, and whether each was coded (N, K) bool.

    `positive_from` is the lowest value that counts as present: 1 for occurrence codes, 2 for DISFA's levels.
    An action unit that was not coded is 0 in the first array and False in the second.
    """
    columns = au_columns(table)
    absent = [unit for unit in units if unit not in columns]
    if absent:
        raise ManifestError(f"action unit {absent[0]} is not coded in this table, which has {sorted(columns)}")
    values = table[[columns[unit] for unit in units]].to_numpy(dtype=np.float32)
    coded = ~np.isnan(values)
    present = np.where(coded, values >= positive_from, False).astype(np.float32)
    return torch.from_numpy(present), torch.from_numpy(coded)


def sample_labels(rows: pd.DataFrame, people: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """The labels that a batch of a licensed data set has, as the face world gives them, each (N,) int64.

    `expression` and `occluder` are positions in EXPRESSION_LABELS and OCCLUDERS, `intensity` is the published level,
    `person` the subject's position in `people` and `row` the label of the row; -1 wherever nothing is published.
    """
    blank = [""] * len(rows)
    intensity = rows["intensity"].to_numpy() if "intensity" in rows else np.full(len(rows), -1)
    labels = {
        "expression": expression_ids(rows["expression"] if "expression" in rows else blank, EXPRESSION_LABELS),
        "intensity": intensity.astype(np.int64),
        "occluder": positions(rows["occluder"] if "occluder" in rows else blank, OCCLUDERS),
        "person": positions(rows["subject"] if "subject" in rows else blank, people),
        "row": rows.index.to_numpy(dtype=np.int64),
    }
    return {key: torch.from_numpy(np.array(value)) for key, value in labels.items()}
