"""Layers, shapes and parameter counts of the supplement's tables."""

import pytest
import torch

from facekit.decoupled_gan import CODE_SIZES, Discriminator, FixedCodes, Generator
from facekit.meshes import GeometryImage

PAPER_VERTICES, IDENTITIES, EXPRESSIONS = 22_129, 347, 7


def grid(side):
    """A square sheet of side x side vertices, its triangles and its map."""
    steps = torch.linspace(0, 1, side)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    uv = torch.stack([u.flatten(), v.flatten()], dim=1)
    first = torch.arange(side * side).view(side, side)[:-1, :-1].flatten()
    right, up = first + 1, first + side
    faces = torch.cat([torch.stack([first, right, up], 1), torch.stack([right, up + 1, up], 1)])
    vertices = torch.cat([100 * (uv - 0.5), 10 * torch.sin(3 * uv[:, :1])], dim=1)
    return vertices, faces, uv


@pytest.fixture(scope="module")
def discriminator():
    vertices, faces, uv = grid(20)
    labels = {"identity": IDENTITIES, "expression": EXPRESSIONS}
    return Discriminator(GeometryImage(uv, faces, 64), labels, vertices.mean(0, keepdim=True), 30.0)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_generator_of_the_paper():
    generator = Generator(torch.zeros(PAPER_VERTICES, 3))
    first, last = generator.layers[0], generator.layers[2]
    assert first.weight.shape == (512, 85) and last.weight.shape == (66_387, 512)
    assert generator.layers[1].negative_slope == 0.2
    assert parameters(generator) == 85 * 512 + 512 + 512 * 66_387 + 66_387 == 34_100_563
    with torch.no_grad():
        faces = generator(generator.sample_codes(2, torch.Generator().manual_seed(0)))
    assert faces.shape == (2, PAPER_VERTICES, 3)


def test_discriminator_of_the_paper(discriminator):
    common = 3 * 16 * 9 + 16 + 16 * 32 * 9 + 32
    branch = 32 * 64 * 9 + 64 + 64 * 128 * 9 + 128
    assert parameters(discriminator.common) == common == 5_088
    assert parameters(discriminator.critic) == branch + 2048 + 1
    assert parameters(discriminator.classifiers["identity"]) == branch + 2048 * IDENTITIES + IDENTITIES
    assert parameters(discriminator.classifiers["expression"]) == branch + 2048 * EXPRESSIONS + EXPRESSIONS


def test_every_layer_has_the_table_s_output_shape(discriminator):
    shapes, x = [], torch.randn(2, 3, 64, 64)
    for layer in [*discriminator.common, *discriminator.critic["features"]]:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[0::2][:4] == [(16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)]
    assert shapes[-1] == (2048,)


def test_judgement(discriminator):
    judgement = discriminator(discriminator.images(torch.randn(4, 400, 3)))
    assert judgement.score.shape == (4,)
    assert {name: tuple(logits.shape) for name, logits in judgement.logits.items()} == {
        "identity": (4, IDENTITIES),
        "expression": (4, EXPRESSIONS),
    }
    assert all(features.shape == (4, 2048) for features in judgement.features.values())
    last = discriminator.classifiers["identity"]["last"]
    torch.testing.assert_close(last(judgement.features["identity"]), judgement.logits["identity"])


def test_score_alone_equals_the_score_of_the_judgement(discriminator):
    images = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(discriminator.score(images), discriminator(images).score)


def test_images_are_centred_and_scaled():
    vertices, faces, uv = grid(20)
    centre = vertices.mean(0, keepdim=True)
    unit = (vertices - centre).square().mean().sqrt().item()
    images = Discriminator(GeometryImage(uv, faces, 32), {"identity": 2}, centre, unit).images(vertices[None])
    assert images.shape == (1, 3, 32, 32)
    assert images.mean().abs() < 0.1 and abs(images.square().mean() - 1) < 0.2


def test_displacements_are_added_to_the_reference_in_millimetres():
    reference = torch.randn(10, 3)
    generator = Generator(reference, {"identity": 3, "noise": 2}, hidden=8, unit=50.0)
    codes = generator.sample_codes(4, torch.Generator().manual_seed(1))
    torch.testing.assert_close(generator(codes), reference + 50.0 * generator.displacements(codes))
    z = torch.cat([codes["identity"], codes["noise"]], dim=1)
    naive = torch.nn.functional.leaky_relu(z @ generator.layers[0].weight.T + generator.layers[0].bias, 0.2)
    naive = naive @ generator.layers[2].weight.T + generator.layers[2].bias
    torch.testing.assert_close(generator.displacements(codes), naive.view(4, 10, 3))


def test_difference_is_that_of_two_faces():
    generator = Generator(torch.randn(30, 3), unit=40.0, initial_scale=1.0)
    first, second = (generator.sample_codes(5, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    torch.testing.assert_close(
        generator.difference(first, second), generator(first) - generator(second), rtol=1e-4, atol=1e-4
    )


def test_codes_follow_the_seed_and_are_normal():
    generator = Generator(torch.zeros(4, 3))
    one, same = (generator.sample_codes(2000, torch.Generator().manual_seed(7)) for _ in range(2))
    assert {name: code.shape[1] for name, code in one.items()} == CODE_SIZES
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert abs(one["identity"].mean()) < 0.01 and abs(one["identity"].std() - 1) < 0.01


def test_a_truncated_generator_draws_milder_codes_and_makes_the_same_faces_of_given_ones():
    generator = Generator(torch.zeros(20, 3), {"identity": 3, "noise": 2})
    milder = generator.truncated(0.5)
    full, half = (one.sample_codes(7, torch.Generator().manual_seed(3)) for one in (generator, milder))
    for part in full:
        torch.testing.assert_close(half[part], 0.5 * full[part])
    torch.testing.assert_close(milder(half), generator(half))
    assert milder.layers[2].weight is generator.layers[2].weight
    assert generator.spread == 1 and milder.truncated(2.0).spread == 2
    with pytest.raises(ValueError, match="spread must be positive, found 0"):
        generator.truncated(0)


def test_wrong_codes_are_named():
    generator = Generator(torch.zeros(4, 3))
    codes = generator.sample_codes(2, torch.Generator())
    with pytest.raises(ValueError, match="noise"):
        generator({"identity": codes["identity"], "expression": codes["expression"]})
    with pytest.raises(ValueError, match="'identity': 64"):
        generator({**codes, "identity": codes["identity"][:, 1:]})


def test_fixed_codes_are_fixed_and_kept():
    torch.manual_seed(0)
    fixed = FixedCodes({"identity": 5, "expression": 7}, CODE_SIZES)
    codes = fixed("expression", torch.tensor([6, 0, 6]))
    assert codes.shape == (3, 15) and torch.equal(codes[0], codes[2]) and not torch.equal(codes[0], codes[1])
    assert set(fixed.state_dict()) == {"identity", "expression"} and not list(fixed.parameters())
    with pytest.raises(ValueError, match="viseme"):
        FixedCodes({"viseme": 14}, CODE_SIZES)


def test_a_third_factor_is_one_more_entry():
    sizes = {"identity": 50, "expression": 50, "viseme": 50, "noise": 5}
    generator = Generator(torch.zeros(400, 3), sizes)
    vertices, faces, uv = grid(20)
    labels = {"identity": 14, "expression": 7, "viseme": 14}
    discriminator = Discriminator(GeometryImage(uv, faces, 32), labels, vertices, 1.0)
    judgement = discriminator(discriminator.images(generator(generator.sample_codes(2, torch.Generator()))))
    assert {name: logits.shape[1] for name, logits in judgement.logits.items()} == labels


def test_bad_settings_are_refused():
    vertices, faces, uv = grid(5)
    with pytest.raises(ValueError, match="divisible by 16"):
        Discriminator(GeometryImage(uv, faces, 40), {"identity": 2}, vertices, 1.0)
    with pytest.raises(ValueError, match=r"\(V, 3\)"):
        Generator(torch.zeros(1, 4, 3))
    with pytest.raises(ValueError, match="unit"):
        Generator(torch.zeros(4, 3), unit=0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda(discriminator):
    vertices = torch.randn(4, 400, 3)
    here = discriminator(discriminator.images(vertices)).score
    there = discriminator.cuda()
    torch.testing.assert_close(there(there.images(vertices.cuda())).score.cpu(), here, rtol=1e-3, atol=1e-3)
    discriminator.cpu()
