import numpy as np
import pytest

from facekit.morphable.procedural import layout


def test_points_in_polygon_agrees_with_winding_angles():
    corners = np.array([[0, 0], [4, 0], [4, 3], [2, 1], [0, 3]], dtype=float)
    points = np.random.default_rng(0).uniform(-1, 5, (400, 2))
    spokes = corners - points[:, None]
    angle = np.arctan2(spokes[..., 1], spokes[..., 0])
    turn = np.diff(np.concatenate([angle, angle[:, :1]], axis=1), axis=1)
    winding = np.sum((turn + np.pi) % (2 * np.pi) - np.pi, axis=1)
    assert np.array_equal(layout.points_in_polygon(points, corners), np.abs(winding) > np.pi)


def test_project_finds_the_nearest_point_of_every_segment():
    line = layout.curve("brow", 60)
    points = np.random.default_rng(1).uniform([0, 40], [60, 70], (200, 2))
    start, step = line[:-1], np.diff(line, axis=0)
    along = ((points[:, None] - start) * step).sum(-1) / (step**2).sum(-1)
    candidates = start + along.clip(0, 1)[..., None] * step
    naive = np.linalg.norm(points[:, None] - candidates, axis=-1).min(axis=1)
    np.testing.assert_allclose(layout.project(points, line)[1], naive, atol=1e-6)


def test_curves_pass_through_their_knots():
    for name, knots in layout.KNOTS.items():
        gap = layout.project(np.array(knots), layout.curve(name, 2000))[1]
        assert gap.max() < 0.05, name


def test_curves_that_cross_the_midline_are_smooth_there():
    for name in ("upper_lip_border", "upper_lip_margin", "lower_lip_border", "hairline", "outline"):
        first, second = layout.curve(name, 2000)[:2]
        slope = (second - first)[1] / (second - first)[0]
        assert abs(slope) < 0.02, name


def test_opening_coordinates_are_zero_and_one_on_the_margins():
    for opening, lower, upper in (("eye", "lower_lid", "upper_lid"), ("mouth", "lower_lip_margin", "upper_lip_margin")):
        for name, height in ((lower, 0.0), (upper, 1.0)):
            points = layout.curve(name, 50)[2:-2]
            np.testing.assert_allclose(layout.opening_coordinates(opening, points)[1], height, atol=0.02)


def test_both_sides_are_the_same():
    points = np.random.default_rng(2).uniform([-60, -60], [60, 60], (300, 2))
    mirrored = points * [-1, 1]
    for name in ("eye", "mouth", "lips", "nostril"):
        assert np.array_equal(layout.inside(name, points), layout.inside(name, mirrored))


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="upper_lid"):
        layout.curve("eyelid")
    with pytest.raises(ValueError, match="nostril"):
        layout.inside("cheek", np.zeros((1, 2)))
