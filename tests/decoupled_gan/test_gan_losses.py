"""Every equation against a naive version or a known value, and its gradient."""

import pytest
import torch

from facekit.decoupled_gan import (
    LossWeights,
    class_weights,
    classification_loss,
    feature_loss,
    label_distribution,
    laplacian_loss,
    wasserstein_distance,
)
from facekit.meshes import SparseOperator, cotangent_laplacian


def test_wasserstein_distance_eq_2():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])
    assert wasserstein_distance(real, fake) == 2.5


def test_the_signs_of_eq_6_and_8_pull_in_opposite_directions():
    weights = LossWeights()
    critic, generator = weights.discriminator(["identity", "expression"]), weights.generator()
    assert critic["wasserstein"] < 0, "the discriminator raises L_GAN"
    assert generator["fake_score"] < 0, "the generator raises D(G(z))"
    assert critic == {"wasserstein": -1.0, "penalty": 10.0, "real_identity": 0.1, "real_expression": 0.1}
    assert generator == {"fake_score": -1.0, "classification": 1.0, "feature": 0.5, "regularizer": 100.0}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_classification_eq_7_against_a_loop(dtype):
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 4, dtype=dtype), torch.tensor([0, 3, -1, 2, -1, 1, 1, -1, 0])
    weights = torch.tensor([0.5, 2.0, 1.0, 4.0])
    naive = 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        if label >= 0:
            naive -= weights[label] * torch.log(torch.exp(row[label]) / torch.exp(row).sum()) / len(labels)
    torch.testing.assert_close(classification_loss(logits, labels, weights), naive.to(dtype))


def test_unlabelled_samples_get_no_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    classification_loss(logits, torch.tensor([1, -1, 2, -1])).backward()
    assert (logits.grad[[1, 3]] == 0).all() and (logits.grad[[0, 2]] != 0).all()


def test_a_batch_without_labels_costs_nothing():
    logits = torch.randn(4, 3, requires_grad=True)
    loss = classification_loss(logits, torch.full((4,), -1), torch.ones(3))
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_two_halves_of_a_batch_average_to_the_whole():
    logits, labels = torch.randn(8, 3), torch.tensor([0, -1, 1, 2, -1, -1, -1, 1])
    weights = class_weights(labels, 3)
    halves = [classification_loss(x, y, weights) for x, y in zip(logits.chunk(2), labels.chunk(2), strict=True)]
    torch.testing.assert_close(sum(halves) / 2, classification_loss(logits, labels, weights))


def test_class_weights_make_every_label_count_the_same():
    labels = torch.tensor([0] * 90 + [1] * 9 + [2] + [-1] * 900)
    weights = class_weights(labels, 4)
    counts = torch.tensor([90.0, 9.0, 1.0, 0.0])
    torch.testing.assert_close(weights * counts / len(labels), torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]))


def test_half_balanced_weights_average_with_half_balanced_labels():
    torch.manual_seed(2)
    labels = torch.tensor([0] * 64 + [1] * 16 + [2] * 4 + [-1] * 100)
    shares = label_distribution(labels, 3, balance=0.5)
    torch.testing.assert_close(shares, torch.tensor([8.0, 4.0, 2.0]) / 14)
    torch.testing.assert_close(label_distribution(labels, 4, balance=0.0), torch.tensor([64.0, 16.0, 4.0, 0.0]) / 84)
    logits = torch.randn(len(labels), 3)
    per_label = torch.stack([-logits.log_softmax(1)[labels == c, c].mean() for c in range(3)])
    loss = classification_loss(logits, labels, class_weights(labels, 3, balance=0.5))
    torch.testing.assert_close(loss, (shares * per_label).sum())
    with pytest.raises(ValueError, match="found none"):
        label_distribution(torch.tensor([-1, -1]), 3)


def test_weighted_loss_over_the_data_is_the_mean_over_labels():
    torch.manual_seed(1)
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 2 + [-1] * 200)
    logits = torch.randn(len(labels), 3)
    log_p = logits.log_softmax(1)
    per_label = torch.stack([-log_p[labels == c, c].mean() for c in range(3)])
    torch.testing.assert_close(classification_loss(logits, labels, class_weights(labels, 3)), per_label.mean())


def test_labels_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"\[0, 3\).*found 5"):
        class_weights(torch.tensor([0, 5, 1]), 3)
    with pytest.raises(ValueError, match="found -2"):
        class_weights(torch.tensor([0, -2, 1]), 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_feature_loss_eq_10_against_a_loop(dtype):
    torch.manual_seed(0)
    features = torch.randn(10, 6, dtype=dtype)
    naive = 0.0
    for k in range(0, 10, 2):
        a, b = features[k], features[k + 1]
        naive += 2 / 10 * (1 - (a @ b) / (a.norm() * b.norm()))
    torch.testing.assert_close(feature_loss(features), naive)


def test_feature_loss_known_values():
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, -2.0]])
    torch.testing.assert_close(feature_loss(x[:2]), torch.tensor(0.0))
    torch.testing.assert_close(feature_loss(x[2:]), torch.tensor(2.0))
    torch.testing.assert_close(feature_loss(x), torch.tensor(1.0))
    with pytest.raises(ValueError, match="found 3 rows"):
        feature_loss(x[:3])


def fan():
    """Six triangles around one vertex that stands 0.3 above the plane."""
    angle = torch.arange(6, dtype=torch.float64) * torch.pi / 3
    rim = torch.stack([angle.cos(), angle.sin(), torch.zeros(6, dtype=torch.float64)], dim=1)
    vertices = torch.cat([torch.tensor([[0.0, 0.0, 0.3]], dtype=torch.float64), rim])
    faces = torch.tensor([[0, k, k % 6 + 1] for k in range(1, 7)])
    return vertices, faces


def test_laplacian_loss_eq_12_against_a_loop_over_triangles():
    torch.manual_seed(0)
    vertices, faces = fan()
    displacements = torch.randn(3, 7, 3, dtype=torch.float64)
    loss = 0.0
    for sample in displacements:
        rough = torch.zeros(7, 3, dtype=torch.float64)
        for face in faces.tolist():
            for i, j, k in (face, face[1:] + face[:1], face[2:] + face[:2]):
                a, b = vertices[i] - vertices[k], vertices[j] - vertices[k]
                half_cotangent = (a @ b) / torch.linalg.cross(a, b).norm() / 2
                rough[i] += half_cotangent * (sample[i] - sample[j])
                rough[j] += half_cotangent * (sample[j] - sample[i])
        loss += rough.square().sum() / 3
    laplacian = cotangent_laplacian(vertices, faces)
    torch.testing.assert_close(laplacian_loss(displacements, laplacian), loss)
    torch.testing.assert_close(laplacian_loss(displacements, SparseOperator(laplacian)), loss)


def test_moving_the_whole_face_costs_nothing():
    vertices, faces = fan()
    shift = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64).expand(1, 7, 3)
    assert laplacian_loss(shift, cotangent_laplacian(vertices, faces)) < 1e-20


def test_gradients():
    torch.manual_seed(0)
    vertices, faces = fan()
    laplacian = cotangent_laplacian(vertices, faces)
    labels, weights = torch.tensor([2, -1, 0, 1]), torch.tensor([1.0, 3.0, 0.5])
    check = torch.autograd.gradcheck

    def leaf(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    assert check(lambda d: laplacian_loss(d, laplacian), leaf(2, 7, 3))
    assert check(lambda f: feature_loss(f), leaf(4, 5))
    assert check(lambda x: classification_loss(x, labels, weights), leaf(4, 3))
    assert check(wasserstein_distance, (leaf(4), leaf(4)))
