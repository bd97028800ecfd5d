"""The game: which codes go together, what each loss may move, and that W processes play the same game as one."""

from dataclasses import replace

import pytest
import torch

from facekit.decoupled_gan import Adversaries, DecoupledGAN, LossWeights, laplacian_loss
from facekit.decoupled_gan.adversarial import REAL_ROUGHNESS
from facekit.training import Step, World
from tests.decoupled_gan.gan_sheets import sheet_dataset

SIZES = {"identity": 6, "expression": 4, "noise": 2}


@pytest.fixture(scope="module")
def data():
    return sheet_dataset(side=12, count=40)


@pytest.fixture
def gan(data):
    torch.manual_seed(0)
    return DecoupledGAN(data, image_size=32, code_sizes=SIZES, hidden=32)


def step(index=0, repeat=0, update="generator", rank=0, size=1):
    return Step(index, 100, update, repeat, 0, World(rank, size, torch.device("cpu")), seed=5)


def test_roles_alternate(gan, data):
    game = Adversaries(gan, data, 8)
    roles = [(draw.labelled, draw.shared) for draw in (game.draw(step(i)) for i in range(4))]
    assert roles == [("identity", "expression"), ("expression", "identity")] * 2


def test_labelled_codes_come_from_the_fixed_set_and_pairs_share_the_free_code(gan, data):
    draw = Adversaries(gan, data, 16).draw(step(0))
    assert torch.equal(draw.codes["identity"], gan.fixed("identity", draw.labels))
    assert 0 <= draw.labels.min() and draw.labels.max() < 4 and len(draw.labels.unique()) > 1
    expression = draw.codes["expression"]
    assert torch.equal(expression[0::2], expression[1::2]) and not torch.equal(expression[0], expression[2])
    assert not torch.equal(draw.codes["noise"][0], draw.codes["noise"][1])


def test_three_factors_take_all_turns(data):
    labels = {**data.labels, "viseme": data.labels["expression"]}
    names = {**data.label_names, "viseme": data.label_names["expression"]}
    three = type(data)(data.vertices, data.faces, labels, names, uv=data.uv)
    gan = DecoupledGAN(three, 32, {**SIZES, "viseme": 3}, hidden=8)
    game = Adversaries(gan, three, 4)
    assert len({(d.labelled, d.shared) for d in (game.draw(step(i)) for i in range(6))}) == 6
    terms = game.discriminator(three.batch(torch.arange(4)), step(update="discriminator"))
    assert {"real_identity", "real_expression", "real_viseme"} < set(terms)


def test_terms_are_those_that_the_weights_name(gan, data):
    game, weights = Adversaries(gan, data, 8), LossWeights()
    assert set(game.generator(None, step())) == set(weights.generator())
    terms = game.discriminator(data.batch(torch.arange(8)), step(update="discriminator"))
    assert set(terms) == set(weights.discriminator(game.factors))
    assert all(term.isfinite() and term.ndim == 0 for term in terms.values())


def test_the_discriminator_s_loss_leaves_the_generator_alone(gan, data):
    terms = Adversaries(gan, data, 8).discriminator(data.batch(torch.arange(8)), step(update="discriminator"))
    sum(terms.values()).backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    assert all(p.grad is not None for p in gan.discriminator.parameters())


def test_each_term_moves_the_generator(gan, data):
    for name, term in Adversaries(gan, data, 8).generator(None, step()).items():
        (gradient,) = torch.autograd.grad(term, gan.generator.layers[2].weight, retain_graph=True)
        assert gradient.abs().sum() > 0, name


def test_classification_and_feature_loss_use_their_own_branch(gan, data):
    game = Adversaries(gan, data, 8)
    terms = game.generator(None, step(0))
    branches = gan.discriminator.classifiers
    weight = {name: branch["features"][0].weight for name, branch in branches.items()}
    for term, own, other in (("classification", "identity", "expression"), ("feature", "expression", "identity")):
        gradients = torch.autograd.grad(terms[term], [weight[own], weight[other]], allow_unused=True, retain_graph=True)
        assert gradients[0].abs().sum() > 0 and gradients[1] is None


def test_instance_noise_has_the_asked_deviation(gan, data):
    game = Adversaries(gan, data, 8, instance_noise=0.3)
    images = torch.zeros(8, 3, 32, 32)
    assert abs(game.noisy(images, step()).std() - 0.3) < 0.01


def test_real_displacements_cost_the_same_in_any_unit_and_at_any_resolution(gan, data):
    costs = []
    for side, millimetres in ((12, 1.0), (12, 10.0), (20, 1.0)):
        meshes = sheet_dataset(side, 40)
        meshes = replace(meshes, vertices=meshes.vertices * millimetres)
        gan = DecoupledGAN(meshes, 32, SIZES, hidden=8)
        displacements = (meshes.vertices - gan.generator.reference) / gan.unit
        costs.append(laplacian_loss(displacements, gan.laplacian).item())
    assert costs[1] == pytest.approx(costs[0], rel=1e-3)
    assert costs[2] == pytest.approx(costs[0], rel=0.8)
    assert 0.5 * REAL_ROUGHNESS < costs[0] < 20 * REAL_ROUGHNESS


def test_geometry_images_have_unit_variance(gan, data):
    images = gan.discriminator.images(data.vertices)
    variance = (images - images.mean(dim=(0, 2, 3), keepdim=True)).square().mean().item()
    assert 0.5 < 3 * variance / 2 < 2.0


@pytest.mark.parametrize("update", ["discriminator", "generator"])
@pytest.mark.parametrize("size", [2, 4])
def test_processes_play_the_game_of_one(gan, data, update, size):
    """Averaged over shares, the loss and every gradient equal those of the whole batch."""
    loss, whole = loss_and_gradients(gan, data, update, 0, 1)
    shares = [loss_and_gradients(gan, data, update, rank, size) for rank in range(size)]
    torch.testing.assert_close(sum(share for share, _ in shares) / size, loss, rtol=1e-4, atol=1e-5)
    for number, gradient in enumerate(whole):
        mean = sum(gradients[number] for _, gradients in shares) / size
        torch.testing.assert_close(mean, gradient, rtol=1e-3, atol=1e-5)


def loss_and_gradients(gan, data, update, rank, size, count=16):
    """What process ``rank`` of ``size`` finds on its share of one global batch."""
    game, weights = Adversaries(gan, data, count // size), LossWeights()
    share = data.batch(torch.arange(count).chunk(size)[rank])
    terms = getattr(game, update)(share, step(3, 1, update, rank, size))
    factor = weights.discriminator(game.factors) if update == "discriminator" else weights.generator()
    total = sum(factor[name] * term for name, term in terms.items())
    return total.detach(), torch.autograd.grad(total, list(getattr(gan, update).parameters()))


def test_bad_settings_are_refused(gan, data):
    with pytest.raises(ValueError, match="pairs"):
        Adversaries(gan, data, 7)
    same = data.subset(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="nothing to learn"):
        DecoupledGAN(same, 32, SIZES)


def test_labels_are_drawn_as_the_balance_says(gan, data):
    """Three quarters of the labelled sheets show person 0: the square root of 3:1 is 1.7:1."""
    labels = {**data.labels, "identity": torch.where(torch.arange(40) % 4 < 3, 0, 1)}
    uneven = replace(data, labels=labels)
    for balance, expected in ((0.0, 0.75), (0.5, 3**0.5 / (1 + 3**0.5)), (1.0, 0.5)):
        draw = Adversaries(gan, uneven, 4000, balance=balance).draw(step(0))
        assert draw.labelled == "identity"
        assert (draw.labels == 0).float().mean().item() == pytest.approx(expected, abs=0.03)


def test_an_unclassified_factor_has_free_codes_and_no_loss(gan, data):
    game = Adversaries(gan, data, 8, unclassified=["expression"])
    assert game.factors == ("identity",)
    draw = game.draw(step(1))
    assert draw.labelled == "expression" and not torch.equal(
        draw.codes["expression"], gan.fixed("expression", draw.labels)
    )
    labelled_identity, labelled_expression = (game.generator(None, step(index)) for index in (0, 1))
    assert labelled_identity["classification"] > 0 and labelled_identity["feature"] == 0
    assert labelled_expression["classification"] == 0 and labelled_expression["feature"] > 0
    terms = game.discriminator(data.batch(torch.arange(8)), step(update="discriminator"))
    assert set(terms) == set(LossWeights().discriminator(["identity"]))
    with pytest.raises(ValueError, match="'viseme' is to be unclassified, but is not among"):
        Adversaries(gan, data, 8, unclassified=["viseme"])
