"""Runs in each of two processes: what they compute together is what one process computes on all rows."""

import torch
from checking import run_checks
from torch import Tensor, nn

from facekit.training import (
    GlobalBatchNorm,
    Step,
    World,
    broadcast_modules,
    gather,
    gather_with_gradient,
    rank,
    reduce_with_gradient,
    synchronize_batch_norm,
    synchronize_gradients,
    world_size,
)

ROWS = 6


def rows(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """The global batch, equal in all processes."""
    return torch.randn(ROWS, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def mine(x: Tensor) -> Tensor:
    """This process's rows."""
    return x.chunk(world_size())[rank()]


def correlation_loss(z: Tensor) -> Tensor:
    """Off-diagonal correlations over the batch (Barlow Twins)."""
    z = (z - z.mean(0)) / z.std(0)
    c = z.T @ z / len(z)
    return (c - torch.eye(c.shape[0], dtype=c.dtype)).square().sum()


def hardest_triplets(z: Tensor) -> Tensor:
    """Farthest positive against nearest negative, labels 0 1 0 1 ..."""
    same = (torch.arange(len(z))[:, None] - torch.arange(len(z))) % 2 == 0
    distance = (z[:, None] - z[None]).square().sum(-1)
    farthest = distance.masked_fill(~same, 0).amax(1)
    nearest = distance.masked_fill(same, torch.inf).amin(1)
    return (farthest - nearest + 0.5).relu().mean()


def slope_loss(z: Tensor) -> Tensor:
    """A gradient of a coupled value with respect to z, squared: needs second derivatives."""
    slope = torch.autograd.grad(correlation_loss(z), z, create_graph=True)[0]
    return slope.square().sum()


def check_coupled_losses(_world: World) -> None:
    """Value and averaged gradient of three coupled losses equal those of one process."""
    for loss in (correlation_loss, hardest_triplets, slope_loss):
        x, weight = rows(5), nn.Parameter(rows(4, seed=1)[:5])
        expected = loss(x @ weight)
        expected_gradient = torch.autograd.grad(expected, weight)[0]
        value = loss(gather_with_gradient(mine(x) @ weight))
        value.backward()
        synchronize_gradients([weight])
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(weight.grad, expected_gradient)


def check_local_loss_differs(_world: World) -> None:
    """The gate can fail: without the gather the averaged gradient is another one."""
    x, weight = rows(5), nn.Parameter(rows(4, seed=1)[:5])
    expected = torch.autograd.grad(correlation_loss(x @ weight), weight)[0]
    correlation_loss(mine(x) @ weight).backward()
    synchronize_gradients([weight])
    assert (weight.grad - expected).abs().max() > 1e-3


def check_second_derivative_across_processes(_world: World) -> None:
    """The gradient of a gathered value is differentiated again across the processes."""
    x, weight = rows(5), nn.Parameter(rows(4, seed=1)[:5])

    def penalty(inputs: Tensor, everyone: Tensor) -> Tensor:
        slope = torch.autograd.grad(correlation_loss(everyone), inputs, create_graph=True)[0]
        return slope.square().sum()

    inputs = x.clone().requires_grad_()
    expected = torch.autograd.grad(penalty(inputs, inputs @ weight), weight)[0]
    local = mine(x).clone().requires_grad_()
    # Every process uses every row, so a row's gradient is W times that of one process.
    value = penalty(local, gather_with_gradient(local @ weight)) / world_size() ** 2
    reduce_with_gradient(value).backward()
    synchronize_gradients([weight])
    torch.testing.assert_close(weight.grad, expected)


def check_reductions(_world: World) -> None:
    """Sum and mean, and their gradients."""
    x = rows(3)
    weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
    expected = (x @ weight).mean().square()
    expected_gradient = torch.autograd.grad(expected, weight)[0]
    for op, count in (("mean", ROWS // world_size()), ("sum", ROWS)):
        weight.grad = None
        value = (reduce_with_gradient((mine(x) @ weight).sum(), op) / count).square()
        value.backward()
        synchronize_gradients([weight])
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(weight.grad, expected_gradient)


def check_other_types(_world: World) -> None:
    """bfloat16 with its gradient, whole numbers, truth values, different numbers of rows, nothing to gather."""
    x = rows(3).bfloat16()
    local = mine(x).clone().requires_grad_()
    joined = gather_with_gradient(local)
    assert torch.equal(joined, x)
    joined.float().square().sum().backward()
    assert torch.equal(local.grad, (2 * world_size() * mine(x)).bfloat16())
    labels = torch.arange(rank() + 1)
    assert gather(labels).tolist() == [0, 0, 1]
    assert gather(labels > 0).tolist() == [False, False, True]
    assert gather(torch.empty(0, 2)).shape == (0, 2)


def check_gradient_averaging(_world: World) -> None:
    """Gradients that no process has stay None; those that one has are shared out."""
    a, b, c = (nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
    d = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    a.grad = torch.full((2, 3), float(rank()))
    if rank() == 0:
        b.grad = torch.ones(2, 3)
    d.grad = torch.full((2,), 4.0 + rank(), dtype=torch.float64)
    synchronize_gradients([a, b, c, d])
    assert a.grad.eq(0.5).all() and b.grad.eq(0.5).all() and c.grad is None and d.grad.eq(4.5).all()


def check_batch_norm(_world: World) -> None:
    """Outputs, gradients, second derivatives and running statistics of batch norm over the global batch."""
    for make, shape in ((nn.BatchNorm1d, (4,)), (nn.BatchNorm2d, (4, 3, 2))):
        one = nn.Sequential(make(4, momentum=0.3), nn.Tanh()).double()
        several = synchronize_batch_norm(nn.Sequential(make(4, momentum=0.3), nn.Tanh()).double())
        assert isinstance(several[0], GlobalBatchNorm)
        x = rows(*shape) * 3 + 1
        inputs, local = x.clone().requires_grad_(), mine(x).clone().requires_grad_()
        expected, got = one(inputs), several(local)
        torch.testing.assert_close(got, mine(expected))
        slopes = torch.autograd.grad(expected.square().sum(), inputs, create_graph=True)[0]
        slope = torch.autograd.grad(got.square().sum(), local, create_graph=True)[0]
        torch.testing.assert_close(slope, mine(slopes))
        (slopes.square().mean() + expected.square().mean()).backward()
        (slope.square().mean() + got.square().mean()).backward()
        synchronize_gradients(several.parameters())
        for ours, theirs in zip(several.parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
        for ours, theirs in zip(several.buffers(), one.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(several.eval()(mine(x)), mine(one.eval()(x)))


def check_noise_and_weights(world: World) -> None:
    """Noise of a step is cut from one draw; models start as in the first process."""
    step = Step(3, 10, "critic", 1, 0, world, seed=5)
    everyone = gather(step.normal(2, 3)), gather(step.uniform(2)), gather(step.integers(9, 2))
    alone = Step(3, 10, "critic", 1, 0, type(world)(0, 1, world.device), seed=5)
    for ours, expected in zip(everyone, (alone.normal(4, 3), alone.uniform(4), alone.integers(9, 4)), strict=True):
        assert torch.equal(ours, expected)
    torch.manual_seed(rank())
    model = nn.Linear(2, 2)
    broadcast_modules([model])
    assert gather(model.weight.detach()[None]).unique(dim=0).shape[0] == 1


if __name__ == "__main__":
    run_checks(globals())
