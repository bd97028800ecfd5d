"""Data, folds, probes and baselines."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from facekit.nn import Encoder
from facekit.rrl import (
    LabelledFaces,
    LaptopRecipe,
    ProbeSettings,
    SupervisedSettings,
    WarpedFaces,
    always_present,
    encode,
    fit_probe,
    fit_supervised,
    label_relation,
    labelled_faces,
    open_labelled,
    positive_weights,
    probe_scores,
    resample,
    supervised_scores,
    unit_cross_entropy,
)
from facekit.training import TensorSource
from tests.data.readers import scan_trees


@pytest.fixture(scope="module")
def faces():
    return labelled_faces("world", "bp4d", 32, subjects=6, frames=3)


def made_up(count=240, units=3, informative=True, seed=0):
    """Labelled 'faces' of 12 people, features that tell their labels, and rare, missing and absent labels."""
    random = torch.Generator().manual_seed(seed)
    present = torch.rand(count, units, generator=random) < torch.tensor([0.5, 0.08, 0.0])
    coded = torch.rand(count, units, generator=random) < 0.9
    person = torch.arange(count) % 12
    folds = tuple(
        (np.flatnonzero((person % 3 != fold).numpy()), np.flatnonzero((person % 3 == fold).numpy()))
        for fold in range(3)
    )
    features = torch.randn(count, 6, generator=random)
    if informative:
        features[:, :units] += 6.0 * present
    images = torch.zeros(count, 3, 8, 8, dtype=torch.uint8)
    return features, LabelledFaces(images, torch.zeros(count, 68, 2), present, coded, folds, (1, 2, 4))


def test_labelled_faces_follow_the_protocol(faces):
    assert faces.images.shape == (6 * 8 * 3, 3, 32, 32) and faces.images.dtype == torch.uint8
    assert faces.present.shape == (144, 12) and faces.coded.all() and len(faces.folds) == 3
    tested = np.concatenate([test for _, test in faces.folds])
    assert sorted(tested.tolist()) == list(range(144))
    assert faces.attention().shape == (144, 12, 14, 14)


def check_on_demand(streamed, held):
    """Faces that are read on demand are those in memory, whichever rows are asked for."""
    rows = torch.tensor([len(held.images) - 1, 0, 2])
    for name in ("images", "landmarks"):
        lazy, kept = getattr(streamed, name), getattr(held, name)
        assert isinstance(kept, torch.Tensor) and not isinstance(lazy, torch.Tensor)
        assert lazy.shape == kept.shape and len(lazy) == len(kept) and lazy[rows].dtype == kept.dtype
        torch.testing.assert_close(lazy[rows], kept[rows], rtol=0, atol=1e-4, equal_nan=True)
    torch.testing.assert_close(streamed.attention(), held.attention())
    encoder = Encoder("resnet_tiny")
    torch.testing.assert_close(encode(encoder, streamed.images), encode(encoder, held.images))


def test_faces_that_are_not_held_in_memory_are_the_same(faces):
    recipe = LaptopRecipe(image_size=32, label_subjects=6, probe_frames=3)
    check_on_demand(open_labelled(replace(recipe, in_memory=False)), faces)
    assert isinstance(open_labelled(recipe).images, torch.Tensor)


def test_faces_of_a_copy_that_are_not_held_in_memory_are_the_same(tmp_path):
    scan_trees.bp4d(tmp_path)
    for file in list(tmp_path.rglob("F001*")):  # a third person
        copy = shutil.copytree if file.is_dir() else shutil.copy
        copy(file, file.with_name(file.name.replace("F001", "F002")))
    held, streamed = (labelled_faces(f"bp4d={tmp_path}", "bp4d", 32, in_memory=kept) for kept in (True, False))
    assert held.landmarks.isnan().any()
    check_on_demand(streamed, held)


def test_folds_are_the_published_ones_at_full_size():
    relation = label_relation("world", "disfa", frames=40)
    assert relation.shape == (8, 8) and relation[6, 7] > 0.1
    from facekit.data import published_folds, twin_table

    table = twin_table("disfa", frames=5)
    whole = labelled_faces("world", "disfa", 16, frames=5)
    for (_, mine), (_, published) in zip(whole.folds, published_folds(table, "disfa"), strict=True):
        assert np.array_equal(mine, published)


def test_disfa_counts_from_level_two():
    from facekit.data import twin_table

    table = twin_table("disfa", subjects=4, frames=50)
    disfa = labelled_faces("world", "disfa", 16, subjects=4, frames=50)
    assert np.array_equal(disfa.present[:, 5].numpy(), table["AU12"].to_numpy() >= 2)
    assert (table["AU12"] == 1).any()


def test_a_probe_finds_what_is_there_and_nothing_in_noise():
    features, faces = made_up()
    scores = probe_scores(features, faces)
    assert scores.by_unit[0] > 95 and scores.by_unit[1] > 90 and scores.by_unit[2] == 0
    noise, faces = made_up(informative=False)
    assert probe_scores(noise, faces).by_unit[0] < 65
    assert scores.mean == pytest.approx(float(scores.by_unit.mean()))


def test_balance_lets_rare_units_be_found():
    features, faces = made_up(count=600)
    features[:, 1] = torch.randn(600, generator=torch.Generator().manual_seed(5)) + 1.5 * faces.present[:, 1]
    plain = probe_scores(features, faces, ProbeSettings(balance=0.0)).by_unit[1]
    assert probe_scores(features, faces, ProbeSettings(balance=1.0)).by_unit[1] > plain + 5
    weights = positive_weights(faces.present, faces.coded, 1.0)
    assert weights[1] > 5 and weights[2] == 1.0


def test_uncoded_labels_do_not_count():
    features, faces = made_up()
    logits = torch.randn(len(features), 3, generator=torch.Generator().manual_seed(0))
    flipped = faces.present ^ ~faces.coded
    ones = torch.ones(3)
    assert unit_cross_entropy(logits, faces.present, faces.coded, ones) == unit_cross_entropy(
        logits, flipped, faces.coded, ones
    )
    assert unit_cross_entropy(logits, faces.present, torch.zeros_like(faces.coded), ones) == 0


def test_a_regional_probe_reads_each_units_own_feature():
    features, faces = made_up()
    own = torch.randn(len(features), 3, 4, generator=torch.Generator().manual_seed(2))
    own[:, 0, 1] += 6.0 * faces.present[:, 0]
    own[:, 0, 2] += 6.0 * faces.present[:, 1]
    scores = probe_scores(own, faces).by_unit
    assert scores[0] > 95 > 50 > scores[1]
    probe = fit_probe(own, faces.present, faces.coded)
    assert probe.weight.shape == (3, 4) and probe.norm.num_features == 12


def test_probes_repeat_themselves_and_leave_the_encoder_as_it_is(faces):
    encoder = Encoder("resnet_tiny").train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    features = encode(encoder, faces.images)
    assert encoder.training and features.shape == (144, 128)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    regions = encode(encoder, faces.images, faces.attention(), batch_size=50)
    assert regions.shape == (144, 12, 256)
    torch.testing.assert_close(regions[:, 3, :128], features, atol=1e-5, rtol=1e-4)
    assert torch.equal(probe_scores(features, faces).by_unit, probe_scores(features, faces).by_unit)


def test_always_yes_scores_what_rates_say(faces):
    _, made = made_up()
    rate = (made.present & made.coded).sum(0) / made.coded.sum(0)
    scores = always_present(made).by_unit
    assert scores[0] == pytest.approx(100 * float(2 * rate[0] / (1 + rate[0])), abs=4)
    assert scores[2] == 0


def test_supervised_training_is_on_the_device_with_all_that_it_needs(faces):
    """On tensors without numbers, which do not mix with others."""
    network = fit_supervised(faces, torch.arange(8), SupervisedSettings(epochs=1), device="meta")
    assert all(weight.grad.device.type == "meta" for weight in network.parameters())


def test_supervised_training_runs_on_every_fold(faces):
    scores = supervised_scores(faces, SupervisedSettings(epochs=1))
    assert scores.by_unit.shape == (12,) and 0 <= scores.mean <= 100
    again = supervised_scores(faces, SupervisedSettings(epochs=1))
    assert torch.equal(scores.by_unit, again.by_unit)


def test_warps_are_smooth_and_zero_flow_changes_nothing():
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(resample(images, torch.zeros(4, 2, 5, 5)), images, atol=1e-5, rtol=0)
    moved = resample(images, torch.full((4, 2, 5, 5), 2 / 32))
    torch.testing.assert_close(moved[..., :-2, :-2], images[..., 2:, 2:], atol=1e-4, rtol=0)
    source = WarpedFaces(TensorSource(image=(255 * images).byte()), strength=0.05)
    batch = source.batch(torch.arange(4), torch.arange(4))
    assert len(source) == 4 and (batch["image"] - batch["warped"]).abs().mean() > 0.02
