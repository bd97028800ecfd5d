"""COMA and MAE: their shapes, what MAE starts from, and that training makes them better."""

import pytest
import torch

from facekit.decoupled_gan import (
    AutoencoderRecipe,
    MeshAutoencoder,
    MeshDataError,
    MultilinearAutoencoder,
    labelled_tensor,
    train_coma,
    train_mae,
)
from tests.decoupled_gan.gan_labels import labelled_sheets
from tests.decoupled_gan.gan_sheets import sheet, sheet_dataset


@pytest.fixture(scope="module")
def data():
    return labelled_sheets(side=12)


def recipe(steps, **changes):
    return AutoencoderRecipe(steps=steps, batch_size=16, image_size=16, **changes)


def test_layers_of_coma():
    """At four poolings: 3, 16, 16, 16, 32 channels down, the same up, six polynomials each."""
    vertices, faces = sheet(34)
    network = MeshAutoencoder(vertices, faces, 20)
    widths = [(m.in_channels, m.out_channels) for m in network.modules() if type(m).__name__ == "ChebyshevConv"]
    assert widths == [(3, 16), (16, 16), (16, 16), (16, 32), (32, 16), (16, 16), (16, 16), (16, 16), (16, 3)]
    assert all(m.order == 6 for m in network.modules() if type(m).__name__ == "ChebyshevConv")
    signals = torch.randn(2, len(vertices), 3)
    assert network.encoder(signals).shape == (2, 20) and network(signals).shape == signals.shape


def test_mae_starts_as_the_labelled_tensor(data):
    torch.manual_seed(0)
    network = MultilinearAutoencoder(data, 16)
    people, tensor = labelled_tensor(data)
    centres = network.centres
    for place, person in enumerate(people.tolist()):
        weights = {"identity": centres["identity"][[person]].expand(3, -1), "expression": centres["expression"]}
        torch.testing.assert_close(network.decode(weights), tensor[place], rtol=0, atol=1e-2)


def test_the_weights_have_the_paper_s_sizes(data):
    weights = MultilinearAutoencoder(data, 16).weights(data.vertices[:2])
    assert {name: tuple(value.shape) for name, value in weights.items()} == {"identity": (2, 65), "expression": (2, 20)}


def test_unlabelled_samples_are_left_out_of_the_agreement(data):
    network = MultilinearAutoencoder(data, 16)
    rows = torch.tensor([1, 3])  # no expression label
    batch = data.batch(rows)
    both = network.loss(batch, None)["agreement"]
    person = network.weights(batch["vertices"])["identity"] - network.centres["identity"][batch["identity"]]
    assert (batch["expression"] == -1).all()
    torch.testing.assert_close(both, person.square().mean())


@pytest.mark.parametrize("train", [train_mae, train_coma])
def test_training_comes_nearer_to_the_data(data, train):
    def misfit(model):
        """Mean distance from a training mesh to the nearest of many samples."""
        made = model(model.sample_codes(300, torch.Generator().manual_seed(0)))
        return torch.stack([(made - mesh).norm(dim=-1).mean(dim=1).min() for mesh in data.vertices[:15]]).mean()

    raw, trained = (train(data, recipe(steps)) for steps in (1, 150))
    assert misfit(trained) < 0.9 * misfit(raw)
    codes = trained.sample_codes(2, torch.Generator().manual_seed(1))
    assert trained(codes).shape == (2, data.num_vertices, 3) and not trained(codes).requires_grad
    assert set(codes) == {"identity", "expression"}


def test_too_few_labels_are_refused_before_training():
    with pytest.raises(MeshDataError, match="sheet 0: person 0 has no mesh labelled"):
        train_mae(sheet_dataset(side=12, count=6), recipe(5))
    with pytest.raises(MeshDataError, match="sheet 1: person 1 has no mesh labelled neutral"):
        train_coma(labelled_sheets(side=12, count=8, people=4), recipe(5))
