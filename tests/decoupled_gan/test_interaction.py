"""The share of the interaction: against the definition in loops, its extremes, its gradient, and in the game."""

import numpy as np
import pytest
import torch

from facekit.decoupled_gan import (
    Adversaries,
    DecoupledGAN,
    LossWeights,
    interaction_loss,
    interaction_share,
    start_linearly,
)
from facekit.training import Step, World
from tests.decoupled_gan.gan_labels import labelled_sheets

SIZES = {"identity": 6, "expression": 4, "noise": 2}


def share_by_analysis_of_variance(table):
    """Two-way analysis of variance of a (2, 2, V, 3) table [person, expression], cell by cell."""
    grand = table.mean(axis=(0, 1))
    squares = {"person": 0.0, "expression": 0.0, "interaction": 0.0}
    for i in range(2):
        for j in range(2):
            person, expression = table[i].mean(axis=0) - grand, table[:, j].mean(axis=0) - grand
            squares["person"] += np.square(person).sum()
            squares["expression"] += np.square(expression).sum()
            squares["interaction"] += np.square(table[i, j] - grand - person - expression).sum()
    assert sum(squares.values()) == pytest.approx(np.square(table - grand).sum())
    return squares["interaction"] / sum(squares.values())


def test_share_is_that_of_an_analysis_of_variance():
    corners = torch.randn(4, 5, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [share_by_analysis_of_variance(corners[:, k].numpy()[[[0, 2], [1, 3]]]) for k in range(5)]
    torch.testing.assert_close(interaction_share(corners), torch.tensor(expected, dtype=torch.float64))


def test_sums_have_no_interaction_and_signs_that_only_meet_have_nothing_else():
    person, expression = torch.randn(2, 2, 1, 7, 3, generator=torch.Generator().manual_seed(0))
    sums = torch.stack([person[0] + expression[0], person[1] + expression[0],
                        person[0] + expression[1], person[1] + expression[1]])  # fmt: skip
    torch.testing.assert_close(interaction_share(sums), torch.zeros(1))
    field = torch.randn(1, 7, 3)
    torch.testing.assert_close(interaction_share(torch.stack([field, -field, -field, field])), torch.ones(1))


def test_share_ignores_scale_and_place_and_one_face_has_none():
    corners = torch.randn(4, 3, 7, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(interaction_share(100 + 5 * corners), interaction_share(corners), rtol=1e-3, atol=1e-4)
    assert torch.equal(interaction_share(torch.ones(4, 2, 7, 3)), torch.zeros(2))


def test_share_s_gradient():
    corners = torch.randn(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(interaction_share, corners)


def test_other_numbers_of_corners_or_factors_are_refused():
    with pytest.raises(ValueError, match="four shapes, found 3"):
        interaction_share(torch.zeros(3, 1, 7, 3))
    with pytest.raises(ValueError, match="two factors are crossed, found 1: identity"):
        interaction_loss(None, {}, {"identity": torch.zeros(1, 6)})


@pytest.fixture(scope="module")
def data():
    return labelled_sheets(side=12)


def losses(generator, random):
    codes, others = generator.sample_codes(16, random), generator.sample_codes(16, random)
    del others["noise"]
    return interaction_loss(generator, codes, others)


def test_a_linear_start_has_less_interaction_than_a_random_one(data):
    torch.manual_seed(0)
    generator = DecoupledGAN(data, 16, SIZES, hidden=256).generator
    before = losses(generator, torch.Generator().manual_seed(1))
    start_linearly(generator, data, 1.0)
    after = losses(generator, torch.Generator().manual_seed(1))
    assert 0.02 < before < 1 and after < 0.2 * before


def test_the_game_has_the_term_only_where_it_is_asked_for(data):
    gan, world = DecoupledGAN(data, 32, SIZES, hidden=32), World(0, 1, torch.device("cpu"))
    without, terms = (
        Adversaries(gan, data, 8, interaction=asked).generator(None, Step(0, 100, "generator", 0, 0, world, seed=5))
        for asked in (False, True)
    )
    assert set(without) == set(LossWeights().generator())
    assert set(terms) == set(LossWeights(interaction=3.0).generator())
    assert all(torch.equal(without[name], terms[name]) for name in without)
    (gradient,) = torch.autograd.grad(terms["interaction"], gan.generator.layers[0].weight)
    assert gradient.abs().sum() > 0
