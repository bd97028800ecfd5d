"""The penalty on a critic's slope, against hand-made critics and a per-sample loop."""

import pytest
import torch

from facekit.nn import gradient_penalty


def test_linear_critic_has_its_own_slope(dtype=torch.float64):
    slope = torch.tensor([3.0, 4.0], dtype=dtype)
    real, fake = torch.randn(6, 2, dtype=dtype), torch.randn(6, 2, dtype=dtype)
    penalty = gradient_penalty(lambda x: x @ slope, real, fake, torch.Generator().manual_seed(0))
    torch.testing.assert_close(penalty, torch.tensor(16.0, dtype=dtype))


def test_critic_with_unit_slope_pays_nothing():
    real, fake = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    direction = torch.nn.functional.normalize(torch.randn(192), dim=0)
    penalty = gradient_penalty(lambda x: x.flatten(1) @ direction, real, fake, torch.Generator().manual_seed(0))
    assert penalty < 1e-10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_a_loop_over_samples(dtype):
    torch.manual_seed(0)
    critic = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1)).to(dtype)
    real, fake = torch.randn(8, 5, dtype=dtype), torch.randn(8, 5, dtype=dtype)
    position = torch.rand(8, dtype=dtype)
    squares = []
    for r, f, t in zip(real, fake, position, strict=True):
        point = ((1 - t) * r + t * f).requires_grad_()
        (slope,) = torch.autograd.grad(critic(point).sum(), point)
        squares.append((slope.norm() - 1) ** 2)
    naive = torch.stack(squares).mean()
    torch.testing.assert_close(gradient_penalty(lambda x: critic(x).squeeze(-1), real, fake, position), naive)


def test_its_gradient_reaches_the_critic_and_nothing_else():
    torch.manual_seed(0)
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    real = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    fake = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    position = torch.rand(5, dtype=torch.float64)

    def penalty(w):
        return gradient_penalty(lambda x: (x @ w.T).tanh().sum(1), real, fake, position)

    assert torch.autograd.gradcheck(penalty, weight)
    penalty(weight).backward()
    assert weight.grad.abs().sum() > 0
    assert real.grad is None and fake.grad is None


def test_points_lie_between_the_pairs_and_follow_the_seed():
    seen = []

    def critic(x):
        seen.append(x.detach().clone())
        return x.square().sum(1)

    real, fake = torch.zeros(64, 2), torch.ones(64, 2)
    for seed in (3, 3, 4):
        gradient_penalty(critic, real, fake, torch.Generator().manual_seed(seed))
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])
    assert (seen[0] >= 0).all() and (seen[0] <= 1).all() and torch.equal(seen[0][:, 0], seen[0][:, 1])
    assert seen[0].std() > 0.2


def test_works_where_gradients_are_switched_off():
    with torch.no_grad():
        penalty = gradient_penalty(lambda x: x.sum(1), torch.zeros(2, 4), torch.ones(2, 4), torch.tensor([0.2, 0.8]))
    torch.testing.assert_close(penalty, torch.tensor(1.0))


def test_refuses_batches_of_different_shape():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 3\)"):
        gradient_penalty(lambda x: x.sum(1), torch.zeros(2, 3), torch.zeros(3, 3), torch.Generator())
