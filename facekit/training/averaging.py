"""A moving average of the weights (EMA): smoother than the last step's weights, and nearly always better to use."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """``average = d * average + (1 - d) * weights`` after each step, for the parameters of several models.

    With ``warmup`` the decay is ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the first average does not
    hold on to the initial weights. Buffers (running statistics) are copied, not averaged.
    """

    def __init__(self, models: Mapping[str, nn.Module], decay: float, warmup: bool = True) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay is {decay}, expected a number in [0, 1)")
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self._models = dict(models)
        self._copies = {name: value.detach().clone() for name, value in self._live()}

    def _live(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers by name; one that several modules share comes once."""
        seen = set()
        for model_name, model in self._models.items():
            for name, value in model.state_dict(keep_vars=True).items():
                if id(value) not in seen:
                    seen.add(id(value))
                    yield f"{model_name}.{name}", value

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        averages, weights = [], []
        for name, value in self._live():
            if isinstance(value, nn.Parameter) and value.is_floating_point():
                averages.append(self._copies[name])
                weights.append(value)
            elif value.layout == torch.strided:
                self._copies[name].copy_(value)
        if averages:
            torch._foreach_lerp_(averages, weights, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the models hold the averaged weights; afterwards their own again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self._live():
            if value.layout == torch.strided:
                own = value.detach().clone()
                value.copy_(self._copies[name])
                self._copies[name] = own

    def state_dict(self) -> dict[str, Any]:
        """Copies and counter, for a checkpoint."""
        return {"updates": self.updates, "copies": dict(self._copies)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        self.updates = state["updates"]
        for name, value in self._live():
            self._copies[name] = state["copies"][name].to(value.device).clone()
