import pytest
import torch
from torch.testing import assert_close

from facekit.meshes import linear_to_srgb, srgb_to_linear


def test_srgb_curve():
    values = torch.linspace(0, 1, 1001, dtype=torch.float64)
    assert_close(srgb_to_linear(linear_to_srgb(values)), values, atol=1e-7, rtol=0)
    known = torch.tensor([0.0, 0.0031308, 0.214041, 1.0], dtype=torch.float64)
    assert_close(linear_to_srgb(known), torch.tensor([0.0, 0.04045, 0.5, 1.0]).double(), atol=1e-5, rtol=0)
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    linear_to_srgb(zero).sum().backward()
    assert zero.grad.item() == pytest.approx(12.92)
