"""Reading ICT-FaceKit: a tiny folder in its format, and the real model where it is present."""

import json
import os

import numpy as np
import pytest
import torch

from facekit.meshes.topology import boundary_loops, euler_characteristic
from facekit.morphable import FaceModelError, load_ict
from facekit.morphable.action_units import ACTION_UNITS
from facekit.morphable.ict import unit_matrix
from facekit.morphable.ict_files import CACHE, read_ict
from facekit.morphable.procedural.skin_code import texture_index

EXPRESSIONS = ("browInnerUp_L", "browInnerUp_R", "eyeLookOut_L", "jawOpen", "mouthSmile_L", "mouthSmile_R")


@pytest.fixture
def folder(tmp_path):
    """`FaceXModel/` with a 6 x 5 grid of vertices, two identities and six expressions, quads and one triangle."""
    root = tmp_path / "FaceXModel"
    root.mkdir()
    generator = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-2.5, 2.5, 6), np.linspace(-2, 2, 5))
    neutral = np.stack([x.ravel(), y.ravel(), 9 - x.ravel() ** 2 / 4], axis=1)
    quads = [[r * 6 + c, r * 6 + c + 1, r * 6 + c + 7, r * 6 + c + 6] for r in range(4) for c in range(5)]
    polygons = [*quads[1:], quads[0][:3]]
    tail = "".join(f"vt {u:.6f} {v:.6f}\n" for u, v in (neutral[:, :2] + 3) / 6) + "g face\nusemtl skin\n"
    tail += "".join("f " + " ".join(f"{i + 1}/{i + 1}" for i in polygon) + "\n" for polygon in polygons)

    def write(name, vertices):
        lines = "".join(f"v {a:.6f} {b:.6f} {c:.6f}\n" for a, b, c in vertices)
        (root / name).write_text("# a licence\n#\n" + lines + tail)

    write("generic_neutral_mesh.obj", neutral)
    shapes = {
        name: generator.normal(size=neutral.shape).round(4) for name in ("identity000", "identity001", *EXPRESSIONS)
    }
    for name, offset in shapes.items():
        write(f"{name}.obj", neutral + offset)
    lists = {"idx_to_landmark_verts": [i % 30 for i in range(68)], "idx_to_rigid_verts": [0, 5], "expressions": []}
    (root / "vertex_indices.json").write_text(json.dumps(lists))
    return root, neutral, shapes


def test_the_folder_becomes_a_model_in_millimetres(folder):
    root, neutral, shapes = folder
    model = load_ict(root.parent, region="full")
    assert (model.num_vertices, model.num_identity, model.num_expression, len(model.faces)) == (30, 2, 6, 39)
    np.testing.assert_allclose(model.mean, 10 * neutral, atol=1e-4)
    code = torch.zeros(1, 6)
    code[0, EXPRESSIONS.index("jawOpen")] = 0.5
    vertices = model.shape(torch.tensor([[2.0, 0.0]]), code)[0]
    np.testing.assert_allclose(vertices, 10 * (neutral + 2 * shapes["identity000"] + shapes["jawOpen"] / 2), atol=0.05)
    assert model.landmarks.tolist() == [i % 30 for i in range(68)]


def test_the_folder_is_packed_once_and_the_pack_loads_too(folder):
    root, _, _ = folder
    first = load_ict(root, region="full")
    packed = root / CACHE
    stamp = packed.stat().st_mtime_ns
    again, direct = load_ict(root, region="full"), load_ict(packed, region="full")
    assert packed.stat().st_mtime_ns == stamp
    for other in (again, direct):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in first.state_dict().items())
    assert not list(root.glob("*.part"))


def test_a_changed_folder_or_a_broken_pack_is_packed_again(folder, tmp_path):
    root, _, _ = folder
    cache = tmp_path / "pack.npz"
    read_ict(root, cache)
    text = (root / "jawOpen.obj").read_text()
    (root / "jawOpen.obj").write_text(text.replace("v -2.", "v -3.", 1))
    before = np.load(cache)["expression"]
    os.utime(root / "jawOpen.obj", ns=(2**62, 2**62))
    assert (read_ict(root, cache)["expression"] != before).any()
    cache.write_bytes(cache.read_bytes()[:500])
    os.utime(root / "jawOpen.obj", ns=(0, 0))
    with pytest.warns(UserWarning, match=r"pack\.npz"):
        read_ict(root, cache)
    assert np.load(cache)["neutral"].shape == (30, 3)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("identity001.obj", lambda text: text.replace("v ", "w ", 1), r"found 29 vertices, expected 30"),
        ("identity001.obj", lambda text: text[:200], r"expected \d+ lines 'v \.\.\.' of 3 numbers|found \d vert"),
        ("jawOpen.obj", lambda text: text.replace("\nv ", "\nv abc", 1), r"expected 30 lines 'v \.\.\.' of 3 numbers"),
        ("generic_neutral_mesh.obj", lambda text: text.replace("f 2/2", "f 99/2", 1), r"vertex numbers"),
        ("generic_neutral_mesh.obj", lambda text: text.split("f ")[0], r"expected faces of three or four corners"),
        ("vertex_indices.json", lambda text: text[:-3], r"expected a JSON object"),
        (
            "vertex_indices.json",
            lambda text: text.replace("[0, 5]", "[0, 55]"),
            r"'rigid_vertices' holds vertex numbers",
        ),
    ],
)
def test_a_spoilt_file_is_named(folder, name, spoil, message):
    root, _, _ = folder
    (root / name).write_text(spoil((root / name).read_text()))
    with pytest.raises(FaceModelError, match=rf"{name}: .*{message}|{name}: {message}"):
        load_ict(root, region="full")
    assert not (root / CACHE).exists()


def test_what_is_missing_is_named(folder, tmp_path):
    root, _, _ = folder
    with pytest.raises(FaceModelError, match="no region 'nose'"):
        load_ict(root, region="nose")
    with pytest.raises(FaceModelError, match="found 30 vertices, expected 26719 for the region 'face'"):
        load_ict(root, region="face")
    with pytest.raises(FaceModelError, match="found nothing there"):
        load_ict(tmp_path / "nowhere")
    for obj in root.glob("identity*.obj"):
        obj.unlink()
    (root / CACHE).unlink()
    with pytest.raises(FaceModelError, match="found 0 identity and 6 expression"):
        load_ict(root, region="full")


def test_units_drive_the_shapes_of_the_published_table():
    matrix = unit_matrix(list(EXPRESSIONS))
    smile, brow, jaw = ACTION_UNITS.index(12), ACTION_UNITS.index(1), ACTION_UNITS.index(27)
    expected = torch.zeros_like(matrix[0])
    expected[EXPRESSIONS.index("mouthSmile_R")] = 1.0
    torch.testing.assert_close(matrix[2 * smile], expected)
    assert matrix[2 * smile + 1, EXPRESSIONS.index("mouthSmile_L")] == 1.0
    assert matrix[2 * brow + 1, EXPRESSIONS.index("browInnerUp_L")] == 1.0
    assert matrix[2 * jaw : 2 * jaw + 2, EXPRESSIONS.index("jawOpen")].sum() == 1.0
    assert matrix[-4, EXPRESSIONS.index("eyeLookOut_L")] == pytest.approx(1 / 30)


@pytest.mark.parametrize(
    ("region", "vertices", "holes"), [("narrow", 6706, 3), ("face", 9409, 3), ("closed", 10464, 0)]
)
def test_regions_of_the_real_model(ict_path, region, vertices, holes):
    model = load_ict(ict_path, region=region)
    assert (model.num_vertices, model.num_identity, model.num_expression) == (vertices, 100, 57)
    assert euler_characteristic(model.faces) == 1 - holes
    assert len(boundary_loops(model.faces)) == 1 + holes
    assert torch.equal(model.symmetry[model.symmetry], torch.arange(vertices))
    distance = (model.mirror(model.mean) - model.mean).norm(dim=1)
    assert distance.max() < 0.1
    height = model.mean[:, 1].max() - model.mean[:, 1].min()
    assert 190 < height < 330


def test_the_real_model_acts(ict_path):
    """Each unit moves the landmarks it must, its own side more than the other."""
    model = load_ict(ict_path, region="closed")
    neutral = model.shape(torch.zeros(1, 100), model.neutral_expression())[0, model.landmarks]

    def move(unit, side):
        units = torch.zeros(1, len(ACTION_UNITS), 2)
        units[0, ACTION_UNITS.index(unit), side] = 1.0
        moved = model.shape(torch.zeros(1, 100), model.expression_code(units))
        return moved[0, model.landmarks] - neutral

    assert move(12, 0)[48, 1] > 3 and move(12, 0)[48, 0] < -3 and move(12, 0)[54].norm() < 1
    assert move(12, 1)[54, 1] > 3 and move(12, 1)[48].norm() < 1
    assert move(27, 0)[8, 1] + move(27, 1)[8, 1] < -15
    assert move(43, 1)[43:45, 1].max() < -4 and move(43, 1)[37].norm() < 0.5
    assert move(1, 0)[21, 1] > 2 and move(4, 0)[21, 1] < -1


def test_the_filling_follows_the_lids_and_the_lips(ict_path):
    model = load_ict(ict_path, region="closed")
    eyes, mouth = model.regions["eyes"], model.regions["mouth_interior"]

    def extent(unit, mask):
        units = torch.zeros(1, len(ACTION_UNITS), 2)
        units[0, ACTION_UNITS.index(unit)] = 1.0
        neutral = model.shape(torch.zeros(1, 100), model.neutral_expression())[0, mask, 1]
        moved = model.shape(torch.zeros(1, 100), model.expression_code(units))[0, mask, 1]
        return float(neutral.max() - neutral.min()), float(moved.max() - moved.min())

    assert extent(43, eyes)[1] < 0.75 * extent(43, eyes)[0]
    assert extent(27, mouth)[1] > 2 * extent(27, mouth)[0]
    assert (model.mean[eyes][:, 2] < model.mean[model.landmarks[27:31], 2].max()).all()


def test_the_real_model_is_painted_with_the_procedural_skin(ict_path):
    model = load_ict(ict_path, region="closed")
    generator = torch.Generator().manual_seed(0)
    texture = model.sample_texture(2, generator)
    texture[:, texture_index("melanin")] = torch.tensor([-1.5, 1.5])
    ahead = model.albedo(texture, model.neutral_expression(2))
    assert ahead.shape == (2, model.num_vertices, 3) and ahead.min() >= 0 and ahead.max() <= 1
    assert ahead[0].mean() > 2 * ahead[1].mean()
    lips, cheek = model.landmarks[57], model.landmarks[[2, 14]]
    assert (ahead[0, lips, 0] / ahead[0, lips, 1]) > 1.1 * (ahead[0, cheek, 0] / ahead[0, cheek, 1]).mean()
    aside = model.albedo(
        texture, model.expression_code(torch.zeros(2, len(ACTION_UNITS), 2), torch.tensor([[25.0, 0.0], [25.0, 0.0]]))
    )
    eyes = model.regions["eyes"] & (model.mean[:, 0] > 0)
    darkness = [(0.5 - albedo[0, eyes].mean(dim=1)).clamp_min(0.0) for albedo in (ahead, aside)]
    middle = [dark @ model.mean[eyes, 0] / dark.sum() for dark in darkness]
    assert middle[1] > middle[0] + 1.5
    with pytest.raises(FaceModelError, match="not linear"):
        model.fit_albedo(ahead)
