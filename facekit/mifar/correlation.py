"""Cross-correlation of embeddings over the global batch, without the matrix where that is cheaper.

Behzad and Zhao (2021), Section II-B. With standardised embeddings A_u, B_u (N, D) of view u, the matrix is
C_u = A_u' B_u (D, D). A loss that is a sum of its squares needs no entry by itself: for any two views

    <C_u, C_v> = tr(B_u' A_u A_v' B_v) = sum over samples k, l of (A_u A_v')_kl (B_u B_v')_kl

so that two N x N products of samples stand in for two D x D products of dimensions, and the weighted matrix
C_w = sum_u w_u C_u has the squared norm sum_uv w_u w_v <C_u, C_v>, which the same products give.

On W processes every function below works on the global batch and follows ``facekit.training``'s rule: all processes
return the same value, and the mean of their gradients is the gradient of one process. Neither form communicates
anything larger than V x V numbers in its backward pass.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from facekit.training import gather, reduce_with_gradient, world_size

FORMS = ("auto", "gram", "textbook")
"""How products are computed: samples by samples (gram), dimensions by dimensions (textbook), the cheaper one (auto)."""
_PER_ENTRY = 25.0
_PER_BYTE = 20.0


def standardize(embeddings: Tensor) -> Tensor:
    """Embeddings (V, n, D) centred along the global batch and scaled to unit length along it, float32 or float64.

    A dimension that is constant over the batch (up to rounding) has no correlation with anything: it becomes zero, and
    so does its gradient.
    """
    count = embeddings.shape[1] * world_size()
    largest = gather(embeddings.detach().abs().amax(1)[None]).amax(0)
    centred = embeddings - (reduce_with_gradient(embeddings.sum(1)) / count)[:, None]
    squares = reduce_with_gradient(centred.square().sum(1))
    rounding = 8 * torch.finfo(embeddings.dtype).eps * largest
    varies = squares.detach() > count * rounding.square()
    scale = torch.where(varies, squares, 1.0).rsqrt() * varies
    return centred * scale[:, None]


def cheaper_form(views: int, batch: int, width: int, processes: int = 1) -> str:
    """``gram`` or ``textbook``: the form with less work for ``views`` views of ``batch`` embeddings (over all
    processes) of ``width`` dimensions.

    Work is counted in multiply-adds of one process, forward and backward: V^2 n N D products four times (thrice in one
    process, where symmetry saves some) against V n D^2 thrice and several passes over V D^2 entries. A byte that is
    sent counts as much as 20 multiply-adds, an entry of the D x D matrices as 25.
    """
    share = batch // processes
    gram = (3.0 if processes == 1 else 4.0) * views**2 * share * batch * width
    textbook = 3.0 * views * share * width**2 + _PER_ENTRY * views * width**2
    others = 4 * _PER_BYTE * (processes - 1) / processes
    gram += others * 2 * views * batch * width
    textbook += others * 2 * views * width**2
    return "gram" if gram < textbook else "textbook"


def cross_products(first: Tensor, second: Tensor, form: str = "auto") -> tuple[Tensor, Tensor]:
    """What the loss needs of the matrices C_u, from standardised embeddings (V, n, D) of this process.

    Returns:
        The diagonals (V, D), and (V, V): the inner products of the matrices with their diagonals left out,
        sum over a != b of C^u_ab C^v_ab.

    Raises:
        ValueError: if the form is not one of ``FORMS``.
    """
    if form not in FORMS:
        raise ValueError(f"form is {form!r}, expected one of {', '.join(FORMS)}")
    views, share, width = first.shape
    if form == "auto":
        form = cheaper_form(views, share * world_size(), width, world_size())
    diagonals = reduce_with_gradient((first * second).sum(1))
    if form == "textbook":
        return diagonals, _Textbook.apply(first, second)
    return diagonals, _Gram.apply(first, second) - diagonals @ diagonals.T


class _Gram(torch.autograd.Function):
    """<C_u, C_v> (V, V), diagonals included, from products of samples."""

    @staticmethod
    def forward(ctx, first: Tensor, second: Tensor) -> Tensor:
        views, share, _ = first.shape
        everyone = [_of_everyone(x) for x in (first, second)]
        products = [_sample_products(x, others) for x, others in zip((first, second), everyone, strict=True)]
        ctx.save_for_backward(*everyone, *products)
        ctx.shape = (views, share)
        table = (products[0] * products[1]).view(views, share, views, -1).sum((1, 3))
        return reduce_with_gradient(table)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        first, second, of_first, of_second = ctx.saved_tensors
        views, share = ctx.shape
        factor = _symmetric(gradient)[:, None, :, None]

        def slope(products: Tensor, others: Tensor) -> Tensor:
            weighted = (products.view(views, share, views, -1) * factor).view_as(products)
            return (weighted @ others).view(views, share, -1)

        return slope(of_second, first), slope(of_first, second)


class _Textbook(torch.autograd.Function):
    """<C_u, C_v> (V, V) with the diagonals left out, from the matrices themselves."""

    @staticmethod
    def forward(ctx, first: Tensor, second: Tensor) -> Tensor:
        matrices = reduce_with_gradient(first.mT @ second)
        matrices.diagonal(dim1=1, dim2=2).zero_()
        ctx.save_for_backward(first, second, matrices)
        flat = matrices.flatten(1)
        return flat @ flat.T

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        first, second, matrices = ctx.saved_tensors
        slopes = (_symmetric(gradient) @ matrices.flatten(1)).view_as(matrices)
        return second @ slopes.mT, first @ slopes


def _symmetric(gradient: Tensor) -> Tensor:
    """Gradient with respect to <C_u, C_v> plus that with respect to <C_v, C_u>, summed over the processes."""
    total = reduce_with_gradient(gradient)
    return total + total.T


def _of_everyone(x: Tensor) -> Tensor:
    """Rows (V * N, D) of all processes, view after view, from this process's (V, n, D)."""
    return gather(x.transpose(0, 1).contiguous()).transpose(0, 1).flatten(0, 1)


def _sample_products(x: Tensor, everyone: Tensor) -> Tensor:
    """(V * n, V * N): products of this process's samples with everybody's. In one process the result is symmetric, so
    that the blocks below the diagonal are copied."""
    views, share, _ = x.shape
    if world_size() > 1:
        return x.flatten(0, 1) @ everyone.T
    products = x.new_empty(views * share, views * share)
    for view in range(views):
        rows, later = slice(view * share, (view + 1) * share), slice((view + 1) * share, None)
        products[rows, view * share :] = everyone[rows] @ everyone[view * share :].T
        products[later, rows] = products[rows, later].T
    return products
