"""Batch norm over the global batch, on CPU and GPU.

``torch.nn.SyncBatchNorm`` needs CUDA; this one is built on the collectives of this room, can be differentiated twice
and gives W processes the statistics, outputs and gradients of one process with the whole batch.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facekit.training.collectives import gather_with_gradient, world_size


class GlobalBatchNorm(_BatchNorm):
    """Batch norm of ``x (B, C, ...)`` with statistics over the batches of all processes (B equal in all)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift; in training the running statistics move as in ``torch.nn.BatchNorm``."""
        if not self.training and self.running_mean is not None:
            return super().forward(x)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        variance, mean = torch.var_mean(wide, axes, correction=0)
        shards = gather_with_gradient(torch.stack([mean, variance])[None])
        mean = shards[:, 0].mean(0)
        variance = shards[:, 1].mean(0) + shards[:, 0].var(0, correction=0)
        if self.training and self.track_running_stats:
            self._follow(mean.detach(), variance.detach(), world_size() * x.numel() // x.shape[1])
        factor = torch.rsqrt(variance + self.eps) * (self.weight if self.affine else 1.0)
        offset = (self.bias if self.affine else 0.0) - mean * factor
        shape = [1, -1] + [1] * (x.dim() - 2)
        return torch.addcmul(offset.view(shape), wide, factor.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_((variance * count / max(count - 1, 1)).to(self.running_var.dtype), momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"batch norm got {tuple(x.shape)}, expected (B, C, ...)")


def synchronize_batch_norm(model: nn.Module) -> nn.Module:
    """``model`` with its batch norms replaced by :class:`GlobalBatchNorm`, parameters and buffers shared.

    In a world of one the model is returned as it is.
    """
    if world_size() == 1:
        return model
    if isinstance(model, _BatchNorm) and not isinstance(model, GlobalBatchNorm):
        return _global(model)
    for name, child in model.named_children():
        setattr(model, name, synchronize_batch_norm(child))
    return model


def _global(norm: _BatchNorm) -> GlobalBatchNorm:
    new = GlobalBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    new.weight, new.bias = norm.weight, norm.bias
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        setattr(new, name, getattr(norm, name))
    return new.train(norm.training)
