"""The face world: labels that agree with each other and with the picture, and rows that never change."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from facekit.data import Nuisance
from facekit.data.manifest import EXPRESSION_LABELS, OCCLUDERS
from facekit.data.sources import DataError, DataSource
from facekit.data.world import OUTPUTS, PROTOCOLS, FaceWorld, twin, twin_table
from facekit.morphable import ACTION_UNITS, LinearFaceModel, ProceduralFace, load_ict
from facekit.render import rotation_matrix, weak_perspective

EXACT = ("action_units", "gaze", "pose", "light", "expression", "performed", "occluder", "identity_code", "person")


def test_every_label_has_its_documented_shape(small_world, face_model):
    sample = small_world[[0, 30, 77, 200]]
    sizes = {"B": 4, "H": 48, "W": 48, "V": face_model.num_vertices, "A": len(ACTION_UNITS)}
    sizes |= {name: getattr(face_model, name) for name in ("num_identity", "num_expression", "num_texture")}
    assert set(sample) == {key for key in OUTPUTS if not key.startswith("fitted")}
    for key, value in sample.items():
        written = OUTPUTS[key].split(")")[0].strip("(").split(",")
        expected = tuple(sizes.get(part.strip()) or int(part) for part in written if part.strip())
        assert tuple(value.shape) == expected, key
        assert value.device.type == "cpu" and (not value.is_floating_point() or value.dtype == torch.float32)
        if key != "activation":
            assert not value.is_floating_point() or value.isfinite().all(), key


def test_labels_agree_with_the_table_and_the_picture(small_world, face_model):
    rows = np.arange(0, 225, 7)
    sample, table = small_world[rows], small_world.table.iloc[rows]
    assert [EXPRESSION_LABELS[i] for i in sample["expression"]] == table["expression"].tolist()
    assert sample["intensity"].tolist() == table["intensity"].tolist()
    assert np.abs(sample["pose"][:, 1].numpy() - table["yaw"]).max() < 12.0
    screen = weak_perspective(sample["vertices"], sample["pose"])
    torch.testing.assert_close(screen[:, face_model.landmarks, :2], sample["landmarks"], atol=1e-3, rtol=0)
    torch.testing.assert_close(sample["vertices"][:, face_model.landmarks], sample["landmarks_3d"])
    neutral = sample["intensity"] == 0
    assert sample["action_units"][neutral].max() < 0.4 < sample["action_units"][~neutral].amax(dim=(1, 2)).median()
    mask = sample["mask"]
    assert (sample["depth"][~mask] == 0).all() and (sample["normals"].norm(dim=1, keepdim=True)[mask] > 0.99).all()
    assert 0.3 < mask.float().mean() < 0.95


def test_identity_belongs_to_the_person_and_expression_to_the_take(small_world):
    table = small_world.table
    scan = np.flatnonzero(table["take"] == table["take"].iloc[100])
    other_scan = np.flatnonzero(table["take"] == table["take"].iloc[0])
    one, two = small_world[scan], small_world[other_scan]
    assert len(scan) == 9
    for key in ("identity_code", "expression_code", "texture_code", "light", "vertices", "action_units"):
        torch.testing.assert_close(one[key], one[key][:1].expand_as(one[key]), atol=1e-4, rtol=0)
    assert torch.equal(one["identity_code"][0], two["identity_code"][0])
    assert not torch.equal(one["expression_code"][0], two["expression_code"][0])
    assert not torch.equal(small_world[0]["identity_code"], small_world[-1]["identity_code"])


@pytest.mark.parametrize("name", ["small_world", "wild_world"])
def test_a_row_is_the_same_in_every_batch(name, request):
    world = request.getfixturevalue(name)
    rows = np.arange(len(world))[:: max(1, len(world) // 6)]
    together = world[rows]
    for place, row in enumerate(rows):
        alone = world[[row]]
        for key in EXACT:
            torch.testing.assert_close(alone[key][0], together[key][place], atol=0, rtol=0)
        difference = (alone["image"][0] - together["image"][place]).abs()
        assert difference.max() <= 1.01 / 255 and (difference > 0).float().mean() < 0.001, "beyond rounding"


def test_a_row_is_the_same_in_another_process_and_another_worker(small_world, repository):
    rows = [3, 111, 204]
    code = (
        "import torch; from facekit.data.world import twin; from facekit.morphable import ProceduralFace\n"
        "world = twin('bu3dfe', subjects=2, image_size=48, model=ProceduralFace(level=0))\n"
        f"sample = world[{rows}]; print(sample['image'].double().sum().item(), sample['pose'].double().sum().item())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    image, pose = map(float, run.stdout.split())
    here = small_world[rows]
    assert abs(image - here["image"].double().sum()) < 3 / 255 and pose == here["pose"].double().sum()
    loader = torch.utils.data.DataLoader(small_world, sampler=[rows], batch_size=None, num_workers=1)
    torch.testing.assert_close(next(iter(loader))["image"], here["image"], atol=1.01 / 255, rtol=0)


def test_mirrored_rows_are_mirror_images(wild_world):
    table = wild_world.table
    original = np.flatnonzero(~table["mirrored"])[:6]
    copies = [np.flatnonzero((table["seed"] == table["seed"].iloc[row]) & table["mirrored"])[0] for row in original]
    one, two = wild_world[original], wild_world[copies]
    assert torch.equal(one["image"].flip(-1), two["image"])
    torch.testing.assert_close(one["pose"][:, 1:3], -two["pose"][:, 1:3])
    assert torch.equal(one["action_units"].flip(-1), two["action_units"])
    np.testing.assert_allclose(two["pose"][:, 1], table["yaw"].iloc[copies], atol=1e-4)


def test_occluders_hide_landmarks_and_have_their_mask(face_model):
    table = twin_table("bu3dfe", subjects=1, views=1).iloc[:12].copy()
    table["yaw"] = 0.0
    names = [*OCCLUDERS, ""] * 3
    sample = FaceWorld(table.assign(occluder=names), model=face_model, image_size=64)[:]
    bare = FaceWorld(table, model=face_model, image_size=64)[:]
    assert [OCCLUDERS[i] if i >= 0 else "" for i in sample["occluder"]] == names
    covered = sample["occluder_mask"].flatten(1).float().mean(dim=1)
    worn = sample["occluder"] >= 0
    assert (covered[worn] > 0.005).all() and (covered[~worn] == 0).all()
    assert not (sample["occluder_mask"] & sample["mask"]).any()
    hand = sample["occluder"] == OCCLUDERS.index("hand")
    assert (sample["landmarks_visible"][hand].sum(dim=1) < bare["landmarks_visible"][hand].sum(dim=1) - 2).all()
    changed = (sample["image"] - bare["image"]).abs().amax(dim=1, keepdim=True) > 0.05
    assert (changed & sample["occluder_mask"]).sum() > 0.5 * sample["occluder_mask"].sum()


def test_turned_away_landmarks_are_not_visible(face_model):
    table = twin_table("bu3dfe", subjects=3)
    chosen = table[(table["expression"] == "neutral") & table["yaw"].isin([-90.0, 0.0, 90.0])]
    sample = FaceWorld(chosen, model=face_model, image_size=64)[:]
    left_eye, right_eye = sample["landmarks_visible"][:, 42:48], sample["landmarks_visible"][:, 36:42]
    for yaw, left, right in zip(chosen["yaw"], left_eye, right_eye, strict=True):
        seen = {-90.0: (True, False), 0.0: (True, True), 90.0: (False, True)}[yaw]
        assert (left.float().mean() > 0.5, right.float().mean() > 0.5) == seen


def test_intensity_grows_with_the_level(small_world):
    world = FaceWorld(twin_table("bu3dfe", 10, views=1), small_world.model, 16, Nuisance(), outputs=("action_units",))
    units = world[:]["action_units"].sum(dim=(1, 2))
    strength = [units[torch.tensor((world.table["intensity"] == level).to_numpy())].mean() for level in range(5)]
    assert strength == sorted(strength) and strength[4] > 1.5 * strength[1]


def test_women_and_men_are_women_and_men(face_model):
    world = twin("kdef", subjects=12, image_size=16, model=face_model, sessions=1, outputs=("identity_code",))
    rows = np.flatnonzero((world.table["expression"] == "neutral") & (world.table["yaw"] == 0))
    trait = world[rows]["identity_code"][:, face_model.sex_trait]
    assert (trait > 0).tolist() == (world.table["sex"].iloc[rows] == "M").tolist()


def test_backgrounds_do_not_tell_the_label(face_model):
    """Pixels outside the face are no better than chance at telling the expression."""
    world = twin("bu3dfe", subjects=40, image_size=16, model=face_model, views=1, outputs=("image", "expression"))
    rows = np.flatnonzero(world.table["intensity"] == 4)
    sample = world[rows]
    corners = sample["image"][:, :, [0, 0], [0, -1]].flatten(1)
    features = torch.cat([corners, torch.ones(len(rows), 1)], dim=1)
    one_hot = torch.nn.functional.one_hot(sample["expression"], len(EXPRESSION_LABELS)).float()
    train = torch.arange(len(rows)) % 2 == 0
    weights = torch.linalg.lstsq(features[train], one_hot[train]).solution
    accuracy = ((features[~train] @ weights).argmax(dim=1) == sample["expression"][~train]).float().mean()
    assert accuracy < 1 / 6 + 0.12


def test_settings_reach_the_picture(small_world):
    world = small_world.select(np.arange(0, 60, 5))
    small = FaceWorld(world.table, world.model, 48, replace(Nuisance(), fill=0.4), outputs=("mask", "pose"))[:]
    large = FaceWorld(world.table, world.model, 48, replace(Nuisance(), fill=0.8), outputs=("mask", "pose"))[:]
    torch.testing.assert_close(large["pose"][:, 3], 2 * small["pose"][:, 3])
    assert large["mask"].float().mean() > 1.5 * small["mask"].float().mean()
    weak = FaceWorld(world.table, world.model, 48, replace(Nuisance(), strength=0.3), outputs=("action_units",))[:]
    full = FaceWorld(world.table, world.model, 48, Nuisance(), outputs=("action_units",))[:]
    assert weak["action_units"].sum() < 0.6 * full["action_units"].sum()
    table = world.table.assign(activation=0.9)
    wrong = FaceWorld(table, world.model, 48, replace(Nuisance(), mislabelled=1.0), outputs=("action_units",))[:]
    right = FaceWorld(table, world.model, 48, Nuisance(), outputs=("action_units",))[:]
    assert ((wrong["action_units"] - right["action_units"]).abs().amax(dim=(1, 2)) > 0.2).all()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_twin_renders(name, face_model):
    sizes = {PROTOCOLS[name].extent_name: 3} if PROTOCOLS[name].extent_name not in ("", "sessions") else {}
    world = twin(name, subjects=3, image_size=32, model=face_model, **sizes)
    rows = np.unique(np.linspace(0, len(world) - 1, 9).astype(int))
    sample = world[rows]
    assert sample["image"].isfinite().all() and sample["mask"].flatten(1).any(dim=1).all()
    assert sample["landmarks"].isfinite().all() and (sample["landmarks_visible"].sum(dim=1) >= 15).all()


def test_spontaneous_frames_show_the_coded_units(face_model):
    world = twin("bp4d", subjects=3, image_size=32, model=face_model, outputs=("action_units",), frames=20)
    units = world[:]["action_units"].amax(dim=2)
    for unit in PROTOCOLS["bp4d"].units:
        coded = torch.tensor(world.table[f"AU{unit}"].to_numpy() == 1)
        shown = units[:, ACTION_UNITS.index(unit)]
        if coded.any():
            assert shown[coded].min() > 0.18
        assert shown[~coded].max() < 0.32


def test_sequences_move_smoothly(face_model):
    world = twin("bu4dfe", subjects=1, image_size=32, model=face_model, outputs=("vertices", "pose", "activation"))
    sample = world[np.arange(100)]
    step = (sample["vertices"][1:] - sample["vertices"][:-1]).norm(dim=-1).amax(dim=1)
    assert step.max() < 6.0, "no vertex jumps between frames 40 ms apart (blinks are the fastest)"
    apex, rest = sample["activation"].argmax(), 0
    assert (sample["vertices"][apex] - sample["vertices"][rest]).norm(dim=-1).max() > 3.0
    assert sample["pose"][:, :3].diff(dim=0).abs().max() < 1.5


def test_speech_moves_the_mouth(face_model):
    world = twin("fanelli", subjects=1, image_size=32, model=face_model, outputs=("vertices",), frames=30)
    lips = world[np.arange(30)]["vertices"][:, face_model.landmarks[48:68]]
    brows = world[np.arange(30)]["vertices"][:, face_model.landmarks[17:27]]
    assert lips.std(dim=0).norm(dim=-1).mean() > 3 * brows.std(dim=0).norm(dim=-1).mean()


def test_a_scan_is_the_neutral_face(face_model):
    world = twin("micc", subjects=2, image_size=32, model=face_model, frames=4)
    vertices, faces = world.scan("subject_02")
    scan = world.select((world.table["subject"] == "subject_02") & (world.table["condition"] == "scan"))[0]
    assert (vertices - scan["vertices"]).norm(dim=-1).mean() < 0.5 and faces.shape[1] == 3
    with pytest.raises(DataError, match="no subject named 'subject_09'"):
        world.scan("subject_09")


def test_the_world_on_scanned_faces(ict_path):
    model = load_ict(ict_path, "closed", num_identity=20)
    world = twin("kdef", subjects=2, image_size=48, model=model, sessions=1)
    sample = world[np.arange(0, 70, 6)]
    assert sample["image"].isfinite().all() and sample["vertex_albedo"].std() > 0.03
    assert sample["vertices"].shape[1] == model.num_vertices
    frontal = np.abs(world.table["yaw"].to_numpy()[np.arange(0, 70, 6)]) < 1
    assert (sample["landmarks_visible"][torch.from_numpy(frontal)].float().mean(dim=1) > 0.8).all()


def plain_linear_model(model, people=16):
    """The average of some people, and their differences from it, as a linear model without action units."""
    identity = model.sample_identity(people, torch.Generator().manual_seed(0))
    faces = model.shape(identity, model.neutral_expression(people))
    smile = torch.zeros(1, len(ACTION_UNITS), 2)
    smile[:, ACTION_UNITS.index(12)] = 1.0
    average = torch.zeros(1, model.num_identity)
    movement = model.shape(average, model.expression_code(smile)) - model.shape(average, model.neutral_expression())
    return LinearFaceModel(
        name="plain", faces=model.faces, uv=model.uv, landmarks=model.landmarks, symmetry=model.symmetry,
        regions=model.regions, mean=faces.mean(dim=0), identity_basis=faces - faces.mean(dim=0),
        expression_basis=movement,
    )  # fmt: skip


def test_fitted_coefficients_come_near_the_face(face_model):
    linear = plain_linear_model(face_model)
    table = twin_table("300wlp", subjects=4, views=1)
    outputs = ("vertices", "fitted_identity_code", "fitted_expression_code")
    sample = FaceWorld(table, face_model, 32, outputs=outputs, fit_with=linear)[:4]
    fitted = linear.shape(sample["fitted_identity_code"], sample["fitted_expression_code"])
    far, near = ((sample["vertices"] - face).norm(dim=-1).mean() for face in (linear.mean, fitted))
    assert 0.05 < near < 0.75 * far
    with pytest.raises(DataError, match="needs a linear model, given as fit_with"):
        FaceWorld(table, face_model, 32, outputs=outputs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_world_on_the_gpu(wild_world):
    rows = np.arange(0, len(wild_world), 5)
    model = ProceduralFace(level=0)
    sample = FaceWorld(wild_world.table, model, 48, wild_world.nuisance, device="cuda")[rows]
    here = wild_world[rows]
    assert all(value.is_cuda for value in sample.values())
    assert (sample["image"].cpu() - here["image"]).abs().mean() < 0.002
    torch.testing.assert_close(sample["landmarks"].cpu(), here["landmarks"], atol=0.01, rtol=0)


def test_head_pose_turns_the_vertices(small_world):
    sample = small_world[[0, 100]]
    turned = sample["vertices"] @ rotation_matrix(sample["pose"][:, :3]).mT
    nose = small_world.model.landmarks[30]
    assert (turned[0, nose, 0] < 0) and sample["pose"][0, 1] < -60


@pytest.mark.parametrize(
    ("change", "message"),
    [({"outputs": ("image", "colour")}, "'colour' is not an output"), ({"image_size": 4}, "at least 8 pixels")],
)
def test_worlds_that_cannot_be(small_world, change, message):
    with pytest.raises(DataError, match=message):
        FaceWorld(small_world.table, small_world.model, **change)


def test_tables_that_are_no_world(small_world):
    with pytest.raises(DataError, match="lacks the column 'take'"):
        FaceWorld(small_world.table.drop(columns="take"), small_world.model)
    assert isinstance(small_world, DataSource)
