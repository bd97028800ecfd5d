"""The interface of all face models, and the linear model, on a mesh of a few vertices."""

import numpy as np
import pytest
import torch

from facekit.morphable import FaceModel, FaceModelError, LinearFaceModel
from facekit.morphable.linear_model import least_squares_code


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_is_the_mean_plus_weighted_directions(linear_model, dtype):
    model = linear_model(dtype)
    identity, expression = torch.randn(4, 3, dtype=dtype), torch.randn(4, 2, dtype=dtype)
    vertices = model.shape(identity, expression)
    for face, a, b in zip(vertices, identity, expression, strict=True):
        naive = model.mean.clone()
        for weight, direction in zip([*a, *b], [*model.identity_basis, *model.expression_basis], strict=True):
            naive += weight * direction
        torch.testing.assert_close(face, naive)
    assert vertices.dtype == dtype


def test_albedo_is_clipped_and_decoded(linear_model):
    model = linear_model(albedo_encoding="srgb")
    texture = torch.tensor([[0.0, 0.0], [1e3, 0.0]], dtype=torch.float64)
    albedo = model.albedo(texture)
    torch.testing.assert_close(albedo[0], torch.full_like(albedo[0], ((0.4 + 0.055) / 1.055) ** 2.4))
    assert albedo.min() >= 0 and albedo.max() <= 1


def test_faces_keep_their_precision_within_autocast(linear_model):
    model = linear_model(torch.float32)
    codes = torch.randn(4, 3), torch.randn(4, 2)
    expected, skin = model.shape(*codes), model.albedo(torch.ones(1, 2))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.shape(*codes), expected) and torch.equal(model.albedo(torch.ones(1, 2)), skin)
        narrow = model.shape(*(code.bfloat16() for code in codes))
    assert torch.equal(narrow, model.shape(*(code.bfloat16().float() for code in codes)))
    assert model.double().shape(*codes).dtype == torch.float64


def test_gradients_reach_both_codes(linear_model):
    model = linear_model()
    codes = (
        torch.randn(2, 3, dtype=torch.float64, requires_grad=True),
        torch.randn(2, 2, dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(model.shape, codes)


def test_fit_recovers_the_codes_of_faces_in_the_span(linear_model):
    model = linear_model()
    identity, expression = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    fitted = model.fit(model.shape(identity, expression), ridge=1e-12)
    torch.testing.assert_close(fitted[0], identity, atol=1e-6, rtol=0)
    torch.testing.assert_close(fitted[1], expression, atol=1e-6, rtol=0)
    neutral, zero = model.fit(model.shape(identity, 0 * expression), ridge=1e-12, neutral=True)
    torch.testing.assert_close(neutral, identity, atol=1e-6, rtol=0)
    assert not zero.any()


def test_ridge_is_the_minimum_of_the_stated_objective():
    offsets, basis = torch.randn(1, 9, 3, dtype=torch.float64), torch.randn(4, 9, 3, dtype=torch.float64)
    code = least_squares_code(offsets, basis, ridge=0.3)

    def objective(code):
        residual = offsets - torch.einsum("bk,kvc->bvc", code, basis)
        return residual.square().sum() / 9 + 0.3 * code.square().sum()

    (gradient,) = torch.autograd.grad(objective(code.requires_grad_()), code)
    assert gradient.abs().max() < 1e-9


def test_fit_albedo_recovers_the_texture_code(linear_model):
    model = linear_model(albedo_encoding="srgb")
    texture = torch.randn(3, 2, dtype=torch.float64)
    torch.testing.assert_close(model.fit_albedo(model.albedo(texture)), texture, atol=1e-3, rtol=1e-3)


def test_expression_code_is_linear_in_units_and_one_sided_in_gaze(linear_model):
    model = linear_model()
    units = torch.rand(1, 22, 2, dtype=torch.float64)
    code = model.expression_code(units)
    torch.testing.assert_close(code, units.flatten(1) @ model.unit_matrix[:44])
    left = model.expression_code(0 * units, torch.tensor([[10.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(left[0], 10 * model.unit_matrix[44])
    down = model.expression_code(0 * units, torch.tensor([[0.0, -4.0]], dtype=torch.float64))
    torch.testing.assert_close(down[0], 4 * model.unit_matrix[47])
    bounded = linear_model(expression_range=(0.0, 1.0)).expression_code(100 * units)
    assert set(bounded.unique().tolist()) <= {0.0, 1.0}


def test_mirror_swaps_partners_and_is_its_own_inverse(linear_model):
    model = linear_model()
    vertices = torch.randn(2, 9, 3, dtype=torch.float64)
    mirrored = model.mirror(vertices)
    torch.testing.assert_close(mirrored[:, 0], vertices[:, 2] * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(model.mirror(mirrored), vertices)


def test_same_seed_same_people(linear_model):
    model = linear_model()
    first, second = (model.sample_identity(4, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second) and first.dtype == model.dtype
    assert model.sample_texture(4, torch.Generator().manual_seed(7)).shape == (4, 2)


def test_save_and_load_keep_everything(linear_model, tmp_path):
    model = linear_model(torch.float32, expression_range=(0.0, 1.0), albedo_encoding="srgb")
    model.save(tmp_path / "model.npz")
    loaded = LinearFaceModel.load(tmp_path / "model.npz")
    assert loaded.name == "grid" and loaded.expression_range == (0.0, 1.0) and loaded.albedo_encoding == "srgb"
    for key, buffer in model.state_dict().items():
        assert torch.equal(buffer, loaded.state_dict()[key]), key
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_load_names_what_is_wrong_with_a_file(linear_model, tmp_path):
    model = linear_model(torch.float32)
    path = tmp_path / "model.npz"
    model.save(path)
    arrays = dict(np.load(path))
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:-200])
    for name, change, message in [
        ("shape.npz", {"identity_basis": np.zeros((3, 8, 3))}, r"identity_basis.*\(3, 8, 3\), expected \(any, 9, 3\)"),
        ("index.npz", {"faces": np.array([[0, 1, 9]])}, "'faces' holds vertex numbers 0..9, expected 0..8"),
        ("nan.npz", {"mean": np.full((9, 3), np.nan)}, "not finite"),
        ("region.npz", {"region_skin": np.ones(4, bool)}, "region 'skin'"),
    ]:
        np.savez(tmp_path / name, **(arrays | change))
        with pytest.raises(FaceModelError, match=rf"{name}.*{message}"):
            LinearFaceModel.load(tmp_path / name)
    with pytest.raises(FaceModelError, match=r"cut\.npz: not a readable"):
        LinearFaceModel.load(tmp_path / "cut.npz")
    with pytest.raises(FaceModelError, match="found nothing there"):
        LinearFaceModel.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "pickled.npz", **(arrays | {"mean": np.array([{"a": 1}], dtype=object)}))
    with pytest.raises(FaceModelError, match="plain arrays"):
        LinearFaceModel.load(tmp_path / "pickled.npz")


def test_wrong_codes_and_topology_are_refused(linear_model):
    model = linear_model()
    with pytest.raises(FaceModelError, match=r"identity code has shape \(1, 4\), expected \(B, 3\)"):
        model.shape(torch.zeros(1, 4, dtype=torch.float64), model.neutral_expression())
    with pytest.raises(FaceModelError, match="found 2 identity, 3 expression codes, expected as many of each, or one"):
        model.shape(torch.zeros(2, 3, dtype=torch.float64), model.neutral_expression(3))
    with pytest.raises(FaceModelError, match=r"vertices \(9, 3\), expected \(B, 9, 3\)"):
        model.fit(model.mean)
    with pytest.raises(FaceModelError, match=r"albedo \(1, 8, 3\), expected \(B, 9, 3\)"):
        model.fit_albedo(model.mean_albedo[None, 1:])
    with pytest.raises(FaceModelError, match=r"action_units have shape \(1, 3, 2\), expected \(B, 22, 2\)"):
        model.expression_code(torch.zeros(1, 3, 2))
    with pytest.raises(FaceModelError, match="does not know action units"):
        linear_model(unit_matrix=None).expression_code(torch.zeros(1, 22, 2))
    with pytest.raises(FaceModelError, match=r"faces name vertices outside 0\.\.8"):
        linear_model(faces=torch.tensor([[0, 1, 9]]))
    with pytest.raises(FaceModelError, match="landmarks have shape"):
        linear_model(landmarks=torch.arange(5))
    with pytest.raises(FaceModelError, match="texture_basis is for"):
        linear_model(texture_basis=torch.zeros(2, 8, 3, dtype=torch.float64))


def test_regions_and_codes_follow_the_model_to_another_type(linear_model):
    model = linear_model(torch.float32).to(torch.float64)
    assert model.dtype == torch.float64 and model.neutral_expression().dtype == torch.float64
    assert isinstance(model, FaceModel) and model.regions["skin"].sum() == 6
