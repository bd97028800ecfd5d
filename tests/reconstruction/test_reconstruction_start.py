"""Codes that start as coefficients of the 3DMM, the decoder that adds to its faces, and the pictures of the chapter."""

import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from facekit.data import DataError, normalize
from facekit.reconstruction import (
    CODE_SIZES,
    Networks,
    Photos,
    build_reconstructor,
    figure_pictures,
    linear_reconstructor,
    open_material,
    ridge,
    start_codes,
    train,
)
from facekit.training import TensorSource


def test_ridge_is_the_minimum_of_its_loss():
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 6, generator=random).double(), torch.randn(40, 3, generator=random).double()
    weight, bias = (part.requires_grad_() for part in ridge(x, y, 0.3))
    variance = (x - x.mean(dim=0)).square().mean(dim=0).mean()
    loss = (x @ weight.T + bias - y).square().sum() / 40 + 0.3 * variance * weight.square().sum()
    slopes = torch.autograd.grad(loss, [weight, bias])
    assert all(slope.abs().max() < 1e-10 for slope in slopes)


def test_features_that_never_change_predict_the_mean():
    y = torch.randn(5, 3).double()
    weight, bias = ridge(torch.ones(5, 4).double(), y, 0.1)
    assert not weight.any()
    torch.testing.assert_close(bias, y.mean(dim=0))


def test_a_penalty_is_chosen_by_people_who_are_not_fitted(prior):
    model = linear_reconstructor(prior.model, 32, "resnet_tiny", "random")
    photos = photos_with_coefficients_in_sight(prior.model, model.encoder, count=2)
    photos = replace(photos, identity=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="every fifth person chooses the penalty, found 1 in all"):
        start_codes(model.encoder, photos)


def photos_with_coefficients_in_sight(prior, encoder, count=120):
    """Random pictures whose coefficients are linear functions of the features that the encoder finds."""
    random = torch.Generator().manual_seed(1)
    images = torch.rand(count, 3, 32, 32, generator=random)
    with torch.no_grad():
        features = encoder.backbone(normalize((255 * images).round() / 255)).double()
    features = (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-6)
    number = prior.num_identity + prior.num_expression
    codes = features @ torch.randn(features.shape[1], number, generator=random).double() / 10
    names = ("fitted_identity_code", "fitted_expression_code")
    parts = dict(zip(names, codes.float().split([prior.num_identity, prior.num_expression], dim=1), strict=True))
    blank = {"mask": torch.ones(count, 1, 32, 32, dtype=torch.bool), "landmarks": torch.zeros(count, 68, 2)}
    return Photos(TensorSource(image=images, **blank, **parts), torch.arange(count), count, labelled=True)


def test_heads_start_as_coefficients(prior):
    torch.manual_seed(0)
    model = linear_reconstructor(prior.model, 32, "resnet_tiny", "random").eval()
    images = torch.rand(4, 3, 32, 32)
    pose = model.encoder(images).pose
    photos = photos_with_coefficients_in_sight(prior.model, model.encoder)
    mean = photos.source.batch(torch.arange(120))["fitted_identity_code"].var()
    start_codes(model.encoder, photos)
    batch = photos.batch(torch.arange(120))
    with torch.no_grad():
        found = model.encoder(batch["image"])
    kept = found.identity[:, : prior.model.num_identity]
    assert (kept - batch["shape_code"]).square().mean() < 0.7 * mean
    assert torch.equal(model.encoder(images).pose, pose), "the other heads stay"


def test_a_decoder_from_the_prior_starts_as_the_prior(prior):
    model, _ = build_reconstructor(prior.model, 32, "resnet_tiny", "random", (4, 4), (8, 4), from_prior=True)
    identity, expression = torch.randn(2, CODE_SIZES["identity"]), torch.randn(2, CODE_SIZES["expression"])
    wanted = prior.model.shape(identity[:, :10], expression[:, :6])
    torch.testing.assert_close(model.shape_decoder(identity, expression), wanted, atol=1e-3, rtol=0)
    loss = (model.shape_decoder(identity, expression) - wanted - 1).square().mean()
    loss.backward()
    assert model.shape_decoder.graph.last.weight.grad.abs().sum() > 0, "and may leave it"


def test_a_prior_may_have_more_coefficients_than_a_code(prior):
    """The Basel model of 300W-LP has 199 for identity, the code 128."""
    torch.manual_seed(0)
    sizes = {"identity": 4, "expression": 3}
    model, _ = build_reconstructor(prior.model, 32, "resnet_tiny", "random", (4, 4), (8, 4), sizes, from_prior=True)
    identity, expression = torch.randn(2, 4), torch.randn(2, 3)
    longer = torch.cat([identity, torch.zeros(2, 6)], dim=1), torch.cat([expression, torch.zeros(2, 3)], dim=1)
    torch.testing.assert_close(model.shape_decoder(identity, expression), prior.model.shape(*longer))

    photos = photos_with_coefficients_in_sight(prior.model, model.encoder)
    whole = linear_reconstructor(prior.model, 32, "resnet_tiny", "random")
    whole.encoder.backbone = model.encoder.backbone
    assert start_codes(model.encoder, photos) == start_codes(whole.encoder, photos)
    for name, size in sizes.items():
        assert torch.equal(model.encoder.heads[name].weight, whole.encoder.heads[name].weight[:size])


def test_an_encoder_without_a_fine_map_has_no_skip_connections(prior):
    with pytest.raises(ValueError, match="maps, expected four, of strides 2, 4, 8 and 16"):
        build_reconstructor(prior.model, 64, "swin_t", "random", (4, 4), (8, 4))


def test_a_backbone_is_needed_to_start_from_the_prior(recipe):
    chosen = replace(recipe, from_prior=True, steps=1)
    material = open_material(chosen)
    cold = train(chosen, material).model
    torch.manual_seed(chosen.seed)
    warm = Networks(chosen, material.prior.model, material.labelled.people).model.encoder.backbone.state_dict()
    started = train(chosen, material, backbone=warm).model
    rows = cold.encoder.heads["identity"].weight[:10] - started.encoder.heads["identity"].weight[:10]
    assert rows.abs().max() > 0.01


@pytest.fixture
def pictures(tmp_path, repository, monkeypatch):
    """What the chapter's script keeps at the smallest scale."""
    monkeypatch.setattr(sys, "argv", ["figures.py", "--scale", "smoke", "--out", str(tmp_path / "figures.npz")])
    runpy.run_path(str(repository / "book" / "reconstruction" / "figures.py"), run_name="__main__")
    with np.load(tmp_path / "figures.npz") as arrays:
        return dict(arrays)


def test_pictures_of_the_chapter_are_drawn_in_the_world(tmp_path):
    with pytest.raises(DataError, match="in the face world, found --data micc="):
        figure_pictures(f"micc={tmp_path}", "smoke", 0)


def test_pictures_of_the_chapter(pictures):
    shapes = {name: grid.shape[:2] for name, grid in pictures.items()}
    assert shapes == {"lights": (4, 4), "wild": (5, 5), "shapes": (3, 6), "skin": (3, 9)}
    for name, grid in pictures.items():
        assert grid.shape[2:] == (3, 64, 64) and grid.dtype == "uint8"
        spread = grid.reshape(-1, 3 * 64 * 64).std(axis=1)
        assert (spread > 5).all(), f"{name}: an empty picture"
