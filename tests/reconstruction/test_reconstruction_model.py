"""The networks: sizes, what depends on what, the prior's crop, and second derivatives through the critic."""

import pytest
import torch

from facekit.meshes import triangulate
from facekit.morphable import LinearFaceModel
from facekit.reconstruction import (
    CODE_SIZES,
    Codes,
    MeshCritic,
    build_reconstructor,
    face_prior,
    linear_reconstructor,
    wasserstein_divergence,
)


def sheet_model(rows):
    """A 3DMM of a sheet with any number of vertices, mirror-symmetric, with 68 of them as landmarks."""
    ids = torch.arange(rows * rows).view(rows, rows)
    quads = torch.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    y, x = torch.meshgrid(torch.linspace(-90, 90, rows), torch.linspace(-70, 70, rows), indexing="ij")
    mean = torch.stack([x, y, 90 - x.square() / 80 - y.square() / 200], -1).reshape(-1, 3)
    return LinearFaceModel(
        name="sheet", faces=triangulate(quads), uv=(mean[:, :2] + 90) / 180, regions={}, mean=mean,
        landmarks=torch.linspace(0, rows * rows - 1, 68).long(), symmetry=ids.flip(1).flatten(),
        identity_basis=torch.randn(3, rows * rows, 3), expression_basis=torch.randn(2, rows * rows, 3),
    )  # fmt: skip


def test_shapes_of_a_reconstruction(network, prior):
    model, _ = network
    images = torch.rand(2, 3, 32, 32)
    face = model(images)
    assert [code.shape[1] for code in face.codes] == list(CODE_SIZES.values()) == [128, 64, 6, 27]
    assert face.vertices.shape == face.albedo.shape == (2, prior.model.num_vertices, 3)
    assert face.pose.shape == (2, 6) and face.light.shape == (2, 9, 3)
    rendering = model.render(face)
    assert rendering.image.shape == (2, 3, 32, 32) and rendering.mask.mean() > 0.2
    textured = model(images, texture=True)
    assert textured.albedo.shape == (2, 3, 32, 32)
    assert 0 < float(textured.albedo.min()) and float(textured.albedo.max()) < 1
    assert model.render(textured).image.shape == (2, 3, 32, 32)


def test_an_untrained_model_draws_the_template_in_the_middle(network):
    model, _ = network
    face = model(torch.rand(1, 3, 32, 32))
    assert (face.vertices - model.template).norm(dim=2).mean() < 6
    landmarks = model.render(face).landmarks[0]
    assert ((landmarks > 0) & (landmarks < 32)).all()
    torch.testing.assert_close(face.pose[0, :3], torch.zeros(3))


def test_shape_knows_identity_and_expression_albedo_identity_alone(network):
    model, _ = network
    codes = Codes(*(torch.randn(2, size) for size in CODE_SIZES.values()))
    face = model.decode(codes)
    turned = model.decode(codes._replace(pose=codes.pose + 1, light=codes.light - 1))
    assert torch.equal(turned.vertices, face.vertices) and torch.equal(turned.albedo, face.albedo)
    moved = model.decode(codes._replace(expression=codes.expression + 1))
    assert not torch.equal(moved.vertices, face.vertices) and torch.equal(moved.albedo, face.albedo)


def test_every_part_learns_from_the_picture(network):
    model, _ = network
    face = model(torch.rand(2, 3, 32, 32))
    model.render(face).image.square().sum().backward()
    parts = (model.encoder.backbone, *model.encoder.heads.values(), model.shape_decoder, model.albedo_decoder)
    for part in parts:
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    model.zero_grad(set_to_none=True)


def test_skip_connections_carry_detail(network):
    """With one identity code, two photographs give two textures, but one graph albedo."""
    model, _ = network
    with torch.no_grad():
        model.texture_decoder.last.weight.normal_(0, 0.1)
        code = torch.zeros(1, 128)
        maps = [model.encoder.with_maps(torch.rand(1, 3, 32, 32))[1] for _ in range(2)]
        first, second = (model.texture_decoder(code, m) for m in maps)
        model.texture_decoder.last.weight.zero_()
    assert [m.shape[-1] for m in maps[0]] == [16, 8, 4, 2]
    assert not torch.allclose(first, second)


def test_prior_is_the_whole_model_cropped(morphable, prior):
    codes = torch.randn(2, 10), torch.randn(2, 6)
    torch.testing.assert_close(prior.model.shape(*codes), morphable.shape(*codes)[:, prior.vertices])
    assert torch.equal(prior.vertices[prior.model.landmarks], morphable.landmarks)
    assert torch.equal(prior.vertices[prior.model.symmetry], morphable.symmetry[prior.vertices])
    assert prior.model.num_vertices < morphable.num_vertices
    with pytest.raises(ValueError, match="radius of 60 mm loses"):
        face_prior(morphable, 60.0)


def test_paper_size():
    """193 x 193 = 37,249 vertices, as near to the paper's 37,202 as a square comes; one step forward and back."""
    prior = sheet_model(193)
    model, hierarchy = build_reconstructor(prior, 32, "resnet50", "random")
    assert [level.num_vertices for level in hierarchy.levels] == [37249, 9313, 2329, 583, 146]
    assert model.encoder.backbone.dim == 2048 and model.shape_decoder.graph.coarse == (146, 128)
    widths = [(c.in_channels, c.out_channels, c.order) for c in model.shape_decoder.graph.convolutions]
    assert widths == [(128, 128, 6), (128, 64, 6), (64, 32, 6), (32, 16, 6)]
    vertices = model.shape_decoder(torch.randn(1, 128), torch.randn(1, 64))
    vertices.sum().backward()
    assert vertices.shape == (1, 37249, 3)
    critic = MeshCritic(hierarchy, prior.mean, 4.0)
    assert critic(vertices.detach()).shape == (1,)


def test_second_derivatives_reach_the_critic(network, prior):
    _, hierarchy = network
    critic = MeshCritic(hierarchy, prior.model.mean, 4.0, (8, 4))
    real, fake = (critic.normalize(prior.model.mean + torch.randn(3, prior.model.num_vertices, 3)) for _ in range(2))
    penalty = wasserstein_divergence(critic.score, real, fake, torch.rand(3), power=2.0)
    penalty.backward()
    assert all(p.grad.abs().sum() > 0 for p in critic.convolutions.parameters() if p.dim() == 3)


def test_the_critic_s_slope_follows_a_finite_difference(network, prior):
    _, hierarchy = network
    critic = MeshCritic(hierarchy, prior.model.mean, 4.0, (8, 4)).double()
    point = critic.normalize(prior.model.mean.double() + 3 * torch.randn(1, prior.model.num_vertices, 3).double())
    direction = torch.nn.functional.normalize(torch.randn_like(point).flatten(), dim=0).view_as(point)
    point.requires_grad_()
    (slope,) = torch.autograd.grad(critic.score(point).sum(), point)
    with torch.no_grad():
        moved = (critic.score(point + 1e-5 * direction) - critic.score(point - 1e-5 * direction)) / 2e-5
    assert float((slope * direction).sum()) == pytest.approx(float(moved), rel=1e-4)


def test_linear_reconstructor_decodes_the_3dmm(prior):
    model = linear_reconstructor(prior.model, 32, "resnet_tiny", "random")
    identity, expression, texture = torch.randn(2, 10), torch.randn(2, 6), torch.randn(2, 5)
    codes = Codes(torch.cat([identity, texture], dim=1), expression, torch.zeros(2, 6), torch.zeros(2, 27))
    face = model.decode(codes)
    torch.testing.assert_close(face.vertices, prior.model.shape(identity, expression))
    torch.testing.assert_close(face.albedo, prior.model.albedo(texture))
    with pytest.raises(ValueError, match="without a convolutional albedo decoder"):
        model(torch.rand(1, 3, 32, 32), texture=True)
