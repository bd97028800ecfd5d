"""A GAN in float64 that uses everything that could differ between one process and several, small enough for a test.

Three critic steps with a gradient penalty (second derivatives) per generator step, batch norm, noise, a correlation
over the whole batch, accumulated passes, schedules, a moving average, an evaluation. ``--dropout`` adds global random
numbers, ``--crash_at`` ends the process as a kill would, half-way through a step.
"""

import os
import signal
from dataclasses import dataclass

import torch
from torch import nn

from facekit.training import (
    CosineSchedule,
    TensorSource,
    TrainingConfig,
    TrainingLoop,
    Update,
    command_line,
    derive_generator,
    distributed_run,
    gather_with_gradient,
)


@dataclass
class Config(TrainingConfig):
    """Settings of the test run."""

    batch_size: int = 8
    steps: int = 6
    log_every: int = 1
    save_every: int = 2
    ema: float = 0.9
    progress: bool = False
    critic_steps: int = 3
    dropout: float = 0.0
    crash_at: int = -1

    free_to_change = TrainingConfig.free_to_change | {"crash_at"}


class Generator(nn.Module):
    """Noise (B, 4) to samples (B, 6)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 6))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Samples (B, 6)."""
        return self.layers(z)


def main(config: Config) -> dict[str, float]:
    """Train and return the last metrics."""
    with distributed_run(config) as world:
        generator = Generator(config.dropout).double().to(world.device)
        critic = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double().to(world.device)
        real = torch.randn(40, 6, dtype=torch.float64, generator=derive_generator(config.seed, "real"))

        def critic_loss(batch: dict[str, torch.Tensor], step: object) -> dict[str, torch.Tensor]:
            count = len(batch["x"])
            fake = generator(step.normal(count, 4).double()).detach()
            mix = step.uniform(count, 1).double()
            between = (mix * batch["x"] + (1 - mix) * fake).requires_grad_()
            slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
            gap = critic(fake).mean() - critic(batch["x"]).mean()
            return {"wasserstein": gap, "penalty": (slope.norm(dim=1) - 1).square().mean()}

        def generator_loss(batch: None, step: object) -> dict[str, torch.Tensor]:
            if step.index == config.crash_at:
                os.kill(os.getpid(), signal.SIGKILL)
            fake = generator(step.normal(config.batch_size // world.size // config.accumulate, 4).double())
            everyone = gather_with_gradient(fake)
            correlation = torch.corrcoef(everyone.T)
            step.log(spread=everyone.std())
            return {"adversarial": -critic(fake).mean(), "correlation": correlation.square().mean()}

        loop = TrainingLoop(
            config,
            world,
            {"generator": generator, "critic": critic},
            [
                Update(
                    "critic",
                    torch.optim.Adam(critic.parameters(), betas=(0.0, 0.9)),
                    critic_loss,
                    weights={"penalty": 10.0},
                    schedules={"lr": CosineSchedule(0.01, 0.001, config.steps, warmup=2)},
                    repeat=config.critic_steps,
                ),
                Update(
                    "generator", torch.optim.Adam(generator.parameters(), 0.01), generator_loss, clip_norm=1.0, data={}
                ),
            ],
            TensorSource(x=real),
            evaluate=lambda step: {"mean": generator.eval()(torch.ones(2, 4).double()).mean()},
            averaged=["generator"],
            double_backward=["critic"],
        )
        return loop.run()


if __name__ == "__main__":
    command_line(main, Config)
