"""Chebyshev convolution: polynomials of a mesh's Laplacian as filters.

Defferrard et al., *Convolutional Neural Networks on Graphs with Fast Localized Spectral Filtering* (2016), Eq. (4) and
(5); the mesh autoencoders of Ranjan et al. (2018) and the decoders of Gao et al. (2020) are made of it.
"""

import torch
from torch import Tensor, nn

from facekit.meshes import SparseOperator


class ChebyshevConv(nn.Module):
    """``y = sum_k T_k(L) x W_k + b`` on vertex signals, ``x (B, V, in)`` to ``y (B, V, out)``.

    ``T_0 = 1``, ``T_1 = L``, ``T_k = 2 L T_{k-1} - T_{k-2}`` for k below ``order``: vertex i of the output sees the
    vertices that are at most ``order - 1`` edges away. There is one sparse product for each k above 0, for the whole
    batch side by side. As L acts on vertices and W_k on channels, the two may change places: the products run over the
    input's channels where these are fewer, and else over the output's (Clenshaw's recurrence).

    Args:
        in_channels, out_channels: of the signals.
        order: number of polynomials, 1 or more; the paper's kernel size.
        laplacian: sparse ``(V, V)`` with eigenvalues in [-1, 1], see ``facekit.meshes.chebyshev_laplacian``; layers
            on one mesh may share a ``SparseOperator``.
        bias: add b, one number per output channel.

    Raises:
        ValueError: ``order`` is below 1, or the matrix is not square.
    """

    def __init__(
        self, in_channels: int, out_channels: int, order: int, laplacian: Tensor | SparseOperator, bias: bool = True
    ) -> None:
        super().__init__()
        if order < 1:
            raise ValueError(f"order is {order}, expected at least 1")
        self.laplacian = laplacian if isinstance(laplacian, SparseOperator) else SparseOperator(laplacian)
        if self.laplacian.shape[0] != self.laplacian.shape[1]:
            raise ValueError(f"the Laplacian must be square, found {self.laplacian.shape}")
        self.in_channels, self.out_channels, self.order = in_channels, out_channels, order
        self.weight = nn.Parameter(torch.empty(order, in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of Glorot's size, counting the channels of all orders; the bias is 0."""
        bound = (6 / (self.order * (self.in_channels + self.out_channels))) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 3 or x.shape[1:] != (self.laplacian.shape[0], self.in_channels):
            expected = f"(B, {self.laplacian.shape[0]}, {self.in_channels})"
            raise ValueError(f"expected a signal {expected}, found {tuple(x.shape)}")
        signal = x.movedim(1, 0)  # vertices first, so that the whole batch is one dense matrix for the sparse products
        if self.in_channels <= self.out_channels:
            result = self._filter_then_mix(signal)
        else:
            result = self._mix_then_filter(signal)
        if self.bias is not None:
            result = result + self.bias
        return result.movedim(0, 1)

    def _apply_laplacian(self, signal: Tensor) -> Tensor:
        return self.laplacian(signal.reshape(len(signal), -1)).view(signal.shape)

    def _filter_then_mix(self, signal: Tensor) -> Tensor:
        terms = [signal]
        if self.order > 1:
            terms.append(self._apply_laplacian(signal))
        for _ in range(2, self.order):
            terms.append(torch.add(-terms[-2], self._apply_laplacian(terms[-1]), alpha=2))
        return torch.cat(terms, dim=-1) @ self.weight.flatten(0, 1)

    def _mix_then_filter(self, signal: Tensor) -> Tensor:
        """Clenshaw's recurrence ``b_k = x W_k + 2 L b_{k+1} - b_{k+2}``; the sum is ``x W_0 + L b_1 - b_2``."""
        mixed = (signal @ self.weight.movedim(0, 1).flatten(1)).split(self.out_channels, dim=-1)
        following, latest = None, mixed[-1]
        for k in range(self.order - 2, -1, -1):
            total = torch.add(mixed[k], self._apply_laplacian(latest), alpha=2 if k else 1)
            following, latest = latest, total if following is None else total - following
        return latest

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, order={self.order}"
