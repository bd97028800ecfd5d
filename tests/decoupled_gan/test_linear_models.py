"""Linear and bilinear models: what they reproduce exactly, and what they say of too few labels."""

from dataclasses import replace

import pytest
import torch

from facekit.decoupled_gan import (
    DecoupledGAN,
    GaussianCode,
    MeshDataError,
    MultilinearModel,
    additive_linear,
    bilinear,
    evaluate,
    labelled_tensor,
    neutral_faces,
    start_linearly,
)
from tests.decoupled_gan.gan_labels import labelled_sheets


@pytest.fixture(scope="module")
def data():
    return labelled_sheets()


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gaussian_code_has_the_mean_and_covariance_of_the_weights():
    weights = torch.randn(5000, 3, generator=random()) @ torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 0.5]]) + 4
    code = GaussianCode.fit(weights, 3)
    drawn = code(torch.randn(20_000, 3, generator=random(1)))
    torch.testing.assert_close(drawn.mean(dim=0), weights.mean(dim=0), rtol=0, atol=0.1)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(weights.T), rtol=0.1, atol=0.1)
    narrow = GaussianCode.fit(weights, 1).basis
    assert narrow.shape == (1, 3)
    torch.testing.assert_close(narrow.abs(), code.basis[:1].abs())


def test_neutral_faces_are_the_labelled_ones(data):
    neutrals = neutral_faces(data)
    for person in range(5):
        rows = (data.labels["identity"] == person) & (data.labels["expression"] == 0)
        torch.testing.assert_close(neutrals[person], data.vertices[rows].mean(dim=0))


def test_somebody_without_a_neutral_mesh_is_named(data):
    expression = data.labels["expression"].clone()
    expression[(data.labels["identity"] == 3) & (expression == 0)] = 1
    lacking = replace(data, labels={**data.labels, "expression": expression})
    with pytest.raises(MeshDataError, match="sheet 3: person 3 has no mesh labelled neutral"):
        neutral_faces(lacking)


def test_the_additive_model_keeps_person_and_expression_apart(data):
    """Sheets are a width plus a bump, exactly what an additive model can say."""
    model = additive_linear(data)
    codes = model.sample_codes(4, random())
    one = {**codes, "identity": codes["identity"][:1].expand(4, -1)}
    made, same = model(codes), model(one)
    torch.testing.assert_close(made[..., 2], same[..., 2], rtol=0, atol=1e-3)
    assert (same[..., 1] - same[:1, :, 1]).abs().max() < 1e-3 < (made[..., 1] - made[:1, :, 1]).abs().max()
    assert set(evaluate(model, data, pairs=20, samples=5)) >= {"diversity_identity", "diversity_expression"}


def test_the_labelled_tensor_holds_the_mean_of_each_cell(data):
    people, tensor = labelled_tensor(data)
    assert people.tolist() == [0, 1, 2, 3, 4] and tensor.shape == (5, 3, data.num_vertices, 3)
    cell = (data.labels["identity"] == 2) & (data.labels["expression"] == 1)
    torch.testing.assert_close(tensor[2, 1], data.vertices[cell].mean(dim=0))


def test_the_decomposition_gives_the_tensor_back(data):
    people, tensor = labelled_tensor(data)
    model = MultilinearModel.fit(data)
    for place in range(len(people)):
        weights = {"identity": model.identity[[place]].expand(3, -1), "expression": model.expression}
        torch.testing.assert_close(model(weights), tensor[place], rtol=0, atol=1e-3)
    torch.testing.assert_close(model.identity.square().mean(), torch.tensor(1.0), rtol=1e-3, atol=0)


def test_fewer_weights_leave_an_error(data):
    _, tensor = labelled_tensor(data)
    model = MultilinearModel.fit(data, identity=1, expression=2)
    weights = {"identity": model.identity.repeat_interleave(3, 0), "expression": model.expression.repeat(5, 1)}
    error = (model(weights) - tensor.flatten(0, 1)).norm(dim=-1).mean()
    assert model.core.shape[:2] == (1, 2) and 0.1 < error < 10


def test_bilinear_samples_are_between_the_labelled_meshes(data):
    model = bilinear(data)
    made = model(model.sample_codes(200, random()))
    assert (made.mean(dim=0) - data.mean()).norm(dim=-1).mean() < 2
    assert {name: len(part.basis) for name, part in model.parts.items()} == {"identity": 4, "expression": 2}


def test_too_few_complete_people_are_reported_with_a_sample_and_what_it_lacks(data):
    identity, expression = data.labels["identity"], data.labels["expression"].clone()
    expression[(identity > 0) & (expression == 2)] = -1
    few = replace(data, labels={**data.labels, "expression": expression})
    with pytest.raises(
        MeshDataError,
        match=r"sheet 1: person 1 has no mesh labelled high bump; .* at least 2 .* 3 expressions, found 1",
    ):
        MultilinearModel.fit(few)


def test_a_generator_can_start_as_the_additive_model(data):
    gan = DecoupledGAN(data, image_size=16, code_sizes={"identity": 6, "expression": 4, "noise": 2}, hidden=64)
    generator = gan.generator
    model = start_linearly(generator, data)
    used = {name: len(part.basis) for name, part in model.parts.items()}
    with torch.no_grad():
        generator.layers[2].weight[:, 2 * sum(used.values()) :] = 0
    codes = generator.sample_codes(5, random())
    torch.testing.assert_close(
        generator(codes), model({name: 0.6 * codes[name][:, :size] for name, size in used.items()}), rtol=0, atol=1e-3
    )
    narrow = DecoupledGAN(data, image_size=16, code_sizes={"identity": 6, "expression": 4, "noise": 2}, hidden=4)
    with pytest.raises(ValueError, match="twice as many hidden units, found 4"):
        start_linearly(narrow.generator, data)
