"""Networks, distortions, recipe and probes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.testing import assert_close

from facekit.data import ManifestError
from facekit.metrics import accuracy
from facekit.mifar import (
    DRAWS,
    FRONT,
    LEFT,
    RIGHT,
    VIEW_DISTORTIONS,
    Classifier,
    Distortion,
    LaptopRecipe,
    LossWeights,
    MiFaR,
    PlaceEncoder,
    Recipe,
    ViewEncoder,
    ViewSet,
    build_model,
    centred_by,
    classifier_counts,
    cross_view_neighbours,
    distorted,
    fit_classifier,
    fold_of,
    linear_probe,
    neighbour_probe,
    pretrain,
    probe_counts,
    self_supervised_loss,
    two_versions,
    view_features,
    with_labels,
    without_labels,
)
from facekit.mifar.probes import _coordinates
from facekit.training import ConfigError, Step, World, parse_config
from tests.mifar.textbook import textbook_loss

CPU = World(0, 1, torch.device("cpu"))
STILL = Distortion(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def squares(people=6, each=6, size=32, seed=0):
    """Views with a bright square whose row is the class; people differ in its brightness."""
    label = torch.arange(people * each) % 3
    random = torch.Generator().manual_seed(seed)
    images = 0.3 * torch.rand(len(label), 3, 1, size, size, generator=random)
    for row, number in enumerate(label.tolist()):
        images[row, :, :, 4 + 9 * number : 11 + 9 * number, 10:22] += 0.6
    table = pd.DataFrame({"subject": np.repeat([f"S{n}" for n in range(people)], each), "intensity": 3})
    return ViewSet((images.clamp(0, 1) * 255).byte(), label, ("a", "b", "c"), table)


def test_each_view_has_its_own_encoder_unless_it_is_shared():
    images = torch.rand(2, 3, 4, 32, 32)
    own = MiFaR(ViewEncoder("resnet_tiny", 4), (16, 8)).eval()
    shared = MiFaR(ViewEncoder("resnet_tiny", 4, shared=True), (16, 8)).eval()
    assert own(images).shape == shared(images).shape == (3, 2, 8)
    assert sum(p.numel() for p in own.parameters()) == 3 * sum(p.numel() for p in shared.parameters())
    same = images[:, :1].expand(-1, 3, -1, -1, -1)
    assert_close(shared(same)[0], shared(same)[2])
    assert (own(same)[0] - own(same)[2]).abs().max() > 1e-3
    changed = images.clone()
    changed[:, 2] = 0
    assert torch.equal(own(images)[:2], own(changed)[:2]) and not torch.equal(own(images)[2], own(changed)[2])
    with pytest.raises(ValueError, match=r"expected \(B, 3, C, H, W\)"):
        own(images[:, :2])


def test_the_classifier_bypasses_the_projector_and_bytes_are_scaled():
    model = MiFaR(ViewEncoder("resnet_tiny", 1), (16, 8))
    views = squares()
    features = view_features(model.encoder, views.images, block=5)
    assert features.shape == (36, 3, 128) and model.training
    assert_close(view_features(model.encoder, views.images.float() / 255), features)
    classifier = Classifier(model.encoder, 3).eval()
    assert_close(classifier(views.images), classifier.head(features.flatten(1)), rtol=1e-4, atol=1e-4)


def test_distortions_do_what_their_settings_say():
    images = torch.rand(2, 2, 24, 24)
    middle = torch.full((2, DRAWS), 0.5)
    assert_close(distorted(images, STILL, middle), images, atol=1e-5, rtol=0)
    high = torch.full((2, DRAWS), 0.9999)
    moved = distorted(images, replace(STILL, shift=0.25), high)
    assert_close(moved[..., :18, :18], images[..., 6:, 6:], atol=0.02, rtol=0)
    assert_close(distorted(images, replace(STILL, mirrored=1.0), middle), images.flip(-1), atol=1e-5, rtol=0)
    erased = distorted(images + 0.1, replace(STILL, erased=1.0, erased_side=0.5), middle) == 0
    assert erased.float().mean() == 0.25 and erased[..., 6:18, 6:18].all()
    brighter = distorted(images / 2, replace(STILL, offset=0.2), high)
    assert_close((brighter - images / 2).mean(), torch.tensor(0.2), atol=0.01, rtol=0)
    assert distorted(images, LEFT, torch.rand(2, DRAWS)).isfinite().all()


def test_views_are_distorted_from_three_distributions_by_the_steps_own_numbers():
    assert len({LEFT, FRONT, RIGHT}) == 3 and VIEW_DISTORTIONS == (LEFT, FRONT, RIGHT)
    images = torch.rand(1, 1, 1, 32, 32).expand(4, 3, -1, -1, -1)
    step = Step(5, 9, "pretraining", 0, 0, CPU, 1)
    first, second = two_versions(images, step)
    assert first.shape == images.shape and (first - second).abs().mean() > 0.01
    again = two_versions(images, Step(5, 9, "pretraining", 0, 0, CPU, 1))
    assert torch.equal(first, again[0])
    assert not torch.equal(first, two_versions(images, Step(6, 9, "pretraining", 0, 0, CPU, 1))[0])


@pytest.mark.parametrize("method", ["mifar", "barlow", "simclr"])
def test_losses_of_the_methods(method):
    recipe = Recipe(method=method, encoder="resnet_tiny", channels=("depth",), projector=(16, 8))
    model = build_model(recipe)
    step = Step(0, 2, "pretraining", 0, 0, CPU, 0)
    terms = self_supervised_loss(recipe, model)(squares().batch(torch.arange(8)), step)
    assert set(terms) == {"mifar": {"weighted", "view"}, "barlow": {"view"}, "simclr": {"contrastive"}}[method]
    if method == "mifar":
        images = squares().images[:8].float() / 255
        versions = two_versions(images, Step(0, 2, "pretraining", 0, 0, CPU, 0))
        expected = textbook_loss(*(model(version) for version in versions))
        assert_close(terms["view"], expected["view"], rtol=1e-4, atol=1e-4)


def test_training_lowers_the_loss_never_sees_a_label_and_helps_the_probe():
    views = squares(people=8, each=9)
    train, test = fold_of(views, 4, 0)
    recipe = LaptopRecipe(
        channels=("depth",), projector=(32, 32), steps=30, batch_size=16, progress=False, log_every=1,
        device="cpu", warmup=2, loss=LossWeights(mu_w=0.02, mu_theta=0.02),
    )  # fmt: skip
    seen = []
    model, lines = pretrain(recipe, train, lambda step, model: seen.append(step), 10)
    assert seen == [0, 10, 20]
    losses = [line["pretraining/loss"] for line in lines]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
    hidden, _ = pretrain(recipe, replace(train, labels=train.labels.flip(0)))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), hidden.parameters(), strict=True))
    for kind in ("linear", "neighbours"):
        assert accuracy(probe_counts(model.encoder, train, test, kind)) > 0.6
    with pytest.raises(ConfigError, match="but there are"):
        pretrain(replace(recipe, batch_size=512), train)


def test_supervised_training_learns():
    train, test = fold_of(squares(people=8, each=9), 4, 0)
    torch.manual_seed(0)
    model = fit_classifier(Classifier(ViewEncoder("resnet_tiny", 1), 3), train, steps=40, batch_size=24)
    assert accuracy(classifier_counts(model, test)) > 0.8


def test_probes_find_what_is_there():
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = torch.nn.functional.one_hot(labels, 3) + 0.1 * torch.randn(60, 3, generator=random)
    for probe in (linear_probe, neighbour_probe):
        assert (probe(features[:40], labels[:40], features[40:]) == labels[40:]).float().mean() > 0.9
    with pytest.raises(ValueError, match="two classes"):
        linear_probe(features[:3], labels[:1].expand(3), features)


def test_many_dimensions_are_probed_as_scikit_learn_would():
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 4
    features = torch.randn(70, 300, generator=random).double()
    features[:40, :4] += torch.nn.functional.one_hot(labels, 4)
    features[:, 7] = 3.0  # never changes
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    expected = plain.fit(features[:40].numpy(), labels.numpy()).predict(features[40:].numpy())
    assert linear_probe(features[:40], labels, features[40:]).tolist() == expected.tolist()


def test_coordinates_keep_the_products_of_standardised_rows():
    random = torch.Generator().manual_seed(0)
    train, test = torch.randn(9, 50, generator=random), torch.randn(4, 50, generator=random)
    train[3], train[:, 11] = train[2], 0.5  # two rows are one, and a dimension never changes
    own, asked = _coordinates(train, test, block=16)
    assert own.shape == (9, 7) and asked.shape == (4, 7), "nine centred rows, two of them the same"
    mean, spread = train.double().mean(0), train.double().std(0, correction=0)
    wide, wanted = ((x - mean) / torch.where(spread > 0, spread, 1.0) for x in (train, test))
    assert_close(own @ own.T, wide @ wide.T)
    assert_close(asked @ own.T, wanted @ wide.T)


def test_centring_takes_the_person_away_and_leaves_what_changes():
    random = torch.Generator().manual_seed(0)
    people, change = torch.arange(12) % 3, torch.randn(12, 5, generator=random)
    change = centred_by(change, people)
    assert_close(torch.stack([change[people == n].mean(0) for n in range(3)]), torch.zeros(3, 5))
    person = 100 * torch.randn(3, 5, generator=random)
    assert_close(centred_by(change + person[people], people), change, atol=1e-4, rtol=0)
    assert not centred_by(person, torch.arange(3)).any()


def test_people_are_numbered_by_their_names():
    views = squares(people=3, each=2)
    assert views.people.tolist() == [0, 0, 1, 1, 2, 2]
    assert views.select(np.array([5, 0, 4])).people.tolist() == [0, 1, 0]


def test_the_small_encoder_keeps_places():
    encoder = PlaceEncoder(2).eval()
    images = torch.zeros(1, 2, 32, 32)
    moved = images.clone()
    moved[..., 1:3, 1:3] = 1.0  # in the first of 4 x 4 parts
    changed = (encoder(moved) != encoder(images)).view(64, 4, 4).any(0)
    assert changed[0, 0] and not changed[3].any() and not changed[:, 3].any()
    assert encoder(torch.zeros(2, 2, 24, 24)).shape == (2, encoder.dim) and encoder.dim == 1024


def test_neighbours_across_views_find_the_same_scan():
    random = torch.Generator().manual_seed(0)
    scans = torch.randn(20, 1, 16, generator=random)
    features = scans + torch.tensor([0.0, 5.0, -3.0])[:, None] + 0.1 * torch.randn(20, 3, 16, generator=random)
    assert torch.equal(cross_view_neighbours(features, 0, 2), torch.arange(20))


def test_views_in_different_languages_are_matched_by_a_linear_map():
    random = torch.Generator().manual_seed(1)
    scans, language = torch.randn(120, 8, generator=random), torch.randn(8, 8, generator=random)
    features = torch.stack([scans, scans @ language], 1)
    known, asked = features[:90], features[90:]
    assert (cross_view_neighbours(asked, 0, 1) == torch.arange(30)).float().mean() < 0.3
    assert (cross_view_neighbours(asked, 0, 1, known, ridge=0.1) == torch.arange(30)).float().mean() > 0.95


def test_folds_keep_people_apart_and_labels_can_be_taken_away():
    views = squares()
    for fold in range(3):
        train, test = fold_of(views, 3, fold)
        assert not set(train.table["subject"]) & set(test.table["subject"]) and len(train) + len(test) == 36
    with pytest.raises(ManifestError, match="folds cannot be made of 6 persons"):
        fold_of(views, 7, 0)
    assert without_labels(views).labels.eq(-1).all() and len(with_labels(without_labels(views))) == 0
    assert len(with_labels(views, [3])) == 36 and len(with_labels(views, [4])) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "moco"], "method is 'moco', expected one of mifar, barlow, simclr"),
        (["--encoder", "alexnet"], "encoder is 'alexnet'"),
        (["--batch_size", "1"], "two samples or more"),
        (["--batch_size", "4", "--accumulate", "4"], "two samples or more"),
        (["--fold", "10"], "fold is 10, expected 0 to 9"),
        (["--channels", "curvature"], r"channels are \['curvature'\]"),
        (["--loss.views", "1", "--loss.nu", "1"], "unknown setting 'loss.nu'"),
        (["--loss.views", "0.5", "0.5"], r"loss.views are \[0.5, 0.5\], expected 3 weights"),
        (["--pooling", "mean"], "pooling is 'mean', expected one of svm, approximate"),
        (["--image_size", "0"], "image_size is 0"),
        (["--projector"], r"projector is \[\], expected one width or more"),
    ],
)
def test_settings_that_cannot_work_are_named(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse_config(Recipe, words)


def test_the_papers_size_is_the_default():
    recipe = parse_config(Recipe, ["--loss.views", "0.2", "0.6", "0.2"])
    assert recipe.loss.views == (0.2, 0.6, 0.2)
    assert (recipe.batch_size, recipe.projector[-1], recipe.folds) == (1024, 1024, 10)
    assert recipe.num_channels == 7 and not recipe.shared_encoder and recipe.pooling == "svm"
