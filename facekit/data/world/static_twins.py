"""Tables of the twins of posed, static data sets: BU-3DFE, Bosphorus, KDEF, Multi-PIE and MICC."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facekit.data.randomness import derive_seeds, row_choice, row_uniform
from facekit.data.world.tables import (
    BASIC_SIX,
    Request,
    build_table,
    category,
    evenly,
    grouped,
    holds_out,
    product,
    split_names,
)

BU3DFE_YAWS: tuple[float, ...] = (-90.0, -60.0, -45.0, -30.0, 0.0, 30.0, 45.0, 60.0, 90.0)
KDEF_YAWS: tuple[float, ...] = (-90.0, -45.0, 0.0, 45.0, 90.0)
MULTIPIE_YAWS: tuple[float, ...] = (-30.0, -15.0, 0.0, 15.0, 30.0)
KDEF_EXPRESSIONS: tuple[str, ...] = ("fear", "anger", "disgust", "happiness", "neutral", "sadness", "surprise")


def two_sexes(count: int, pattern: str, women: int, men: int) -> list[str]:
    """Subject names in the data set's own numbering: women and men in turn until one list ends, then the rest.

    `pattern` is a format with {sex} and {number}.  More subjects than the data set has continue the men's numbers.
    """
    turns = [(sex, number) for number in range(1, max(women, men, count) + 1) for sex in ("F", "M")]
    published = [(sex, number) for sex, number in turns if number <= (women if sex == "F" else men)]
    beyond = [("M", men + extra) for extra in range(1, max(0, count - len(published)) + 1)]
    return [pattern.format(sex=sex, number=number) for sex, number in (published + beyond)[:count]]


def sexes(subject: np.ndarray, names: list[str]) -> pd.Categorical:
    """F or M of each row, by the first letter of its subject's name."""
    return category(np.array([int(name[0] == "M") for name in names])[subject], ("F", "M"))


def bu3dfe(request: Request) -> pd.DataFrame:
    """One scan for neutral and for each of six expressions at four levels, seen from nine sides."""
    scans = [("neutral", 0)] + [(name, level) for name in BASIC_SIX for level in (1, 2, 3, 4)]
    subject, scan, view = product(request.subjects, len(scans), request.extent)
    person = request.people(subject)
    take = derive_seeds(person, "scan", scan)
    yaws = np.array(BU3DFE_YAWS)[evenly(len(BU3DFE_YAWS), request.extent)]
    names = two_sexes(request.subjects, "{sex}{number:04d}", 56, 44)
    return build_table(person, take, derive_seeds(take, "view", yaws[view].astype(np.int64)), {
        "subject": category(subject, names), "sex": sexes(subject, names),
        "expression": category(scan, [name for name, _ in scans]),
        "intensity": np.array([level for _, level in scans])[scan],
        "pitch": 0.0, "yaw": yaws[view], "roll": 0.0,
        "split": split_names(holds_out(subject, request.seed, 0.30)),
    })  # fmt: skip


KDEF_CAMERAS = ("FL", "HL", "S", "HR", "FR")


def kdef(request: Request) -> pd.DataFrame:
    """Seven expressions, photographed by five cameras at once, in two sessions."""
    subject, session, expression, view = product(request.subjects, request.extent, 7, 5)
    person = request.people(subject)
    take = derive_seeds(person, "session", session, "expression", expression)
    names = two_sexes(request.subjects, "{sex}{number:02d}", 35, 35)
    return build_table(person, take, derive_seeds(take, "camera", view), {
        "subject": category(subject, names), "sex": sexes(subject, names),
        "expression": category(expression, KDEF_EXPRESSIONS),
        "activation": np.where(expression == KDEF_EXPRESSIONS.index("neutral"), 0.0, 0.85),
        "pitch": 0.0, "yaw": np.array(KDEF_YAWS)[view], "roll": 0.0,
        "session": session + 1, "camera": category(view, KDEF_CAMERAS),
        "split": split_names(holds_out(subject, request.seed, 0.20)),
    })  # fmt: skip


MULTIPIE_RECORDINGS: tuple[tuple[int, int, str], ...] = (
    (1, 1, "neutral"), (1, 2, "smile"),
    (2, 1, "neutral"), (2, 2, "surprise"), (2, 3, "squint"),
    (3, 1, "neutral"), (3, 2, "smile"), (3, 3, "disgust"),
    (4, 1, "neutral"), (4, 2, "neutral"), (4, 3, "scream"),
)  # fmt: skip
"""(session, recording, expression)."""

MULTIPIE_ATTENDANCE = (249 / 337, 203 / 337, 230 / 337, 239 / 337)
MULTIPIE_CAMERAS = ("13_0", "14_0", "05_1", "05_0", "04_1")


def multipie(request: Request) -> pd.DataFrame:
    """Up to eleven recordings in four sessions, five cameras, and flashes that fire one after another.

    Not everybody came to every session; those who came to none of the first three are seen in the fourth.
    """
    subject, recording, view, flash = product(request.subjects, len(MULTIPIE_RECORDINGS), 5, request.extent)
    person = request.people(subject)
    session = np.array([number for number, _, _ in MULTIPIE_RECORDINGS])[recording]
    attended = row_uniform(request.people(np.arange(request.subjects)), "attendance", 4) < MULTIPIE_ATTENDANCE
    attended[:, 3] |= ~attended.any(axis=1)
    here = attended[subject, session - 1]
    subject, recording, view, flash, session, person = (
        column[here] for column in (subject, recording, view, flash, session, person)
    )
    take = derive_seeds(person, "recording", recording)
    names = [name for _, _, name in MULTIPIE_RECORDINGS]
    return build_table(person, take, derive_seeds(take, "camera", view, "flash", flash), {
        "subject": category(subject, [f"{number + 1:03d}" for number in range(request.subjects)]),
        "expression": category(recording, names),
        "activation": np.where(np.array(names) == "neutral", 0.0, 0.85)[recording],
        "pitch": 0.0, "yaw": np.array(MULTIPIE_YAWS)[view], "roll": 0.0,
        "session": session, "recording": np.array([number for _, number, _ in MULTIPIE_RECORDINGS])[recording],
        "camera": category(view, MULTIPIE_CAMERAS), "lighting": evenly(20, request.extent)[flash],
        "split": split_names(holds_out(subject, request.seed, 44 / 337)),
    })  # fmt: skip


Scan = tuple[str, int, tuple[int, ...], float, float, str]
"""Expression, level, action units, pitch, yaw and occluder of a Bosphorus scan."""


def _bosphorus_scans() -> list[Scan]:
    """The scans of a subject who posed everything; who did not pose the six expressions lacks some of the last ones."""
    neutral: list[Scan] = [("neutral", 0, (), 0.0, 0.0, "")]
    lower = (9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27)
    units = [(unit,) for unit in (*lower, 12, 12, 12, 1, 2, 4, 43)]
    turns = [(0.0, yaw) for yaw in (10.0, 20.0, 30.0, 45.0, 90.0, -45.0, -90.0)]
    turns += [(-25.0, 0.0), (25.0, 0.0), (-12.0, 0.0), (12.0, 0.0)]
    always = neutral * 2 + [("", 3, unit, 0.0, 0.0, "") for unit in units]
    always += [("neutral", 0, (), pitch, yaw, "") for pitch, yaw in turns]
    always += [("neutral", 0, (), 0.0, 0.0, occluder) for occluder in ("glasses",)]
    sometimes: list[Scan] = [("neutral", 0, (), pitch, 45.0, "") for pitch in (-20.0, 20.0)]
    sometimes += [("", 3, pair, 0.0, 0.0, "") for pair in ((22, 25), (12, 15), (12, 26))]
    sometimes += [("neutral", 0, (), 0.0, 0.0, occluder) for occluder in ("hand", "hand", "hair")]
    six: list[Scan] = [(name, 3, (), 0.0, 0.0, "") for name in BASIC_SIX]
    return always + sometimes + six


BOSPHORUS_UNITS: tuple[int, ...] = (1, 2, 4, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 43)


def bosphorus(request: Request) -> pd.DataFrame:
    """Neutral faces, single action units, turned and covered heads, and for 65 of 105 people the six expressions."""
    scans = _bosphorus_scans()
    posed_six = np.arange(request.subjects) * 65 // 105 != (np.arange(request.subjects) - 1) * 65 // 105
    shorter = np.cumsum(~posed_six) * 16 // 40 == (np.cumsum(~posed_six) - 1) * 16 // 40
    subject, scan = grouped(np.where(posed_six, len(scans), np.where(shorter, 35, 36)))
    person = request.people(subject)
    take = derive_seeds(person, "scan", scan)
    columns = [np.array(column) for column in zip(*((s[1], s[3], s[4]) for s in scans), strict=True)]
    table = build_table(person, take, derive_seeds(take, "view"), {
        "subject": category(subject, [f"bs{number:03d}" for number in range(request.subjects)]),
        "expression": category(scan, [s[0] for s in scans]),
        "performed": category(scan, [s[0] or "AU" + "+".join(map(str, s[2])) for s in scans]),
        "intensity": np.where(columns[0] == 0, 0, -1)[scan],
        "activation": np.where(columns[0] == 0, 0.0, 0.9)[scan],
        "pitch": columns[1][scan], "yaw": columns[2][scan], "roll": 0.0,
        "occluder": category(scan, [s[5] for s in scans]),
    } | {f"AU{unit}": _occurrence(scans, unit)[scan] for unit in BOSPHORUS_UNITS})  # fmt: skip
    return table


def _occurrence(scans: list[Scan], unit: int) -> np.ndarray:
    """1 where the scan shows the unit, 0 where it shows another or none, NaN for the six expressions (not coded)."""
    return np.array([np.nan if s[0] in BASIC_SIX else float(unit in s[2]) for s in scans])


MICC_VIDEOS = ("cooperative", "indoor", "outdoor")


def micc(request: Request) -> pd.DataFrame:
    """A neutral scan of each person, and three videos of rising difficulty."""
    frames = request.extent
    subject, frame = product(request.subjects, 1 + 3 * frames)
    video = (frame + frames - 1) // frames - 1  # -1 for the scan
    person = request.people(subject)
    take = derive_seeds(person, "video", video)
    number = np.where(video < 0, 0, (frame - 1) % frames * 4)
    talk = row_choice(derive_seeds(take, number // 40), "what they do", (0.7, 0.2, 0.1))
    moves = np.where(video < 1, 0, talk)
    names = [f"subject_{n + 1:02d}" for n in range(request.subjects)]
    videos = ("scan", *MICC_VIDEOS)
    return build_table(person, take, derive_seeds(take, "frame", number), {
        "subject": category(subject, names),
        "expression": category((video >= 0).astype(np.int64), ("neutral", "")),
        "performed": category(moves, ("neutral", "happiness", "surprise")),
        "activation": np.where(moves == 0, 0.0, 0.4),
        "pitch": np.where(video < 0, 0.0, np.nan), "yaw": np.where(video < 0, 0.0, np.nan),
        "roll": np.where(video < 0, 0.0, np.nan),
        "condition": category(video + 1, videos),
        "sequence": category(subject * 4 + video + 1, [f"{name}/{kind}" for name in names for kind in videos]),
        "frame": number, "split": "test",
    })  # fmt: skip
