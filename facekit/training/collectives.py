"""Collectives that know about gradients.

The rule that every function here keeps: a run on W processes minimises the **mean over processes** of what their loss
functions return. A loss that is a mean over samples needs nothing: the mean of W shard means is the mean of the global
batch. A loss that couples samples (a correlation over the batch, the hardest negative of the batch, batch norm) gathers
the batch first; then every process returns the same global value, and the gradients below make the mean over processes
equal to the gradient of one process with the whole batch.

All of them are the identity in a world of one, and all can be differentiated twice.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

_HALF = (torch.float16, torch.bfloat16)


def world_size() -> int:
    """Number of processes of this run (1 without a process group)."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Place of this process, 0 to ``world_size() - 1``."""
    return dist.get_rank() if dist.is_initialized() else 0


def gather_with_gradient(x: Tensor) -> Tensor:
    """``x (B, ...)`` of every process, joined in order of rank: ``(W * B, ...)``, the same tensor everywhere.

    The gradient of row i goes back to the process that it came from, summed over the processes that used it. B must be
    the same in all processes (batches of :class:`facekit.training.EpochSampler` are).
    """
    if x.dim() == 0:
        raise ValueError("x is a scalar, expected rows (B, ...); a scalar takes reduce_with_gradient")
    return x if world_size() == 1 else _Gather.apply(x.contiguous())


def reduce_with_gradient(x: Tensor, op: str = "sum") -> Tensor:
    """``x`` reduced over the processes (``op`` "sum" or "mean"); its gradient is reduced in the same way."""
    if op not in ("sum", "mean"):
        raise ValueError(f"op is {op!r}, expected 'sum' or 'mean'")
    if world_size() == 1:
        return x
    total = _Sum.apply(x.contiguous())
    return total / world_size() if op == "mean" else total


@torch.no_grad()
def gather(x: Tensor) -> Tensor:
    """As :func:`gather_with_gradient`, without a gradient; the number of rows may differ between processes."""
    if world_size() == 1:
        return x
    counts = _all_gather(torch.tensor([len(x)], device=x.device))
    longest = int(counts.max())
    padded = torch.cat([x, x.new_zeros(longest - len(x), *x.shape[1:])])
    parts = _all_gather(padded).unflatten(0, (world_size(), longest))
    return torch.cat([part[:count] for part, count in zip(parts, counts.tolist(), strict=True)])


@torch.no_grad()
def synchronize_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every ``.grad`` by its mean over the processes, in one all-reduce of the flattened gradients.

    A parameter that no process has a gradient for keeps None (optimisers skip it, as they would in one process); where
    only some have one, the others count as zero.
    """
    if world_size() == 1:
        return
    by_dtype: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in parameters:
        by_dtype.setdefault(parameter.dtype, []).append(parameter)
    for group in by_dtype.values():
        _synchronize_group(group)


def _synchronize_group(group: Sequence[nn.Parameter]) -> None:
    present = group[0].new_tensor([float(p.grad is not None) for p in group])
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in group] + [present])
    flat = _all_reduce(flat)
    *gradients, present = flat.split([p.numel() for p in group] + [len(group)])
    for parameter, gradient, count in zip(group, gradients, present.tolist(), strict=True):
        if count:
            parameter.grad = (gradient / world_size()).view_as(parameter)


@torch.no_grad()
def broadcast_modules(modules: Iterable[nn.Module]) -> None:
    """Give every process the parameters and buffers that rank 0 has."""
    if world_size() == 1:
        return
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.layout == torch.strided and tensor.numel():
                value = tensor.contiguous()
                dist.broadcast(value, src=0)
                tensor.copy_(value)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return _all_gather(x)

    @staticmethod
    def backward(ctx, gradient):
        return _SumShard.apply(gradient.contiguous())


class _SumShard(torch.autograd.Function):
    """Sum over the processes, of which this one keeps its own rows: the transpose of the gather."""

    @staticmethod
    def forward(ctx, x):
        return _all_reduce(x).chunk(world_size())[rank()].contiguous()

    @staticmethod
    def backward(ctx, gradient):
        return _Gather.apply(gradient.contiguous())


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return _all_reduce(x)

    @staticmethod
    def backward(ctx, gradient):
        return _Sum.apply(gradient.contiguous())


def _all_gather(x: Tensor) -> Tensor:
    """Bytes are moved as they are, so that every dtype travels on every backend."""
    raw = x.reshape(-1).view(torch.uint8)
    joined = raw.new_empty(world_size() * raw.numel())
    dist.all_gather_into_tensor(joined, raw)
    return joined.view(x.dtype).view(world_size() * x.shape[0], *x.shape[1:])


def _all_reduce(x: Tensor) -> Tensor:
    """Sum over the processes; half precision is summed in float32."""
    total = x.float() if x.dtype in _HALF else x.clone()
    dist.all_reduce(total)
    return total.to(x.dtype)
