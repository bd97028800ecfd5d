"""The Chebyshev convolution against dense polynomials and PyTorch Geometric's layer; pooling on the hierarchy."""

import pytest
import torch

from facekit.meshes import MeshHierarchy, SparseOperator, chebyshev_laplacian, triangulate, unique_edges
from facekit.nn import ChebyshevConv, MeshPool, MeshUnpool


def sheet(rows=7, columns=6):
    ids = torch.arange(rows * columns).view(rows, columns)
    quads = torch.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    y, x = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    return torch.stack([x, y, x * y], -1).reshape(-1, 3), triangulate(quads)


def laplacian(dtype=torch.float64):
    vertices, faces = sheet()
    return chebyshev_laplacian(faces, len(vertices), dtype)


def dense_reference(layer, matrix, x):
    """Every polynomial as a dense matrix, by the eigenvalues: T_k(L) = U cos(k arccos(l)) U^T; by sample."""
    values, vectors = torch.linalg.eigh(matrix.to_dense())
    angles = values.clamp(-1, 1).arccos()
    result = []
    for sample in x:
        total = layer.bias.expand(len(sample), -1)
        for k, weight in enumerate(layer.weight):
            total = total + vectors @ torch.diag((k * angles).cos()) @ vectors.T @ sample @ weight
        result.append(total)
    return torch.stack(result)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize(("channels", "filters"), [(3, 5), (5, 3), (4, 4)])
def test_equals_dense_polynomials(channels, filters, order):
    torch.manual_seed(order)
    matrix = laplacian()
    layer = ChebyshevConv(channels, filters, order, matrix).double()
    layer.bias.data.normal_()
    x = torch.randn(3, 42, channels, dtype=torch.float64, requires_grad=True)
    seed = torch.randn(3, 42, filters, dtype=torch.float64)
    ours, expected = layer(x), dense_reference(layer, matrix, x)
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)
    inputs = (x, layer.weight, layer.bias)
    for slope, reference in zip(
        torch.autograd.grad(ours, inputs, seed), torch.autograd.grad(expected, inputs, seed), strict=True
    ):
        torch.testing.assert_close(slope, reference, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(("channels", "filters"), [(32, 16), (16, 32)])
def test_equals_pytorch_geometric(channels, filters):
    geometric = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    vertices, faces = sheet(20, 20)
    ours = ChebyshevConv(channels, filters, 6, chebyshev_laplacian(faces, len(vertices)))
    theirs = geometric.ChebConv(channels, filters, K=6, normalization="sym")
    with torch.no_grad():
        for layer, weight in zip(theirs.lins, ours.weight, strict=True):
            layer.weight.copy_(weight.T)
        theirs.bias.copy_(ours.bias.normal_())
    edges = unique_edges(faces)
    x = torch.randn(4, len(vertices), channels)
    expected = theirs(x, torch.cat([edges, edges.flip(1)]).T)
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("channels", "filters"), [(2, 3), (3, 2)])
def test_can_be_differentiated_twice(channels, filters):
    torch.manual_seed(0)
    layer = ChebyshevConv(channels, filters, 4, laplacian()).double()
    x = torch.randn(1, 42, channels, dtype=torch.float64, requires_grad=True)

    def bent(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,)).tanh().sum()

    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(bent, (x, weight))
    assert torch.autograd.gradgradcheck(bent, (x, weight))


def test_reaches_order_minus_one_edges():
    """On a strip of vertices, a spike spreads over exactly ``order - 1`` steps."""
    vertices, faces = sheet(30, 2)
    layer = ChebyshevConv(1, 1, 4, chebyshev_laplacian(faces, len(vertices)))
    spike = torch.zeros(1, 60, 1)
    spike[0, 0] = 1
    changed = (layer(spike) - layer.bias).view(30, 2).abs().amax(1) > 0
    assert changed[:4].all() and not changed[4:].any()


def test_layers_can_share_one_operator_and_keep_it_out_of_checkpoints():
    shared = SparseOperator(laplacian(torch.float32))
    first, second = ChebyshevConv(3, 8, 3, shared), ChebyshevConv(8, 3, 3, shared)
    assert first.laplacian is second.laplacian
    assert set(first.state_dict()) == {"weight", "bias"}


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="order is 0"):
        ChebyshevConv(3, 3, 0, laplacian())
    with pytest.raises(ValueError, match="must be square"):
        ChebyshevConv(3, 3, 2, torch.ones(3, 4).to_sparse())
    with pytest.raises(ValueError, match=r"expected a signal \(B, 42, 3\), found \(1, 42, 4\)"):
        ChebyshevConv(3, 3, 2, laplacian(torch.float32))(torch.zeros(1, 42, 4))


def test_pool_and_unpool_are_the_hierarchy_s():
    hierarchy = MeshHierarchy.build(*sheet(12, 12), factors=(3, 2))
    x = torch.randn(2, hierarchy.levels[1].num_vertices, 4)
    torch.testing.assert_close(MeshPool(hierarchy, 1)(x), hierarchy.pool(x, 1))
    torch.testing.assert_close(MeshUnpool(hierarchy, 0)(x), hierarchy.unpool(x, 0))
    torch.testing.assert_close(MeshPool(hierarchy, 0)(MeshUnpool(hierarchy, 0)(x)), x)
    with pytest.raises(ValueError, match="level is 2, expected 0 to 1"):
        MeshUnpool(hierarchy, 2)
