"""Basel Face Models: tiny files in exactly their formats."""

import json

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from facekit.morphable import FaceModelError, load_bfm2009, load_bfm2017

KEPT = np.array([1, 2, 3, 5, 6, 7, 8, 9, 10, 11])  # 1-based, out of 12: vertices 4 and 12 are cut


@pytest.fixture
def grid():
    """Twelve vertices of a bulging 4 x 3 grid in millimetres and its faces, counter-clockwise seen from +z."""
    x, y = np.meshgrid(np.linspace(-60, 60, 4), np.linspace(-50, 50, 3))
    vertices = np.stack([x.ravel(), y.ravel(), 40 - x.ravel() ** 2 / 200 - y.ravel() ** 2 / 200], axis=1)
    corner = np.array([r * 4 + c for r in range(2) for c in range(3)])
    halves = [[corner, corner + 1, corner + 5], [corner, corner + 5, corner + 4]]
    faces = np.concatenate([np.stack(half, axis=1) for half in halves])
    return vertices, faces


@pytest.fixture
def bfm2009(tmp_path, grid):
    """A folder with 01_MorphableModel.mat, Exp_Pca.bin, std_exp.txt, Model_Exp.mat and model_info.mat."""
    vertices, faces = grid
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(36, 3)))[0]
    arrays = {
        "shapeMU": vertices.reshape(-1, 1) * 1e3,
        "shapePC": basis,
        "shapeEV": np.array([[9e5], [5e5], [2e5]]),
        "texMU": np.full((36, 1), 128.0),
        "texPC": np.linalg.qr(rng.normal(size=(36, 3)))[0],
        "texEV": np.array([[300.0], [100.0], [50.0]]),
        "tl": faces[:, [0, 2, 1]] + 1,
    }
    scipy.io.savemat(
        tmp_path / "01_MorphableModel.mat",
        {key: array.astype(np.float32) if key != "tl" else array for key, array in arrays.items()},
    )
    components = rng.normal(size=(2, 10, 3)).astype("<f4")
    mean = rng.normal(size=(10, 3)).astype("<f4")
    (tmp_path / "Exp_Pca.bin").write_bytes(np.int32(2).astype("<i4").tobytes() + mean.tobytes() + components.tobytes())
    (tmp_path / "std_exp.txt").write_text("700.0 300.0\n")
    scipy.io.savemat(
        tmp_path / "Model_Exp.mat",
        {"mu_exp": mean.reshape(-1, 1), "w_exp": components.reshape(2, -1).T, "sigma_exp": np.ones((2, 1))},
    )
    scipy.io.savemat(
        tmp_path / "model_info.mat", {"trimIndex": KEPT[:, None], "keypoints": (np.arange(68) % 10 + 1)[None]}
    )
    return tmp_path, arrays, mean, components


def test_2009_alone_is_in_millimetres_and_unit_deviations(bfm2009, grid):
    folder, arrays, _, _ = bfm2009
    model = load_bfm2009(folder / "01_MorphableModel.mat")
    assert (model.num_vertices, model.num_identity, model.num_expression, model.num_texture) == (12, 3, 0, 3)
    vertices = model.shape(torch.tensor([[0.0, 1.5, 0.0]]), torch.zeros(1, 0))[0]
    expected = (arrays["shapeMU"] + 1.5 * 5e5 * arrays["shapePC"][:, 1:2]).reshape(-1, 3) / 1e3
    np.testing.assert_allclose(vertices, expected, rtol=1e-4, atol=1e-2)
    assert torch.equal(model.faces, torch.from_numpy(grid[1]))
    grey = ((128 / 255 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(model.albedo(torch.zeros(1, 3)), grey, rtol=1e-4)


@pytest.mark.parametrize(("basis", "scale"), [("Exp_Pca.bin", np.array([700.0, 300.0])), ("Model_Exp.mat", np.ones(2))])
def test_2009_with_either_expression_basis(bfm2009, basis, scale):
    folder, arrays, mean, components = bfm2009
    model = load_bfm2009(folder, expression=folder / basis, dtype=torch.float64)
    assert (model.num_vertices, model.num_expression) == (10, 2)
    moved = model.shape(torch.zeros(1, 3).double(), torch.tensor([[0.0, 2.0]]).double())[0]
    neutral = arrays["shapeMU"].reshape(-1, 3)[KEPT - 1] + (mean if basis.endswith("mat") else 0)
    np.testing.assert_allclose(moved, (neutral + 2 * scale[1] * components[1]) / 1e3, rtol=1e-5, atol=1e-3)
    assert model.landmarks.tolist() == [i % 10 for i in range(68)]
    assert model.faces.max() < 10 and len(model.faces) == 9


def test_coefficients_of_300wlp_give_its_shapes(bfm2009):
    folder, arrays, mean, components = bfm2009
    model = load_bfm2009(folder, expression=folder / "Model_Exp.mat", dtype=torch.float64)
    shape_para, exp_para = torch.tensor([[3e5, -1e5, 4e4]]).double(), torch.tensor([[0.5, -2.0]]).double()
    vertices = model.shape(*model.codes_from_300wlp(shape_para, exp_para))[0]
    full = (arrays["shapeMU"] + arrays["shapePC"] @ shape_para[0].numpy()[:, None]).reshape(-1, 3)[KEPT - 1]
    expected = full + mean + np.einsum("k,kvc->vc", exp_para[0].numpy(), components)
    np.testing.assert_allclose(vertices, expected / 1e3, rtol=1e-5, atol=1e-2)


def test_files_that_do_not_fit_are_named(bfm2009):
    folder, _, _, _ = bfm2009
    model = folder / "01_MorphableModel.mat"
    with pytest.raises(FaceModelError, match=r"Exp_Pca\.bin: this basis is for a part.*trimIndex"):
        load_bfm2009(model, expression=folder / "Exp_Pca.bin")
    (folder / "short").mkdir()
    (folder / "short" / "Exp_Pca.bin").write_bytes((folder / "Exp_Pca.bin").read_bytes()[:-4])
    with pytest.raises(FaceModelError, match=r"Exp_Pca\.bin: found 360 bytes.* expected 364 bytes for 10 vertices"):
        load_bfm2009(folder, expression=folder / "short" / "Exp_Pca.bin")
    (folder / "std_exp.txt").write_text("1 2 3")
    with pytest.raises(FaceModelError, match=r"std_exp\.txt: found 3 numbers, expected 2"):
        load_bfm2009(folder, expression=folder / "Exp_Pca.bin")
    scipy.io.savemat(folder / "model_info.mat", {"trimIndex": np.array([[0], [3]])})
    with pytest.raises(FaceModelError, match=r"model_info\.mat: 'trimIndex' holds vertex numbers 0\.\.3, expected 1"):
        load_bfm2009(folder, expression=folder / "Model_Exp.mat")
    model.write_bytes(model.read_bytes()[:300])
    with pytest.raises(FaceModelError, match=r"01_MorphableModel\.mat: not a readable MATLAB file|found no array"):
        load_bfm2009(model)
    scipy.io.savemat(model, {"shapeMU": np.zeros((36, 1)), "shapePC": np.zeros((30, 3)), "shapeEV": np.ones((3, 1))})
    with pytest.raises(FaceModelError, match=r"array 'shapePC' has shape \(30, 3\), expected \(36, any\)"):
        load_bfm2009(model)


@pytest.fixture
def bfm2017(tmp_path, grid):
    vertices, faces = grid
    rng = np.random.default_rng(1)
    path = tmp_path / "model2017-1_bfm_nomouth.h5"
    bases = {}
    with h5py.File(path, "w") as file:
        for group, mean, count in (
            ("shape", vertices.ravel(), 3),
            ("color", np.full(36, 0.5), 2),
            ("expression", rng.normal(size=36), 2),
        ):
            bases[group] = rng.normal(size=(36, count)).astype(np.float32), rng.uniform(1, 9, count), mean
            file[f"{group}/model/mean"] = mean.astype(np.float32)
            file[f"{group}/model/pcaBasis"], file[f"{group}/model/pcaVariance"] = bases[group][:2]
            file[f"{group}/model/noiseVariance"] = np.array([0.0])
            file[f"{group}/representer/points"] = vertices.T
            file[f"{group}/representer/cells"] = faces.T.astype(np.int32)
        marks = [{"id": "center.nose.tip", "coordinates": (vertices[5] + 0.1).tolist()}]
        file["metadata/landmarks/json"] = json.dumps(marks)
        file["version/majorVersion"] = 1
    return path, bases


def test_2017_multiplies_components_by_root_variance(bfm2017, grid):
    path, bases = bfm2017
    model = load_bfm2017(path, dtype=torch.float64)
    assert (model.num_identity, model.num_expression, model.num_texture) == (3, 2, 2)
    vertices = model.shape(torch.tensor([[1.0, -2.0, 0.0]]).double(), torch.tensor([[0.0, 0.5]]).double())[0]
    (shape, shape_variance, mean), (move, move_variance, move_mean) = bases["shape"], bases["expression"]
    expected = mean + move_mean + shape @ (np.sqrt(shape_variance) * [1, -2, 0])
    expected += move @ (np.sqrt(move_variance) * [0, 0.5])
    np.testing.assert_allclose(vertices.flatten(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(model.faces, torch.from_numpy(grid[1]))
    assert model.named_landmarks == {"center.nose.tip": 5}
    assert load_bfm2017(path, num_identity=1, num_expression=1).num_identity == 1
    assert torch.equal(load_bfm2017(path, landmarks=torch.arange(68) % 12).landmarks, torch.arange(68) % 12)


def test_2017_files_that_do_not_fit_are_named(bfm2017, tmp_path):
    path, _ = bfm2017
    with h5py.File(path, "a") as file:
        del file["shape/model/pcaVariance"]
        file["shape/model/pcaVariance"] = np.ones(5)
    with pytest.raises(FaceModelError, match=r"nomouth\.h5: 'shape/model' has 36 mean values and 5 variances"):
        load_bfm2017(path)
    with h5py.File(path, "a") as file:
        del file["shape/model/mean"]
    with pytest.raises(FaceModelError, match=r"nomouth\.h5: found no array 'shape/model/mean'"):
        load_bfm2017(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FaceModelError, match=r"nomouth\.h5: not a readable HDF5 file"):
        load_bfm2017(path)
    with pytest.raises(FaceModelError, match="found nothing there"):
        load_bfm2017(tmp_path / "missing.h5")
