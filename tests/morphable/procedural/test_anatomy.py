import numpy as np
import pytest
import torch

from facekit.morphable.procedural.anatomy import NAMES, NUM_IDENTITY, correlation, loadings, sample_traits
from facekit.morphable.procedural.traits import TRAITS

MIDDLE = {"nasion": (0, 41), "subnasale": (0, -11.5), "menton": (0, -82), "tip": (0, 4)}


def person(face, **traits):
    code = torch.zeros(1, NUM_IDENTITY, dtype=face.dtype)
    for name, value in traits.items():
        code[0, NAMES.index(name)] = value
    return face.shape(code, face.neutral_expression(1))[0]


def at(face, vertices, s, t):
    """Position of the vertex nearest to a canonical place."""
    return vertices[((face.plane - face.plane.new_tensor([s, t])) ** 2).sum(-1).argmin()]


def test_there_are_enough_named_parameters():
    assert len(TRAITS) >= 40 and len(set(NAMES)) == NUM_IDENTITY


def test_correlation_is_valid_and_sampled():
    expected = correlation()
    assert np.linalg.eigvalsh(expected).min() > 0
    assert (loadings() ** 2).sum(axis=1).max() <= 1.0
    code = sample_traits(20000, torch.Generator().manual_seed(0)).double()
    assert code.mean(dim=0).abs().max() < 0.03
    np.testing.assert_allclose(np.corrcoef(code.numpy().T), expected, atol=0.035)
    np.testing.assert_allclose(code.std(dim=0).numpy(), 1.0, atol=0.03)


def test_sampling_is_deterministic():
    draw = [sample_traits(3, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*draw)


@pytest.mark.parametrize(
    ("trait", "place", "axis", "sign"),
    [
        ("nose_projection", (0, 4), 2, 1),
        ("chin_projection", (0, -70), 2, 1),
        ("cheek_fullness", (45, -18), 2, 1),
        ("brow_height", (30, 56), 1, 1),
        ("mouth_width", (26, -35), 0, 1),
        ("eye_spacing", (31, 45), 0, 1),
        ("nose_tip_rotation", (0, 0), 1, 1),
        ("jaw_breadth", (82, -48), 0, 1),
    ],
)
def test_traits_move_what_they_are_named_after(exact_face, trait, place, axis, sign):
    more, less = (at(exact_face, person(exact_face, **{trait: z}), *place) for z in (1.5, -1.5))
    assert sign * float(more[axis] - less[axis]) > 1.5


def test_anthropometry_of_the_average_face(exact_face):
    vertices = person(exact_face)

    def gap(a, b):
        return float((at(exact_face, vertices, *a) - at(exact_face, vertices, *b)).norm())

    breadth = 2 * float(
        vertices[
            exact_face.regions["skin"] & (exact_face.plane[:, 0].abs() < 90) & (exact_face.plane[:, 1].abs() < 25)
        ][:, 0].max()
    )
    assert 125 < breadth < 145
    assert 108 < gap(MIDDLE["nasion"], MIDDLE["menton"]) < 126
    assert 47 < gap(MIDDLE["nasion"], MIDDLE["subnasale"]) < 57
    assert 30 < gap((-16.5, 33), (16.5, 33)) < 36
    assert 84 < gap((-45, 35), (45, 35)) < 96
    assert 46 < gap((-26, -35), (26, -35)) < 56
    tip = at(exact_face, vertices, *MIDDLE["tip"])
    assert 128 < tip[2] < 133 and abs(float(tip[0])) < 1e-6


def test_identity_is_not_linear(exact_face):
    both = person(exact_face, head_size=2.0, face_length=2.0)
    alone = person(exact_face, head_size=2.0) + person(exact_face, face_length=2.0) - person(exact_face)
    assert (both - alone).norm(dim=1).max() > 0.3


def test_symmetric_people_are_symmetric_and_others_are_not(exact_face):
    vertices = person(exact_face, nose_width=1.0, brow_height=-1.0, chin_breadth=2.0)[None]
    assert (exact_face.mirror(vertices) - vertices).abs().max() < 1e-6
    crooked = person(exact_face, chin_deviation=2.0)[None]
    assert (exact_face.mirror(crooked) - crooked).abs().max() > 1.0


def test_extreme_codes_stay_within_a_head(exact_face):
    code = 50.0 * torch.randn(4, NUM_IDENTITY, generator=torch.Generator().manual_seed(0)).double()
    vertices = exact_face.shape(code, exact_face.neutral_expression(4))
    assert torch.isfinite(vertices).all() and vertices.abs().max() < 500
