"""Rank pooling: a sequence becomes one image that tells in which order its frames came.

MiFaR pools each view of a 4D recording to a *dynamic image*. Bilen et al. (2016), after Fernando et al. (2015), let
V_t be the mean of the first t frames and look for the image d whose products S_t = <d, V_t> grow with t:

    d* = argmin_d  lambda/2 |d|^2 + 2 / (T (T - 1)) sum_{q > t} max(0, 1 - S_q + S_t)

That is a ranking SVM. The scale of lambda is that of the frames, so settings here name it as a share of their
variation, lambda = share * mean_t |V_t - mean V|^2. One step of gradient descent from d = 0 gives the closed form that
most work uses instead.
"""

from functools import lru_cache

import torch
from torch import Tensor

from facekit.mifar.scans import ScanError

METHODS = ("svm", "approximate")


def rank_pool(frames: Tensor, method: str = "svm", regularizer: float = 0.1, tolerance: float = 1e-3) -> Tensor:
    """Dynamic images (B, ...) of B sequences: frames (B, T, ...) to the direction along which time passes.

    Args:
        frames: T frames of any shape, in order.
        method: ``svm``, the exact ranking SVM, or ``approximate``, the closed form.
        regularizer: lambda as a share of the frames' variation; the larger, the nearer the two methods are.
        tolerance: relative duality gap at which the SVM counts as solved.

    Raises:
        ScanError: a sequence of one frame has no order, or the method is not known.
    """
    if frames.dim() < 2 or frames.shape[1] < 2:
        raise ScanError(f"frames are {tuple(frames.shape)}, expected (B, T, ...) with two frames or more")
    if method not in METHODS:
        raise ScanError(f"method is {method!r}, expected one of {', '.join(METHODS)}")
    flat = frames.flatten(2)
    if method == "approximate":
        pooled = torch.einsum("t,btp->bp", approximate_weights(frames.shape[1]).to(flat), flat)
    else:
        weights = svm_weights(flat, regularizer, tolerance)
        pooled = torch.einsum("bt,btp->bp", weights, flat)
    return pooled.unflatten(1, frames.shape[2:])


def dynamic_images(frames: Tensor, method: str = "svm") -> Tensor:
    """Dynamic images (B, ..., C, H, W) in [0, 1] of recordings (B, T, ..., C, H, W) whose background is 0.

    Where some frame shows the background, nothing is said (0.5): a head that turns a little changes its outline by
    whole faces' depths and colours, beside which an expression is faint.

    Raises:
        ScanError: as ``rank_pool``.
    """
    always = (frames > 0).any(-3, keepdim=True).all(1, keepdim=True)
    return as_image(rank_pool(frames * always, method))


def approximate_weights(count: int) -> Tensor:
    """Weights (T,) of the frames in the closed form, alpha_t = 2 (T - t + 1) - (T + 1) (H_T - H_{t-1}).

    H_t is the t-th harmonic number. They sum to zero, so that what does not move disappears.
    """
    t = torch.arange(1, count + 1, dtype=torch.float64)
    tail = (1 / t).flip(0).cumsum(0).flip(0)
    return (2 * (count - t + 1) - (count + 1) * tail).float()


@torch.no_grad()
def svm_weights(frames: Tensor, regularizer: float = 0.1, tolerance: float = 1e-3, steps: int = 5000) -> Tensor:
    """Weights (B, T) of the frames (B, T, P) in the ranking SVM's d*, all sequences at once.

    The dual has one number per pair q > t, between 0 and 2 / (T (T - 1)), and sees the frames through their T x T
    products alone. It is climbed by accelerated projected gradients until every sequence's duality gap is below
    ``tolerance`` of its value, at most ``steps`` steps.
    """
    count = frames.shape[1]
    means = _running_means(count).to(frames.device)
    pairs = _pairs(count).to(frames.device)
    wide = frames.double()
    products = means @ (wide @ wide.mT) @ means.T
    strength = regularizer * _variation(products)
    products = products / strength[:, None, None]
    ceiling = 2.0 / (count * (count - 1))
    slope = pairs @ products @ pairs.T
    speed = torch.linalg.matrix_norm(slope, ord=float("inf")).clamp(min=1e-12)[:, None]
    dual = slope.new_zeros(len(frames), len(pairs))
    ahead, momentum = dual, 1.0
    for step in range(steps):
        margin = 1 - (slope @ ahead[..., None])[..., 0]
        moved = (ahead + margin / speed).clamp(0, ceiling)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - dual)
        uphill = ((moved - dual) * margin).sum(1, keepdim=True) > 0
        ahead, momentum = torch.where(uphill, ahead, moved), following
        dual = moved
        if step % 20 == 19 and bool((_gap(dual, slope, ceiling) < tolerance).all()):
            break
    return ((dual @ pairs @ means) / strength[:, None]).to(frames.dtype)


def svm_objective(pooled: Tensor, frames: Tensor, regularizer: float = 0.1) -> Tensor:
    """The ranking SVM's objective (B,) at images (B, ...) for frames (B, T, ...)."""
    direction = pooled.flatten(1).double()
    count = frames.shape[1]
    means = _running_means(count).to(frames.device) @ frames.flatten(2).double()
    scores = (means @ direction[..., None])[..., 0]
    regularizer = regularizer * _variation(means @ means.mT)
    losses = (1 - scores @ _pairs(count).to(frames.device).T).clamp(min=0)
    return regularizer / 2 * direction.square().sum(1) + 2 / (count * (count - 1)) * losses.sum(1)


def ranked_share(pooled: Tensor, frames: Tensor) -> Tensor:
    """Share (B,) of the pairs of frames that the images (B, ...) put into the right order."""
    flat, direction = frames.flatten(2).double(), pooled.flatten(1).double()
    scores = (_running_means(flat.shape[1]).to(flat.device) @ flat @ direction[..., None])[..., 0]
    return (scores @ _pairs(flat.shape[1]).to(flat.device).T > 0).double().mean(1)


def as_image(pooled: Tensor) -> Tensor:
    """Dynamic images (B, C, H, W), or with more axes before C, moved to [0, 1]: 0.5 is no change, and each image and
    channel reaches 0 or 1 at its largest change."""
    largest = pooled.abs().amax((-2, -1), keepdim=True).clamp(min=1e-12)
    return 0.5 + 0.5 * pooled / largest


def _variation(products: Tensor) -> Tensor:
    """Mean squared distance (B,) of points from their mean, from their products (B, T, T).

    It is infinite where they are equal up to rounding, so that nothing is made of a sequence that does not move.
    """
    squares = products.diagonal(dim1=1, dim2=2).mean(1)
    spread = squares - products.mean((1, 2))
    return torch.where(spread > 1e-9 * squares, spread, torch.inf)


def _gap(dual: Tensor, slope: Tensor, ceiling: float) -> Tensor:
    """Duality gap (B,) relative to the primal objective."""
    scores = (slope @ dual[..., None])[..., 0]
    norm = (dual * scores).sum(1)
    primal = norm / 2 + ceiling * (1 - scores).clamp(min=0).sum(1)
    return (primal - (dual.sum(1) - norm / 2)) / primal


@lru_cache
def _running_means(count: int) -> Tensor:
    """(T, T): row t is the mean of the first t frames."""
    return torch.ones(count, count, dtype=torch.float64).tril() / torch.arange(1, count + 1)[:, None]


@lru_cache
def _pairs(count: int) -> Tensor:
    """(P, T): row (q, t) with q > t has 1 at q and -1 at t."""
    t, q = torch.triu_indices(count, count, 1)
    rows = torch.arange(len(q))
    pairs = torch.zeros(len(q), count, dtype=torch.float64)
    pairs[rows, q], pairs[rows, t] = 1.0, -1.0
    return pairs
