"""Every loss of the paper against a naive version that loops over samples, vertices and pixels."""

import math

import pytest
import torch

from facekit.meshes import uniform_laplacian, vertex_neighbours
from facekit.reconstruction import (
    center_loss,
    landmark_loss,
    moved_centers,
    photometric_loss,
    shape_loss,
    smoothness_loss,
    softmax_loss,
    symmetry_loss,
    wasserstein_divergence,
)


def doubles(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_softmax_loss():
    logits, identity = doubles(5, 4), torch.tensor([0, 3, 1, 1, 2])
    naive = sum(-math.log(math.exp(row[k]) / sum(map(math.exp, row))) for row, k in zip(logits, identity, strict=True))
    assert float(softmax_loss(logits, identity)) == pytest.approx(float(naive) / 5)


def test_center_loss_and_moving_centers():
    codes, centers, identity = doubles(5, 3), doubles(4, 3, seed=1), torch.tensor([0, 3, 1, 1, 3])
    naive = sum(0.5 * float(((codes[i] - centers[identity[i]]) ** 2).sum()) for i in range(5)) / 5
    assert float(center_loss(codes, centers, identity)) == pytest.approx(naive)
    expected = centers.clone()
    for person in range(4):
        members = [i for i in range(5) if identity[i] == person]
        expected[person] -= 0.5 * sum(centers[person] - codes[i] for i in members) / (1 + len(members))
    torch.testing.assert_close(moved_centers(centers, codes, identity), expected)
    torch.testing.assert_close(moved_centers(centers, codes, identity)[2], centers[2])


def test_center_loss_pulls_the_codes_alone():
    codes, centers = doubles(3, 2).requires_grad_(), doubles(2, 2, seed=1).requires_grad_()
    center_loss(codes, centers, torch.tensor([0, 1, 1])).backward()
    assert centers.grad is None and codes.grad.abs().sum() > 0


def naive_photometric(rendered, image, mask):
    total = 0.0
    for b in range(len(image)):
        value, count = 0.0, float(mask[b].sum())
        for y in range(image.shape[2]):
            for x in range(image.shape[3]):
                if mask[b, 0, y, x]:
                    value += float(((rendered[b, :, y, x] - image[b, :, y, x]) ** 2).sum())
                for dy, dx in ((0, 1), (1, 0)):
                    v, u = y + dy, x + dx
                    if v < image.shape[2] and u < image.shape[3] and mask[b, 0, y, x] and mask[b, 0, v, u]:
                        ours = rendered[b, :, v, u] - rendered[b, :, y, x]
                        value += float((ours - (image[b, :, v, u] - image[b, :, y, x])).abs().sum())
        total += value / max(count, 1)
    return total / len(image)


def test_photometric_loss():
    rendered, image = doubles(3, 3, 4, 5).sigmoid(), doubles(3, 3, 4, 5, seed=1).sigmoid()
    mask = (doubles(3, 1, 4, 5, seed=2) > -0.5).double()
    mask[2] = 0
    assert float(photometric_loss(rendered, image, mask)) == pytest.approx(naive_photometric(rendered, image, mask))
    hidden = rendered + 5 * (1 - mask)
    torch.testing.assert_close(photometric_loss(hidden, image, mask), photometric_loss(rendered, image, mask))


def test_landmark_loss_knows_places_and_distances():
    projected, landmarks = 50 + 9 * doubles(2, 6, 2), 50 + 9 * doubles(2, 6, 2, seed=1)
    places, pairs, count = 0.0, 0.0, 0
    for b in range(2):
        for i in range(6):
            places += float(((projected[b, i] - landmarks[b, i]) ** 2).sum())
            for j in range(i + 1, 6):
                apart = [float((points[b, i] - points[b, j]).norm()) for points in (projected, landmarks)]
                pairs, count = pairs + (apart[0] - apart[1]) ** 2, count + 1
    expected = (100 / 80) ** 2 * (places / 12 + pairs / count)
    assert float(landmark_loss(projected, landmarks, 80)) == pytest.approx(expected, rel=1e-6)
    shifted = landmark_loss(landmarks + 0.8, landmarks, 80)
    assert float(shifted) == pytest.approx(2.0, rel=1e-6)


def test_shape_loss():
    assert float(shape_loss(torch.zeros(2, 4, 3), torch.full((2, 4, 3), -1.5))) == 1.5


def test_smoothness_is_measured_against_the_template(prior):
    model = prior.model
    template, vertices = model.mean[None], model.mean[None] + doubles(1, model.num_vertices, 3).float()
    laplacian = uniform_laplacian(model.faces, model.num_vertices, "random_walk")
    pointers, neighbours = vertex_neighbours(model.faces, model.num_vertices)
    naive = 0.0
    for i in range(model.num_vertices):
        ring = neighbours[pointers[i] : pointers[i + 1]]
        bend = [s[0, i] - s[0, ring].mean(dim=0) for s in (vertices, template)]
        naive += float((bend[0] - bend[1]).abs().sum())
    naive /= 3 * model.num_vertices
    assert float(smoothness_loss(vertices, model.mean, laplacian)) == pytest.approx(naive, rel=1e-4)
    assert float(smoothness_loss(template, model.mean, laplacian)) == 0
    assert float(smoothness_loss(template, None, laplacian)) > 0.1


def test_symmetry_of_vertices_and_textures(prior):
    symmetry = prior.model.symmetry
    albedo = doubles(2, len(symmetry), 3).sigmoid()
    even = (albedo + albedo[:, symmetry]) / 2
    assert float(symmetry_loss(even, symmetry)) == pytest.approx(0, abs=1e-12)
    naive = sum(float((albedo[:, i] - albedo[:, symmetry[i]]).abs().sum()) for i in range(len(symmetry)))
    assert float(symmetry_loss(albedo, symmetry)) == pytest.approx(naive / albedo.numel())
    texture = doubles(2, 3, 8, 8)
    assert float(symmetry_loss(texture + texture.flip(-1), symmetry)) < 1e-12 < float(symmetry_loss(texture, symmetry))


def test_divergence_of_a_linear_critic_is_its_slope_to_the_sixth():
    slope = doubles(4, 3)
    real, fake, position = doubles(5, 4, 3), doubles(5, 4, 3, seed=1), torch.linspace(0, 1, 5)
    found = wasserstein_divergence(lambda x: (x * slope).sum(dim=(1, 2)), real, fake, position)
    assert float(found) == pytest.approx(float(slope.norm() ** 6))


def test_divergence_of_a_bent_critic_and_its_gradient():
    real, fake = doubles(3, 4), doubles(3, 4, seed=1)
    position = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    weight = doubles(4, seed=2).requires_grad_()
    naive = 0.0
    for r, f, t in zip(real, fake, position, strict=True):
        point = ((1 - t) * r + t * f).requires_grad_()
        (gradient,) = torch.autograd.grad((point * weight).sum().tanh(), point)
        naive += float(gradient.norm() ** 6) / 3

    def penalty(weight):
        return wasserstein_divergence(lambda x: (x @ weight).tanh(), real, fake, position)

    assert float(penalty(weight.detach())) == pytest.approx(naive)
    assert torch.autograd.gradcheck(penalty, weight)


@pytest.mark.parametrize("loss", ["photometric", "landmark", "center"])
def test_gradients(loss):
    if loss == "photometric":
        image, mask = doubles(2, 3, 4, 4, seed=1), (doubles(2, 1, 4, 4, seed=2) > 0).double()
        function, x = (lambda x: photometric_loss(x, image, mask)), doubles(2, 3, 4, 4)
    elif loss == "landmark":
        target = doubles(2, 4, 2, seed=1)
        function, x = (lambda x: landmark_loss(x, target, 10)), doubles(2, 4, 2)
    else:
        centers = doubles(3, 4, seed=1)
        function, x = (lambda x: center_loss(x, centers, torch.tensor([0, 2]))), doubles(2, 4)
    assert torch.autograd.gradcheck(function, x.requires_grad_())
