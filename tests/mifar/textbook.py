"""Eq. (1) as it is written, for the tests and the benchmark."""

import torch
from torch import Tensor


def textbook_loss(
    first: Tensor, second: Tensor, views: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3), mu: float = 5e-3
) -> dict[str, Tensor]:
    """L_w and L_theta of embeddings (V, N, D) with every D x D matrix formed."""

    def correlation(a: Tensor, b: Tensor) -> Tensor:
        a, b = a - a.mean(0), b - b.mean(0)
        return (a / a.norm(dim=0)).T @ (b / b.norm(dim=0))

    def term(matrix: Tensor) -> Tensor:
        diagonal = matrix.diagonal()
        return (1 - diagonal).square().sum() + mu * (matrix - torch.diag(diagonal)).square().sum()

    matrices = [correlation(a, b) for a, b in zip(first, second, strict=True)]
    weighted = sum(weight * matrix for weight, matrix in zip(views, matrices, strict=True))
    return {"weighted": term(weighted), "view": sum(term(matrix) for matrix in matrices)}
