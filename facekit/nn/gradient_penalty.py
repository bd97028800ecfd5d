"""Gradient penalty that keeps a critic near 1-Lipschitz.

Gulrajani et al., *Improved Training of Wasserstein GANs* (2017), Eq. (3).
"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generator: torch.Generator | Tensor
) -> Tensor:
    """Mean of (||grad D(x)||_2 - 1)^2 over points x drawn evenly on the segments between real and fake samples.

    Args:
        critic: maps (B, ...) to scores (B,); each score may depend on its own sample alone.
        real, fake: paired samples (B, ...); neither receives a gradient.
        generator: random generator for the positions on the segments, or the positions themselves, (B,) in [0, 1].

    Returns:
        Scalar penalty, differentiable in the critic's weights. It is a mean over the batch, so processes that hold
        equal shares of a batch may average their penalties.

    Raises:
        ValueError: the two batches differ in shape.
    """
    if real.shape != fake.shape:
        found = f"{tuple(real.shape)} and {tuple(fake.shape)}"
        raise ValueError(f"real and fake samples must have one shape, found {found}")
    if isinstance(generator, Tensor):
        position = generator
    else:
        position = torch.rand(len(real), generator=generator, device=generator.device, dtype=real.dtype)
    position = position.to(real).view(-1, *[1] * (real.ndim - 1))
    points = torch.lerp(real.detach(), fake.detach(), position).requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
