"""Diversity, specificity and the quick decoupling check on models whose answers are known."""

import pytest
import torch

from facekit.decoupled_gan import LinearEmbedding, LinearGaussian, MeshDataError, evaluate, evaluate_data
from facekit.decoupled_gan.evaluation import best_threshold
from tests.decoupled_gan.gan_sheets import sheet_dataset


class Sheets:
    """A face model that decouples by construction: width and bump from one number each, which a code's sign gives."""

    def __init__(self, data, mixed=False):
        self.data, self.mixed = data, mixed
        self.neutral = data.vertices[data.labels["identity"] == 0][0]

    def sample_codes(self, count, generator):
        return {name: torch.randn(count, 1, generator=generator) for name in ("identity", "expression", "noise")}

    def __call__(self, codes):
        wide, bump = (codes[name].sign() for name in ("identity", "expression"))
        if self.mixed:
            wide = wide * bump
        faces = self.neutral.repeat(len(wide), 1, 1)
        faces[..., 1] *= 1.15 + 0.15 * wide
        faces[..., 2] += 15 * torch.sin(faces[..., 0] / 30) * (1 + bump)
        return faces


@pytest.fixture(scope="module")
def data():
    data = sheet_dataset(side=8, count=240)
    noise = torch.randn(data.vertices.shape, generator=torch.Generator().manual_seed(0))
    return type(data)(data.vertices + 0.3 * noise, data.faces, data.labels, data.label_names, uv=data.uv)


def test_embedding_tells_labels_apart(data):
    embedding = LinearEmbedding.fit(data, "identity")
    assert embedding.accuracy > 0.95 and embedding.false_acceptance < 0.1
    rows = {k: data.vertices[data.labels["identity"] == k][:10] for k in (0, 2)}
    assert embedding.same(rows[0][:5], rows[0][5:]).all()
    assert not embedding.same(rows[0], rows[2]).any()


def test_embedding_needs_few_labels_and_follows_its_seed(data):
    one, same = LinearEmbedding.fit(data, "expression"), LinearEmbedding.fit(data, "expression")
    assert one.threshold == same.threshold and torch.equal(one.project, same.project)
    assert one.accuracy > 0.95


def test_a_decoupled_model_keeps_its_codes(data):
    embeddings = {factor: LinearEmbedding.fit(data, factor) for factor in data.labels}
    good = evaluate(Sheets(data), data, embeddings, pairs=200, samples=10)
    mixed = evaluate(Sheets(data, mixed=True), data, embeddings, pairs=200, samples=10)
    assert good["decoupling_identity"] > 95 and good["decoupling_expression"] > 95
    assert mixed["decoupling_identity"] < 80


def test_diversity_and_specificity_have_known_values(data):
    """Of random pairs, half differ in the bump; of pairs with one identity, too; of pairs with one expression, none."""
    sampler = Sheets(data)
    sampler.sample_codes = lambda count, generator: {
        "identity": torch.ones(count, 1),
        "expression": torch.randn(count, 1, generator=generator),
    }
    measured = evaluate(sampler, data, pairs=2000, samples=20)
    height = 30 * torch.sin(sampler.neutral[:, 0] / 30).abs().mean().item()
    assert measured["diversity"] == pytest.approx(height / 2, rel=0.1)
    assert measured["diversity_identity"] == pytest.approx(height / 2, rel=0.1)
    assert measured["diversity_expression"] == 0
    assert set(measured) == {"diversity", "diversity_identity", "diversity_expression", "specificity"}
    assert measured["specificity"] < 2.0


def test_a_quicker_difference_is_taken_and_changes_nothing(data):
    quick = Sheets(data)
    quick.difference = lambda first, second: quick(first) - quick(second)
    assert evaluate(quick, data, pairs=50, samples=5) == evaluate(Sheets(data), data, pairs=50, samples=5)
    quick.difference = lambda first, second: torch.full((len(first["identity"]), 64, 3), 2.0)
    assert evaluate(quick, data, pairs=50, samples=5)["diversity"] == pytest.approx(12**0.5)


def test_data_diversity_shrinks_within_labels(data):
    measured = evaluate_data(data, pairs=2000)
    assert measured["diversity_identity"] < measured["diversity"]
    assert measured["diversity_expression"] < measured["diversity"]


def test_a_label_that_no_two_meshes_share_is_named(data):
    few = data.subset(torch.arange(2))
    with pytest.raises(MeshDataError, match=r"no two of its \d labelled meshes have the same"):
        evaluate_data(few, pairs=4)


def test_linear_gaussian_has_the_mean_and_spread_of_the_data(data):
    model = LinearGaussian(data, components=20)
    made = model(model.sample_codes(2000, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(made.mean(dim=0), data.mean(), rtol=0, atol=0.8)

    def spread(x):
        return (x - x.mean(dim=0)).square().mean().sqrt()

    assert 0.9 < spread(made) / spread(data.vertices) < 1.05
    assert set(evaluate(model, data, pairs=50, samples=5)) == {"diversity", "specificity"}


def test_evaluation_follows_its_seed(data):
    model = LinearGaussian(data, components=5)
    assert evaluate(model, data, pairs=50, samples=5, seed=1) == evaluate(model, data, pairs=50, samples=5, seed=1)


def test_the_threshold_is_the_most_accurate_with_few_false_acceptances():
    distance = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    alike = torch.tensor([True, True, False, True, False, False])
    assert best_threshold(distance, alike, most_false=0.5) == pytest.approx((2.5, 5 / 6, 0.0))
    assert best_threshold(
        distance, torch.tensor([False, True, True, True, False, False]), most_false=0.5
    ) == pytest.approx((4.5, 5 / 6, 1 / 3))
    threshold, accuracy, false = best_threshold(distance, torch.tensor([False, True, True, True, False, False]), 0.1)
    assert false < 0.1 and accuracy < 5 / 6 and threshold < 4.5
