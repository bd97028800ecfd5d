"""Collectives in a world of one; tests/scripts holds those of two processes."""

import pytest
import torch
from torch import nn

from facekit.training import gather, gather_with_gradient, reduce_with_gradient, synchronize_batch_norm


def test_collectives_are_the_identity_in_one_process() -> None:
    x = torch.randn(3, 2)
    assert gather(x) is x
    assert gather_with_gradient(x) is x
    assert reduce_with_gradient(x, "mean") is x
    norm = nn.BatchNorm1d(3)
    assert synchronize_batch_norm(norm) is norm


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="op is 'max'"):
        reduce_with_gradient(torch.ones(2), "max")
    with pytest.raises(ValueError, match="scalar"):
        gather_with_gradient(torch.tensor(1.0))
