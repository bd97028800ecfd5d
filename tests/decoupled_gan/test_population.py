"""The four data sets of the paper in the face world: counts, labels, topology."""

from dataclasses import replace

import pytest
import torch

from facekit.decoupled_gan import PRESETS, open_meshes, population, speech_meshes, world_meshes
from facekit.meshes import boundary_loops, connected_components, flipped_triangles
from facekit.morphable import EXPRESSIONS, ProceduralFace, load_ict
from facekit.training import ConfigError, World


@pytest.fixture(scope="module")
def face():
    return ProceduralFace(level=0)


@pytest.fixture(scope="module")
def meshes(face):
    return world_meshes(face, share=0.02)


def test_counts_and_labels(meshes):
    assert len(meshes) == 611
    assert (meshes.labels["identity"] >= 0).all()
    assert meshes.label_names["expression"] == tuple(EXPRESSIONS)
    assert meshes.num_labels["identity"] == 8
    share = (meshes.labels["expression"] >= 0).float().mean().item()
    assert 0.06 < share < 0.08
    assert set(meshes.labels["expression"].tolist()) == {-1, 0, 1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("change", [{"share": 0.03}, {"num_vertices": 200}, {"crop": 0.0}, {"seed": 1}])
def test_meshes_of_other_settings_are_not_taken_for_this_runs(tmp_path, meshes, change):
    """A run that was stopped early leaves meshes and no checkpoint, which alone would tell that they are others."""
    recipe, world = PRESETS["laptop"](share=0.02, level=0, num_vertices=0, out_dir=str(tmp_path)), World(0, 1, "cpu")
    first = open_meshes(recipe, world, lambda done, total: None)
    assert torch.equal(first.vertices, meshes.vertices)
    again = open_meshes(replace(recipe, steps=7, learning_rate=1.0), world, None)
    assert torch.equal(again.vertices, meshes.vertices), "made once"
    with pytest.raises(ConfigError, match=rf"meshes was made with {next(iter(change))} .*, this run has "):
        open_meshes(replace(recipe, **change), world, None)


def test_the_paper_s_share_of_labels_at_full_size():
    """The tables alone, no faces: 30,559 meshes, and the labels that the paper describes."""
    tables = {name: population._source(name, ProceduralFace(level=0), 1.0, 0).table for name in population.SUBJECTS}
    static = len(tables["bu3dfe"]) + len(tables["bosphorus"])
    labelled = static + 3 * tables["bu4dfe"]["sequence"].nunique() + tables["bp4d"]["subject"].nunique()
    assert sum(map(len, tables.values())) >= population.MESHES
    assert 0.065 < labelled / population.MESHES < 0.075
    assert sum(table["subject"].nunique() for table in tables.values()) == 347


def test_sequences_have_three_labels_or_one_neutral_frame(meshes):
    names = [name.split("/")[0] for name in meshes.names]
    label = meshes.labels["expression"]
    for sequence in meshes.sequence.unique().tolist():
        rows = (meshes.sequence == sequence).nonzero().flatten()
        found = label[rows]
        if sequence < 0:
            assert (found >= 0).all()
        elif names[rows[0]] == "bu4dfe":
            assert found[0] == found[-1] == 0 and (found > 0).sum() == 1 and (found >= 0).sum() == 3
    for subject in meshes.labels["identity"].unique():
        rows = ((meshes.labels["identity"] == subject) & (meshes.sequence >= 0)).nonzero().flatten()
        if len(rows) and names[rows[0]] == "bp4d":
            assert (label[rows] == 0).sum() == 1 and (label[rows] > 0).sum() == 0


def test_labels_say_what_the_face_does(meshes):
    """Neutral frames lie nearer to their person's mean neutral than the labelled expressions do."""
    neutral, moved = [], []
    for subject in meshes.labels["identity"].unique():
        mine = meshes.labels["identity"] == subject
        still = meshes.vertices[mine & (meshes.labels["expression"] == 0)]
        other = meshes.vertices[mine & (meshes.labels["expression"] > 0)]
        neutral.append((still - still.mean(0)).norm(dim=-1).mean(1))
        moved.append((other - still.mean(0)).norm(dim=-1).mean(1))
    assert torch.cat(neutral).median() < 0.3 * torch.cat(moved).median()


def test_the_same_seed_gives_the_same_people(face, meshes):
    again = world_meshes(face, share=0.02)
    assert torch.equal(again.vertices, meshes.vertices) and again.names == meshes.names
    assert not torch.equal(world_meshes(face, share=0.02, seed=1).vertices, meshes.vertices)


@pytest.mark.parametrize("num_vertices", [None, 500])
def test_the_crop_is_a_face_with_three_holes(face, num_vertices):
    kept, faces, uv = population.topology(face, num_vertices)
    assert len(kept) < face.num_vertices and faces.max() == len(kept) - 1
    assert num_vertices is None or len(kept) == num_vertices
    assert connected_components(faces, len(kept)).max() == 0
    assert len(boundary_loops(faces)) == 4
    assert len(flipped_triangles(uv, faces)) == 0
    assert not face.regions["eyes"][kept].any()


def test_the_whole_mesh_on_request(face):
    kept, faces, _ = population.topology(face, None, crop=0)
    assert torch.equal(kept, torch.arange(face.num_vertices)) and torch.equal(faces, face.faces)


def test_progress_is_told(face):
    told = []
    world_meshes(face, share=0.02, num_vertices=300, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (611, 611) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_share_outside_its_range_is_refused(face):
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], found 0"):
        world_meshes(face, share=0)


def test_on_real_geometry(ict_path):
    meshes = world_meshes(load_ict(ict_path, region="face"), share=0.02, num_vertices=800)
    assert meshes.num_vertices == 800 and len(meshes) == 611
    spread = (meshes.vertices - meshes.mean()).norm(dim=-1).mean()
    assert 2 < spread < 10


def test_speech_has_three_factors_with_the_labels_of_the_supplement(face):
    meshes = speech_meshes(face, share=0.15, num_vertices=300)
    assert len(meshes) == 14 * 40 * 2 * 4 and meshes.num_vertices == 300
    assert meshes.num_labels == {"identity": 14, "expression": 6, "viseme": 15}
    shares = {factor: (label >= 0).float().mean().item() for factor, label in meshes.labels.items()}
    assert shares["identity"] == 1 and 0.65 < shares["viseme"] < 0.71 and 0.02 < shares["expression"] < 0.04
    with pytest.raises(ValueError, match="share must be in"):
        speech_meshes(face, share=2)
