"""The reader's own scans, named by a manifest, in the place of a data set."""

from dataclasses import replace

import pytest
import torch

from facekit.data import DataError
from facekit.experiments import run_experiment
from facekit.meshes import save_mesh
from facekit.mifar import LaptopRecipe, ViewSettings, fold_of, labelled_rows, open_fold, open_views, pretrain
from facekit.training import ConfigError
from tests.data.readers import scan_trees


@pytest.fixture
def folder(tmp_path):
    """Four people's faces with a mouth that opens by the frame, and the rows of their manifest."""
    vertices, faces, marks = (torch.from_numpy(x) for x in scan_trees.face())
    vertices, mouth = vertices.float(), vertices[:, 1:2] < marks[62, 1]
    colours = torch.full_like(vertices, 0.4)
    for person in range(4):
        for number, expression in enumerate(("anger", "happiness")):
            for frame in range(4):
                moved = vertices + torch.tensor([0.0, -frame * (1.0 + 2 * number), float(person)]) * mouth
                place = tmp_path / f"p{person}/{expression}{frame}.ply"
                place.parent.mkdir(exist_ok=True)
                save_mesh(place, moved, faces, albedo=colours)
    return tmp_path


def manifest(folder, header, row):
    """Write the manifest: ``row`` gives the line of a person, an expression and a frame."""
    lines = [
        row(person, expression, frame)
        for person in range(4)
        for expression in ("anger", "happiness")
        for frame in range(4)
    ]
    (folder / "manifest.csv").write_text("\n".join([header, *lines]))


def opened(folder, dataset, **changes):
    wanted = {"image_size": 32, "frames": 3, "channels": ("texture", "depth")} | changes
    return open_views(ViewSettings(data=f"own={folder}", dataset=dataset, cache=str(folder / "kept"), **wanted))


def test_scans_of_ones_own_become_views_that_can_be_trained_on(folder):
    manifest(folder, "path,subject,expression,intensity", lambda p, e, f: f"p{p}/{e}{f}.ply,p{p},{e},{f + 1}")
    views = opened(folder, "bu3dfe")
    assert views.images.shape == (32, 3, 4, 32, 32) and views.table["subject"].nunique() == 4
    assert sorted(views.labels.unique().tolist()) == [0, 3]
    assert labelled_rows(views, (3, 4)).sum() == 16
    front = views.images[:, 1].float()
    assert front[:, 0].amax() == pytest.approx(255 * 0.665, abs=3)  # the linear albedo of 0.4 as sRGB
    assert (views.images[:, 0].float() - views.images[:, 2].float()).abs().mean() > 2
    recipe = LaptopRecipe(
        data=f"own={folder}", cache=str(folder / "kept"), subjects=0, folds=2, steps=2, batch_size=4, image_size=24,
        projector=(16, 16), channels=("depth",), progress=False,
    )  # fmt: skip
    train, test = open_fold(recipe)
    assert len(train) == len(test) == 16 and pretrain(recipe, train)[1][-1]["step"] == 2


def test_scans_that_no_probe_can_learn_from_are_refused_before_training(folder):
    header, recipe = "path,subject,expression", LaptopRecipe(
        data=f"own={folder}", cache=str(folder / "kept"), subjects=0, folds=2, image_size=24, channels=("depth",)
    )  # fmt: skip
    names = {"anger": "happiness", "happiness": "neutral"}
    manifest(folder, header, lambda p, e, f: f"p{p}/{e}{f}.ply,p{p},{names[e]}")
    with pytest.raises(ConfigError, match=r"fold 0 of 2 the training people show 1 of the expressions a.*8 scans"):
        open_fold(recipe)
    views = opened(folder, "bu3dfe", image_size=24, channels=("depth",), frames=8)
    tested = set(fold_of(views, 2, 0)[1].table["subject"])
    manifest(folder, header, lambda p, e, f: f"p{p}/{e}{f}.ply,p{p},{'neutral' if f'p{p}' in tested else e}")
    with pytest.raises(ConfigError, match=r"training people show 2 of .* and the test people 0 scans"):
        open_fold(replace(recipe, image_size=25))


def test_recordings_of_ones_own_are_pooled(folder):
    header = "path,subject,expression,sequence,frame"
    manifest(folder, header, lambda p, e, f: f"p{p}/{e}{f}.ply,p{p},{e},p{p}/{e},{f}")
    views = opened(folder, "bu4dfe")
    assert len(views) == 8 and sorted(views.labels.tolist()) == [0] * 4 + [3] * 4
    assert (views.images[:, :, 3].float() - 127.5).abs().flatten(1).amax(1).min() > 100  # all move


def test_a_table_runs_on_ones_own_recordings_and_one_of_two_data_sets_does_not(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    header = "path,subject,expression,sequence,frame"
    manifest(folder, header, lambda p, e, f: f"p{p}/{e}{f}.ply,p{p},{e},p{p}/{e},{f}")
    result = run_experiment("mifar/table2", data=f"own={folder}", scale="smoke", seeds=[0])
    measured = [row["measured"]["accuracy"]["mean"] for row in result["rows"] if not row["paper"]]
    assert result["data"] == "own" and all(0 <= accuracy <= 100 for accuracy in measured)
    with pytest.raises(DataError, match=r"this needs bu4dfe and bp4d, but --data own=.* names own"):
        run_experiment("mifar/table3b", data=f"own={folder}", scale="smoke", seeds=[0])


@pytest.mark.parametrize(
    ("dataset", "header", "row", "message"),
    [
        ("bu3dfe", "path,expression", "p0/anger0.ply,anger", r"column 'subject'.*1 of 1 rows do not.*p0/anger0\.ply"),
        ("bu3dfe", "path,subject", "p0/anger0.ply,p0", "column 'expression'"),
        ("bu4dfe", "path,subject,expression", "p0/anger0.ply,p0,anger", "column 'sequence'"),
        ("bu4dfe", "path,subject,expression,sequence", "p0/anger0.ply,p0,anger,a", "column 'frame'"),
        ("bu3dfe", "path,subject,expression", "small.ply,p0,anger", r"small\.ply: 0\.\d+ units high, expected 80"),
        ("bu3dfe", "path,subject,expression", "face.png,p0,anger", r"needs scans \(\.obj, \.ply, \.glb\).*face\.png"),
    ],
)
def test_what_lacks_is_named(folder, dataset, header, row, message):
    vertices, faces, _ = (torch.from_numpy(x) for x in scan_trees.face())
    save_mesh(folder / "small.ply", vertices.float() / 1000, faces)
    scan_trees.picture(folder / "face.png", colour=(20, 30, 40))
    (folder / "manifest.csv").write_text(f"{header}\n{row}")
    with pytest.raises(DataError, match=message):
        opened(folder, dataset)


@pytest.mark.parametrize(
    ("sequence", "frame", "message"),
    [
        ("{e}", "{f}", r"recording 'anger' has 4 subjects \(p0, p1, p2\), expected one; give every recording"),
        ("p{p}", "{f}", r"recording 'p0' has 2 expressions \(anger, happiness\), expected one"),
        ("p{p}/{e}", "1", r"recording 'p0/anger' has frame 1 twice, the second time in p0/anger1\.ply"),
    ],
)
def test_a_recording_is_of_one_person_and_one_expression(folder, sequence, frame, message):
    """Else faces of several people would be pooled to one image."""
    row = f"p{{p}}/{{e}}{{f}}.ply,p{{p}},{{e}},{sequence},{frame}"
    manifest(folder, "path,subject,expression,sequence,frame", lambda p, e, f: row.format(p=p, e=e, f=f))
    with pytest.raises(DataError, match=message):
        opened(folder, "bu4dfe")


def test_levels_need_a_column_of_their_own(folder):
    manifest(folder, "path,subject,expression", lambda p, e, f: f"p{p}/{e}{f}.ply,p{p},{e}")
    with pytest.raises(DataError, match="no column 'intensity', of which levels 3, 4"):
        labelled_rows(opened(folder, "bu3dfe"), (3, 4))
