"""An update: which optimiser moves, how often, on which loss. A run is a list of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from facekit.training.batches import Stream
from facekit.training.process_group import World
from facekit.training.schedules import Schedule
from facekit.training.seeds import derive_generator


@dataclass
class Step:
    """What a loss function may ask about the pass it is in."""

    index: int
    """Number of the step, from 0."""
    steps: int
    """Steps of the whole run."""
    update: str
    """Name of the update."""
    repeat: int
    """Which of the update's repeats, from 0."""
    part: int
    """Which of the accumulated passes, from 0."""
    world: World
    seed: int
    metrics: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def generator(self) -> torch.Generator:
        """A generator on the device, a function of seed, step and pass; equal in all processes."""
        keys = ("step", self.update, self.index, self.repeat, self.part)
        return derive_generator(self.seed, *keys, device=self.world.device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers ``shape``, this process's rows of one draw for the global batch."""
        return self._mine(torch.randn, shape)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), as :meth:`normal`."""
        return self._mine(torch.rand, shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers 0 <= n < ``high``, int64, as :meth:`normal`."""
        return self._mine(lambda size, **options: torch.randint(high, size, **options), shape)

    def log(self, **values: Tensor | float) -> None:
        """Report numbers beside the loss; logged as ``update/name``, averaged over passes and processes.

        All passes of all processes report the same names.

        Raises:
            ValueError: a value is more than one number.
        """
        for name, value in values.items():
            number = torch.as_tensor(value).detach()
            if number.numel() != 1:
                raise ValueError(f"{name} has shape {tuple(number.shape)}, expected one number")
            self.metrics[name] = number.reshape(())

    def _mine(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        rows = shape[0]
        numbers = draw((rows * self.world.size, *shape[1:]), generator=self.generator, device=self.world.device)
        return numbers[self.world.rank * rows : (self.world.rank + 1) * rows]


Loss = Callable[[Any, Step], Mapping[str, Tensor]]
Weights = Mapping[str, float] | Callable[[Mapping[str, Tensor], Step], Mapping[str, float | Tensor]]


@dataclass
class Update:
    """One optimiser and its loss.

    Only the optimiser's parameters collect gradients during the update; those of all other models are constants (a
    generator's update sees the critic as a fixed function). A parameter group may carry ``lr_scale`` or
    ``weight_decay_scale``, a factor on the schedule of that name.
    """

    name: str
    optimizer: torch.optim.Optimizer
    loss: Loss
    """``loss(batch, step)`` returns named scalar terms: means over this process's part of the batch."""
    weights: Weights = field(default_factory=dict)
    """Factor of each term in the sum (1 where none is given), or a function of the terms and the step."""
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    """``{"lr": ..., "weight_decay": ...}``: settings of the optimiser's groups as functions of the step."""
    repeat: int = 1
    """Times per step, each on a batch of its own (a critic's three steps per generator step)."""
    active: Callable[[int], bool] = lambda step: True
    """Steps at which the update takes part."""
    frozen: Callable[[int], list[nn.Module]] = lambda step: []
    """Modules that stand still at a step: no gradient, no weight decay, no momentum."""
    clip_norm: float | None = None
    """Largest norm of the gradient over all parameters of the update."""
    data: Stream | Mapping[str, Stream] | None = None
    """Where the batches come from, if not from the loop's data; a mapping gives a dictionary of batches."""

    def set_schedules(self, step: int) -> None:
        """Write the values of ``step`` into the optimiser's groups."""
        for key, schedule in self.schedules.items():
            for group in self.optimizer.param_groups:
                if key not in group:
                    raise ValueError(f"update {self.name!r} schedules {key!r}, which its optimiser does not have")
                group[key] = schedule(step) * group.get(f"{key}_scale", 1.0)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that the optimiser moves."""
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def total(self, terms: Mapping[str, Tensor], step: Step) -> Tensor:
        """The weighted sum of the terms.

        Raises:
            TypeError: the terms are not scalar tensors by name.
            ValueError: a weight belongs to no term.
        """
        self._check(terms)
        weights = self.weights(terms, step) if callable(self.weights) else self.weights
        unknown = set(weights) - set(terms)
        if unknown:
            raise ValueError(
                f"update {self.name!r} weighs {sorted(unknown)[0]!r}, but its loss returned {sorted(terms)}"
            )
        return sum(term * weights.get(name, 1.0) for name, term in terms.items())

    def _check(self, terms: Any) -> None:
        found = None
        if not isinstance(terms, Mapping):
            found = f"a {type(terms).__name__}"
        elif not terms:
            found = "no terms"
        else:
            for name, term in terms.items():
                if not isinstance(term, Tensor) or term.dim():
                    shape = f" of shape {tuple(term.shape)}" if isinstance(term, Tensor) else ""
                    found = f"{name!r} as a {type(term).__name__}{shape}"
        if found:
            raise TypeError(f"the loss of update {self.name!r} returned {found}, expected scalar tensors by name")
