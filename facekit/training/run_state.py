"""Everything that a run has to remember, gathered for a checkpoint and put back from one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn

from facekit.training.checkpoint import CheckpointFolder
from facekit.training.config import TrainingConfig, config_to_dict
from facekit.training.errors import CheckpointError
from facekit.training.process_group import World
from facekit.training.seeds import random_state, seed_everything, set_random_state
from facekit.training.updates import Update


class RunState:
    """Steps done, batches drawn, seconds and last metrics; with models, optimisers, extra objects and random states.

    Schedules are functions of the step and the settings, both of which are stored; their present values are in the
    optimisers' groups. bfloat16 needs no gradient scaler; one for float16 would go into ``extra``.
    """

    def __init__(
        self,
        config: TrainingConfig,
        world: World,
        models: Mapping[str, nn.Module],
        updates: list[Update],
        extra: Mapping[str, Any],
    ) -> None:
        self.config, self.world = config, world
        self._parts = {
            "models": models,
            "optimizers": {update.name: update.optimizer for update in updates},
            "extra": extra,
        }
        self.step = 0
        self.draws: dict[str, int] = {}
        self.seconds = 0.0
        self.metrics: dict[str, float] = {}

    def save(self, folder: CheckpointFolder) -> None:
        """Write a checkpoint (all processes take part, the first one writes)."""
        states = [random_state(self.world.device)]
        if self.world.size > 1:
            mine, states = states[0], [None] * self.world.size
            dist.all_gather_object(states, mine)
        if not self.world.is_main:
            return
        content = {kind: {name: p.state_dict() for name, p in parts.items()} for kind, parts in self._parts.items()}
        position = {"step": self.step, "draws": self.draws, "seconds": self.seconds, "metrics": self.metrics}
        folder.save(self.step, content | position | {"random": states, "config": config_to_dict(self.config)})

    def restore(self, folder: CheckpointFolder) -> Path | None:
        """Reserve ``folder``, take over its newest checkpoint that can be read; the path, or None where there is none.

        The first process reads and sends to the others, so that machines need no common file system.

        Raises:
            CheckpointError: in all processes, with the same sentence; also where ``folder`` cannot be written.
        """
        found = self._read(folder) if self.world.is_main else None
        if self.world.size > 1:
            box = [found]
            dist.broadcast_object_list(box, src=0)
            found = box[0]
        if isinstance(found, str):
            raise CheckpointError(found)
        if found is None:
            return None
        path, content = found
        self._put_back(path, content)
        return path

    def _read(self, folder: CheckpointFolder) -> tuple[Path, dict[str, Any]] | str | None:
        try:
            folder.lock()
            folder.clear() if self.config.restart else folder.clear_unfinished()
            found = folder.load_newest()
            if found is not None:
                self._compare_settings(*found)
            return found
        except CheckpointError as error:
            return str(error)
        except OSError as error:
            return f"out_dir {self.config.out_dir!r} cannot be used: {error.strerror or error} ({error.filename})"

    def _compare_settings(self, path: Path, content: Mapping[str, Any]) -> None:
        ours, theirs = config_to_dict(self.config), content["config"]
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in self.config.free_to_change and ours.get(key) != theirs.get(key):
                raise CheckpointError(
                    f"{path} was made with {key} {theirs.get(key)!r}, this run has {ours.get(key)!r}; "
                    "set it back, choose another out_dir, or start again with --restart True"
                )
        if content["step"] > self.config.steps:
            raise CheckpointError(f"{path} is already at step {content['step']}, this run ends at {self.config.steps}")

    def _put_back(self, path: Path, content: Mapping[str, Any]) -> None:
        for kind, parts in self._parts.items():
            if parts.keys() != content[kind].keys():
                raise CheckpointError(f"{path} holds {kind} {sorted(content[kind])}, this run has {sorted(parts)}")
            for name, part in parts.items():
                try:
                    part.load_state_dict(content[kind][name])
                except (RuntimeError, ValueError, KeyError) as error:
                    reason = " ".join(str(error).split())
                    raise CheckpointError(f"{path} does not fit {kind} {name!r} of this run: {reason}") from None
        self.step, self.draws = content["step"], dict(content["draws"])
        self.seconds, self.metrics = content["seconds"], dict(content["metrics"])
        if len(content["random"]) == self.world.size:
            set_random_state(content["random"][self.world.rank], self.world.device)
            return
        seed_everything(self.config.seed, "process", self.world.rank, self.step)
        if self.world.is_main:
            print(
                f"{len(content['random'])} processes wrote {path.name}, {self.world.size} go on: the batches stay the "
                "same, the random states of the processes (dropout) start afresh"
            )
