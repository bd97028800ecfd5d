"""The losses against their equations, written out."""

import pytest
import torch

from facekit.rrl import LossWeights, global_loss, local_loss, marginals, relation_loss, transport_plans

BATCH, K, D = 5, 4, 6


def tensors(*shapes, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_() for shape in shapes]


def cosine(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


def test_global_loss_is_minus_the_cosine():
    q, z = tensors((BATCH, D), (BATCH, D))
    loss = global_loss(q, z)
    assert loss.item() == pytest.approx(-sum(cosine(a, b) for a, b in zip(q, z, strict=True)) / BATCH)
    loss.backward()
    assert z.grad is None and q.grad.abs().sum() > 0
    assert global_loss(q, 3 * q).item() == pytest.approx(-1.0)


def test_local_loss_is_equation_3():
    qk, gt, qg, gk = tensors((BATCH, K, D), (BATCH, D), (BATCH, D), (BATCH, K, D))
    expected = 0.0
    for b in range(BATCH):
        for k in range(K):
            expected -= (cosine(qk[b, k], gt[b]) + cosine(gk[b, k], qg[b])) / (2 * K * BATCH)
    loss = local_loss(qk, gt, qg, gk)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert gt.grad is None and gk.grad is None and qk.grad is not None and qg.grad is not None


def test_invalid_units_do_not_count():
    qk, gt, qg, gk = tensors((2, K, D), (2, D), (2, D), (2, K, D))
    valid = torch.tensor([[True, True, False, False], [False] * 4])
    half = local_loss(qk[:1, :2], gt[:1], qg[:1], gk[:1, :2])
    assert local_loss(qk, gt, qg, gk, valid).item() == pytest.approx(half.item() / 2)
    assert local_loss(qk, gt, qg, gk, torch.ones_like(valid)).item() == pytest.approx(local_loss(qk, gt, qg, gk).item())


def test_relation_loss_is_equation_6_and_its_plan_is_a_constant():
    o, t, og, tg = tensors((BATCH, K, D), (BATCH, K, D), (BATCH, D), (BATCH, D))
    cost = torch.rand(K, K, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    plan = transport_plans(cost, marginals(o, tg), marginals(t, og), 0.1)
    expected = 0.0
    for b in range(BATCH):
        for i in range(K):
            for j in range(K):
                expected -= cosine(o[b, i], t[b, j]) * float(plan[b, i, j]) / BATCH
    loss = relation_loss(o, t, og, tg, cost, 0.1)
    assert loss.item() == pytest.approx(expected, abs=1e-7)
    given = torch.autograd.grad(relation_loss(o, t, og, tg, cost, plan=plan), o)[0]
    loss.backward()
    torch.testing.assert_close(o.grad, given)
    assert t.grad is None and og.grad is None and tg.grad is None


def test_a_learnt_cost_gets_a_gradient_when_asked():
    o, t, og, tg = tensors((2, K, D), (2, K, D), (2, D), (2, D))
    cost = torch.rand(K, K, dtype=torch.float64).requires_grad_()
    relation_loss(o, t, og, tg, cost, 0.3, differentiable_plan=True).backward()
    assert cost.grad.abs().sum() > 0


def test_samples_without_a_face_add_nothing_and_nothing_is_nan():
    o, t, og, tg = tensors((2, K, D), (2, K, D), (2, D), (2, D))
    cost = torch.rand(K, K, dtype=torch.float64)
    valid = torch.tensor([[True] * K, [False] * K])
    alone = relation_loss(o[:1], t[:1], og[:1], tg[:1], cost)
    loss = relation_loss(o, t, og, tg, cost, valid=valid)
    assert loss.item() == pytest.approx(alone.item() / 2)
    zeros = relation_loss(torch.zeros_like(o), torch.zeros_like(t), og, tg, cost)
    zeros.backward() if zeros.requires_grad else None
    assert zeros.item() == 0.0


def test_weights_are_the_papers_and_absent_terms_are_absent():
    assert LossWeights().by_term() == {"global": 0.4, "local": 0.6, "relation": 1.0}
    assert LossWeights(1.0, 0.0, 0.0).by_term() == {"global": 1.0}
