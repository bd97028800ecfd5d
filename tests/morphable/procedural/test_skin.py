"""The procedural skin: its pigments, its fields, and what each dimension of the texture code does."""

import numpy as np
import pytest
import torch

from facekit.morphable.procedural import layout
from facekit.morphable.procedural.pigments import hair_color, iris_color, kubelka_munk, skin_color
from facekit.morphable.procedural.skin import Skin
from facekit.morphable.procedural.skin_code import (
    NUM_PATTERNS,
    NUM_TEXTURE,
    TEXTURE_DIMENSIONS,
    sample_skin,
    texture_index,
)
from facekit.morphable.procedural.skin_fields import along_curve, inside, opening_depth, skin_fields
from facekit.morphable.procedural.skin_texture import SkinTexture
from facekit.morphable.procedural.template import build_template

PLACES = {
    "cheek": (45.0, -4.0),
    "forehead": (0.0, 70.0),
    "lip": (8.0, -43.0),
    "brow": (30.0, 57.2),
    "nose": (0.0, 4.0),
    "beard": (14.0, -66.0),
    "moustache": (15.0, -18.0),
    "scalp": (0.0, 120.0),
    "sclera": (21.5, 34.0),
    "iris": (31.0, 34.8),
    "jaw": (60.0, -40.0),
    "upper_tooth": (3.0, -32.4),
    "throat": (3.0, -34.3),
    "under_eye": (27.0, 24.5),
    "nostril": (8.9, -6.2),
}


@pytest.fixture(scope="module")
def skin():
    """Painter of the named places alone, on either side, as fine as a texture."""
    points = np.array(list(PLACES.values()))
    return Skin(np.concatenate([points, points * [-1.0, 1.0]]), np.full(2 * len(points), 0.5))


def paint(skin, *, angle=180.0, **dimensions):
    """Colours (3,) by place, for a code that is zero but for the given dimensions."""
    code = torch.zeros(1, NUM_TEXTURE)
    for name, value in dimensions.items():
        code[0, texture_index(name)] = value
    albedo = skin(code, torch.full((2 * len(PLACES),), angle))[0]
    torch.testing.assert_close(albedo[: len(PLACES)].mean(), albedo[len(PLACES) :].mean(), atol=0.03, rtol=0)
    return dict(zip(PLACES, albedo, strict=False))


def test_kubelka_munk_inverts_its_definition():
    reflectance = torch.linspace(0.02, 0.98, 50, dtype=torch.float64)
    ratio = (1 - reflectance) ** 2 / (2 * reflectance)
    torch.testing.assert_close(kubelka_munk(ratio), reflectance, atol=1e-6, rtol=0)


def test_more_pigment_is_darker_and_shifts_the_hue_the_right_way():
    amounts = torch.linspace(0.02, 3.0, 20, dtype=torch.float64)
    little = torch.full_like(amounts, 0.1)
    by_melanin, by_blood = skin_color(amounts, little, little), skin_color(little, amounts, little)
    assert (by_melanin.diff(dim=0) < 0).all()
    assert (by_melanin[:, 0] > by_melanin[:, 1]).all() and (by_melanin[:, 1] > by_melanin[:, 2]).all()
    assert (by_blood[-1, 1] / by_blood[-1, 0]) < 0.6 * (by_blood[0, 1] / by_blood[0, 0])
    assert torch.autograd.gradcheck(skin_color, tuple(torch.rand(3, 4, dtype=torch.float64, requires_grad=True)))


def test_hair_and_iris_have_the_colours_they_are_named_after():
    def color(function, *amounts):
        return function(*(torch.tensor(amount, dtype=torch.float64) for amount in amounts)).tolist()

    black, red, grey = (color(hair_color, *mix) for mix in ((7.0, 0.0, 0.0), (0.1, 0.6, 0.0), (3.0, 0.0, 1.0)))
    assert max(black) < 0.06 and red[0] > 2.5 * red[2] and max(grey) - min(grey) < 0.05
    blue, brown, green = (color(iris_color, *mix) for mix in ((0.0, 1.0), (1.0, 0.5), (0.5, 1.0)))
    assert blue[2] > 1.5 * blue[0] and brown[0] > 1.5 * brown[2] and green[1] > 1.5 * green[2]


def test_skin_spans_the_range_of_human_skin(skin):
    pale, middle, dark = (paint(skin, melanin=value)["cheek"] for value in (-2.0, 0.0, 2.0))
    luminance = [float(color @ torch.tensor([0.2126, 0.7152, 0.0722])) for color in (pale, middle, dark)]
    assert luminance[0] > 0.42 and 0.12 < luminance[1] < 0.42 and luminance[2] < 0.09
    for color in (pale, middle, dark):
        assert color[0] > color[1] > color[2]


@pytest.mark.parametrize(
    ("dimension", "place"),
    [
        ("melanin", "cheek"),
        ("under_eye", "under_eye"),
        ("hair_melanin", "scalp"),
        ("hair_melanin", "brow"),
        ("brow_density", "brow"),
        ("beard", "beard"),
        ("moustache", "moustache"),
        ("lip_melanin", "lip"),
        ("teeth", "upper_tooth"),
    ],
)
def test_dimensions_that_darken_their_place(skin, dimension, place):
    low, high = (paint(skin, **{dimension: value})[place].mean() for value in (-1.5, 1.5))
    assert high < 0.97 * low


@pytest.mark.parametrize(
    ("dimension", "place"),
    [("haemoglobin", "cheek"), ("cheek_flush", "cheek"), ("nose_flush", "nose"), ("lip_flush", "lip")],
)
def test_dimensions_that_redden_their_place(skin, dimension, place):
    low, high = (paint(skin, **{dimension: value})[place] for value in (-1.5, 1.5))
    assert high[0] / high[1] > 1.03 * low[0] / low[1]


def test_lips_are_redder_than_cheeks_and_openings_are_dark(skin):
    face = paint(skin)
    assert face["lip"][0] / face["lip"][1] > 1.15 * face["cheek"][0] / face["cheek"][1]
    assert face["nostril"].max() < 0.1 and face["throat"].max() < 0.1
    assert face["upper_tooth"].min() > 0.3
    assert face["brow"].mean() < 0.7 * face["cheek"].mean()


def test_eyes_are_white_coloured_and_black_by_angle(skin):
    white, iris, pupil = (
        paint(skin, angle=angle, iris_melanin=-3.0, melanin=-1.5)["iris"] for angle in (60.0, 18.0, 2.0)
    )
    assert white.min() > 0.3 and iris[2] > iris[0] and pupil.max() < 0.05


def test_the_code_is_checked_and_gradients_reach_it(skin):
    with pytest.raises(ValueError, match=r"texture code has shape \(1, 5\), expected \(B, 38\)"):
        skin(torch.zeros(1, 5))
    with pytest.raises(ValueError, match="no texture dimension 'colour'"):
        texture_index("colour")
    code = (0.3 * torch.randn(2, NUM_TEXTURE, generator=torch.Generator().manual_seed(0))).requires_grad_()
    skin(code, torch.full((2 * len(PLACES),), 18.0)).sum().backward()
    assert torch.isfinite(code.grad).all() and (code.grad.abs().sum(dim=0) > 0).sum() > 25


def test_a_batch_paints_each_person_as_alone(skin):
    codes = torch.randn(5, NUM_TEXTURE, generator=torch.Generator().manual_seed(1))
    angle = torch.full((5, 2 * len(PLACES)), 20.0)
    together = skin(codes, angle)
    assert together.min() >= 0 and together.max() <= 1
    for row in range(5):
        torch.testing.assert_close(together[row : row + 1], skin(codes[row : row + 1], angle[:1]))


def test_spots_belong_to_the_person():
    points = np.stack(np.meshgrid(np.arange(-60.0, 61.0, 1.5), np.arange(-30.0, 31.0, 1.5)), axis=-1).reshape(-1, 2)
    skin = Skin(points, np.full(len(points), 1.5))
    code = torch.zeros(3, NUM_TEXTURE)
    code[:, texture_index("freckles")], code[:, texture_index("melanin")] = 0.5, -1.0
    pattern = torch.randn(2, NUM_PATTERNS, generator=torch.Generator().manual_seed(2))
    code[:, texture_index("pattern_1") :] = pattern[[0, 0, 1]]
    same, again, other = skin(code)
    torch.testing.assert_close(same, again)
    assert (same - other).abs().max() > 0.05
    none = code[:1].clone()
    none[0, texture_index("freckles")] = -3.0
    assert (skin(none)[0] - same).max() > 0.05


def test_sampling_keeps_every_dimension_standard_normal_and_knows_sex_and_age():
    generator = torch.Generator().manual_seed(0)
    sex, age = torch.randn(2, 4000, generator=generator)
    code = sample_skin(4000, generator, sex, age)
    assert code.shape == (4000, NUM_TEXTURE)
    assert len({dimension.name for dimension in TEXTURE_DIMENSIONS}) == NUM_TEXTURE
    assert code.mean(dim=0).abs().max() < 0.08 and (code.std(dim=0) - 1).abs().max() < 0.06
    correlation = np.corrcoef(code[:, texture_index("beard")], sex)[0, 1]
    assert abs(correlation - 0.8) < 0.03
    assert abs(np.corrcoef(code[:, texture_index("hair_grey")], age)[0, 1] - 0.75) < 0.03
    first, second = (sample_skin(3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


def test_coarse_points_get_the_mean_of_fine_detail():
    """Hairs and freckles fade with the spacing and keep their average darkness."""
    points = np.stack(np.meshgrid(np.linspace(20, 36, 60), np.linspace(54, 59, 30)), axis=-1).reshape(-1, 2)
    code = torch.zeros(1, NUM_TEXTURE)
    fine, coarse = (Skin(points, np.full(len(points), spacing))(code)[0] for spacing in (0.3, 3.0))
    assert coarse.std() < fine.std()
    torch.testing.assert_close(coarse.mean(), fine.mean(), atol=0.02, rtol=0.05)


def test_fast_layout_queries_agree_with_the_exact_ones():
    points = np.random.default_rng(0).uniform((-120, -120), (120, 120), size=(400, 2))
    for name in ("brow", "jaw", "upper_lid"):
        gap, place, _ = along_curve(points, layout.curve(name))
        _, exact, exact_place = layout.project(layout.fold(points), layout.curve(name))
        np.testing.assert_allclose(gap, exact, atol=0.1)
        np.testing.assert_allclose(place, exact_place, atol=0.02)
    for name in ("eye", "lips", "mouth", "ear"):
        assert (inside(points, layout.polygon(name)) == layout.inside(name, points)).all()
    assert ((opening_depth("eye", points) > 0) == layout.inside("eye", points)).all()


def test_fields_are_symmetric_and_finite():
    points = np.random.default_rng(1).uniform((0, -120), (150, 120), size=(300, 2))
    left, right = (skin_fields(points * [sign, 1.0], np.full(300, 1.0)) for sign in (1.0, -1.0))
    for name, field in left.items():
        assert np.isfinite(field).all(), name
        np.testing.assert_allclose(field, right[name], atol=1e-9, err_msg=name)


def test_a_texture_shows_what_the_vertices_show_and_more():
    template = build_template(0)
    plane, uv = torch.tensor(template.plane), torch.tensor(template.uv, dtype=torch.float32)
    textures = SkinTexture(plane, uv, torch.tensor(template.faces), 96)
    code = torch.zeros(2, NUM_TEXTURE)
    code[:, texture_index("melanin")] = torch.tensor([-1.0, 1.0])
    pictures = textures(code, torch.full((2, len(plane)), 180.0))
    assert pictures.shape == (2, 3, 96, 96) and pictures.min() >= 0 and pictures.max() <= 1
    places = {"forehead": (0.0, 70.0), "cheek": (45.0, -4.0), "jaw": (60.0, -40.0)}
    at_vertices = Skin(template.plane)(code)
    for place in places.values():
        vertex = int(np.abs(template.plane - place).sum(axis=1).argmin())
        column, row = (uv[vertex] * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])).mul(96).long().tolist()
        torch.testing.assert_close(pictures[:, :, row, column], at_vertices[:, vertex], atol=0.05, rtol=0)
