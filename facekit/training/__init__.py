"""One run: processes, settings, batches, updates, checkpoints, log. Knows no paper.

A whole script (``python line.py --steps 200``, or ``torchrun --standalone --nproc-per-node=2 line.py --steps 200``)::

    @dataclass
    class Config(TrainingConfig):
        out_dir: str = "runs/line"
        learning_rate: float = 0.01

    def main(config: Config) -> dict[str, float]:
        with distributed_run(config) as world:
            x = torch.linspace(-1, 1, 256)[:, None]
            model = torch.nn.Linear(1, 1).to(world.device)
            def loss(batch, step):                                     # this process's part of the batch
                return {"square": (model(batch["x"]) - batch["y"]).square().mean()}
            fit = Update("fit", torch.optim.Adam(model.parameters()), loss,
                         schedules={"lr": CosineSchedule(config.learning_rate, 0.0, config.steps)})
            return TrainingLoop(config, world, {"model": model}, [fit], TensorSource(x=x, y=3 * x + 1)).run()

    if __name__ == "__main__":
        command_line(main, Config)

A GAN has two updates, ``Update("critic", ..., repeat=3)`` and ``Update("generator", ...)``. A loss that couples samples
gathers them first: ``z = gather_with_gradient(model(batch))``. Noise comes from the step, ``step.normal(len(batch),
64)``, so that W processes draw what one process would. Killed runs are continued by the same command.
"""

from facekit.training.averaging import WeightAverage
from facekit.training.batch_norm import GlobalBatchNorm, synchronize_batch_norm
from facekit.training.batches import Stream, TensorSource
from facekit.training.checkpoint import (
    CheckpointFolder,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    why_unwritable,
    write_atomically,
)
from facekit.training.collectives import (
    broadcast_modules,
    gather,
    gather_with_gradient,
    rank,
    reduce_with_gradient,
    synchronize_gradients,
    world_size,
)
from facekit.training.command_line import command_line
from facekit.training.config import TrainingConfig, config_to_dict, parse_config, save_config
from facekit.training.errors import (
    CheckpointError,
    ConfigError,
    DeviceMemoryError,
    LaunchError,
    NonFiniteError,
    OutputError,
    TrainingError,
)
from facekit.training.log import MetricsLog, read_metrics
from facekit.training.loop import TrainingLoop
from facekit.training.made_data import make_once
from facekit.training.process_group import World, distributed_run
from facekit.training.sampler import EpochSampler, Sampler
from facekit.training.schedules import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule, StepSchedule
from facekit.training.seeds import (
    derive_generator,
    derive_seed,
    derive_seeds,
    isolated_random_state,
    seed_everything,
)
from facekit.training.sharing import gather_items, own_share, wait_for_all
from facekit.training.updates import Step, Update

__all__ = [
    "CheckpointError",
    "CheckpointFolder",
    "ConfigError",
    "ConstantSchedule",
    "CosineSchedule",
    "DeviceMemoryError",
    "EpochSampler",
    "GlobalBatchNorm",
    "LaunchError",
    "LinearSchedule",
    "MetricsLog",
    "NonFiniteError",
    "OutputError",
    "Sampler",
    "Schedule",
    "Step",
    "StepSchedule",
    "Stream",
    "TensorSource",
    "TrainingConfig",
    "TrainingError",
    "TrainingLoop",
    "Update",
    "WeightAverage",
    "World",
    "broadcast_modules",
    "command_line",
    "config_to_dict",
    "derive_generator",
    "derive_seed",
    "derive_seeds",
    "distributed_run",
    "gather",
    "gather_items",
    "gather_with_gradient",
    "isolated_random_state",
    "load_checkpoint",
    "load_weights",
    "make_once",
    "own_share",
    "parse_config",
    "rank",
    "read_metrics",
    "reduce_with_gradient",
    "save_checkpoint",
    "save_config",
    "save_weights",
    "seed_everything",
    "synchronize_batch_norm",
    "synchronize_gradients",
    "wait_for_all",
    "why_unwritable",
    "world_size",
    "write_atomically",
]
