"""Tables of the twins of recordings: BU-4DFE, BP4D-Spontaneous, DISFA and Fanelli's audio-visual corpus."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facekit.data.folds import PUBLISHED_FOLDS
from facekit.data.randomness import derive_seeds, row_uniform
from facekit.data.sequences import PHASES, episode, spoken_visemes
from facekit.data.world.spontaneous import BP4D_RATES, BP4D_TASKS, DISFA_RATES, DISFA_SEGMENTS, SPONTANEOUS, facs_levels
from facekit.data.world.static_twins import sexes, two_sexes
from facekit.data.world.tables import BASIC_SIX, Request, build_table, category, evenly, grouped, product, spread

BU4DFE_FRAMES = 100
BP4D_FRAMES, BP4D_SEQUENCES = 146_847, 328
DISFA_FRAMES = 4_845
FANELLI_FRAMES = 117


def bu4dfe(request: Request) -> pd.DataFrame:
    """Six sequences of each person: neutral, onset, apex, offset and neutral again, in four seconds."""
    subject, expression, place = product(request.subjects, 6, request.extent)
    frame = evenly(BU4DFE_FRAMES, request.extent)[place]
    person = request.people(subject)
    take = derive_seeds(person, "sequence", expression)
    activation, phase = episode(take, frame / (BU4DFE_FRAMES - 1))
    names = two_sexes(request.subjects, "{sex}{number:03d}", 58, 43)
    folders = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise")
    return build_table(person, take, derive_seeds(take, "frame", frame), {
        "subject": category(subject, names), "sex": sexes(subject, names),
        "expression": category(expression, BASIC_SIX),
        "activation": activation,
        "pitch": 0.0, "yaw": 0.0, "roll": 0.0,
        "sequence": category(subject * 6 + expression, [f"{name}/{folder}" for name in names for folder in folders]),
        "frame": frame, "phase": category(phase, PHASES),
    })  # fmt: skip


def bp4d(request: Request) -> pd.DataFrame:
    """Eight tasks of each person with the occurrence of twelve action units in every frame."""
    full = spread(BP4D_FRAMES, BP4D_SEQUENCES)[np.arange(request.subjects * 8) % BP4D_SEQUENCES]
    recording, place = grouped(full if request.extent == 0 else np.full(len(full), request.extent))
    frame = place if request.extent == 0 else evenly(BP4D_FRAMES // BP4D_SEQUENCES, request.extent)[place]
    subject, task = recording // 8, recording % 8
    person = request.people(subject)
    take = derive_seeds(person, "task", task)
    coded = tuple(BP4D_RATES)
    present = facs_levels(SPONTANEOUS["bp4d"].intensities(person, take, task + 1, frame, coded)) >= 2
    names = two_sexes(request.subjects, "{sex}{number:03d}", 23, 18)
    return build_table(person, take, derive_seeds(take, "frame", frame), {
        "subject": category(subject, names), "sex": sexes(subject, names),
        "expression": category(task, BP4D_TASKS),
        "activation": np.nan,
        "pitch": 0.0, "yaw": 0.0, "roll": 0.0,
        "fold": _published_fold("bp4d", names)[subject],
        "task": task + 1,
        "sequence": category(recording, [f"{name}/T{number}" for name in names for number in range(1, 9)]),
        "frame": frame,
    } | {f"AU{unit}": present[:, j] for j, unit in enumerate(coded)})  # fmt: skip


DISFA_SUBJECTS: tuple[str, ...] = tuple(sorted(name for part in PUBLISHED_FOLDS["disfa"] for name in part))


def disfa(request: Request) -> pd.DataFrame:
    """One long recording of each person, who watches a video, with eight action units in FACS levels 0 to 5."""
    subject, place = product(request.subjects, request.extent)
    frame = evenly(DISFA_FRAMES, request.extent)[place]
    person = request.people(subject)
    take = derive_seeds(person, "video")
    task = frame * len(DISFA_SEGMENTS) // DISFA_FRAMES + 1
    coded = tuple(DISFA_RATES)
    levels = facs_levels(SPONTANEOUS["disfa"].intensities(person, take, task, frame, coded))
    more = max(0, request.subjects - len(DISFA_SUBJECTS))
    names = [*DISFA_SUBJECTS, *(f"SN{number:03d}" for number in range(33, 33 + more))][: request.subjects]
    return build_table(person, take, derive_seeds(take, "frame", frame), {
        "subject": category(subject, names),
        "expression": "",
        "activation": np.nan,
        "pitch": 0.0, "yaw": 0.0, "roll": 0.0,
        "fold": _published_fold("disfa", names)[subject],
        "task": task,
        "sequence": category(subject, names), "frame": frame,
    } | {f"AU{unit}": levels[:, j] for j, unit in enumerate(coded)})  # fmt: skip


def _published_fold(name: str, subjects: list[str]) -> np.ndarray:
    """Number (from 1) of the published fold that tests each subject, -1 for those beyond the published lists."""
    fold = {subject: number for number, part in enumerate(PUBLISHED_FOLDS[name], start=1) for subject in part}
    return np.array([fold.get(subject, -1) for subject in subjects])


FANELLI_SUBJECTS = (*(f"F{number}" for number in range(1, 9)), *(f"M{number}" for number in range(1, 7)))
FANELLI_TRAIN = ("F2", "F3", "F4", "M3", "M4", "M5")
FANELLI_SENTENCES = 40


def fanelli(request: Request) -> pd.DataFrame:
    """Forty sentences of each person, spoken flatly and with feeling; few frames have an expression label.

    As in the corpus as it is used: 68 % of the frames have a viseme label and 3 % an expression label.
    """
    from facekit.morphable import VISEMES

    names = [*FANELLI_SUBJECTS, *(f"M{7 + extra}" for extra in range(max(0, request.subjects - 14)))]
    names = names[: request.subjects]
    subject, sentence, mode, place = product(request.subjects, FANELLI_SENTENCES, 2, request.extent)
    frame = evenly(FANELLI_FRAMES, request.extent)[place]
    person = request.people(subject)
    take = derive_seeds(person, "sentence", sentence, mode)
    seed = derive_seeds(take, "frame", frame)
    pair, share = spoken_visemes(take, frame, len(VISEMES))
    labelled = row_uniform(seed, "labelled", 2)
    feeling = derive_seeds("feeling", sentence) % len(BASIC_SIX)
    clips = [f"{name}/{feel}{number:02d}" for name in names for number in range(1, 41) for feel in ("", "e")]
    return build_table(person, take, seed, {
        "subject": category(subject, names), "sex": sexes(subject, names),
        "expression": category(np.where((mode == 1) & (labelled[:, 0] < 0.06), feeling + 1, 0), ("", *BASIC_SIX)),
        "performed": category(np.where(mode == 1, feeling + 1, 0), ("neutral", *BASIC_SIX)),
        "activation": np.where(mode == 1, 0.6, 0.0),
        "pitch": 0.0, "yaw": 0.0, "roll": 0.0,
        "viseme": category(np.where(labelled[:, 1] < 0.68, pair[np.arange(len(pair)), share.argmax(1)] + 1, 0),
                           ("", *VISEMES)),
        "split": category(_fanelli_split(np.array(names)[subject], sentence), ("train", "val", "test")),
        "sequence": category((subject * FANELLI_SENTENCES + sentence) * 2 + mode, clips),
        "frame": frame,
    })  # fmt: skip


def _fanelli_split(subject: np.ndarray, sentence: np.ndarray) -> np.ndarray:
    """Six people train; sentences 33 to 36 of the same people validate; the other people test."""
    trains = np.isin(subject, FANELLI_TRAIN)
    return np.where(~trains, 2, np.where(sentence < 32, 0, 1))
