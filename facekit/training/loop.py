"""The loop: steps of updates on batches, and around them what a paper's script should not have to think about.

Gradients are averaged over the processes by one explicit all-reduce per update (``synchronize_gradients``), not by
wrapping modules in DistributedDataParallel. DDP averages in hooks that fire when ``.backward()`` reaches a parameter;
it expects one forward of one wrapped module per backward and does not support ``torch.autograd.grad``. A GAN step runs
several modules, some twice, takes a gradient of a gradient for the penalty, and leaves the critic's parameters out of
the generator's update. Averaging once, after the last accumulated pass, is right in all of these cases, and costs only
the overlap of communication with the backward pass.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facekit.training.averaging import WeightAverage
from facekit.training.batch_norm import synchronize_batch_norm
from facekit.training.checkpoint import CheckpointFolder, save_weights
from facekit.training.collectives import broadcast_modules, reduce_with_gradient, synchronize_gradients
from facekit.training.config import TrainingConfig, save_config
from facekit.training.errors import DeviceMemoryError, NonFiniteError, OutputError
from facekit.training.feed import Feed
from facekit.training.log import MetricsLog, Progress
from facekit.training.process_group import World
from facekit.training.run_state import RunState
from facekit.training.seeds import derive_seed, isolated_random_state, repeatable_kernels, seed_everything
from facekit.training.updates import Step, Update


class TrainingLoop:
    """One run.

    Args:
        config: settings; ``config.out_dir`` receives config.yml, metrics.jsonl, checkpoints/ and weights.pt.
        world: from :func:`facekit.training.distributed_run`.
        models: every module whose state belongs to the run (momentum copies included), by name, on ``world.device``.
        updates: what happens in a step, in order.
        data: a data set, a function of rows, a :class:`facekit.training.Stream`, or a mapping of them, for the updates
            without ``data`` of their own.
        evaluate: ``evaluate(step) -> {name: number}``, run in all processes without gradients (on the averaged weights,
            where there are any) every ``config.evaluate_every`` steps and at the end.
        after_step: ``after_step(step)`` after all updates of a step: momentum copies, memory banks.
        averaged: names of the models that ``config.ema`` averages; by default all of them.
        double_backward: names of models whose gradient is differentiated again; they are never compiled.
        state: further objects with ``state_dict`` and ``load_state_dict`` to keep in the checkpoints.

    Attributes:
        models: the models, whose batch norms run over the global batch.
        average: the :class:`WeightAverage`, or None.
    """

    def __init__(
        self,
        config: TrainingConfig,
        world: World,
        models: Mapping[str, nn.Module],
        updates: list[Update],
        data: Any = None,
        *,
        evaluate: Callable[[int], Mapping[str, float]] | None = None,
        after_step: Callable[[int], None] | None = None,
        averaged: Collection[str] | None = None,
        double_backward: Collection[str] = (),
        state: Mapping[str, Any] | None = None,
    ) -> None:
        config.check()
        config.check_world(world.size)
        self.config, self.world = config, world
        prepare = synchronize_batch_norm if config.global_batch_norm else nn.Identity()
        self.models = {name: prepare(model) for name, model in models.items()}
        self._updates, self._evaluate, self._after_step = updates, evaluate, after_step
        parameters = dict.fromkeys(p for model in self.models.values() for p in model.parameters())
        self._trainable = [p for p in parameters if p.requires_grad]
        _check_updates(updates, self.models)
        _check_names("averaged", averaged or (), self.models)
        _check_names("double_backward", double_backward, self.models)
        broadcast_modules(self.models.values())
        chosen = {name: self.models[name] for name in (self.models if averaged is None else averaged)}
        self.average = WeightAverage(chosen, config.ema) if config.ema else None
        if config.compile:
            for name in self.models.keys() - set(double_backward):
                self.models[name].compile()
        extra = dict(state or {}) | ({"weight average": self.average} if self.average else {})
        self._state = RunState(config, world, self.models, updates, extra)
        self._feed = Feed(config, world, updates, data)
        self._folder = CheckpointFolder(Path(config.out_dir) / "checkpoints", config.keep)
        self._log = MetricsLog(Path(config.out_dir) / "metrics.jsonl")

    def run(self) -> dict[str, float]:
        """Train to ``config.steps``, from the newest checkpoint if there is one; return the last line of the metrics.

        Raises:
            CheckpointError: no checkpoint can be read, or it belongs to other settings or models.
            OutputError: the folder of the run cannot be written to any more.
            NonFiniteError: a term or gradient is NaN or infinite; names the step and the term.
            DeviceMemoryError: the GPU is full; names the setting to change.
        """
        seed_everything(self.config.seed, "process", self.world.rank)
        with repeatable_kernels(self.config.deterministic):
            try:
                self._open()
                self._train()
            finally:
                self._log.close()
                self._folder.unlock()
        return dict(self._state.metrics)

    def averaged(self) -> Any:
        """A context in which the models hold their averaged weights (their own where ``config.ema`` is 0)."""
        return self.average.applied() if self.average else nullcontext()

    def _open(self) -> None:
        config, state = self.config, self._state
        source = state.restore(self._folder)
        self._feed.open(state.step, state.draws)
        if self.world.is_main:
            if source:
                print(f"continued from {source} at step {state.step} of {config.steps}")
            with self._writing():
                save_config(replace(config, restart=False), Path(config.out_dir) / "config.yml")
                self._log.continue_after(state.step)

    def _train(self) -> None:
        config, state = self.config, self._state
        started = time.perf_counter() - state.seconds
        with closing(Progress(config.steps, state.step, config.progress and self.world.is_main)) as progress:
            for index in range(state.step, config.steps):
                values = self._step(index)
                state.step, state.seconds = index + 1, time.perf_counter() - started
                evaluated = self._due(config.evaluate_every)
                if evaluated:
                    values |= self._evaluated()
                if evaluated or self._due(config.log_every):
                    self._write(values)
                if self._due(config.save_every):
                    self._save()
                progress.advance({name: value for name, value in values.items() if name.endswith("/loss")})
        if self.world.is_main:
            with self._writing():
                save_weights(Path(config.out_dir) / "weights.pt", self.models, self.average)

    def _due(self, every: int) -> bool:
        return self._state.step == self.config.steps or (every > 0 and self._state.step % every == 0)

    def _step(self, index: int) -> dict[str, float]:
        values: dict[str, float] = {}
        for update in self._updates:
            update.set_schedules(index)
            if update.active(index):
                for repeat in range(update.repeat):
                    values |= self._update(update, index, repeat)
        if self._after_step:
            self._after_step(index)
        if self.average:
            self.average.update()
        return values

    def _update(self, update: Update, index: int, repeat: int) -> dict[str, float]:
        """Gradients of all passes, their mean over the processes, one move of the optimiser; the numbers to log."""
        update.optimizer.zero_grad(set_to_none=True)
        try:
            with self._only(update, index) as parameters:
                passes = [self._backward(update, index, repeat, part) for part in range(self.config.accumulate)]
                synchronize_gradients(parameters)
            values = self._checked(update, index, passes, self._clip(parameters, update))
            update.optimizer.step()
        except torch.cuda.OutOfMemoryError as error:
            raise self._memory_error(update, index, error) from None
        return values

    @contextmanager
    def _only(self, update: Update, index: int) -> Iterator[list[nn.Parameter]]:
        """Inside, the update's parameters alone collect gradients; yields them."""
        frozen = {id(p) for module in update.frozen(index) for p in module.parameters()}
        moving = {id(p) for p in update.parameters()} - frozen
        for parameter in self._trainable:
            parameter.requires_grad_(id(parameter) in moving)
        try:
            yield [p for p in update.parameters() if p.requires_grad]
        finally:
            for parameter in self._trainable:
                parameter.requires_grad_(True)

    def _backward(self, update: Update, index: int, repeat: int, part: int) -> tuple[list[str], dict[str, Tensor]]:
        """One pass; the names of the loss terms, and all numbers to report."""
        step = Step(index, self.config.steps, update.name, repeat, part, self.world, self.config.seed)
        batch = self._feed.next(update, part)
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.config.amp):
            terms = update.loss(batch, step)
            total = update.total(terms, step)
        (total / self.config.accumulate).backward()
        return [*terms, "loss"], {**terms, "loss": total, **step.metrics}

    def _clip(self, parameters: list[nn.Parameter], update: Update) -> Tensor:
        """Norm of all gradients together, float64, before they are scaled down to ``update.clip_norm``."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return torch.zeros((), dtype=torch.float64, device=self.world.device)
        norm = torch.linalg.vector_norm(torch.stack([norm.double() for norm in torch._foreach_norm(gradients)]))
        if update.clip_norm is not None:
            torch._foreach_mul_(gradients, (update.clip_norm / (norm + 1e-6)).clamp(max=1.0).to(gradients[0].dtype))
        return norm

    def _checked(self, update: Update, index: int, passes: list[Any], norm: Tensor) -> dict[str, float]:
        """Terms and metrics as numbers, averaged over passes and processes; stops the run if a term is not finite."""
        terms, names = passes[0][0], list(passes[0][1])
        odd = {name for _, numbers in passes for name in numbers.keys() ^ set(names)}
        if odd:
            raise ValueError(f"update {update.name!r} reports {min(odd)!r} in some of its {len(passes)} passes only")
        rows = [[numbers[name].detach().to(norm) for name in names] for _, numbers in passes]
        means = reduce_with_gradient(torch.stack([torch.stack(row) for row in rows]).mean(0), "mean")
        values = dict(zip([*names, "grad_norm"], torch.cat([means, norm[None]]).tolist(), strict=True))
        for name in [*terms, "grad_norm"]:
            if not math.isfinite(values[name]):
                what = "norm of the gradient" if name == "grad_norm" else f"loss term {name!r}"
                raise NonFiniteError(
                    f"the {what} of update {update.name!r} is {values[name]} at step {index + 1}; "
                    "look at that batch, or lower the learning rate"
                )
        values["lr"] = update.optimizer.param_groups[0]["lr"]
        return {f"{update.name}/{name}": value for name, value in values.items()}

    def _memory_error(self, update: Update, index: int, error: Exception) -> DeviceMemoryError:
        config = self.config
        share = config.batch_size // (config.accumulate * self.world.size)
        reason = ". ".join(str(error).split(". ")[:2])
        return DeviceMemoryError(
            f"the GPU is full at step {index + 1} in update {update.name!r} with {share} samples per pass and process "
            f"({reason}): raise accumulate (now {config.accumulate}), lower batch_size (now {config.batch_size}), "
            "or try --amp True"
        )

    @torch.no_grad()
    def _evaluated(self) -> dict[str, float]:
        if self._evaluate is None:
            return {}
        training = [(module, module.training) for model in self.models.values() for module in model.modules()]
        with self.averaged(), isolated_random_state(derive_seed(self.config.seed, "evaluate")):
            values = self._evaluate(self._state.step)
        for module, mode in training:
            module.training = mode
        return {name: float(value) for name, value in values.items()}

    def _write(self, values: Mapping[str, float]) -> None:
        line = {"step": self._state.step, "seconds": round(self._state.seconds, 3), **values}
        self._state.metrics = line
        if self.world.is_main:
            with self._writing():
                self._log.write(line)

    def _save(self) -> None:
        self._state.draws = self._feed.draws
        with self._writing():
            if self.world.is_main:
                self._log.flush()
            self._state.save(self._folder)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"out_dir {self.config.out_dir!r} cannot be written at step {self._state.step}: "
                f"{error.strerror or error}; with room, the same command goes on from the last checkpoint"
            ) from error


def _check_updates(updates: list[Update], models: Mapping[str, nn.Module]) -> None:
    names = [update.name for update in updates]
    if len(set(names)) != len(names):
        raise ValueError(f"updates are named {names}, expected a different name for each")
    known = {id(p) for model in models.values() for p in model.parameters()}
    for update in updates:
        for parameter in update.parameters():
            if id(parameter) not in known:
                raise ValueError(
                    f"update {update.name!r} moves a parameter of shape {tuple(parameter.shape)} that is in none "
                    f"of the models {sorted(models)}, so no checkpoint would hold it"
                )


def _check_names(argument: str, names: Collection[str], models: Mapping[str, nn.Module]) -> None:
    for name in names:
        if name not in models:
            raise ValueError(f"{argument} names {name!r}, expected some of the models {sorted(models)}")
