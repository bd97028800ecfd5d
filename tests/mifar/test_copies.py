"""Views and training on licensed copies, from small ones in the data sets' own layouts."""

import pytest
import torch
from torch.testing import assert_close

from facekit.data import DataError, parse_data
from facekit.data.scans import Scan
from facekit.experiments import run_experiment
from facekit.mifar import (
    LaptopRecipe,
    ScanError,
    ViewSettings,
    default_folder,
    open_fold,
    open_views,
    pretrain,
    scan_views,
)
from tests.data.formats import scan_files
from tests.data.readers import scan_trees


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    root = tmp_path_factory.mktemp("copies")
    for name in ("bu3dfe", "bosphorus", "bp4d"):
        getattr(scan_trees, name)(root / name)
    scan_trees.bu4dfe(root / "bu4dfe", root / "bu4dfe" / "BU4DFE_BND_V1.1")
    return root


@pytest.fixture
def settings(copies, tmp_path):
    """Settings of a data set's views, kept in a folder of the test's own."""

    def of(name, root=None, **changes):
        data = f"{name}={(root or copies) / name}"
        wanted = {"image_size": 32, "frames": 3, "channels": ("texture", "depth")} | changes
        return ViewSettings(data=data, dataset=name, cache=str(tmp_path / "kept"), **wanted)

    return of


def opened(settings):
    """The views, read anew as in another process."""
    from facekit.mifar.data import _rendered

    _rendered.cache_clear()
    return open_views(settings)


@pytest.mark.parametrize(
    ("name", "count", "people", "labels"),
    [
        ("bu3dfe", 6, 2, [-1, -1, 0, 0, 2, 3]),
        ("bu4dfe", 2, 2, [0, 3]),
        ("bosphorus", 4, 1, [-1, -1, -1, 0]),
        ("bp4d", 2, 2, [0, 5]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_copy_gives_three_views_with_labels(settings, name, count, people, labels):
    views = opened(settings(name))
    assert views.images.shape == (count, 3, 4, 32, 32) and views.images.dtype == torch.uint8
    assert sorted(views.labels.tolist()) == labels
    assert views.table["subject"].nunique() == people
    if name in ("bu4dfe", "bp4d"):
        assert (views.images == 128).all()  # nothing moves in these recordings
    else:
        assert (views.images[:, 0].float() - views.images[:, 2].float()).abs().mean() > 2
        assert views.images[:, 1].float().flatten(1).std(1).min() > 5


def test_every_scan_is_read_once(settings, copies, monkeypatch):
    first = opened(settings("bu4dfe"))
    read = []
    source = type(parse_data(f"bu4dfe={copies / 'bu4dfe'}").open("bu4dfe"))
    monkeypatch.setattr(source, "scan", lambda self, row: read.append(row))
    assert torch.equal(opened(settings("bu4dfe")).images, first.images) and not read
    with pytest.raises(AttributeError):  # other settings are other images
        opened(settings("bu4dfe", image_size=24))
    assert read


@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_scan_whose_files_change_is_read_again(settings, tmp_path):
    root = tmp_path / "own"
    scan_trees.bosphorus(root / "bosphorus")
    first = opened(settings("bosphorus", root)).images
    scan_trees.picture(root / "bosphorus/bs000/bs000_E_ANGER_0.png", colour=(20, 30, 220))
    second = opened(settings("bosphorus", root)).images
    changed = (first != second).flatten(1).any(1)
    assert changed.sum() == 1 and changed[opened(settings("bosphorus", root)).labels == 0].all()


def test_damaged_scans_are_left_out_with_a_warning(settings, tmp_path):
    root = tmp_path / "own"
    scan_trees.bu3dfe(root / "bu3dfe")
    files = [file for file in (root / "bu3dfe").rglob("*.[wW][rR][lL]") if file.stat().st_size > 50_000]
    for number, file in enumerate(sorted(files)):
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b"coordIndex", b"coordinate", 1))  # its ends are as they should be
        wanted = settings("bu3dfe", root, image_size=32 + number)
        if "AN01WH_F3D" in file.name:
            with pytest.warns(UserWarning, match=r"BU-3DFE: 1 of \d scans left out: .*F0001_AN01WH_F3D.wrl"):
                opened(wanted)
    with pytest.raises(DataError, match=r"BU-3DFE: none of \d scans can be used; the first: .*F0001"):
        opened(settings("bu3dfe", root))


def test_a_recording_needs_two_frames(settings, tmp_path):
    root = tmp_path / "own"
    scan_trees.bp4d(root / "bp4d")
    for frame in (2, 3, 4, 5):
        (root / f"bp4d/Sequences(2D+3D)/F001/T1/{frame:04d}.obj").unlink()
    wanted = settings("bp4d", root, frames=5)
    with pytest.warns(UserWarning, match=r"1 of 2 recordings left out: F001/T1: 1 of 5 frames .* two or more"):
        assert opened(wanted).table["subject"].tolist() == ["M007"]


def dome(**more):
    angle = torch.linspace(-1.4, 1.4, 41)
    y, x = torch.meshgrid(angle.flip(0), angle, indexing="ij")
    vertices = 80 * torch.stack([x.sin() * y.cos(), y.sin(), x.cos() * y.cos()], -1).reshape(-1, 3)
    ids = torch.arange(41 * 41).view(41, 41)
    a, b, c, d = ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]
    faces = torch.cat([torch.stack([a, b, c], -1).view(-1, 3), torch.stack([a, c, d], -1).view(-1, 3)])
    return Scan(vertices, faces, name="dome", **more)


def test_missing_texture_holes_and_spikes_are_harmless():
    settings = ViewSettings(image_size=32)
    whole = scan_views(dome(), settings)
    assert whole.shape == (3, 7, 32, 32)
    seen = whole[1, 3] > 0
    assert_close(whole[1, :3, seen], torch.full((3, int(seen.sum())), 0.5), atol=1e-5, rtol=0)
    broken, bare = dome(), torch.zeros(0, 3, dtype=torch.int64)
    broken.vertices[400:403] = torch.nan
    broken.vertices[800, 2] += 60.0
    repaired = scan_views(broken, settings)
    assert repaired.isfinite().all() and (repaired - whole)[:, 3].abs().mean() < 0.01
    cloud = scan_views(Scan(broken.vertices, bare), settings)
    assert cloud.isfinite().all() and (cloud - whole)[1, 3][seen].abs().median() < 0.02
    with pytest.raises(ScanError, match=r"^dome: shows no surface at 20 degrees"):
        broken.vertices[:] = torch.nan
        scan_views(broken, settings)


def test_landmarks_bring_a_scan_upright():
    vertices, faces, marks = (torch.from_numpy(x) for x in scan_trees.face())
    upright = Scan(vertices.float(), faces, marks.float(), name="upright")
    angle = torch.tensor(0.35)
    turn = torch.tensor([[angle.cos(), 0, angle.sin()], [0, 1, 0], [-angle.sin(), 0, angle.cos()]])
    settings = ViewSettings(image_size=32, channels=("depth",))
    straight, turned = (scan_views(scan, settings) for scan in (upright, upright.moved(turn, torch.full((3,), 90.0))))
    assert (straight - turned).abs().mean() < 0.01
    wrong = upright.moved(torch.eye(3), torch.zeros(3))
    wrong.landmarks[:] = 100 * torch.randn(68, 3, generator=torch.Generator().manual_seed(0))
    bare = Scan(vertices.float(), faces, name="bare")
    assert torch.equal(scan_views(wrong, settings), scan_views(bare, settings))  # landmarks beyond belief


def test_what_is_not_named_gets_one_sentence(copies, tmp_path):
    with pytest.raises(DataError, match=r"this needs bosphorus, but --data .* names bu3dfe; add bosphorus=PATH"):
        run_experiment("mifar/table1", data=f"bu3dfe={copies / 'bu3dfe'}", scale="smoke", seeds=[0])
    with pytest.raises(DataError, match="needs bp4d, but"):
        run_experiment("mifar/table3b", data=f"bu4dfe={copies / 'bu4dfe'}", scale="smoke", seeds=[0])
    (tmp_path / "prepared.json").write_text("{}")
    with pytest.raises(DataError, match="holds prepared pictures, and MiFaR needs scans"):
        open_views(ViewSettings(data=f"bu3dfe={tmp_path}"))


def test_images_are_kept_below_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "facekit" / "mifar"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Four people of BU-3DFE with two expressions at two levels, and of BU-4DFE with two recordings that move."""
    root = tmp_path_factory.mktemp("people")
    wrl, bnd = scan_trees.bu_scan()
    vertices, faces, marks = scan_trees.face()
    for person in range(1, 5):
        for scan in ("AN03", "AN04", "HA03", "HA04"):
            place = f"bu3dfe/F000{person}/F000{person}_{scan}WH_F3D"
            scan_trees.write(root / f"{place}.wrl", wrl)
            scan_trees.write(root / f"{place}.bnd", bnd)
            scan_trees.picture(root / f"{place}.bmp", colour=(40 * person, 120, 200))
        for number, sequence in enumerate(("Angry", "Happy")):
            for frame in range(3):
                place = root / f"bu4dfe/F00{person}/{sequence}/{frame:03d}"
                opened_mouth = vertices + [0, -frame * (1 + number), 0] * (vertices[:, 1:2] < marks[62, 1])
                text = scan_files.bu4dfe_wrl(
                    opened_mouth, faces.tolist(), marks[:1, :2].repeat(len(vertices), 0), "x.jpg"
                )
                scan_trees.write(place.with_suffix(".wrl"), text)
                scan_trees.write(place.with_suffix(".bnd"), scan_files.bnd(scan_trees.points_83(marks), tabs=False))
    return root


def test_training_runs_on_a_copy(people, tmp_path):
    recipe = LaptopRecipe(
        data=f"bu3dfe={people / 'bu3dfe'}", cache=str(tmp_path), subjects=0, folds=2, steps=2, batch_size=4,
        image_size=24, projector=(16, 16), channels=("depth",), progress=False,
    )  # fmt: skip
    train, test = open_fold(recipe)
    assert len(train) == len(test) == 8 and not set(train.table["subject"]) & set(test.table["subject"])
    assert pretrain(recipe, train)[1][-1]["step"] == 2


def test_a_table_runs_on_a_copy(people, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = run_experiment("mifar/table2", data=f"bu4dfe={people / 'bu4dfe'}", scale="smoke", seeds=[0])
    measured = {row["method"]: row["measured"]["accuracy"] for row in result["rows"] if not row["paper"]}
    assert result["data"] == "bu4dfe" and all(0 <= cell["mean"] <= 100 for cell in measured.values())
    assert len(list((tmp_path / "facekit/mifar").glob("*.npz"))) == 8
