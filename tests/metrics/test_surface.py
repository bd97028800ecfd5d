import numpy as np
import pytest
import torch

from facekit.metrics import cumulative_error, error_summary, vertex_errors


def test_vertex_errors_of_known_offsets():
    target = torch.zeros(2, 4, 3)
    predicted = target.clone()
    predicted[1, 2] = torch.tensor([3.0, 4.0, 0.0])
    expected = torch.zeros(2, 4)
    expected[1, 2] = 5
    assert torch.equal(vertex_errors(predicted, target), expected)


def test_vertex_errors_broadcast_and_have_gradients():
    predicted = torch.randn(3, 1, 5, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 5, 3, dtype=torch.float64)
    assert vertex_errors(predicted, target).shape == (3, 2, 5)
    assert torch.autograd.gradcheck(vertex_errors, (predicted, target))


def test_meshes_of_different_size_are_refused():
    with pytest.raises(ValueError, match="expected two tensors"):
        vertex_errors(torch.zeros(5, 3), torch.zeros(4, 3))


def test_summary_agrees_with_numpy():
    errors = torch.rand(7, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, summary = errors.numpy(), error_summary(errors)
    expected = {
        "mean": values.mean(),
        "std": values.std(),
        "median": np.median(values),
        "p90": np.quantile(values, 0.9),
        "max": values.max(),
    }
    assert summary == pytest.approx(expected)
    assert error_summary(torch.tensor([2.0]))["p90"] == 2


@pytest.mark.parametrize("errors", [torch.zeros(0), torch.tensor([1.0, float("nan")])])
def test_summary_refuses_what_has_no_mean(errors):
    with pytest.raises(ValueError, match="expected finite errors"):
        error_summary(errors)


def test_cumulative_error_counts_the_threshold_itself():
    shares = cumulative_error(torch.tensor([[0.5, 1.0], [2.0, 4.0]]), torch.tensor([0.0, 1.0, 3.0, 4.0]))
    assert shares.tolist() == [0, 0.5, 0.75, 1]
