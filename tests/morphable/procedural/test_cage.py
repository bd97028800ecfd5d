import numpy as np
import pytest
import torch

from facekit.morphable.procedural.cage import blend, build_cage, spline_matrix, surface_matrix


def test_spline_passes_through_values_and_reproduces_planes():
    rng = np.random.default_rng(0)
    places, values = rng.uniform(-50, 50, (30, 2)), rng.normal(size=(30, 3))
    np.testing.assert_allclose(spline_matrix(places, places) @ values, values, atol=1e-8)
    points = rng.uniform(-50, 50, (20, 2))
    matrix = spline_matrix(places, points)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(matrix @ (places @ [0.3, -2.0] + 4.0), points @ [0.3, -2.0] + 4.0, atol=1e-7)


def test_spline_agrees_with_scipy():
    from scipy.interpolate import RBFInterpolator

    rng = np.random.default_rng(1)
    places, values, points = rng.uniform(0, 9, (25, 2)), rng.normal(size=(25, 2)), rng.uniform(0, 9, (40, 2))
    expected = RBFInterpolator(places, values, kernel="thin_plate_spline")(points)
    np.testing.assert_allclose(spline_matrix(places, points) @ values, expected, atol=1e-7)


def test_surface_passes_through_every_control():
    cage = build_cage()
    np.testing.assert_allclose(surface_matrix(cage, cage.places) @ cage.rest, cage.rest, atol=1e-6)


def test_cage_is_symmetric():
    cage = build_cage()
    assert np.array_equal(cage.places[cage.symmetry] * [-1, 1], cage.places)
    assert np.array_equal(cage.rest[cage.symmetry] * [-1, 1, 1], cage.rest)


def test_blend_is_the_product_of_every_item():
    matrix, controls = torch.randn(7, 5, dtype=torch.float64), torch.randn(3, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(blend(matrix, controls), torch.stack([matrix @ item for item in controls]))


def test_unknown_series_are_refused():
    with pytest.raises(ValueError, match="third_eye"):
        build_cage().named("third_eye")
