"""Recordings of BP4D's twin as MiFaR pools them: a task brings out an emotion while the camera runs.

Rank pooling keeps what changes from the first frame to the last. The twin's own rows are the part of a recording that
coders label: the task's effect is there from their first frame to their last, and the head turns as it likes, so that
a dynamic image of them tells how the head moved. A recording for MiFaR begins before: the face rests, the emotion
comes up to its apex and relaxes, and every frame is brought upright by its landmarks, as those of a copy are. Other
papers' rows of the twin stay what they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from facekit.data import FaceWorld, row_normal, row_uniform
from facekit.data.sequences import minimum_jerk
from facekit.data.world.spontaneous import SpontaneousProcess

ANSWERS: Mapping[str, Mapping[int, float]] = {
    "happiness": {6: 0.8, 7: 0.4, 10: 0.4, 12: 1.0, 25: 0.5},
    "sadness": {1: 0.8, 4: 0.7, 15: 0.8, 17: 0.6},
    "surprise": {1: 0.9, 2: 0.9, 5: 0.7, 25: 0.6, 26: 0.8},
    "nervousness": {6: 0.2, 12: 0.6, 14: 0.8, 23: 0.4, 24: 0.5},
    "fear": {1: 0.8, 2: 0.4, 4: 0.6, 5: 0.7, 20: 0.8, 25: 0.5},
    "pain": {4: 0.8, 6: 0.7, 7: 0.9, 9: 0.5, 10: 0.7, 25: 0.5},
    "anger": {4: 0.9, 5: 0.3, 7: 0.7, 17: 0.4, 23: 0.8, 24: 0.7},
    "disgust": {4: 0.4, 9: 0.9, 10: 0.8, 15: 0.3, 17: 0.6},
}
"""Action units that a task's emotion brings out, at full strength."""
UPRIGHT = (1.0, 1.0, 0.5)
"""Degrees of pitch, yaw and roll by which a frame that was brought upright is still off."""


@dataclass(frozen=True)
class ElicitedProcess:
    """Action-unit intensities of a recording in which an emotion comes up: takes a ``SpontaneousProcess``'s place.

    Unit j at frame t has ``everyday * process_j(t) + strength * s * p_j * a(t) * answer_j``: a share of what the face
    does anyhow, and the answer to the task. Its course a(t) from 0 to 1 and its force s belong to the recording, how
    much of each unit a person shows (p_j) to the person.

    The defaults were chosen by the plain supervised encoders alone (``mifar/calibration``), to come near what is
    published for BP4D, before any other method was run.
    """

    process: SpontaneousProcess
    length: int
    """Frames of a recording."""
    strength: float = 0.9
    """Mean share of the full answer that is reached; posed faces have 1."""
    everyday: float = 0.2
    strength_spread: float = 0.25
    """Relative standard deviation of s between recordings."""
    unit_spread: float = 0.25
    """Relative standard deviation of p_j between people."""

    @property
    def units(self) -> tuple[int, ...]:
        return self.process.units

    def intensities(self, person: ArrayLike, take: ArrayLike, task: ArrayLike, frame: ArrayLike) -> np.ndarray:
        """Intensities (N, K), 0 and above, of ``units``; the arguments are (N,)."""
        take, names = np.asarray(take), self.process.tasks
        full = np.array([[ANSWERS[name].get(unit, 0.0) for unit in self.units] for name in names])
        people, of_person = np.unique(np.asarray(person), return_inverse=True)
        own = 1.0 + self.unit_spread * row_normal(people, "answer", len(self.units))[of_person]
        force = self.strength * (1.0 + self.strength_spread * row_normal(take, "force"))
        course = emotion_course(take, np.asarray(frame) / max(self.length - 1, 1))[:, None]
        answer = course * np.maximum(force, 0.0) * np.maximum(own, 0.0) * full[np.asarray(task) - 1]
        return self.everyday * self.process.intensities(person, take, task, frame) + answer


def emotion_course(takes: ArrayLike, time: ArrayLike) -> np.ndarray:
    """How far the emotion of recordings (N,) has come (N,) in [0, 1], at ``time`` (N,), a fraction of the recording.

    Nothing at first, an onset (minimum jerk), the apex, and a slow decline that stops above a half.
    """
    draw, time = row_uniform(takes, "course", 3), np.asarray(time, dtype=np.float64)
    start = 0.05 + 0.20 * draw[:, 0]
    apex = start + 0.15 + 0.30 * draw[:, 1]
    decline = 0.5 * draw[:, 2] * minimum_jerk((time - apex) / (1.0 - apex))
    return minimum_jerk((time - start) / (apex - start)) * (1.0 - decline)


def elicited(source: FaceWorld) -> FaceWorld:
    """BP4D's twin with recordings in which emotions come up, and with frames that are brought upright.

    The action units of the table are those of other recordings, so they go.
    """
    found = source.select(np.arange(len(source)))
    found.process = ElicitedProcess(source.process, int(source.table["frame"].max()) + 1)
    found.nuisance = replace(source.nuisance, pose_jitter=UPRIGHT)
    found.table = source.table.drop(columns=[name for name in source.table if name.startswith("AU")])
    return found
