"""Multilayer perceptrons: the projectors and predictors of self-supervised learning."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def perceptron(widths: Sequence[int], batch_norm: bool = True) -> nn.Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]``, with batch normalisation and ReLU between them.

    Args:
        widths: of the input, of each hidden layer, and of the output; two or more.
        batch_norm: whether hidden layers are normalised; those that are have no bias.

    Raises:
        ValueError: fewer than two widths.
    """
    if len(widths) < 2:
        raise ValueError(f"a perceptron needs an input and an output width, found {list(widths)}")
    layers: list[nn.Module] = []
    for width, following in pairwise(widths[:-1]):
        layers.append(nn.Linear(width, following, bias=not batch_norm))
        layers += [nn.BatchNorm1d(following), nn.ReLU()] if batch_norm else [nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
