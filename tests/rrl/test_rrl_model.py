"""Networks: shapes, what learns and what follows, and regions that stay regions."""

import pytest
import torch

from facekit.rrl import LossWeights, RegionRelation, pool_regions, rrl_terms

BATCH, K = 6, 3


def batch(size=32, seed=0):
    random = torch.Generator().manual_seed(seed)
    made = {}
    for view in (1, 2):
        made[f"image_{view}"] = torch.rand(BATCH, 3, size, size, generator=random)
        made[f"attention_{view}"] = torch.rand(BATCH, K, 14, 14, generator=random)
        made[f"valid_{view}"] = torch.ones(BATCH, K, dtype=torch.bool)
    return made


@pytest.fixture
def model():
    torch.manual_seed(0)
    return RegionRelation("resnet_tiny", hidden=32, projection=16)


def test_shapes_and_parameters(model):
    faces = batch()
    features = model.online(faces["image_1"], faces["attention_1"])
    assert features.face.shape == (BATCH, 128) and features.units.shape == (BATCH, K, 128)
    assert model.predict(features.face).shape == (BATCH, 16)
    assert model.predict(features.units).shape == (BATCH, K, 16)
    assert not any(p.requires_grad for p in model.target.parameters())
    trained = sum(p.numel() for p in model.trainable())
    assert trained == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("encoder", ["resnet18", "vgg16", "swin_t"])
def test_the_paper_s_backbones_fit(encoder):
    model = RegionRelation(encoder, hidden=16, projection=8)
    features = model.online.eval()(torch.rand(1, 3, 64, 64), torch.rand(1, K, 14, 14))
    assert features.units.shape == (1, K, features.face.shape[1])


def test_the_target_follows_and_learns_nothing_else(model):
    faces = batch()
    terms = rrl_terms(model, faces, torch.rand(K, K), LossWeights(), 0.1)
    assert set(terms) == {"global", "local", "relation"}
    sum(terms.values()).backward()
    assert all(p.grad is None for p in model.target.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.trainable())
    with torch.no_grad():
        for p in model.online.parameters():
            p += 1.0
    before = [p.clone() for p in model.target.parameters()]
    model.follow(0.75)
    for old, new in zip(before, model.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)
    model.follow(1.0)
    model.follow(0.0)
    for old, new in zip(model.online.parameters(), model.target.parameters(), strict=True):
        torch.testing.assert_close(new, old)


def test_only_terms_that_weigh_something_are_computed(model):
    terms = rrl_terms(model, batch(), torch.rand(K, K), LossWeights(1.0, 0.0, 0.0), 0.1)
    assert set(terms) == {"global"}
    terms["global"].backward()
    assert model.online.local.join.weight.grad is None


def test_the_losses_do_not_care_which_view_is_first(model):
    faces = batch()
    swapped = {f"{name[:-1]}{3 - int(name[-1])}": value for name, value in faces.items()}
    cost = torch.rand(K, K, generator=torch.Generator().manual_seed(1))
    model.eval()
    here, there = (rrl_terms(model, views, cost, LossWeights(), 0.1) for views in (faces, swapped))
    for name in here:
        assert here[name].item() == pytest.approx(there[name].item(), abs=1e-5)


def test_faces_without_landmarks_train_on_the_whole_face_alone(model):
    faces = batch()
    faces["valid_1"] = torch.zeros_like(faces["valid_1"])
    faces["attention_1"] = torch.zeros_like(faces["attention_1"])
    terms = rrl_terms(model, faces, torch.rand(K, K), LossWeights(), 0.1)
    sum(terms.values()).backward()
    assert terms["local"].item() == 0.0 and terms["relation"].item() == 0.0 and terms["global"].item() != 0.0
    assert all(p.grad.isfinite().all() for p in model.trainable() if p.grad is not None)


def test_regions_are_means_over_where_the_attention_is():
    maps = torch.rand(2, 5, 14, 14)
    attention = torch.zeros(2, 3, 14, 14)
    attention[:, 0, 4, 6] = 0.5
    attention[:, 1, 2:4, 3:5] = 1.0
    pooled = pool_regions(maps, attention)
    torch.testing.assert_close(pooled[:, 0], maps[:, :, 4, 6])
    torch.testing.assert_close(pooled[:, 1], maps[:, :, 2:4, 3:5].mean(dim=(2, 3)))
    assert pooled[:, 2].abs().sum() == 0
    assert pool_regions(torch.rand(2, 5, 3, 3), attention).shape == (2, 3, 5)
