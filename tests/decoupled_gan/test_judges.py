"""The judges of decoupling: their loss, their training, and the count of pairs."""

import pytest
import torch

from facekit.decoupled_gan import JudgeSettings, MeshDataError, decoupling, fit_judge, portraits, triplet_loss
from facekit.decoupled_gan.judges import _evenly, mirror_normals
from tests.decoupled_gan.gan_sheets import sheet_dataset

SETTINGS = JudgeSettings("resnet_tiny", 32, 16, meshes=200, steps=40, learning_rate=2e-3, labels=4, shift=1)


@pytest.fixture(scope="module")
def data():
    data = sheet_dataset(side=8, count=240, people=8)
    noise = torch.randn(data.vertices.shape, generator=torch.Generator().manual_seed(0))
    return type(data)(data.vertices + 0.3 * noise, data.faces, data.labels, data.label_names, uv=data.uv)


@pytest.fixture(scope="module")
def judge(data):
    return fit_judge(data, "expression", SETTINGS)


def test_triplet_loss_is_that_of_single_triplets():
    embeddings = torch.randn(9, 5, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 0, 3])
    violations = []
    for a in range(9):
        for p in range(9):
            for n in range(9):
                if p != a and labels[p] == labels[a] != labels[n]:
                    near, far = (embeddings[a] - embeddings[p]), (embeddings[a] - embeddings[n])
                    violations.append(near.square().sum() - far.square().sum() + 0.5)
    violations = torch.stack([v for v in violations if v > 0])
    torch.testing.assert_close(triplet_loss(embeddings, labels, 0.5), violations.mean())


def test_triplet_loss_without_a_violation_is_zero_and_has_a_gradient():
    embeddings = torch.tensor([[0.0, 0.0], [0.0, 0.1], [9.0, 0.0], [9.0, 0.1]], requires_grad=True)
    loss = triplet_loss(embeddings, torch.tensor([0, 0, 1, 1]), 0.2)
    loss.backward()
    assert loss == 0 and (embeddings.grad == 0).all()


def test_a_judge_tells_expressions_apart_on_people_it_has_not_seen(data, judge):
    assert judge.quality.accuracy > 0.9 and judge.quality.false_acceptance < 0.1
    embedded = judge.embed(data.vertices[:6])
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(6))
    assert not judge.training and judge.images(data.vertices[:2]).is_contiguous()


def test_a_judge_follows_its_seed(data, judge):
    again = fit_judge(data, "expression", SETTINGS)
    assert again.quality == judge.quality


class Bumps:
    """Sheets whose bump follows the expression code, or, mixed up, the noise."""

    def __init__(self, data, follows):
        self.data, self.follows = data, follows

    def sample_codes(self, count, generator):
        return {name: torch.randn(count, 1, generator=generator) for name in ("identity", "expression", "noise")}

    def __call__(self, codes):
        shown = (codes[self.follows][:, 0] > 0).long() * 2
        rows = [(self.data.labels["expression"] == k).nonzero()[0, 0] for k in shown.tolist()]
        return self.data.vertices[torch.stack(rows)]


def test_decoupling_counts_pairs_that_share_a_code(data, judge):
    def score(follows):
        return decoupling(Bumps(data, follows), "expression", judge, 8, 10, torch.Generator().manual_seed(0))

    assert score("expression") > 95
    assert 20 < score("noise") < 80


def test_mirrored_normals_are_those_of_the_mirrored_face(judge, data):
    one = data.vertices[5:6] * torch.tensor([1.0, 1.3, 1.0]) + torch.tensor([4.0, 0.0, 0.0])
    across = one * torch.tensor([-1.0, 1.0, 1.0])
    images = portraits(one, data.faces, 64, normals=True, centre=torch.zeros(3))
    expected = portraits(across, data.faces.flip(1), 64, normals=True, centre=torch.zeros(3))
    inner = (slice(None), slice(None), slice(20, 44), slice(20, 44))
    torch.testing.assert_close(mirror_normals(images)[inner], expected[inner], rtol=0, atol=0.02)
    assert (images - expected)[inner].abs().max() > 0.1


def test_rows_take_turns_by_label():
    labels = torch.tensor([5, 5, 5, 2, 2, 7])
    rows = torch.arange(10, 16)
    ordered = _evenly(rows, labels)
    assert labels[ordered - 10].tolist() == [2, 5, 7, 2, 5, 5] and sorted(ordered.tolist()) == rows.tolist()


def test_a_judge_needs_two_labels(data):
    one = data.subset((data.labels["expression"] == 2).nonzero().flatten())
    with pytest.raises(MeshDataError, match="two labels of expression to train on, found"):
        fit_judge(one, "expression", SETTINGS)
