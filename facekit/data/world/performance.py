"""What a person's muscles do in a sample: from labels to action units.

Three kinds of samples are performed.  Posed ones name an expression (or single action units, as "AU12" or "AU22+25")
and how far it has got; spoken ones add mouth shapes; spontaneous ones follow a `SpontaneousProcess`.  Everything random
belongs to the take, so that all frames of a recording and all views of a scan show the same performance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.nuisance import RowSettings
from facekit.data.randomness import derive_seeds, row_normal, row_uniform
from facekit.data.sequences import blinks, smooth_noise, spoken_visemes
from facekit.data.world.spontaneous import SpontaneousProcess
from facekit.data.world.tables import BASIC_SIX
from facekit.morphable import ACTION_UNITS, VISEMES
from facekit.morphable.expressions import ALL_EXPRESSIONS, expression_from_draws, units_vector

COLUMN = {unit: position for position, unit in enumerate(ACTION_UNITS)}
AS_EXPRESSION = {"smile": "happiness"}
AS_UNITS: dict[str, dict[int, float]] = {
    "squint": {4: 0.45, 6: 0.55, 7: 0.90, 10: 0.15},
    "scream": {4: 0.50, 6: 0.45, 7: 0.60, 9: 0.35, 10: 0.50, 20: 0.55, 25: 1.0, 27: 1.0},
}
"""Multi-PIE's own expressions, performed as action units at full strength."""


def perform(rows: pd.DataFrame, settings: RowSettings, process: SpontaneousProcess | None) -> tuple[Tensor, Tensor]:
    """Action units (B, A, 2) in [0, 1] and gaze (B, 2) in degrees of these rows."""
    takes = rows["take"].to_numpy()
    spontaneous = rows["activation"].isna().to_numpy()
    units = np.zeros((len(rows), len(ACTION_UNITS), 2), dtype=np.float64)
    if not spontaneous.all():
        posed = ~spontaneous
        units[posed] = _posed(rows[posed], settings, posed)
    if spontaneous.any():
        units[spontaneous] = _spontaneous(rows[spontaneous], process)
    if "viseme" in rows:
        units = _speak(units, takes, rows["frame"].to_numpy())
    recorded = _recorded(rows)
    if recorded.any():
        closing = blinks(takes, rows["frame"].to_numpy()) * recorded
        units[:, COLUMN[43]] = np.maximum(units[:, COLUMN[43]], closing[:, None])
    gaze = settings["gaze"][:, None] * row_normal(takes, "gaze", 2)
    if recorded.any():
        wander = smooth_noise(takes, np.maximum(rows["frame"].to_numpy(), 0), ("gaze x", "gaze y"), 30.0)
        gaze = np.where(recorded[:, None], settings["gaze"][:, None] * wander, gaze)
    return torch.from_numpy(np.clip(units, 0.0, 1.0)).float(), torch.from_numpy(np.clip(gaze, -25, 25)).float()


def _recorded(rows: pd.DataFrame) -> np.ndarray:
    """True (B,) for frames of a recording."""
    if "sequence" not in rows:
        return np.zeros(len(rows), dtype=bool)
    return (rows["sequence"] != "").to_numpy()


def _posed(rows: pd.DataFrame, settings: RowSettings, chosen: np.ndarray) -> np.ndarray:
    """Action units (B, A, 2) of posed rows, with the twin's own weakness, confusions and wrong labels."""
    takes = rows["take"].to_numpy()
    names = rows["performed"].astype(str).to_numpy(dtype=object)
    draw = row_uniform(takes, "performance", 5)
    factor = settings["strength"][chosen] + settings["strength_spread"][chosen] * row_normal(takes, "strength")[:, 0]
    activation = np.clip(rows["activation"].to_numpy(dtype=np.float64) * factor, 0.0, 1.0)
    wrong = draw[:, 0] < settings["mislabelled"][chosen]
    activation = np.where(wrong & (activation == 0.0), 0.6, activation)
    names = np.where(wrong, _another(names, draw[:, 1]), names)
    units = _act(names, activation, takes)
    mixed = (draw[:, 2] < settings["confusion"][chosen]) & (activation > 0.0)
    if mixed.any():
        share = (draw[:, 4] * settings["confusion_share"][chosen])[mixed, None, None]
        second = _act(_another(names, draw[:, 3])[mixed], activation[mixed], derive_seeds(takes[mixed], "second"))
        units[mixed] = (1.0 - share) * units[mixed] + share * second
    stray = np.maximum(row_normal(takes, "stray", len(ACTION_UNITS)), 0.0)
    return units + (settings["stray_units"][chosen][:, None] * stray)[:, :, None]


def _another(names: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """One of the six expressions for each name, never the same."""
    six = np.array(BASIC_SIX, dtype=object)
    place = np.array([BASIC_SIX.index(name) if name in BASIC_SIX else -1 for name in names])
    choice = np.minimum((draw * np.where(place < 0, 6, 5)).astype(np.int64), 5)
    return six[choice + ((place >= 0) & (choice >= place))]


def _act(names: np.ndarray, activation: np.ndarray, takes: np.ndarray) -> np.ndarray:
    """Action units (B, A, 2) of expressions by name; the variation belongs to the take."""
    place = {name: number for number, name in enumerate(ALL_EXPRESSIONS)}
    labels = np.array([place.get(AS_EXPRESSION.get(name, name), 0) for name in names])  # other names: neutral
    intensity = torch.from_numpy(activation).float()
    units = expression_from_draws(torch.from_numpy(labels), intensity, _RowDraws(takes)).numpy().astype(np.float64)
    for name in set(names):
        recipe = AS_UNITS.get(name) or _named_units(name)
        if recipe:
            rows = np.flatnonzero(names == name)
            units[rows] = _perform_units(recipe, takes[rows]) * activation[rows, None, None]
    return units


class _RowDraws:
    """Random rows for `expression_from_draws` that belong to takes (B,), whatever else is in the batch."""

    def __init__(self, takes: np.ndarray):
        self.takes, self.calls = takes, 0

    def _stream(self) -> str:
        self.calls += 1
        return f"expression {self.calls}"

    def uniform(self, size: int) -> Tensor:
        return torch.from_numpy(row_uniform(self.takes, self._stream(), size)).float()

    def normal(self, size: int) -> Tensor:
        return torch.from_numpy(row_normal(self.takes, self._stream(), size)).float()


def _named_units(name: str) -> dict[int, float]:
    """{22: 1.0, 25: 1.0} for "AU22+25"; empty for any other name."""
    return {int(unit): 1.0 for unit in name[2:].split("+")} if name.startswith("AU") else {}


def _perform_units(recipe: dict[int, float], takes: np.ndarray) -> np.ndarray:
    """Action units (B, A, 2): the recipe with a person's own emphasis and a little asymmetry."""
    units = np.zeros((len(takes), len(ACTION_UNITS), 2))
    columns = [COLUMN[unit] for unit in recipe]
    vary = row_normal(takes, "units performed", 3 * len(columns)).reshape(-1, len(columns), 3)
    units[:, columns] = np.array(list(recipe.values()))[:, None] * (1.0 + 0.12 * vary[..., :1] + 0.05 * vary[..., 1:])
    return units


def _spontaneous(rows: pd.DataFrame, process: SpontaneousProcess | None) -> np.ndarray:
    if process is None:
        raise ValueError("rows without an activation are spontaneous and need a SpontaneousProcess")
    takes = rows["take"].to_numpy()
    both = process.intensities(rows["person"], takes, rows["task"], rows["frame"])
    uneven = 1.0 + 0.10 * row_normal(takes, "uneven", 2 * len(process.units)).reshape(len(rows), -1, 2)
    units = np.zeros((len(rows), len(ACTION_UNITS), 2))
    units[:, [COLUMN[unit] for unit in process.units]] = both[:, :, None] * uneven
    return units


def _speak(units: np.ndarray, takes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The same with the mouth shapes of speech, which leave an expression about half of its say over the mouth."""
    pair, share = spoken_visemes(takes, frames, len(VISEMES))
    shapes = torch.stack([units_vector(units) for units in VISEMES.values()]).numpy()[:, :, None]
    spoken = (shapes[pair] * share[:, :, None, None]).sum(axis=1)
    mouth = np.array([unit >= 10 and unit != 43 for unit in ACTION_UNITS])[:, None]
    return np.where(mouth, 0.5 * units + spoken, units)
