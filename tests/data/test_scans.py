"""Scans, their landmarks and pictures, and registration to a face model."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial import Delaunay

from facekit.data.scans import (
    BP4D_TO_BU,
    RegistrationError,
    Scan,
    landmarks_from_83,
    landmarks_from_bosphorus,
    register_all,
    register_scan,
    render_scan,
)
from facekit.data.scans.landmarks import walked
from facekit.meshes import boundary_loops, closest_points
from facekit.morphable import build_linear_model
from tests.data.formats.scan_files import LABELS
from tests.data.readers.scan_trees import points_83

TURN = torch.linalg.matrix_exp(torch.tensor([[0, -0.1, 0.05], [0.1, 0, 0.08], [-0.05, -0.08, 0]]))
SHIFT = torch.tensor([5.0, -8.0, 30.0])


@pytest.fixture(scope="module")
def linear_model(face_model):
    return build_linear_model(
        face_model, 120, num_identity=40, num_expression=20, num_texture=1, performances=200, seed=5
    )


def held_out(face_model, seed: int) -> torch.Tensor:
    """Vertices (V, 3) of a smiling person who is in no training population."""
    identity = face_model.sample_identity(1, torch.Generator().manual_seed(1000 + seed))
    units = torch.zeros(1, 22, 2)
    units[0, 8] = 0.8
    return face_model.shape(identity, face_model.expression_code(units))[0]


def point_scan(face_model, vertices: torch.Tensor, seed: int, points: int = 6000) -> tuple[torch.Tensor, torch.Tensor]:
    """An irregular scan of the front of a face, with noise of 0.1 mm, three holes of 20 mm and a ragged edge."""
    generator = np.random.default_rng(seed)
    hidden = (face_model.regions["eyes"] | face_model.regions["mouth_interior"]).numpy()
    faces = face_model.faces.numpy()[~hidden[face_model.faces.numpy()].any(1)]
    corners = vertices.numpy().astype(float)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    area = area * (normals[:, 2] > 0.25 * area)
    chosen = generator.choice(len(faces), points, p=area / area.sum())
    found = (corners[chosen] * generator.dirichlet(np.ones(3), points)[..., None]).sum(1)
    cell = np.unique(np.floor(found[:, :2] / 2.0).astype(int), axis=0, return_inverse=True)[1].ravel()
    nearest = np.full(cell.max() + 1, -np.inf)
    np.maximum.at(nearest, cell, found[:, 2])
    found = found[found[:, 2] > nearest[cell] - 6.0] if points else found
    found = found + 0.1 * generator.standard_normal(found.shape)
    triangles = Delaunay(found[:, :2]).simplices
    p = found[triangles]
    keep = np.linalg.norm(p - np.roll(p, 1, axis=1), axis=2).max(1) < 8.0
    for centre in found[generator.choice(len(found), 3)]:
        keep &= np.linalg.norm(p.mean(1) - centre, axis=1) > 10.0
    up = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])[:, 2] > 0
    triangles = np.where(up[:, None], triangles, triangles[:, ::-1])[keep]
    used, renumbered = np.unique(triangles, return_inverse=True)
    return torch.from_numpy(found[used]).float(), torch.from_numpy(renumbered.reshape(-1, 3)).long()


def register(model, face_model, seed: int, **options):
    """A registration, and the distances (V,) of its vertices from where they truly are and from the true surface."""
    truth = held_out(face_model, seed)
    vertices, faces = point_scan(face_model, truth, seed)
    noise = torch.randn(68, 3, generator=torch.Generator().manual_seed(seed))
    marks = truth[face_model.landmarks] + noise
    found = register_scan(model, vertices @ TURN.T + SHIFT, faces, marks @ TURN.T + SHIFT, **options)
    back = found.to_model.inverse().apply(found.vertices.double()).float()
    truth = truth @ TURN.T + SHIFT
    skin = found.matched & ~face_model.regions["eyes"] & ~face_model.regions["mouth_interior"]
    surface = closest_points(back, truth, face_model.faces).distance
    return found, (back - truth).norm(dim=1)[skin], surface[skin]


def test_the_scan_has_holes(face_model):
    truth = held_out(face_model, 0)
    vertices, faces = point_scan(face_model, truth, 0)
    assert 3000 < len(vertices) < 6000 and len(boundary_loops(faces)) > 3


@pytest.mark.parametrize("seed", [0, 1])
def test_a_held_out_face_is_registered(face_model, linear_model, seed):
    found, offsets, surface = register(linear_model, face_model, seed)
    assert found.matched.float().mean() > 0.3
    assert surface.mean() < 0.4 and offsets.mean() < 2.2 and found.error < 0.4
    assert found.identity.shape == (40,) and found.expression.shape == (20,)
    assert found.vertices.isfinite().all()


def test_the_template_alone_comes_near(face_model, linear_model):
    _, template, surface = register(face_model, face_model, 0)
    _, fitted, _ = register(linear_model, face_model, 0)
    assert surface.mean() < 0.8 and template.mean() < 5.0
    assert fitted.mean() < template.mean()


def test_what_is_left_after_the_linear_fit_is_closed(face_model, linear_model):
    """Without the non-rigid part the vertices stay where the linear model can put them."""
    _, _, stiff = register(linear_model, face_model, 0, stiffness=(1e6,), rounds=1)
    _, _, soft = register(linear_model, face_model, 0)
    assert soft.mean() < 0.6 * stiff.mean()


def test_few_landmarks_are_enough(face_model, linear_model):
    truth = held_out(face_model, 0)
    vertices, faces = point_scan(face_model, truth, 0)
    marks = torch.full((68, 3), torch.nan)
    few = [8, 27, 30, 36, 39, 42, 45, 48, 54, 57]
    marks[few] = truth[face_model.landmarks[few]]
    found = register_scan(linear_model, vertices, faces, marks)
    assert found.error < 0.5
    marks[[27, 30, 36, 39]] = torch.nan
    with pytest.raises(RegistrationError, match="5 landmarks are known beside the jaw line, expected six"):
        register_scan(linear_model, vertices, faces, marks)


def test_scans_that_cannot_be_registered(face_model, linear_model):
    truth = held_out(face_model, 0)
    vertices, faces = point_scan(face_model, truth, 0)
    marks = truth[face_model.landmarks]
    with pytest.raises(RegistrationError, match="coordinates that are not finite"):
        register_scan(linear_model, vertices * torch.nan, faces, marks)
    with pytest.raises(RegistrationError, match="faces without vertices"):
        register_scan(linear_model, vertices, faces + len(vertices), marks)
    with pytest.raises(RegistrationError, match=r"found \(6000, 2\)|expected vertices"):
        register_scan(linear_model, vertices[:, :2], faces, marks)
    with pytest.raises(RegistrationError, match="came to lie on the scan"):
        register_scan(linear_model, vertices + 500.0, faces, marks)


def test_landmarks_from_83(face_model):
    truth = held_out(face_model, 0).double().numpy()
    marks = truth[face_model.landmarks.numpy()]
    points = points_83(marks)
    found = landmarks_from_83(points, truth)
    distance = np.linalg.norm(found - marks, axis=1)
    np.testing.assert_allclose(found[48:60], marks[48:60], rtol=1e-6)
    assert distance[[8, 36, 39, 42, 45]].max() < 1e-4 and distance[36:48].max() < 4.0
    for brow in (slice(17, 22), slice(22, 27)):  # on the brow's line, though not at the same steps along it
        line = np.interp(found[brow, 0], marks[brow, 0], marks[brow, 1])
        assert np.abs(found[brow, 1] - line).max() < 2.0 and distance[brow].max() < 8.0
    assert distance[27] < 1.0 and distance[30] < 4.0 and distance[[31, 32, 34, 35]].max() < 1e-4 and distance[33] < 6.0
    assert np.isnan(landmarks_from_83(points)[28:31]).all()
    backwards = points.copy()  # eyes and inner lip may run in the other sense
    backwards[1:8], backwards[9:16], backwards[61:68] = points[7:0:-1], points[15:8:-1], points[67:60:-1]
    np.testing.assert_allclose(landmarks_from_83(backwards, truth)[36:48], found[36:48], atol=1e-5)
    points[0] = np.nan
    assert np.isnan(landmarks_from_83(points, truth)[39]).all() and np.isfinite(landmarks_from_83(points)[42:48]).all()


def test_bp4d_has_an_order_of_its_own():
    assert sorted(BP4D_TO_BU) == list(range(83))
    assert BP4D_TO_BU[0] == 20 and BP4D_TO_BU[16] == 0 and BP4D_TO_BU[75] == 75  # inner eye corner, brow, chin


def test_landmarks_from_bosphorus():
    points = {label: np.array([k, 2.0 * k, 1.0]) for k, label in enumerate(LABELS)}
    found = landmarks_from_bosphorus(points)
    assert (
        found[30].tolist() == [13, 26, 1] and found[45].tolist() == [9, 18, 1] and found[27].tolist() == [10.5, 21, 1]
    )
    np.testing.assert_allclose(found[17:22, 0], [0, 0.5, 1, 1.5, 2])
    assert np.isnan(found[[0, 37, 49, 60]]).all() and np.isnan(found[28:30]).all()
    del points["Nose tip"], points["Middle left eyebrow"]
    found = landmarks_from_bosphorus(points)
    assert np.isnan(found[17:22]).all() and np.isnan(found[30]).all() and np.isfinite(found[22:27]).all()


def test_walking_a_curve():
    curve = np.array([[0, 0, 0], [1, 0, 0], [1, 3, 0]], dtype=float)
    np.testing.assert_allclose(walked(curve, 5), [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 2, 0], [1, 3, 0]])
    assert np.isnan(walked(curve * np.nan, 3)).all() and (walked(np.ones((3, 3)), 2) == 1).all()


def test_colours_of_vertices(tmp_path):
    from PIL import Image

    Image.fromarray(np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]])).save(tmp_path / "t.png")
    vertices = torch.tensor([[0.0, 1, 0], [1, 1, 0], [0, 0, 0], [5, 5, 5]])
    faces, uv = torch.tensor([[0, 2, 1]]), torch.tensor([[0.25, 0.75], [0.25, 0.25], [0.75, 0.75]])
    scan = Scan(vertices, faces, uv=uv, uv_faces=torch.tensor([[0, 1, 2]]), texture=tmp_path / "t.png")
    colours = scan.vertex_colours()
    assert torch.allclose(colours, torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]]), atol=1e-5)
    assert Scan(vertices, faces).vertex_colours() is None


def test_pictures_without_landmarks_or_texture(face_model):
    vertices = held_out(face_model, 0)
    views = render_scan(Scan(vertices, face_model.faces), 48, (-30.0, 30.0))
    assert views["image"].shape == (2, 3, 48, 48) and 0.1 < views["mask"].float().mean() < 0.9
    assert not views["landmarks_visible"].any() and views["pose"][:, 1].tolist() == [-30.0, 30.0]
    assert views["image"].std() > 0.05


class FewScans:
    """Four rows of three scans: two that can be registered, one of them seen twice, and one without landmarks."""

    def __init__(self, face_model):
        self.table = pd.DataFrame({"path": ["a", "a", "b", "c"]})
        self.read = []
        self._scans = {}
        for seed, name in enumerate("ab"):
            truth = held_out(face_model, seed)
            vertices, faces = point_scan(face_model, truth, seed)
            self._scans[name] = Scan(vertices, faces, truth[face_model.landmarks], name=name)
        self._scans["c"] = Scan(*point_scan(face_model, held_out(face_model, 3), 3), name="c")

    def scan(self, row):
        self.read.append(row)
        return self._scans[self.table["path"].iloc[row]]


def test_a_data_set_in_correspondence(face_model, linear_model, tmp_path):
    source, steps = FewScans(face_model), []
    options = {"fit_rounds": 3, "stiffness": (10.0, 1.0), "rounds": 1}
    first = register_all(source, linear_model, tmp_path, progress=lambda *step: steps.append(step), **options)
    assert first.rows.tolist() == [0, 2] and first.vertices.shape == (2, linear_model.num_vertices, 3)
    assert first.failures == {3: "c: the scan has no landmarks"} and steps == [(1, 3), (2, 3), (3, 3)]
    assert (first.errors < 1.0).all() and source.read == [0, 2, 3]
    kept = sorted(tmp_path.iterdir())
    kept[0].write_bytes(b"")  # as if the run had been interrupted, or the disk had failed
    again = register_all(source, linear_model, tmp_path, **options)
    assert torch.equal(again.vertices, first.vertices) and len(source.read) == 5
    register_all(source, linear_model, tmp_path, rows=[0], **options | {"rounds": 2})
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(RegistrationError, match="none of 1 scans could be registered; the first: c: the scan has no"):
        register_all(source, linear_model, tmp_path, rows=[3])
