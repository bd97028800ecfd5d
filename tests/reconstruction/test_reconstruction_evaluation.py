"""The MICC protocol on faces whose error is known, pose, landmarks, verification, and the per-image optimisation."""

import numpy as np
import pytest
import torch

from facekit.data import twin
from facekit.meshes import rotation_from_vector
from facekit.reconstruction import (
    CONDITIONS,
    average_over_identity,
    average_over_views,
    encode,
    fit_photos,
    linear_reconstructor,
    micc_errors,
    pose_and_landmarks,
    scan_errors,
    verification,
)
from facekit.reconstruction.evaluation import micc_frames


@pytest.fixture(scope="module")
def micc(face_model):
    return twin("micc", subjects=2, frames=4, image_size=32, model=face_model, outputs=("image", "mask", "landmarks"))


def test_a_moved_copy_of_the_scan_has_no_error(micc, face_model, prior):
    scan, faces = micc.scan("subject_01")
    turn = rotation_from_vector(torch.tensor([0.1, -0.2, 0.15]))
    moved = scan[prior.vertices] @ turn.T + torch.tensor([5.0, -3.0, 8.0])
    errors, ids = scan_errors(moved, prior.model.faces, prior.model.landmarks, scan, faces, face_model.landmarks)
    assert errors.max() < 1e-3
    nose = scan[face_model.landmarks[30]]
    assert (scan[ids] - nose).norm(dim=1).max() <= 95 and len(ids) > 500


def test_a_dented_forehead_is_found_where_it_is(micc, face_model, prior):
    scan, faces = micc.scan("subject_01")
    moved = scan[prior.vertices].clone()
    dent = moved[:, 1] > 60
    moved[dent, 2] -= 4.0
    errors, ids = scan_errors(moved, prior.model.faces, prior.model.landmarks, scan, faces, face_model.landmarks)
    there = scan[ids][:, 1] > 65
    assert there.any() and errors[there].mean() > 4 * errors[scan[ids][:, 1] < 30].mean()


def test_frames_are_spread_over_each_video(micc):
    rows = micc_frames(micc, 2)
    assert set(rows["condition"]) == set(CONDITIONS)
    assert (rows.groupby("sequence", observed=True).size() == 2).all()
    assert len(micc_frames(micc, 100)) == 2 * 3 * 4


def test_averages_and_their_errors(micc, face_model, network, prior):
    model, _ = network
    neutral = torch.zeros(64)
    faces = average_over_identity(model, micc, neutral, frames=2)
    assert set(faces) == {(subject, c) for subject in ("subject_01", "subject_02") for c in CONDITIONS}
    rows = micc_frames(micc, 2)
    chosen = rows[(rows["subject"] == "subject_02") & (rows["condition"] == "indoor")].index.to_numpy()
    code = encode(model, micc.batch(chosen)["image"]).identity.mean(dim=0)
    with torch.no_grad():
        expected = model.shape_decoder(code[None], neutral[None])[0]
    torch.testing.assert_close(faces["subject_02", "indoor"], expected, atol=1e-3, rtol=0)
    views = average_over_views(model, micc, frames=4)
    assert views.keys() == faces.keys()
    measured = micc_errors(faces, model, micc, face_model)
    assert set(measured) == {f"{c}_{what}" for c in CONDITIONS for what in ("mean", "std")}
    perfect = {key: micc.scan(key[0])[0][prior.vertices] for key in faces}
    assert micc_errors(perfect, prior.model, micc, face_model)["outdoor_mean"] < 1e-3 < measured["outdoor_mean"]


def test_pose_and_landmarks():
    truth = torch.tensor([[10.0, -20, 5, 1, 16, 16]])
    landmarks = torch.rand(1, 68, 2) * 20
    landmarks[0, 0], landmarks[0, 1] = torch.tensor([0.0, 0.0]), torch.tensor([20.0, 20.0])
    found = pose_and_landmarks(truth + torch.tensor([1.0, -2, 3, 0, 0, 0]), landmarks + 2, truth, landmarks)
    assert found["pitch"] == pytest.approx(1) and found["yaw"] == pytest.approx(2) and found["roll"] == pytest.approx(3)
    assert found["nme"] == pytest.approx(100 * 8**0.5 / 20, rel=1e-4)


def test_verification_agrees_with_scikit_learn():
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    people = np.repeat(np.arange(6), 4)
    codes = torch.randn(6, 8, generator=generator)[people] + 1.2 * torch.randn(24, 8, generator=generator)
    found = verification(codes, people)
    unit = torch.nn.functional.normalize(codes, dim=1)
    i, j = np.triu_indices(24, 1)
    assert found["auc"] == pytest.approx(100 * roc_auc_score(people[i] == people[j], (unit @ unit.T)[i, j]), abs=0.01)
    assert 0 < found["eer"] < 50
    assert verification(torch.eye(6)[people], people) == pytest.approx({"auc": 100.0, "eer": 0.0}, abs=0.5)
    signs = codes[:, :4].sign()  # their cosines take five values
    wanted = 100 * roc_auc_score(people[i] == people[j], (signs @ signs.T)[i, j])
    assert verification(signs, people)["auc"] == pytest.approx(wanted, abs=1e-6)
    assert verification(codes[:1].expand(24, -1), people) == {"auc": 50.0, "eer": 50.0}
    with pytest.raises(ValueError, match="only one kind"):
        verification(codes[:4], people[:4])


def test_fitting_photographs_brings_the_picture_nearer(micc, prior):
    model = linear_reconstructor(prior.model, 32, "resnet_tiny", "random")
    batch = micc.batch([1, 5])
    fit = fit_photos(model, prior.model, batch["image"], batch["mask"], batch["landmarks"], steps=40)
    assert fit.neutral.shape == (2, prior.model.num_vertices, 3)
    assert float(fit.history[-1]) < 0.3 * float(fit.history[0])
    with torch.no_grad():
        landmarks = model.render(model.decode(fit.codes)).landmarks
    assert (landmarks - batch["landmarks"]).norm(dim=2).mean() < 1.0
