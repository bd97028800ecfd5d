"""The manifest: what a data source says about each of its samples, in one pandas table with fixed column names.

Every data set publishes its labels in its own files and codes.  Here a reader or a protocol twin turns them into one
table, a row per sample, so that folds, batch samplers and experiments are written once.  A label that a data set does
not publish is *missing* (an empty string, -1 or NaN), never guessed.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd


class ManifestError(ValueError):
    """A table that is not a manifest; the message names the column or the row."""


@dataclass(frozen=True)
class Column:
    """What a column holds: "text", "integer", "number" or "flag"; its value for "not published"; its meaning."""

    kind: str
    missing: object
    meaning: str


MANIFEST_COLUMNS: dict[str, Column] = {
    "path": Column("text", "", "file of the sample, relative to the data set's root; empty for a synthetic sample"),
    "subject": Column("text", "", "the person, as the data set names them: the unit of every split"),
    "group": Column("text", "", "unit of the split where the person is unknown: a film, a source photograph"),
    "sex": Column("text", "", "F or M, as the data set states it"),
    "expression": Column("text", "", "a name from EXPRESSION_LABELS"),
    "intensity": Column("integer", -1, "level of the expression: 0 for neutral, 1 (weakest) to 4"),
    "pitch": Column("number", np.nan, "nominal pose in degrees: positive turns the face down"),
    "yaw": Column("number", np.nan, "nominal pose in degrees: positive turns the face towards the image's right"),
    "roll": Column("number", np.nan, "nominal pose in degrees: positive is counter-clockwise as seen"),
    "viseme": Column("text", "", "mouth shape of the sound being spoken"),
    "split": Column("text", "", "train, val or test where a split is published or used by a paper"),
    "fold": Column("integer", -1, "published fold (1, 2, ...) in which the sample is tested"),
    "session": Column("integer", -1, "recording session, from 1"),
    "recording": Column("integer", -1, "take within a session, from 1"),
    "camera": Column("text", "", "camera, as the data set names it"),
    "lighting": Column("integer", -1, "number of the flash; 0 is the room's own light"),
    "occluder": Column("text", "", "what hides part of the face: a name from OCCLUDERS; empty for nothing"),
    "condition": Column("text", "", "recording condition with difficulties of its own, such as indoor or outdoor"),
    "task": Column("integer", -1, "number of the task that a spontaneous recording answers, from 1"),
    "sequence": Column("text", "", "recording that the frame belongs to"),
    "frame": Column("integer", -1, "frame number in that recording, or view made from that photograph, from 0"),
    "phase": Column("text", "", "neutral, onset, apex or offset"),
    "mirrored": Column("flag", False, "the left-right mirror image of another sample"),
    "person": Column("integer", -1, "synthetic: seed of the person's shape and skin"),
    "take": Column("integer", -1, "synthetic: seed of what a scan or recording holds (expression, light, background)"),
    "seed": Column("integer", -1, "synthetic: seed of what differs from image to image (pose, framing, camera noise)"),
    "performed": Column("text", "", "synthetic: what the person really does, whether or not the data set labels it"),
    "activation": Column("number", np.nan, "synthetic: how far it has got, 0 (neutral) to 1 (as strong as it gets)"),
}
"""Name of every column -> its kind, its missing value and its meaning.  Beside these, `AU<k>` holds action unit k."""

AU_COLUMN = Column(
    "number", np.nan, "action unit k: occurrence 0 or 1, or FACS level 0 (absent), 1 (A) to 5 (E); NaN where not coded"
)
SYNTHETIC_COLUMNS = ("person", "take", "seed", "performed", "activation")
EXPRESSION_LABELS: tuple[str, ...] = (
    "neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise",
    "pain", "nervousness", "smile", "squint", "scream",
)  # fmt: skip
"""Names that the `expression` column may hold: the seven of most data sets, then those that few have."""

OCCLUDERS: tuple[str, ...] = ("glasses", "hair", "hand")
"""Names that the `occluder` column may hold."""

_AU_NAME = re.compile(r"^AU([1-9]\d?)$")


def au_columns(table: pd.DataFrame) -> dict[int, str]:
    """Action unit number -> column name, in the table's order."""
    matches = ((_AU_NAME.match(str(name)), name) for name in table.columns)
    return {int(match.group(1)): name for match, name in matches if match}


def missing_labels(table: pd.DataFrame, name: str) -> np.ndarray:
    """True (N,) where the column says "not published"; all True where the table lacks the column."""
    if name not in table:
        return np.ones(len(table), dtype=bool)
    missing = AU_COLUMN.missing if _AU_NAME.match(name) else MANIFEST_COLUMNS[name].missing
    values = table[name]
    return values.isna().to_numpy() | (values == missing).to_numpy()


def check_manifest(table: pd.DataFrame, name: str = "the table") -> pd.DataFrame:
    """The same table, once its column names, kinds and labels are those of a manifest.

    Raises:
        ManifestError: an unknown column, a column of the wrong kind, a table that names neither files nor seeds, an
            expression nobody knows, an intensity outside -1..4 or a negative activation; the message names the first
            offender.
    """
    for column in table.columns:
        if column not in MANIFEST_COLUMNS and not _AU_NAME.match(str(column)):
            close = difflib.get_close_matches(str(column), MANIFEST_COLUMNS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ManifestError(f"{name}: column {column!r} is not a manifest column{hint}")
    if "path" not in table and "seed" not in table:
        raise ManifestError(f"{name}: a manifest needs a 'path' or a 'seed' column, found {list(table.columns)}")
    for column in table.columns:
        _check_kind(table[column], MANIFEST_COLUMNS.get(column, AU_COLUMN).kind, name)
    _check_labels(table, name)
    return table


def _check_kind(values: pd.Series, kind: str, name: str) -> None:
    dtype = values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
    is_text = pd.api.types.is_string_dtype(dtype) or (pd.api.types.is_object_dtype(dtype) and not len(values))
    fits = {
        "text": is_text or pd.api.types.is_object_dtype(dtype),
        "integer": pd.api.types.is_integer_dtype(dtype),
        "number": pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype),
        "flag": pd.api.types.is_bool_dtype(dtype),
    }[kind]
    if not fits:
        raise ManifestError(f"{name}: column {values.name!r} must hold {kind} values, found {dtype}")


def _check_labels(table: pd.DataFrame, name: str) -> None:
    checks = []
    if "expression" in table:
        known = table["expression"].isin(["", *EXPRESSION_LABELS])
        checks.append(("expression", ~known, f"one of {', '.join(EXPRESSION_LABELS)} or an empty string"))
    if "intensity" in table:
        checks.append(("intensity", ~table["intensity"].between(-1, 4), "a level from 0 to 4, or -1"))
    if "occluder" in table:
        known = table["occluder"].isin(["", *OCCLUDERS])
        checks.append(("occluder", ~known, f"one of {', '.join(OCCLUDERS)} or an empty string"))
    if "activation" in table:
        inside = table["activation"].between(0, 1) | table["activation"].isna()
        checks.append(("activation", ~inside, "a number from 0 to 1, or NaN"))
    for column, wrong, expected in checks:
        if wrong.any():
            row = int(np.flatnonzero(wrong.to_numpy())[0])
            found = table[column].iloc[row]
            found = f"'{found}'" if MANIFEST_COLUMNS[column].kind == "text" else found
            raise ManifestError(f"{name}: row {row} has {column} {found}, expected {expected}")
