"""Dynamic images: the exact ranking SVM against scikit-learn's, and the closed form against its definition."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch.testing import assert_close

from facekit.mifar import (
    ScanError,
    approximate_weights,
    as_image,
    dynamic_images,
    rank_pool,
    ranked_share,
    svm_objective,
)


def recordings(batch=3, count=12, size=60, seed=0):
    """Sequences with a trend under noise."""
    random = torch.Generator().manual_seed(seed)
    steps = 0.1 * torch.randn(batch, count, size, generator=random)
    return torch.rand(batch, 1, size, generator=random) + steps.cumsum(1)


@pytest.mark.parametrize("share", [1.0, 0.1, 0.01])
def test_the_svm_is_scikit_learns(share):
    frames = recordings()
    pooled = rank_pool(frames, "svm", share, 1e-5)
    for sample, image in zip(frames, pooled, strict=True):
        means = (sample.cumsum(0) / torch.arange(1, 13)[:, None]).double().numpy()
        strength = share * ((means - means.mean(0)) ** 2).sum(1).mean()
        rows = np.stack([means[q] - means[t] for q in range(12) for t in range(q)])
        labels = np.r_[np.ones(66), -np.ones(66)]
        oracle = LinearSVC(loss="hinge", fit_intercept=False, C=1 / 132 / strength, tol=1e-8, max_iter=10**6)
        weights = torch.from_numpy(oracle.fit(np.concatenate([rows, -rows]), labels).coef_[0])
        assert torch.cosine_similarity(image.double(), weights, dim=0) > 0.9999
        assert_close(svm_objective(image[None], sample[None], share), svm_objective(weights[None], sample[None], share),
                     rtol=1e-3, atol=0)  # fmt: skip


def test_the_closed_form_is_the_sum_over_pairs():
    frames = recordings(count=7)
    means = frames.cumsum(1) / torch.arange(1, 8)[:, None]
    naive = sum(means[:, q] - means[:, t] for q in range(7) for t in range(q))
    assert_close(rank_pool(frames, "approximate"), naive, rtol=1e-4, atol=1e-4)
    assert abs(float(approximate_weights(50).sum())) < 1e-3


def test_a_strong_regulariser_brings_the_two_together_and_the_svm_is_never_worse():
    frames = recordings(count=20)
    closed = rank_pool(frames, "approximate")
    agreement = []
    for share in (1e-3, 0.1, 100.0):
        exact = rank_pool(frames, "svm", share)
        agreement.append(torch.cosine_similarity(exact, closed, dim=1).mean())
        best = torch.stack([svm_objective(closed * scale, frames, share) for scale in torch.logspace(-6, 2, 60)])
        assert (svm_objective(exact, frames, share) <= best.amin(0) * (1 + 2e-3)).all()
    assert agreement[0] < agreement[1] < agreement[2] and agreement[2] > 0.999


def test_order_is_found_reversed_time_turns_the_image_and_scale_does_not_matter():
    frames = recordings(size=80).view(3, 12, 1, 8, 10)
    for method in ("svm", "approximate"):
        pooled = rank_pool(frames, method)
        assert pooled.shape == (3, 1, 8, 10) and (ranked_share(pooled, frames) > 0.95).all()
        backwards = rank_pool(frames.flip(1), method)
        assert (torch.cosine_similarity(pooled.flatten(1), backwards.flatten(1)) < -0.5).all()
    assert_close(as_image(rank_pool(1000 * frames)), as_image(rank_pool(frames)), atol=1e-3, rtol=0)


def test_what_does_not_move_disappears():
    still = torch.rand(2, 1, 3, 8, 8).expand(-1, 6, -1, -1, -1)
    for method in ("svm", "approximate"):
        assert rank_pool(still, method).abs().max() < 1e-5
    assert as_image(torch.zeros(2, 3, 4, 4)).eq(0.5).all()


def test_bad_sequences_get_a_sentence():
    with pytest.raises(ScanError, match="two frames or more"):
        rank_pool(torch.rand(2, 1, 3, 4, 4))
    with pytest.raises(ScanError, match="method is 'mean'"):
        rank_pool(torch.rand(2, 3, 4), "mean")


def test_an_outline_that_moves_does_not_drown_the_face():
    frames = torch.zeros(2, 6, 3, 2, 24, 24)
    frames[..., 4:20, 6:18] = 0.6
    frames[..., 1, 8:12, 10:14] += 0.02 * torch.arange(6)[:, None, None, None]  # the expression
    turned = frames.clone()
    turned[1, 3:, ..., 5:17] = frames[1, 3:, ..., 6:18]  # a head that moves by one pixel
    turned[1, 3:, ..., 17] = 0
    found = dynamic_images(turned, "approximate")
    assert found.shape == (2, 3, 2, 24, 24)
    assert (found[:, :, 1, 8:12, 10:12].amin((-2, -1)) > 0.95).all()  # it is the largest change in both recordings
    assert (found[1, :, :, :, 17] == 0.5).all() and (found[1, :, :, :, 5] == 0.5).all()
    assert as_image(rank_pool(turned, "approximate"))[1, :, 1, 8:12, 10:12].max() < 0.7
