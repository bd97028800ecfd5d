"""FLAME: a tiny file in its format, its equations against a naive version, and pickles that mean harm."""

import builtins
import collections
import operator
import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.transform import Rotation

from facekit.morphable import FaceModelError, load_flame
from facekit.morphable.action_units import ACTION_UNITS
from facekit.morphable.restricted_pickle import load_pickled_arrays

SIZE = 12


@pytest.fixture
def chumpy(monkeypatch):
    """A stand-in for the chumpy package, present only while the test writes its file."""
    module, submodule = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x = x
            self.dirty = {"r": True}

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    submodule.Ch = module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", module)
    monkeypatch.setitem(sys.modules, "chumpy.ch", submodule)
    return Ch


def flame_arrays(wrap=lambda array: array):
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-0.06, 0.06, 4), np.linspace(-0.05, 0.05, 3))
    template = np.stack([x.ravel(), y.ravel(), 0.04 - x.ravel() ** 2 * 5], axis=1)
    corner = np.array([r * 4 + c for r in range(2) for c in range(3)])
    regressor, weights = rng.random((5, SIZE)), rng.random((SIZE, 5))
    return {
        "v_template": wrap(template),
        "shapedirs": wrap(0.001 * rng.normal(size=(SIZE, 3, 302))),
        "posedirs": 0.001 * rng.normal(size=(SIZE, 3, 36)),
        "weights": weights / weights.sum(1, keepdims=True),
        "J_regressor": scipy.sparse.csc_matrix(regressor / regressor.sum(1, keepdims=True)),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.int64),
        "f": np.stack([corner, corner + 1, corner + 5], 1).astype(np.uint32),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }


@pytest.fixture
def flame_file(tmp_path, chumpy, monkeypatch):
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(pickle.dumps(flame_arrays(chumpy), protocol=2))
    monkeypatch.delitem(sys.modules, "chumpy")
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    return path


def naive_flame(arrays, betas, psis, rotations):
    """One face, step by step in NumPy; `rotations` are five matrices."""
    vertices = arrays["v_template"] + arrays["shapedirs"] @ np.concatenate([betas, psis])
    joints = arrays["J_regressor"].toarray() @ vertices
    vertices = vertices + arrays["posedirs"] @ (np.stack(rotations[1:]) - np.eye(3)).ravel()
    world = []
    for joint, parent in enumerate([-1, 0, 1, 1, 1]):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    posed = np.zeros_like(vertices)
    for joint, transform in enumerate(world):
        moved = (vertices - joints[joint]) @ transform[:3, :3].T + transform[:3, 3]
        posed += arrays["weights"][:, joint : joint + 1] * moved
    return posed


def test_flame_equals_a_naive_version(flame_file):
    model = load_flame(flame_file, dtype=torch.float64)
    assert (model.num_identity, model.num_expression, model.num_vertices) == (300, 2 + 8, SIZE)
    rng = np.random.default_rng(1)
    betas, psis = rng.normal(size=300), rng.normal(size=2)
    jaw, neck, gaze = np.array([12.0, 3.0, -2.0]), np.array([4.0, -8.0, 1.0]), np.array([15.0, -5.0])
    eye = Rotation.from_rotvec(np.radians([5.0, 15.0, 0.0])).as_matrix()
    rotations = [np.eye(3), *(Rotation.from_rotvec(np.radians(v)).as_matrix() for v in (neck, jaw)), eye, eye]
    code = torch.from_numpy(np.concatenate([psis, jaw, neck, gaze]))[None]
    vertices = model.shape(torch.from_numpy(betas)[None], code)[0]
    np.testing.assert_allclose(vertices, 1000 * naive_flame(flame_arrays(), betas, psis, rotations), atol=1e-8)


def test_flame_is_differentiable_and_batched(flame_file):
    model = load_flame(flame_file, num_identity=2, dtype=torch.float64)
    codes = [torch.randn(2, size, dtype=torch.float64, requires_grad=True) for size in (2, 10)]
    assert torch.autograd.gradcheck(model.shape, codes)
    torch.testing.assert_close(model.shape(*codes)[1:], model.shape(*(code[1:] for code in codes)))
    identity, expression = codes
    torch.testing.assert_close(model.shape(identity[:1], expression)[1:], model.shape(identity[:1], expression[1:]))


def test_jaw_units_and_gaze(flame_file):
    model = load_flame(flame_file)
    units = torch.zeros(1, len(ACTION_UNITS), 2)
    units[0, ACTION_UNITS.index(27)] = 1.0
    code = model.expression_code(units, torch.tensor([[10.0, 4.0]]))
    assert code[0, 2] > 15 and code[0, -2:].tolist() == [10.0, 4.0]
    units[0, ACTION_UNITS.index(12)] = 1.0
    with pytest.raises(FaceModelError, match=r"not \[12\]"):
        model.expression_code(units)


def test_landmarks_come_from_the_embedding(flame_file, tmp_path):
    faces = flame_arrays()["f"]
    embedding = {
        "full_lmk_faces_idx": np.arange(68)[None] % 6,
        "full_lmk_bary_coords": np.tile([0.2, 0.7, 0.1], (1, 68, 1)),
    }
    np.save(tmp_path / "landmark_embedding.npy", embedding, allow_pickle=True)
    model = load_flame(flame_file, tmp_path / "landmark_embedding.npy")
    assert model.landmarks.tolist() == [int(faces[i % 6, 1]) for i in range(68)]


def test_flame_files_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "model.pkl"
    for change, message in [
        ({"shapedirs": np.zeros((SIZE, 3, 10))}, r"'shapedirs' has 10 components, expected 300"),
        ({"weights": np.zeros((SIZE, 4))}, r"'weights' has shape \(12, 4\), expected \(12, 5\)"),
        ({"f": np.array([[0, 1, 99]])}, r"'f' holds vertex numbers"),
        ({"v_template": "no"}, r"'v_template' holds"),
        ({"kintree_table": np.array([[0, 3, 1, 1, 1], [0] * 5])}, r"'kintree_table' has parents"),
    ]:
        path.write_bytes(pickle.dumps(flame_arrays() | change, protocol=2))
        with pytest.raises(FaceModelError, match=rf"model\.pkl: .*{message}"):
            load_flame(path)
    arrays = flame_arrays()
    del arrays["posedirs"]
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    with pytest.raises(FaceModelError, match="found no array 'posedirs'"):
        load_flame(path)
    whole = pickle.dumps(flame_arrays(), protocol=2)
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(FaceModelError, match=r"model\.pkl: not a readable pickle"):
            load_flame(path)


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_survive_every_protocol(tmp_path, protocol):
    arrays = {
        "double": np.arange(6.0).reshape(2, 3),
        "column": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "big": np.arange(4, dtype=">u2"),
        "flag": np.array([True, False]),
        "scalar": np.float64(2.5),
        "text": "lbs",
        "rows": scipy.sparse.csr_matrix(np.eye(3)[:2]),
        "columns": scipy.sparse.csc_matrix(np.eye(3)[:2]),
        "empty": np.zeros((0, 3)),
    }
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(arrays, protocol=protocol))
    loaded = load_pickled_arrays(path)
    for key in ("double", "column", "big", "flag", "empty"):
        np.testing.assert_array_equal(loaded[key], arrays[key])
    assert loaded["scalar"] == 2.5 and loaded["text"] == "lbs"
    np.testing.assert_array_equal(loaded["rows"], np.eye(3)[:2])
    np.testing.assert_array_equal(loaded["columns"], np.eye(3)[:2])


class Reduces:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_pickles(marker):
    harm = f"open({str(marker)!r}, 'w').write('x')"
    yield pickle.dumps(Reduces(os.system, f"touch {marker}"))
    yield pickle.dumps(Reduces(builtins.eval, harm))
    yield pickle.dumps(Reduces(builtins.exec, harm), protocol=0)
    yield f"cbuiltins\ngetattr\n(cos\nsystem\nS'touch {marker}'\ntR.".encode()
    yield f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode()
    yield f"(S'touch {marker}'\nios\nsystem\n.".encode()
    yield f"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\nS'touch {marker}'\ntR.".encode()
    yield f"cchumpy\nos.system\n(S'touch {marker}'\ntRcos\nsystem\n(S'touch {marker}'\ntR.".encode()
    yield f"cnumpy\nload\n(S'{marker}'\ntR.".encode()
    yield b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR."
    yield pickle.dumps(collections.Counter("abc"))
    yield pickle.dumps(Reduces(operator.attrgetter, "__class__"))
    yield b"\x80\x02P0\n."
    yield b"\x80\x02c__builtin__\nobject\n)\x81}U\x0c__setstate__cos\nsystem\nsb."


def test_hostile_pickles_are_refused_and_nothing_runs(tmp_path):
    marker, path = tmp_path / "harm", tmp_path / "hostile.pkl"
    for data in hostile_pickles(marker):
        path.write_bytes(data)
        with pytest.raises(FaceModelError, match=r"hostile\.pkl"):
            load_flame(path)
        assert not marker.exists()


def test_a_hostile_landmark_embedding_is_refused(flame_file, tmp_path):
    np.save(
        tmp_path / "landmark_embedding.npy",
        np.array(Reduces(os.system, f"touch {tmp_path / 'harm'}")),
        allow_pickle=True,
    )
    with pytest.raises(FaceModelError, match=r"landmark_embedding\.npy: names '(posix|nt)\.system'"):
        load_flame(flame_file, tmp_path / "landmark_embedding.npy")
    assert not (tmp_path / "harm").exists()


def test_a_sparse_matrix_with_indices_out_of_range_is_refused(tmp_path):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.indices = matrix.indices + 100
    path = tmp_path / "sparse.pkl"
    path.write_bytes(pickle.dumps({"J_regressor": matrix}))
    with pytest.raises(FaceModelError, match=r"sparse\.pkl: not a readable pickle"):
        load_pickled_arrays(path)
