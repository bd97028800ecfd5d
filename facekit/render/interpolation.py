"""Barycentric interpolation of anything given at the vertices: f(pixel) = sum_k w_k f(corner k)."""

import torch
from torch import Tensor
from torch.nn import functional

from facekit.render.checks import RenderError, check_indices
from facekit.render.fragments import Fragments


def interpolate(fragments: Fragments, faces: Tensor, attributes: Tensor) -> Tensor:
    """Attributes at the vertices to images.

    Args:
        fragments: of a rasterized batch of B meshes.
        faces: (F, 3) int64, those that were rasterized, or, for attributes with seams such as texture coordinates, the
            same triangles with their own corner indices.
        attributes: (B, V, C) or (V, C) for all samples.

    Returns:
        (B, C, H, W), zero in the background; gradients reach the attributes and, through the weights, the vertices.
        Of two floating point types, the attributes' and the weights', the wider one is taken.

    Raises:
        RenderError: if the attributes are of another batch, fewer than the vertices, or no floating point numbers.
    """
    batch = fragments.shape[0]
    if attributes.dim() not in (2, 3) or (attributes.dim() == 3 and attributes.shape[0] != batch):
        raise RenderError(f"attributes must be ({batch}, V, C) or (V, C), found {tuple(attributes.shape)}.")
    if not attributes.is_floating_point():
        raise RenderError(f"attributes must be floating point, found {attributes.dtype}.")
    check_indices(faces, attributes.shape[-2], "faces")
    if attributes.dim() == 2:
        corners = faces.index_select(0, fragments.triangles)
    else:
        corners = fragments.corners(faces, attributes.shape[1])
        attributes = attributes.flatten(0, 1)
    dtype = torch.promote_types(attributes.dtype, fragments.weights.dtype)
    values = _WeightedRows.apply(attributes.to(dtype), corners, fragments.weights.to(dtype))
    return fragments.to_image(values).permute(0, 3, 1, 2)


class _WeightedRows(torch.autograd.Function):
    """sum_k weights[p, k] table[corners[p, k]], with a backward pass that is fast on the CPU."""

    @staticmethod
    def forward(ctx, table: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(table, corners, weights)
        return functional.embedding_bag(corners, table, per_sample_weights=weights.contiguous(), mode="sum")

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        table, corners, weights = ctx.saved_tensors
        grad_table = grad_weights = None
        if ctx.needs_input_grad[0]:
            shares = grad.T[:, None] * weights.T
            grad_table = _scatter_columns(shares.flatten(1), corners.T.reshape(-1), table.shape[0]).T
        if ctx.needs_input_grad[2]:
            rows = gather_columns(table.T, corners.T.reshape(-1)).view(table.shape[1], 3, -1)
            grad_weights = (rows * grad.T[:, None]).sum(0).T
        return grad_table, None, grad_weights


def gather_columns(table: Tensor, index: Tensor) -> Tensor:
    """Columns ``index`` (N,) of ``table`` (C, M): (C, N), with a backward pass that is fast on the CPU."""
    return _GatherColumns.apply(table, index)


class _GatherColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.size = table.shape[1]
        return table.contiguous().index_select(1, index)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return _scatter_columns(grad, index, ctx.size), None


def _scatter_columns(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Add the columns of ``values`` (C, N) to the columns ``index`` (N,) of zeros (C, size)."""
    return values.new_zeros(values.shape[0], size).scatter_add(1, index.expand(values.shape[0], -1), values)
