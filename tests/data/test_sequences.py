"""Timing curves and slow motions."""

import numpy as np

from facekit.data.randomness import derive_seeds
from facekit.data.sequences import PHASES, blinks, episode, episode_times, minimum_jerk, smooth_noise, spoken_visemes


def test_minimum_jerk_starts_and_stops_at_rest():
    t = np.linspace(-0.5, 1.5, 2001)
    x = minimum_jerk(t)
    assert x[0] == 0.0 and x[-1] == 1.0 and np.isclose(minimum_jerk(0.5), 0.5)
    speed = np.gradient(x, t)
    assert (np.diff(x) >= 0).all()
    assert abs(speed[np.searchsorted(t, 0.0)]) < 1e-3 and abs(speed[np.searchsorted(t, 1.0)]) < 1e-3
    assert np.isclose(speed.max(), 15 / 8, atol=1e-3)  # at half time, the known peak of a minimum-jerk movement


def test_an_episode_goes_through_its_phases_in_order():
    takes = np.repeat(np.arange(200), 101)
    time = np.tile(np.linspace(0, 1, 101), 200)
    activation, phase = (x.reshape(200, 101) for x in episode(takes, time))
    assert (activation[:, 0] == 0).all() and (activation[:, -1] == 0).all() and np.allclose(activation.max(axis=1), 1.0)
    for row, curve in zip(phase, activation, strict=True):
        changes = row[np.concatenate([[True], np.diff(row) != 0])]
        assert [PHASES[p] for p in changes] == ["neutral", "onset", "apex", "offset", "neutral"]
        assert np.allclose(curve[row == 0], 0.0) and np.allclose(curve[row == 2], 1.0)
    start, end, release, rest = episode_times(np.arange(200)).T
    assert (end - start < rest - release + 0.11).all() and len(np.unique(start)) == 200


def test_slow_noise_is_normal_smooth_and_indifferent_to_its_batch():
    takes = derive_seeds("noise", np.repeat(np.arange(4000), 3))
    frames = np.tile([0.0, 5.0, 40.0], 4000)
    values = smooth_noise(takes, frames, ("a", "b"), period=40.0)
    assert abs(values.mean()) < 0.03 and abs(values.std() - 1.0) < 0.03
    a = values[:, 0].reshape(-1, 3)
    expected = np.exp(-2.0 * (np.pi * 5.0 / 40.0) ** 2)
    assert abs(np.corrcoef(a[:, 0], a[:, 1])[0, 1] - expected) < 0.05
    assert abs(np.corrcoef(a[:, 0], a[:, 2])[0, 1]) < 0.06
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.05
    np.testing.assert_array_equal(smooth_noise(takes[7:8], frames[7:8], ("b",), 40.0), values[7:8, 1:])


def test_speech_glides_between_different_sounds():
    frames = np.arange(0, 300, 0.25)
    takes = np.full(len(frames), 77)
    pair, share = spoken_visemes(takes, frames, 12)
    assert pair.min() >= 0 and pair.max() < 12
    assert (pair[:, 0] != pair[:, 1]).all()
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    weights = np.zeros((len(frames), 12))
    np.add.at(weights, (np.arange(len(frames)), pair[:, 0]), share[:, 0])
    np.add.at(weights, (np.arange(len(frames)), pair[:, 1]), share[:, 1])
    assert np.abs(np.diff(weights, axis=0)).max() < 0.35, "a sound must not jump to another"
    assert len(np.unique(pair)) == 12
    one = spoken_visemes(takes[50:51], frames[50:51], 12)
    np.testing.assert_array_equal(one[0], pair[50:51])


def test_blinks_are_short_and_rare():
    closed = blinks(np.full(3000, 5), np.arange(3000))
    assert 0.9 < closed.max() <= 1.0 and 0.01 < (closed > 0.5).mean() < 0.10
