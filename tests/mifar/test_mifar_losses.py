"""Eq. (1) in both forms against its naive version, and what happens to bad input."""

import pytest
import torch
from torch.testing import assert_close

from facekit.mifar import LossWeights, barlow_loss, cheaper_form, contrastive_loss, mifar_loss, mifar_terms
from tests.mifar.textbook import textbook_loss


def versions(views=3, batch=24, width=40, dtype=torch.float64, seed=0):
    """Embeddings of two versions that agree in part."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(views, batch, width, dtype=dtype, generator=random)
    noise = torch.randn(views, batch, width, dtype=dtype, generator=random)
    return (first + 0.7).requires_grad_(), (0.8 * first + noise).requires_grad_()


def gradients(loss, *inputs):
    terms = loss(*inputs)
    return terms, torch.autograd.grad(terms["weighted"] + 2 * terms["view"], inputs)


@pytest.mark.parametrize("form", ["gram", "textbook", "auto"])
@pytest.mark.parametrize("width", [6, 24, 90])
def test_both_forms_are_the_naive_loss_with_its_gradient(form, width):
    first, second = versions(width=width)
    shares = (0.2, 0.5, 0.3)
    expected, expected_slopes = gradients(lambda a, b: textbook_loss(a, b, shares), first, second)
    found, slopes = gradients(lambda a, b: mifar_loss(a, b, LossWeights(shares), form), first, second)
    for name in expected:
        assert_close(found[name], expected[name], rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(slopes, expected_slopes, strict=True):
        assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", ["gram", "textbook"])
def test_single_precision_agrees_to_five_digits(form):
    first, second = versions(batch=64, width=512, dtype=torch.float32)
    expected, expected_slopes = gradients(textbook_loss, first.detach().double().requires_grad_(),
                                          second.detach().double().requires_grad_())  # fmt: skip
    found, slopes = gradients(lambda a, b: mifar_loss(a, b, form=form), first, second)
    for name in expected:
        assert_close(found[name].double(), expected[name], rtol=1e-5, atol=0)
    for ours, theirs in zip(slopes, expected_slopes, strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


def test_gradients_agree_with_finite_differences():
    first, second = versions(views=2, batch=5, width=7)
    for form in ("gram", "textbook"):
        assert torch.autograd.gradcheck(
            lambda a, b, form=form: sum(mifar_loss(a, b, LossWeights((0.4, 0.6)), form).values()), (first, second)
        )


def test_terms_know_identical_and_independent_versions():
    one, _ = versions(batch=400, width=8)
    same = mifar_terms(one, one)
    assert same["view_invariance"] < 1e-12 and same["weighted_invariance"] < 1e-12
    stranger = versions(batch=400, width=8, seed=1)[0]
    assert mifar_terms(one, stranger)["view_invariance"] > 0.8 * 3 * 8
    copies = one[..., :1].expand(-1, -1, 8)
    assert_close(mifar_terms(copies, copies)["view_redundancy"], torch.tensor(3 * 8 * 7.0, dtype=torch.float64))


def test_factors_leave_a_term_out():
    first, second = versions()
    alone = mifar_loss(first, second, LossWeights(weighted=0.0))
    assert alone["weighted"] == 0 and alone["view"] == mifar_loss(first, second)["view"]


@pytest.mark.parametrize("form", ["gram", "textbook"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_constant_dimension_costs_one_and_gets_no_gradient(form, value, dtype):
    first, second = (x.detach().to(dtype) for x in versions(batch=33, width=6))
    without = mifar_terms(first[..., :5], second[..., :5], form=form)
    first[..., 5], second[..., 5] = value, value
    first.requires_grad_()
    terms = mifar_terms(first, second, form=form)
    assert_close(terms["view_invariance"], without["view_invariance"] + 3)
    assert_close(terms["weighted_invariance"], without["weighted_invariance"] + 1)
    assert_close(terms["view_redundancy"], without["view_redundancy"])
    sum(terms.values()).backward()
    assert first.grad.isfinite().all() and not first.grad[..., 5].any() and first.grad[..., :5].any()


def test_bfloat16_is_computed_in_single_precision():
    first, second = (x.detach().bfloat16() for x in versions(batch=48, width=128))
    expected = mifar_loss(first.float(), second.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = mifar_loss(first, second)
        a, b = (x.float().requires_grad_() for x in (first, second))
        sum(mifar_loss(a, b).values()).backward()
    for name in expected:
        assert found[name].dtype == torch.float32
        assert_close(found[name], expected[name], rtol=1e-6, atol=0)
    _, slopes = gradients(textbook_loss, *(x.double().requires_grad_() for x in (first, second)))
    ours = torch.autograd.grad(mifar_loss(a, b)["weighted"] + 2 * mifar_loss(a, b)["view"], a)[0]
    assert (ours - slopes[0]).norm() < 1e-5 * slopes[0].norm()


@pytest.mark.parametrize(
    ("shape", "views", "form", "sentence"),
    [
        ((3, 1, 8), (1 / 3,) * 3, "auto", "batch of one"),
        ((2, 4, 8), (1 / 3,) * 3, "auto", "3 weights for 2 views"),
        ((4, 8), (1.0,), "auto", r"expected \(V, N, D\)"),
        ((3, 4, 8), (1 / 3,) * 3, "sparse", "form is 'sparse'"),
    ],
)
def test_bad_input_gets_a_sentence(shape, views, form, sentence):
    with pytest.raises(ValueError, match=sentence):
        mifar_terms(torch.randn(shape), torch.randn(shape), views, form)


def test_the_cheaper_form_is_chosen():
    assert cheaper_form(3, 256, 8192) == "gram"
    assert cheaper_form(3, 1024, 1024) == "textbook"
    assert cheaper_form(3, 256, 256) == "textbook" and cheaper_form(1, 64, 256) == "gram"
    assert cheaper_form(3, 4096, 512, 8) == "textbook" and cheaper_form(3, 256, 65536, 8) == "gram"
    # Bytes decide where work is shared out: gathering 2 N D numbers against summing up D D.
    assert cheaper_form(3, 512, 1024) == "textbook" and cheaper_form(3, 512, 1024, 512) == "gram"


def test_the_gram_form_stores_no_matrix_of_dimensions():
    first, second = versions(batch=4, width=4000, dtype=torch.float32)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        mifar_loss(first, second)
    assert max(sizes) <= 3 * 4 * 4000
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        mifar_loss(first, second, form="textbook")
    assert max(sizes) == 3 * 4000**2


def test_barlow_twins_is_the_view_loss_of_one_view():
    first, second = versions(views=1)
    assert_close(barlow_loss(first[0], second[0]), textbook_loss(first, second, (1.0,))["view"])


def test_contrastive_loss_is_the_naive_one():
    first, second = (x[0].detach().float() for x in versions(batch=6, width=5))
    everyone = torch.nn.functional.normalize(torch.cat([first, second]), dim=1)
    naive = 0.0
    for row in range(12):
        others = [k for k in range(12) if k != row]
        scores = torch.stack([everyone[row] @ everyone[k] / 0.2 for k in others])
        naive = naive - torch.log_softmax(scores, 0)[others.index((row + 6) % 12)] / 12
    assert_close(contrastive_loss(first, second, 0.2), naive)
