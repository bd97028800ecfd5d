"""Time the Chebyshev convolution against PyTorch Geometric's, forward and backward.

Run it alone (`python tests/benchmarks/bench_chebyshev.py`, with `torch_geometric` installed); the layers take turns,
and the ratio is that of the median times.
"""

import statistics
import time

import torch
from torch_geometric.nn import ChebConv

from facekit.meshes import chebyshev_laplacian, triangulate, unique_edges
from facekit.nn import ChebyshevConv

ROUNDS = 15


def sheet(rows: int, columns: int) -> torch.Tensor:
    """Triangles of a sheet of a face's size."""
    ids = torch.arange(rows * columns).view(rows, columns)
    quads = torch.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    return triangulate(quads)


def seconds(layer, x: torch.Tensor, seed: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.autograd.grad(layer(x), [x, *layer.parameters()], seed)
    return time.perf_counter() - start


class Geometric(torch.nn.Module):
    """PyTorch Geometric's layer with its edges."""

    def __init__(self, ours: ChebyshevConv, faces: torch.Tensor) -> None:
        super().__init__()
        edges = unique_edges(faces)
        self.edges = torch.cat([edges, edges.flip(1)]).T.contiguous()
        self.layer = ChebConv(ours.in_channels, ours.out_channels, ours.order, normalization="sym")
        with torch.no_grad():
            for linear, weight in zip(self.layer.lins, ours.weight, strict=True):
                linear.weight.copy_(weight.T)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, self.edges)


def compare(rows: int, batch: int, channels: int, filters: int, order: int) -> None:
    faces = sheet(rows, rows)
    ours = ChebyshevConv(channels, filters, order, chebyshev_laplacian(faces, rows * rows))
    theirs = Geometric(ours, faces)
    x = torch.randn(batch, rows * rows, channels, requires_grad=True)
    seed = torch.randn(batch, rows * rows, filters)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    times = [(seconds(ours, x, seed), seconds(theirs, x, seed)) for _ in range(ROUNDS + 2)][2:]
    mine, peer = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    what = f"batch {batch}, {rows * rows} vertices, {channels} to {filters} channels, order {order}"
    print(f"{what}: {mine:.1f} ms, PyTorch Geometric {peer:.1f} ms, {peer / mine:.1f} times as long")


def main() -> None:
    torch.manual_seed(0)
    compare(97, 8, 32, 16, 6)
    compare(97, 8, 16, 32, 6)
    compare(193, 2, 16, 3, 6)


if __name__ == "__main__":
    main()
