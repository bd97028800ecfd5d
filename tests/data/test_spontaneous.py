"""Spontaneous action units: base rates, co-occurrence and intensities."""

import numpy as np
import pytest

from facekit.data.randomness import derive_seeds
from facekit.data.world.spontaneous import BP4D_RATES, DISFA_RATES, SPONTANEOUS, TASKS, SpontaneousProcess, facs_levels


@pytest.fixture(scope="module")
def population():
    """Present or not (N, 12) for 4,000 unrelated people, one frame of each task of BP4D in turn."""
    rows = np.arange(16_000)
    process = SPONTANEOUS["bp4d"]
    people, takes = derive_seeds(rows, "person"), derive_seeds(rows, "take")
    intensity = process.intensities(people, takes, rows % 8 + 1, rows % 400, tuple(BP4D_RATES))
    return intensity, facs_levels(intensity) >= 2


def test_base_rates_are_the_published_ones(population):
    _, present = population
    np.testing.assert_allclose(present.mean(axis=0), list(BP4D_RATES.values()), atol=0.02)
    assert np.isclose(BP4D_RATES[10], 87_270 / 146_847)


def test_levels_of_disfa_have_its_imbalance():
    rows = np.arange(16_000)
    process = SPONTANEOUS["disfa"]
    takes = derive_seeds(rows, "take")
    levels = facs_levels(process.intensities(takes, takes, rows % len(process.tasks) + 1, rows, tuple(DISFA_RATES)))
    np.testing.assert_allclose((levels >= 2).mean(axis=0), list(DISFA_RATES.values()), atol=0.012)
    counts = np.bincount(levels.ravel(), minlength=6)
    assert (counts > 0).all() and counts[0] > 5 * counts[1:].max()


def test_units_occur_together_as_in_people(population):
    _, present = population
    phi = np.corrcoef(present.T)
    place = {unit: i for i, unit in enumerate(BP4D_RATES)}

    def pair(a, b):
        return phi[place[a], place[b]]

    assert pair(6, 12) > 0.4 and pair(10, 12) > 0.3 and pair(1, 2) > 0.3 and pair(17, 24) > 0.2
    assert pair(12, 15) < 0.0 and pair(2, 4) < 0.0


def test_tasks_bring_out_their_emotion():
    process = SPONTANEOUS["bp4d"]
    rows = np.arange(4_000)
    takes = derive_seeds(rows, "take")

    def rate(task, unit):
        number = np.full(len(rows), process.tasks.index(task) + 1)
        return (process.intensities(takes, takes, number, rows, (unit,)) > 0.25).mean()

    assert rate("happiness", 12) > rate("anger", 12) + 0.2
    assert rate("sadness", 15) > rate("happiness", 15) + 0.1
    assert rate("surprise", 1) > rate("disgust", 1) + 0.1


def test_frames_are_independent_of_each_other_and_move_slowly():
    process = SPONTANEOUS["bp4d"]
    frames = np.arange(300)
    same = np.full(300, 3)
    curve = process.intensities(same, same, np.ones(300), frames)
    np.testing.assert_array_equal(process.intensities([3], [3], [1], [137]), curve[137:138])
    assert np.abs(np.diff(curve, axis=0)).max() < 0.25 and curve.std() > 0.05
    assert curve.min() >= 0.0 and curve.max() <= 1.0


def test_levels():
    assert facs_levels([0.0, 0.1, 0.24, 0.25, 0.5, 0.7, 1.0]).tolist() == [0, 1, 1, 2, 3, 4, 5]


def test_every_task_of_a_process_is_known():
    for process in SPONTANEOUS.values():
        assert set(process.tasks) <= set(TASKS)
    with pytest.raises(KeyError):
        SpontaneousProcess(((12, 0.5),), ("joy",)).intensities([1], [1], [1], [1])
