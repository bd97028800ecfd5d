"""Licensed copies in the place of the twins: tiny files in their formats, a Basel model of the procedural face."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from facekit.data import DataError, parse_data
from facekit.data.readers.pictures import PictureError
from facekit.experiments import run_experiment
from facekit.reconstruction import (
    MiccCopy,
    Networks,
    PhotoError,
    build_models,
    open_copy,
    open_material,
    scan_errors,
    updates,
    write_landmarks,
)  # fmt: skip
from facekit.reconstruction.methods import SCALES
from facekit.render import rotation_matrix
from facekit.training import ConfigError
from tests.data.readers import photo_trees, scan_trees


@pytest.fixture(scope="session")
def basel(morphable, tmp_path_factory):
    """A folder in the format of BFM 2009: the mean, five people and three expressions of the built-in 3DMM."""
    folder = tmp_path_factory.mktemp("bfm")
    size = 3 * morphable.num_vertices
    people = morphable.identity_basis[:5].reshape(5, size)
    norms = people.norm(dim=1, keepdim=True)
    model = {
        "shapeMU": 1e3 * morphable.mean.reshape(size, 1), "shapePC": (people / norms).T, "shapeEV": 1e3 * norms,
        "texMU": torch.full((size, 1), 150.0), "texPC": torch.eye(size, 5), "texEV": torch.ones(5, 1),
        "tl": morphable.faces[:, [0, 2, 1]] + 1,
    }  # fmt: skip
    scipy.io.savemat(folder / "01_MorphableModel.mat", {key: value.numpy() for key, value in model.items()})
    moves = 1e3 * morphable.expression_basis[:3].reshape(3, size).T
    scipy.io.savemat(folder / "Model_Exp.mat", {"mu_exp": np.zeros((size, 1)), "w_exp": moves.numpy()})
    everything = np.arange(1, morphable.num_vertices + 1)[:, None]
    marks = morphable.landmarks.numpy()[None] + 1
    scipy.io.savemat(folder / "model_info.mat", {"trimIndex": everything, "keypoints": marks})
    return folder


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    """300W-LP, CelebA with landmarks of all but one picture, AFLW2000-3D and MICC, in miniature."""
    root = tmp_path_factory.mktemp("copies")
    photo_trees.wlp300_tree(root / "lp")
    photo_trees.celeba_tree(root / "celeba")
    photo_trees.aflw2000_tree(root / "aflw")
    scan_trees.micc(root / "micc")
    for number in (1, 2, 3, 4, 6):
        np.savetxt(root / f"celeba/img_align_celeba/{number:06d}.txt", points_of_a_face(number))
    return root


def points_of_a_face(number):
    return np.random.default_rng(number).uniform((40, 60), (130, 160), (68, 2))


@pytest.fixture(scope="session")
def text(basel, copies):
    return f"300wlp={copies / 'lp'},celeba={copies / 'celeba'},bfm={basel}"


def test_coefficients_become_faces_of_the_basel_model(text, basel, copies, recipe):
    material = open_material(replace(recipe, data=text))
    assert material.prior.model.num_identity == 5 and len(material.labelled) == 4
    batch = material.labelled.batch(torch.arange(2))
    assert batch["image"].shape == (2, 3, 32, 32) and batch["mask"].all() and batch["landmarks"].shape == (2, 68, 2)
    stored = photo_trees.fit_arrays()
    whole = material.morphable
    directions = scipy.io.loadmat(basel / "01_MorphableModel.mat")["shapePC"]
    people = torch.from_numpy(directions @ stored["Shape_Para"][:5, 0]).float() / 1e3
    moved = whole.expression_basis.flatten(1).T @ torch.from_numpy(stored["Exp_Para"][:3, 0]).float()
    by_hand = whole.mean + (people + moved).view(-1, 3)
    found = material.prior.model.shape(batch["shape_code"][:1], batch["expression_code"][:1])[0]
    torch.testing.assert_close(found, by_hand[material.prior.vertices], atol=2e-2, rtol=1e-4)


def test_faces_fill_as_much_of_a_crop_as_in_the_twins(text, copies):
    for name in ("300wlp", "celeba"):
        points = open_copy(text, name, 32)[0]["landmarks"]
        assert float((points.amax(0) - points.amin(0)).max()) == pytest.approx(32 / 1.6, abs=0.1)
        assert float(((points.amax(0) + points.amin(0)) / 2 - 16).abs().max()) < 0.1


def test_collections_are_the_training_part_of_the_pictures_with_landmarks(text, copies, recipe):
    material = open_material(replace(recipe, data=text))
    assert len(material.unlabelled) == 4 and material.unlabelled.identity.tolist() == [2, 2, 3, 3]
    assert open_copy(text, "celeba", 32, subjects=1).table["subject"].nunique() == 1
    one_each = open_copy(text, "celeba", 32, photos=1)
    assert one_each.table["subject"].nunique() == len(one_each) == 2
    assert [str(name) for name in open_copy(text, "celeba", 32, split="test").table["subject"]] == ["12"]


def test_a_step_of_training_runs_on_copies(text, recipe):
    chosen = replace(recipe, data=text)
    material = open_material(chosen)
    prior = material.prior.model
    networks = Networks(chosen, prior, material.labelled.people)
    _, generator = updates(chosen, material, networks, prior)
    batches = {name: getattr(material, name).batch(torch.arange(4), torch.arange(4)) for name in generator.data}

    class One:
        index = 0

    terms = generator.loss(batches, One())
    assert {"shape", "pair", "landmark", "photometric"} <= set(terms)
    assert all(torch.isfinite(term) for term in terms.values())


def test_masks_lie_beside_the_pictures(text, copies, tmp_path):
    picture = copies / "celeba/img_align_celeba/000001.jpg"
    half = np.zeros((218, 178), dtype=np.uint8)
    middle = round(float(points_of_a_face(1)[:, 0].min() + points_of_a_face(1)[:, 0].max()) / 2)
    half[:, middle:] = 255
    mask = picture.with_name("000001_mask.png")
    try:
        Image.fromarray(half).save(mask)
        found = open_copy(text, "celeba", 32)[0]["mask"][0]
        assert not found[:, :15].any() and found[:, 17:].all()
        Image.fromarray(half[1:]).save(mask)
        with pytest.raises(PictureError, match=r"000001_mask\.png: found 178 x 217 pixels, expected 178 x 218"):
            open_copy(text, "celeba", 32)[0]
    finally:
        mask.unlink()


def test_what_is_missing_is_said_in_a_sentence(text, basel, copies, recipe, tmp_path):
    def complaint(data):
        with pytest.raises(ConfigError) as error:
            open_material(replace(recipe, data=data))
        return str(error.value)

    without = text.rsplit(",", 1)[0]
    assert "belong to the Basel Face Model 2009; add bfm=FOLDER" in complaint(without)
    assert "there is nothing at /nowhere" in complaint(f"{without},bfm=/nowhere")
    assert "this needs celeba, but --data" in complaint(f"300wlp={copies / 'lp'},bfm={basel}")
    assert "this needs 300wlp, but --data" in complaint(f"celeba={copies / 'celeba'},bfm={basel}")
    (tmp_path / "01_MorphableModel.mat").write_bytes((basel / "01_MorphableModel.mat").read_bytes())
    assert "found 0 expression components and 0 landmarks" in complaint(f"{without},bfm={tmp_path}")
    photo_trees.celeba_tree(tmp_path / "bare")
    assert "none of the 6 pictures of CelebA has a file of 68 landmarks" in complaint(
        f"300wlp={copies / 'lp'},celeba={tmp_path / 'bare'},bfm={basel}"
    )
    (tmp_path / "bare" / "identity_CelebA.txt").unlink()
    assert write_landmarks(tmp_path / "bare", lambda picture: [points_of_a_face(0)]) == 6
    assert "some pictures name nobody" in complaint(f"300wlp={copies / 'lp'},celeba={tmp_path / 'bare'},bfm={basel}")


def test_landmarks_are_written_where_there_is_one_face(tmp_path):
    for name in ("one", "two", "none", "done"):
        photo_trees.write_picture(tmp_path / f"{name}.jpg", 64, 64, colour=(len(name), 0, 0))
    (tmp_path / "done.pts").write_text("kept")
    faces = iter([[], [points_of_a_face(1)], [points_of_a_face(1), points_of_a_face(2)]])  # in the order of the names
    assert write_landmarks(tmp_path, lambda picture: next(faces)) == 1
    assert [path.name for path in sorted(tmp_path.glob("*.txt"))] == ["one.txt"]
    np.testing.assert_allclose(np.loadtxt(tmp_path / "one.txt"), points_of_a_face(1), atol=0.01)


def test_landmarks_that_were_broken_off_are_written_again(tmp_path, monkeypatch):
    photo_trees.write_picture(tmp_path / "one.jpg", 64, 64, colour=(1, 0, 0))
    save, stopped = np.savetxt, [True]

    def broken_off(path, points, **options):
        if stopped:
            save(path, points[:30], **options)
            raise KeyboardInterrupt
        save(path, points, **options)

    monkeypatch.setattr(np, "savetxt", broken_off)
    with pytest.raises(KeyboardInterrupt):
        write_landmarks(tmp_path, lambda picture: [points_of_a_face(1)])
    stopped.clear()
    assert write_landmarks(tmp_path, lambda picture: [points_of_a_face(1)]) == 1
    assert len(np.loadtxt(tmp_path / "one.txt")) == 68


@pytest.fixture
def films(monkeypatch, copies):
    """Two people's videos in three conditions of four frames each, and a detector that finds a face in the middle."""
    for person in ("subject_01", "subject_02"):
        for condition in ("Cooperative", "Indoor", "Outdoor"):
            path = copies / "micc" / person / "Video" / f"{condition}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"frames")
    frame = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    monkeypatch.setattr("facekit.data.readers.micc.has_opencv", lambda: True)
    monkeypatch.setattr("facekit.data.readers.micc.count_frames", lambda path, inventory: 4)
    monkeypatch.setattr("facekit.data.readers.micc.read_frame", lambda path, number: frame)
    corners = np.stack([np.linspace(30, 50, 68), np.linspace(15, 45, 68)], axis=1)
    monkeypatch.setattr("facekit.reconstruction.copies.find_detector", lambda model: lambda picture: [corners])
    return f"micc={copies / 'micc'},aflw2000={copies / 'aflw'}"


def test_micc_gives_frames_around_the_face_and_scans(films):
    micc = open_copy(films, "micc", 32, frames=2)
    assert len(micc) == 12 and set(micc.table["condition"]) == {"cooperative", "indoor", "outdoor"}
    assert micc[0]["image"].shape == (3, 32, 32)
    vertices, faces = micc.scan("subject_01")
    (tip,) = micc.scan_landmarks("subject_01")
    assert vertices[tip, 2] == vertices[:, 2].max() and faces.max() < len(vertices)


def test_the_detector_s_model_lies_in_the_folder_of_micc(films, copies, monkeypatch):
    asked, model = [], copies / "micc" / "face_landmarker.task"

    def find_detector(path):
        asked.append(path)
        raise PhotoError("mediapipe is out.")

    monkeypatch.setattr("facekit.reconstruction.copies.find_detector", find_detector)
    with pytest.raises(DataError, match=r"face_landmarker\.task or shape_predictor_68.* mediapipe is out"):
        open_copy(films, "micc", 32, frames=1)
    try:
        model.write_bytes(b"network")
        with pytest.raises(DataError):
            open_copy(films, "micc", 32, frames=1)
    finally:
        model.unlink()
    assert asked == [None, model]


def test_videos_and_scans_of_different_people(films):
    micc = open_copy(films, "micc", 32, frames=1)
    strangers = micc._scans.select(micc._scans.table["subject"] == "nobody")
    with pytest.raises(DataError, match=r"found videos of 2 people and scans of 0; expected people of whom"):
        MiccCopy(parse_data(films).open("micc", what="videos", frames=1), strangers)


def test_the_tip_of_the_nose_may_be_named(films, copies):
    micc = open_copy(films, "micc", 32, frames=1)
    vertices, _ = micc.scan("subject_01")
    note = copies / "micc/subject_01/Model/frontal1/obj/110920150452.txt"
    try:
        note.write_text("{:.3f} {:.3f} {:.3f}\n".format(*vertices[100].tolist()))
        assert micc.scan_landmarks("subject_01").tolist() == [100]
        note.write_text("tip of the nose")
        with pytest.raises(DataError, match=r"110920150452\.txt: expected the tip of the nose as three numbers"):
            micc.scan_landmarks("subject_01")
    finally:
        note.unlink()


def test_one_landmark_is_enough_for_an_upright_scan(prior, morphable):
    shape = morphable.shape(torch.randn(1, 10, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 6))[0]
    turned = shape @ rotation_matrix(torch.tensor([[0.0, 6.0, 0.0]]))[0].T + torch.tensor([300.0, -40.0, 900.0])
    tip = morphable.landmarks[30:31]
    errors, _ = scan_errors(
        shape[prior.vertices], prior.model.faces, prior.model.landmarks, turned, morphable.faces, tip
    )
    assert float(errors.mean()) < 0.05


def test_tables_are_measured_on_copies(films, text, monkeypatch):
    smoke, sizes = SCALES["smoke"]
    monkeypatch.setitem(SCALES, "smoke", (replace(smoke, batch_size=4), sizes))
    result = run_experiment("reconstruction/table1", data=f"{text},{films}", scale="smoke", seeds=[0])
    measured = {row["method"]: row["measured"] for row in result["rows"]}
    assert measured["identity: full model"]["outdoor_mean"]["mean"] > 0
    assert "per-image optimisation" not in measured


def test_models_of_a_run_on_copies_are_read_again(text, recipe):
    face_model, whole, prior = build_models(replace(recipe, data=text))
    assert face_model is whole and prior.model.num_expression == 3


def test_poses_of_aflw_are_those_of_its_crops(films, copies):
    batch = open_copy(films, "aflw2000", 32).batch(range(3))
    assert batch["pose"].shape == (3, 6) and batch["landmarks"].shape == (3, 68, 2)
    extent = np.ptp(photo_trees.fit_arrays()["pt2d"], axis=1).max()
    assert batch["pose"][:, 3].tolist() == pytest.approx([1.4 * 32 / (1.6 * extent)] * 3, rel=1e-3)
