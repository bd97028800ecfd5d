"""Recordings in which an emotion comes up, for BP4D's twin."""

import numpy as np
import pytest
import torch

from facekit.data import twin
from facekit.data.world.spontaneous import SPONTANEOUS
from facekit.mifar import ViewSettings, open_views, rank_pool
from facekit.mifar.elicited import ANSWERS, ElicitedProcess, elicited, emotion_course

FRAMES = 40


@pytest.fixture(scope="module")
def world():
    return twin("bp4d", subjects=4, frames=FRAMES, outputs=("action_units", "pose"))


def test_the_course_rises_to_an_apex_within_the_recording_and_keeps_half_of_it():
    takes, time = np.arange(200).repeat(101), np.tile(np.linspace(0, 1, 101), 200)
    course = emotion_course(takes, time).reshape(200, 101)
    assert not course[:, :6].any() and course.min() >= 0 and course.max() <= 1
    apex = course.argmax(1)
    assert course.max(1).min() > 0.95 and 20 <= apex.min() and apex.max() <= 70
    assert course[:, -1].min() >= 0.5 and course[:, -1].std() > 0.05


def test_a_recording_starts_from_what_the_face_does_anyhow_and_answers_its_task(world):
    process = ElicitedProcess(SPONTANEOUS["bp4d"], 447)
    rows = world.table
    person, take, task, frame = (rows[name].to_numpy() for name in ("person", "take", "task", "frame"))
    found = process.intensities(person, take, task, frame)
    answer = found - process.everyday * process.process.intensities(person, take, task, frame)
    assert not answer[frame == 0].any() and answer.min() >= 0
    brought_out = np.array([[unit in ANSWERS[name] for unit in process.units] for name in process.process.tasks])
    assert not answer[~brought_out[task - 1]].any() and answer[frame > 330].max(1).min() > 0.02
    assert answer[frame > 330].max(1).mean() < 0.75  # weaker than posed
    chosen = np.array([700, 3, 41])
    alone = process.intensities(*(values[chosen] for values in (person, take, task, frame)))
    np.testing.assert_allclose(alone, found[chosen], atol=1e-12)


def test_a_dynamic_image_of_the_units_keeps_the_task_only_where_the_emotion_comes_up(world):
    def told_apart(source):
        units = source.batch(range(len(source)))["action_units"].mean(-1).unflatten(0, (4, 8, FRAMES))
        pooled = rank_pool(units.flatten(0, 1), "approximate").unflatten(0, (4, 8))
        right = []
        for person in range(4):
            others = pooled[[p for p in range(4) if p != person]].mean(0)
            nearest = torch.cdist(pooled[person], others).argmin(1)
            right.append((nearest == torch.arange(8)).float().mean().item())
        return np.mean(right)

    assert told_apart(elicited(world)) > 0.6 > 0.3 > told_apart(world)


def test_frames_are_upright_and_the_twin_of_other_papers_is_left_alone(world):
    before = world.batch([5])["action_units"]
    changed = elicited(world)
    rows = range(0, len(world), 3)
    assert changed.batch(rows)["pose"][:, :3].std() < 4 < world.batch(rows)["pose"][:, :3].std()
    assert not [name for name in changed.table if name.startswith("AU")]
    assert "AU12" in world.table and torch.equal(world.batch([5])["action_units"], before)


def test_bp4ds_views_are_of_these_recordings():
    views = open_views(ViewSettings(dataset="bp4d", subjects=1, image_size=16, channels=("depth",), frames=3))
    assert len(views) == 8 and "AU12" not in views.table
