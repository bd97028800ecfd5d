"""Transport plans against POT's per-sample solver; relation matrices against scikit-learn; marginals."""

import numpy as np
import ot
import pytest
import torch
from sklearn.metrics import matthews_corrcoef

from facekit.rrl import marginals, relation_matrix, transport_cost, transport_plans


def problem(batch=6, size=12, seed=0):
    random = torch.Generator().manual_seed(seed)
    labels = torch.rand(400, size, generator=random) < torch.rand(size, generator=random)
    cost = transport_cost(relation_matrix(labels | (torch.rand(400, 1, generator=random) < 0.2)))
    supply, demand = torch.rand(2, batch, size, generator=random, dtype=torch.float64).clamp(min=0.05)
    return cost, supply / supply.sum(1, keepdim=True), demand / demand.sum(1, keepdim=True)


@pytest.mark.parametrize("regularisation", [1.0, 0.1, 0.03, 0.01])
def test_plans_are_those_of_one_sinkhorn_per_sample(regularisation):
    cost, supply, demand = problem()
    plans = transport_plans(cost, supply, demand, regularisation, iterations=20_000)
    for plan, a, b in zip(plans, supply, demand, strict=True):
        alone = ot.sinkhorn(a.numpy(), b.numpy(), cost.numpy(), regularisation, numItermax=20_000, stopThr=1e-10)
        np.testing.assert_allclose(plan.numpy(), alone, atol=1e-6)


def test_little_regularisation_comes_near_to_exact_transport_without_nan():
    cost, supply, demand = problem()
    plans = transport_plans(cost, supply, demand, 2e-3, iterations=20_000)
    paid = (plans * cost).sum(dim=(1, 2))
    exact = [ot.emd2(a.numpy(), b.numpy(), cost.numpy()) for a, b in zip(supply, demand, strict=True)]
    np.testing.assert_allclose(paid.numpy(), exact, atol=2e-3)
    assert transport_plans(cost, supply, demand, 1e-4, iterations=50).isfinite().all()


def test_zero_weights_get_nothing_and_one_hot_weights_work():
    cost, supply, demand = problem(batch=2)
    supply[0] = torch.eye(12, dtype=torch.float64)[3]
    demand[1, 5:] = 0.0
    demand /= demand.sum(1, keepdim=True)
    for regularisation in (0.1, 0.01):
        plans = transport_plans(cost, supply, demand, regularisation)
        assert plans.isfinite().all()
        torch.testing.assert_close(plans[0, 3], demand[0], atol=1e-6, rtol=0)
        assert plans[1, :, 5:].sum() < 1e-9


def test_the_plan_is_a_constant_unless_asked_otherwise():
    cost, supply, demand = problem(batch=2)
    cost.requires_grad_()
    assert not transport_plans(cost, supply, demand).requires_grad
    plans = transport_plans(cost, supply, demand, iterations=50, differentiable=True)
    plans.square().sum().backward()
    assert cost.grad.isfinite().all() and cost.grad.abs().sum() > 0


def test_float32_stays_float32_and_mistakes_are_named():
    cost, supply, demand = problem(batch=2)
    assert transport_plans(cost, supply.float(), demand.float()).dtype == torch.float32
    with pytest.raises(ValueError, match="expected a positive number"):
        transport_plans(cost, supply, demand, 0.0)
    with pytest.raises(ValueError, match=r"expected \(B, K\), \(B, K\) and \(K, K\)"):
        transport_plans(cost[:5, :5], supply, demand)


def test_relations_are_matthews_coefficients_clipped():
    random = np.random.default_rng(0)
    smile = random.random(500) < 0.4
    labels = np.stack([smile, smile ^ (random.random(500) < 0.1), ~smile, random.random(500) < 0.5], axis=1)
    relation = relation_matrix(torch.from_numpy(labels)).numpy()
    for i in range(4):
        for j in range(4):
            np.testing.assert_allclose(
                relation[i, j], max(0.0, matthews_corrcoef(labels[:, i], labels[:, j])), atol=1e-9
            )
    assert relation[0, 2] == 0 and relation[0, 1] > 0.7


def test_units_that_never_or_always_occur_are_related_to_nothing():
    labels = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    labels[:, 1], labels[:, 2] = False, True
    relation = relation_matrix(labels)
    assert relation.isfinite().all()
    assert torch.equal(relation[1], torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    assert torch.equal(relation[2], torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64))


def test_uncoded_labels_are_left_out_pair_by_pair():
    random = torch.Generator().manual_seed(1)
    labels = torch.rand(60, 2, generator=random) < 0.5
    labels[:30, 1] = labels[:30, 0]
    coded = torch.ones(60, 2, dtype=torch.bool)
    coded[30:, 1] = False
    assert relation_matrix(labels, coded)[0, 1] == pytest.approx(1.0)
    assert relation_matrix(labels)[0, 1] < 0.9
    assert relation_matrix(labels, torch.zeros_like(coded)).isfinite().all()
    with pytest.raises(ValueError, match="N > 0"):
        relation_matrix(labels[:0])


def test_marginals_are_clipped_products_that_sum_to_one():
    local = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]])
    weights = marginals(local, torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(weights, torch.tensor([[1 / 3, 2 / 3, 0.0]]))


def test_marginals_without_a_positive_product_are_even_over_the_valid_units():
    local, other = -torch.ones(3, 4, 2, requires_grad=True), torch.ones(3, 2)
    valid = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    weights = marginals(local, other, valid)
    torch.testing.assert_close(weights, torch.tensor([[0.25] * 4, [0.5, 0.5, 0, 0], [0.25] * 4]))
    assert not weights.requires_grad
