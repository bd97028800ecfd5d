"""Hybrid batches, labels under augmentation, the terms of one step, recipes and their mistakes."""

from dataclasses import replace

import pytest
import torch

from facekit.meshes import MeshError
from facekit.reconstruction import (
    Codes,
    LaptopRecipe,
    LossWeights,
    Networks,
    Objective,
    Recipe,
    linear_reconstructor,
    objective,
    open_material,
    updates,
)
from facekit.render import weak_perspective
from facekit.training import ConfigError, Step, World

ONE = World(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def material(recipe):
    return open_material(recipe)


@pytest.fixture(scope="module")
def networks(recipe, material):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Networks(recipe, material.prior.model, material.labelled.people)


def step(index=0):
    return Step(index, 10, "generator", 0, 0, ONE, 0)


def batches(material, rows=4, seeds=None):
    rows = torch.arange(rows)
    return {name: getattr(material, name).batch(rows, seeds) for name in ("labelled", "unlabelled")}


def test_halves_have_different_people_and_only_one_has_coefficients(material):
    assert set(material.labelled.identity.tolist()).isdisjoint(material.unlabelled.identity.tolist())
    assert int(material.unlabelled.identity.max()) == material.labelled.people - 1 == material.unlabelled.people - 1
    both = batches(material)
    assert set(both["labelled"]) - set(both["unlabelled"]) == {"shape_code", "expression_code"}
    assert both["labelled"]["image"].dtype == torch.float32 and 0.1 < both["labelled"]["image"].mean() < 0.9


def test_drawing_and_holding_photographs_give_the_same_batches(recipe, material):
    drawn = open_material(replace(recipe, in_memory=False))
    rows, seeds = torch.tensor([1, 0, 3, 2]), torch.arange(4)
    for name in ("labelled", "unlabelled"):
        one, other = getattr(material, name).batch(rows, seeds), getattr(drawn, name).batch(rows, seeds)
        for key in one:
            torch.testing.assert_close(one[key], other[key], atol=1e-6, rtol=0)


def test_labels_follow_the_flip(material):
    """In a flipped photograph the jaw lies on the other side of the nose, and both of a pair are flipped or neither."""
    rows, plain = torch.arange(8), material.labelled.batch(torch.arange(8))
    seeds = torch.arange(8) + 3
    flipped = material.labelled.batch(rows, seeds)
    chosen = flipped["mirrored"]
    assert 0 < int(chosen.sum()) < 8
    assert torch.equal(chosen[0::2], chosen[1::2]), "a pair is flipped together"
    side = lambda sample: sample["landmarks"][:, :17].mean(dim=1) - sample["landmarks"][:, 27:36].mean(dim=1)  # noqa: E731
    turned = (side(plain)[:, 0] * side(flipped)[:, 0]) < 0
    strong = side(plain)[:, 0].abs() > 1
    assert torch.equal(turned[strong], chosen[strong])


def test_scaled_faces_are_smaller_and_keep_their_landmarks_on_the_face(material):
    rows, seeds = torch.arange(8), torch.arange(8)
    plain, scaled = material.labelled.batch(rows), material.labelled.batch(rows, seeds)
    extent = [(b["landmarks"].amax(1) - b["landmarks"].amin(1)).amax(1) for b in (plain, scaled)]
    ratio = extent[1] / extent[0]
    assert (ratio >= 0.799).all() and (ratio <= 1.001).all() and ratio.std() > 0.02
    area = [b["mask"].float().mean(dim=(1, 2, 3)) for b in (plain, scaled)]
    torch.testing.assert_close(area[1] / area[0], ratio.square(), atol=0.12, rtol=0)
    assert torch.equal(material.labelled.batch(rows, seeds)["image"], scaled["image"])


def test_targets_are_swapped_and_mirrored(networks, material, recipe):
    game, labelled = objective(recipe, networks, material.prior.model), batches(material)["labelled"]
    labelled["mirrored"] = torch.tensor([False, False, True, True])
    prior = material.prior.model
    target = game._target(labelled, labelled["expression_code"][[1, 0, 3, 2]])
    straight = prior.shape(labelled["shape_code"][:1], labelled["expression_code"][1:2])
    torch.testing.assert_close(target[:1], straight)
    last = prior.mirror(prior.shape(labelled["shape_code"][3:], labelled["expression_code"][2:3]))
    torch.testing.assert_close(target[3:], last)


def test_true_codes_of_the_3dmm_pay_nothing_for_shapes_and_exchanged_shapes(networks, material, recipe):
    prior, labelled = material.prior.model, batches(material)["labelled"]
    model = linear_reconstructor(prior, recipe.image_size, "resnet_tiny", "random")
    game = Objective(model, networks.recognizer, None, prior, replace(recipe.weights, neutral=1.0))
    identity = torch.cat([labelled["shape_code"], torch.zeros(4, prior.num_texture)], dim=1)
    codes = Codes(identity, labelled["expression_code"], torch.zeros(4, 6), torch.zeros(4, 27))
    face, heard = model.decode(codes), []
    model.shape_decoder.register_forward_hook(lambda module, inputs, output: heard.append(inputs[1]))
    right = game._of_shapes(face, labelled)
    assert torch.equal(heard[0], codes.expression[[1, 0, 3, 2]]), "partners exchange their expressions"
    assert all(float(right[name]) < 1e-4 for name in ("shape", "pair", "neutral"))
    turned = codes._replace(expression=codes.expression[[1, 0, 3, 2]])
    wrong = game._of_shapes(model.decode(turned), labelled)
    assert float(wrong["pair"]) > 0.05 < float(wrong["shape"]) and float(wrong["neutral"]) < 1e-4


def test_terms_of_a_step(networks, material, recipe):
    game = objective(recipe, networks, material.prior.model)
    terms = game.generator(batches(material), step())
    assert set(terms) == {
        "softmax", "center", "photometric", "landmark", "shape", "pair", "smooth", "symmetry", "adversarial",
    }  # fmt: skip
    assert all(torch.isfinite(term) for term in terms.values())
    critic = game.critic_terms(batches(material), step())
    assert set(critic) == {"distance", "divergence"} and critic["divergence"].detach() >= 0
    few = replace(recipe, weights=LossWeights(softmax=0, center=0, adversarial=0, neutral=1.0))
    terms = objective(few, networks, material.prior.model).generator(batches(material), step())
    assert "neutral" in terms and not {"softmax", "center", "adversarial"} & set(terms)


def test_the_second_step_trains_the_convolutional_decoder(networks, material, recipe):
    game = objective(replace(recipe, texture_from=5), networks, material.prior.model)
    for index, (active, idle) in (
        (4, ("albedo_decoder", "texture_decoder")),
        (5, ("texture_decoder", "albedo_decoder")),
    ):
        networks.zero_grad(set_to_none=True)
        game.generator(batches(material), step(index))["photometric"].backward()
        moved = {n: any(p.grad is not None for p in getattr(networks.model, n).parameters()) for n in (active, idle)}
        assert moved == {active: True, idle: False}
    networks.zero_grad(set_to_none=True)


def test_hidden_pixels_do_not_count(networks, material, recipe):
    both = batches(material)
    for half in both.values():
        half["mask"] = torch.zeros_like(half["mask"])
    masked = objective(recipe, networks, material.prior.model).generator(both, step())
    blind = objective(replace(recipe, masked=False), networks, material.prior.model).generator(both, step())
    assert masked["photometric"].item() == 0 < blind["photometric"].item()


def test_settings(networks, material, recipe):
    chosen = replace(recipe, critic_every=3, warm_up=2)
    warm_up, critic, generator = updates(chosen, material, networks, material.prior.model)
    assert isinstance(critic.optimizer, torch.optim.RMSprop) and isinstance(generator.optimizer, torch.optim.Adam)
    assert [warm_up.active(index) for index in range(4)] == [True, True, False, False]
    assert [generator.active(index) for index in range(4)] == [False, False, True, True]
    assert [critic.active(index) for index in range(7)] == [False, False, False, True, False, False, True]
    terms = warm_up.loss(material.labelled.batch(torch.arange(4)), step())
    assert set(terms) == {"flat", "solid"} and all(torch.isfinite(term) for term in terms.values())
    assert len(updates(recipe, material, networks, material.prior.model)) == 2
    paper = Recipe()
    paper.check()
    assert (paper.learning_rate, paper.critic_rate, paper.final_rate) == (1e-4, 5e-5, 1.0)
    LaptopRecipe().check()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"preset": "phone"}, "preset is 'phone', expected one of paper, laptop"),
        ({"factors": (4, 4, 4)}, "3 factors and 2 widths"),
        ({"factors": (), "widths": ()}, r"factors are \(\) and widths \(\)"),
        ({"factors": (4, 1)}, r"factors are \(4, 1\) and widths .* expected factors of at least 2"),
        ({"widths": (0, 4)}, r"widths \(0, 4\); expected .* widths of at least 1"),
        ({"encoder": "swin_t"}, "encoder is 'swin_t', expected one of resnet_tiny"),
        ({"image_size": 40}, "image_size is 40, expected a multiple of 16"),
        ({"image_size": 0}, "image_size is 0, expected a multiple of 16"),
        ({"batch_size": 6}, "batch_size is 6, expected a multiple of 4"),
        ({"critic_every": 0}, "critic_every is 0, expected at least 1"),
    ],
)
def test_mistakes_in_settings(recipe, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        replace(recipe, **changes).check()


def test_mistakes_in_data(recipe, tmp_path):
    with pytest.raises(ConfigError, match="add bfm=FOLDER"):
        open_material(replace(recipe, data=f"celeba={tmp_path}"))
    with pytest.raises(ConfigError, match="there is nothing at"):
        open_material(replace(recipe, data="world:ict=/nowhere"))
    with pytest.raises((ConfigError, MeshError), match=r"loses .* of the 68 landmarks"):
        open_material(replace(recipe, radius=50.0))
    with pytest.raises(ConfigError, match="must be a multiple of 4"):
        replace(recipe, batch_size=12).check_world(2)


def test_projection_of_the_true_shape_meets_the_landmarks(material):
    """The labels fit the pictures: the 3DMM's landmarks under the best camera lie on those of the photograph."""
    batch = material.labelled.batch(torch.arange(6))
    shapes = material.prior.model.shape(batch["shape_code"], batch["expression_code"])
    points = shapes[:, material.prior.model.landmarks]
    ones = torch.ones(6, 68, 1)
    camera = torch.linalg.lstsq(torch.cat([points, ones], dim=2), batch["landmarks"]).solution
    missed = (torch.cat([points, ones], dim=2) @ camera - batch["landmarks"]).norm(dim=2).mean()
    assert missed < 0.6, "pixels of 32"
    assert weak_perspective(shapes, torch.tensor([[0.0, 0, 0, 1, 0, 0]])).shape == shapes.shape
