"""One sparse matrix times a batch of vertex signals, in one product, differentiable any number of times.

Laplacian losses, mesh pooling and Chebyshev convolutions all need `y[b] = A x[b]` with the same sparse A for every
sample b. Laying the batch out side by side, `(V, B * C)`, turns B products into one. The backward pass is a product
with the transpose, whose rows are sorted once and kept, since sorting them costs more than the product itself.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.meshes.kept import Kept


class SparseOperator(nn.Module):
    """A fixed sparse matrix `(R, V)` as a module: `operator(x (B, V, C)) -> (B, R, C)`.

    It holds the matrix and its transpose row by row in plain dense buffers, so it moves with `.to(...)`, works under
    distributed data parallel, and adds nothing to a checkpoint. The matrix itself receives no gradient.

    Args:
        matrix: sparse COO or CSR tensor `(R, V)`.

    Raises:
        TypeError: if `matrix` is not a sparse matrix.
    """

    def __init__(self, matrix: Tensor):
        super().__init__()
        if matrix.layout not in (torch.sparse_coo, torch.sparse_csr) or matrix.dim() != 2:
            raise TypeError(f"expected a sparse (R, V) tensor, found {matrix.layout} of shape {tuple(matrix.shape)}")
        self.shape = tuple(matrix.shape)
        matrix = matrix.detach()
        matrix = (matrix if matrix.layout == torch.sparse_coo else matrix.to_sparse_coo()).coalesce()
        for prefix, rows in (("", matrix), ("transposed_", matrix.t().coalesce())):
            counts = torch.bincount(rows.indices()[0], minlength=rows.shape[0])
            pointers = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            self.register_buffer(prefix + "pointers", pointers, persistent=False)
            self.register_buffer(prefix + "columns", rows.indices()[1].contiguous(), persistent=False)
            self.register_buffer(prefix + "values", rows.values(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, V, C)` or `(V, C)` to `(B, R, C)` or `(R, C)`.

        Raises:
            ValueError: if the signal is of another size.
            TypeError: if it is not floating point.
        """
        if not x.is_floating_point():
            raise TypeError(f"expected a floating point signal, found {x.dtype}")
        if x.dim() < 2 or x.shape[-2] != self.shape[1]:
            raise ValueError(f"matrix {self.shape} cannot multiply a signal of shape {tuple(x.shape)}")
        if x.dim() == 2:
            return self._multiply(x)
        columns = x.movedim(-2, 0)
        product = self._multiply(columns.flatten(1))
        return product.view(self.shape[0], *columns.shape[1:]).movedim(0, -2)

    def _multiply(self, dense: Tensor) -> Tensor:
        rows = (self.pointers, self.columns, self.values)
        transposed = (self.transposed_pointers, self.transposed_columns, self.transposed_values)
        return _Product.apply(dense, rows, transposed)

    def extra_repr(self) -> str:
        return f"{self.shape[0]} x {self.shape[1]}, {self.values.numel()} non-zero"


class _Product(torch.autograd.Function):
    """rows @ dense; its gradient is the same function with the two sets of rows exchanged."""

    @staticmethod
    def forward(ctx, dense: Tensor, rows: tuple[Tensor, ...], transposed: tuple[Tensor, ...]) -> Tensor:
        ctx.rows, ctx.transposed = rows, transposed
        return _row_sums(dense, *rows)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Product.apply(gradient.contiguous(), ctx.transposed, ctx.rows), None, None


def _row_sums(dense: Tensor, pointers: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """Weighted sum of the rows of `dense` that each sparse row points at. `embedding_bag` is that kernel, and on the
    CPU several times faster than `torch.sparse.mm`."""
    working = dense if dense.dtype in (torch.float32, torch.float64) else dense.float()
    if columns.numel() == 0 or dense.numel() == 0:
        return dense.new_zeros(pointers.numel() - 1, dense.shape[1])
    sums = F.embedding_bag(
        columns, working, pointers, mode="sum", per_sample_weights=values.to(working.dtype), include_last_offset=True
    )
    return sums.to(dense.dtype)


_operator = Kept(SparseOperator)


def apply_sparse(matrix: Tensor | SparseOperator, x: Tensor) -> Tensor:
    """`matrix (R, V)` times each sample of `x (B, V, C)`: `(B, R, C)`; `(V, C)` gives `(R, C)`.

    Differentiable in `x`, twice and more. The sorted rows of a sparse tensor are kept for as long as the tensor lives;
    inside a module, hold a `SparseOperator` instead, which moves between devices with the module.
    """
    return matrix(x) if isinstance(matrix, SparseOperator) else _operator(matrix)(x)


def sparse_matrix(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Coalesced sparse COO tensor from triplets; entries at the same place are added.

    Raises:
        ValueError: if an entry lies outside `shape`, where it would be taken for one of another row.
    """
    indices = torch.stack([rows, columns])
    if indices.numel():
        (top, left), (bottom, right) = torch.stack(indices.aminmax(dim=1)).tolist()
        if min(top, left) < 0 or bottom >= shape[0] or right >= shape[1]:
            raise ValueError(
                f"entries lie in rows {top} to {bottom} and columns {left} to {right}, "
                f"expected a matrix of {shape[0]} x {shape[1]}"
            )
    return torch.sparse_coo_tensor(indices, values, shape, check_invariants=False).coalesce()
