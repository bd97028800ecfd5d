import pytest
import torch

from facekit.meshes import SparseOperator, apply_sparse, sparse_matrix


def random_matrix(rows=5, columns=7, dtype=torch.float64):
    dense = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0), dtype=dtype)
    dense[dense.abs() < 0.7] = 0
    dense[2] = 0
    return dense, dense.to_sparse().coalesce()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (1,), (4,)])
def test_apply_sparse_equals_the_dense_product(dtype, batch):
    dense, matrix = random_matrix(dtype=dtype)
    x = torch.randn(*batch, 7, 3, dtype=dtype)
    result = apply_sparse(matrix, x)
    assert result.dtype == dtype
    torch.testing.assert_close(result, dense @ x)
    torch.testing.assert_close(SparseOperator(matrix.to_sparse_csr())(x), dense @ x)


def test_gradient_once_and_twice():
    _, matrix = random_matrix()
    x = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: apply_sparse(matrix, x), x)
    assert torch.autograd.gradgradcheck(lambda x: apply_sparse(matrix, x).pow(3), x)


def test_a_matrix_changed_in_place_is_seen():
    dense, matrix = random_matrix()
    x = torch.randn(1, 7, 2, dtype=torch.float64)
    apply_sparse(matrix, x)
    matrix *= 2
    torch.testing.assert_close(apply_sparse(matrix, x), 2 * dense @ x)


def test_half_precision_signals_are_summed_in_single():
    dense, matrix = random_matrix(dtype=torch.float32)
    x = torch.randn(2, 7, 3).bfloat16()
    result = apply_sparse(matrix, x)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, (dense @ x.float()).bfloat16())


def test_operator_moves_with_its_module_and_stays_out_of_checkpoints():
    _, matrix = random_matrix()
    layer = torch.nn.Sequential(SparseOperator(matrix))
    assert layer.state_dict() == {}
    assert layer.float()(torch.randn(7, 2)).dtype == torch.float32


def test_an_empty_matrix_gives_zero():
    matrix = sparse_matrix(*torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), (3, 7))
    assert torch.equal(apply_sparse(matrix, torch.randn(2, 7, 4)), torch.zeros(2, 3, 4))


def test_an_empty_batch_stays_empty():
    _, matrix = random_matrix()
    x = torch.zeros(0, 7, 3, dtype=torch.float64, requires_grad=True)
    result = apply_sparse(matrix, x)
    assert result.shape == (0, 5, 3)
    result.sum().backward()
    assert x.grad.shape == x.shape


def test_wrong_sizes_and_layouts_are_refused():
    dense, matrix = random_matrix()
    with pytest.raises(ValueError, match=r"\(5, 7\) cannot multiply"):
        apply_sparse(matrix, torch.randn(2, 6, 3))
    with pytest.raises(TypeError, match="sparse"):
        SparseOperator(dense)
    with pytest.raises(ValueError, match=r"\(5, 7\) cannot multiply"):
        apply_sparse(matrix, torch.randn(7))
    with pytest.raises(TypeError, match=r"expected a floating point signal, found torch\.int64"):
        apply_sparse(matrix, torch.ones(7, 1, dtype=torch.int64))


def test_entries_at_the_same_place_are_added():
    matrix = sparse_matrix(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([1.0, 2.0]), (2, 2))
    assert matrix.to_dense().tolist() == [[0, 3], [0, 0]]


def test_entries_outside_the_matrix_are_refused():
    ones = torch.ones(2)
    for rows, columns in (([0, 5], [1, 1]), ([0, 1], [1, 7]), ([-1, 1], [0, 0])):
        with pytest.raises(ValueError, match=r"entries lie in rows .* expected a matrix of 5 x 7"):
            sparse_matrix(torch.tensor(rows), torch.tensor(columns), ones, (5, 7))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    dense, matrix = random_matrix(dtype=torch.float32)
    x = torch.randn(2, 7, 3, device="cuda", requires_grad=True)
    result = apply_sparse(matrix.cuda(), x)
    torch.testing.assert_close(result.cpu(), dense @ x.detach().cpu())
    result.square().sum().backward()
    torch.testing.assert_close(x.grad.cpu(), 2 * dense.T @ (dense @ x.detach().cpu()))
