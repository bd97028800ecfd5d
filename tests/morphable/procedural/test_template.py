import hashlib

import numpy as np
import pytest

from facekit.morphable.procedural import layout
from facekit.morphable.procedural.template import LEVELS, build_template


@pytest.fixture(params=LEVELS)
def template(request):
    return build_template(request.param)


def doubled_areas(points, faces):
    first, second = points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def test_sizes():
    sizes = [len(build_template(level).plane) for level in LEVELS]
    assert all(0.8 * size < found < 1.2 * size for size, found in zip((1200, 5000, 20000), sizes, strict=True)), sizes


def test_is_a_disc(template):
    directed = np.stack([template.faces, np.roll(template.faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    edges, count = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    assert count.max() == 2
    assert len(template.plane) - len(edges) + len(template.faces) == 1
    border = edges[count == 1]
    assert np.all(np.bincount(border.ravel(), minlength=len(template.plane))[np.unique(border)] == 2)


def test_every_triangle_is_counter_clockwise(template):
    assert doubled_areas(template.plane, template.faces).min() > 1e-3


def test_uv_fills_the_square_without_flips(template):
    assert doubled_areas(template.uv, template.faces).min() > 0
    assert template.uv.min() == 0 and template.uv.max() == 1
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert np.abs(template.uv[:, None] - corners).sum(-1).min(axis=0).max() < 1e-9
    assert template.uv[template.plane[:, 1].argmax(), 1] > 0.99


def test_symmetry_is_a_mirror(template):
    assert np.array_equal(template.symmetry[template.symmetry], np.arange(len(template.plane)))
    np.testing.assert_allclose(template.plane[template.symmetry] * [-1, 1], template.plane, atol=1e-9)
    np.testing.assert_allclose(template.uv[template.symmetry] * [-1, 1] + [1, 0], template.uv, atol=1e-9)
    triangles = {tuple(sorted(t)) for t in template.faces.tolist()}
    assert triangles == {tuple(sorted(t)) for t in template.symmetry[template.faces].tolist()}


def test_levels_are_nested():
    for coarse, fine in ((0, 1), (1, 2)):
        few = build_template(coarse)
        many = build_template(fine)
        assert np.array_equal(many.plane[: len(few.plane)], few.plane)
        assert np.array_equal(many.uv[: len(few.plane)], few.uv)


def test_edges_run_along_margins_at_every_level(template):
    folded = layout.fold(template.plane)
    edges = np.concatenate([template.faces[:, [0, 1]], template.faces[:, [1, 2]], template.faces[:, [2, 0]]])
    for name in ("upper_lid", "lower_lid", "upper_lip_margin", "lower_lip_margin"):
        on = np.flatnonzero(layout.distance(name, folded) < 0.02)
        half = on[template.plane[on, 0] >= 0]
        order = half[np.argsort(template.plane[half, 0])]
        present = {tuple(sorted(e)) for e in edges.tolist()}
        chain = [tuple(sorted(pair)) for pair in zip(order[:-1].tolist(), order[1:].tolist(), strict=True)]
        assert set(chain) <= present, name


def test_topology_is_the_same_on_every_machine():
    digest = hashlib.sha256(build_template(0).faces.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "045d61ecbc1cf922"


def test_other_levels_are_refused():
    with pytest.raises(ValueError, match="levels"):
        build_template(3)
