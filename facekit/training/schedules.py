"""Schedules: a value as a function of the step, for learning rates, weight decay, momentum, loss weights.

A schedule is a small frozen dataclass that is called with the step (0-based) and returns a float. It has no state, so a
resumed run continues with the right value without anything being restored.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]
"""Anything that gives the value of a step (0-based)."""


@dataclass(frozen=True)
class ConstantSchedule:
    """The same value at every step."""

    value: float

    def __call__(self, step: int) -> float:
        return self.value


@dataclass(frozen=True)
class LinearSchedule:
    """A straight line from ``start`` at step 0 to ``end`` at step ``steps - 1``, then ``end``."""

    start: float
    end: float
    steps: int

    def __call__(self, step: int) -> float:
        return self.start + (self.end - self.start) * _fraction(step, self.steps)


@dataclass(frozen=True)
class CosineSchedule:
    """Half a cosine from ``start`` to ``end``, after ``warmup`` steps on a straight line up to ``start``.

    ``end`` is reached at step ``steps - 1`` and kept. ``end`` may be the larger one (momentum 0.98 to 1, weight decay
    0.04 to 0.4).
    """

    start: float
    end: float
    steps: int
    warmup: int = 0

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.start * (step + 1) / self.warmup
        fraction = _fraction(step - self.warmup, self.steps - self.warmup)
        return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * fraction))


@dataclass(frozen=True)
class StepSchedule:
    """``value``, times ``factor`` for each of the ``milestones`` (steps) passed; rises over ``warmup`` steps first."""

    value: float
    milestones: tuple[int, ...]
    factor: float = 0.1
    warmup: int = 0

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.value * (step + 1) / self.warmup
        return self.value * self.factor ** sum(step >= milestone for milestone in self.milestones)


def _fraction(step: int, steps: int) -> float:
    return min(max(step / max(steps - 1, 1), 0.0), 1.0)
