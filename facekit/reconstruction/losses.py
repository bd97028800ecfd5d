"""Losses of Gao et al. (2020), Section 4.2: Eq. (4) to (11), each a scalar that is minimised.

Every loss is a mean over the samples of the batch, so that processes with equal shares of it may average their values.
Lengths on the face are in millimetres, lengths in the image in per cent of its width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.meshes import SparseOperator, apply_sparse


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms. The paper gives none; these are round numbers, set by hand so that in the first steps no
    term drowns the others. They are all here.

    Args:
        softmax: of L_soft in Eq. (4).
        center: lambda_center in Eq. (4).
        photometric: of L_photo, Eq. (5).
        landmark: of L_lmk, Eq. (6).
        shape: of L_shp, Eq. (7), per millimetre.
        pair: of L_pair, Eq. (8), per millimetre.
        smooth: of L_smth, Eq. (9), per millimetre.
        symmetry: of L_symm, Eq. (10).
        adversarial: of L_adv, Eq. (11).
        divergence: k, the weight of the penalty in Eq. (11).
        codes: pull of a linear model's codes to zero; for the baseline alone.
        neutral: of the neutral-code term, which is not the paper's.
    """

    softmax: float = 0.1
    center: float = 0.01
    photometric: float = 10.0
    landmark: float = 0.02
    shape: float = 1.0
    pair: float = 1.0
    smooth: float = 1.0
    symmetry: float = 1.0
    adversarial: float = 1.0
    divergence: float = 2.0
    codes: float = 0.0
    neutral: float = 0.0


def softmax_loss(logits: Tensor, identity: Tensor) -> Tensor:
    """L_soft of Eq. (4): cross-entropy of identity logits (B, K) with the person of each photograph (B,)."""
    return F.cross_entropy(logits, identity)


def center_loss(codes: Tensor, centers: Tensor, identity: Tensor) -> Tensor:
    """L_center of Eq. (4): half the squared distance of each identity code from its person's centre, the batch's mean.

    Wen et al. (2016), Eq. (2). The centres receive no gradient; see ``moved_centers``.

    Args:
        codes: (B, D).
        centers: (K, D).
        identity: (B,) int64, the person of each row.
    """
    return 0.5 * (codes - centers.detach()[identity]).square().sum(dim=1).mean()


def moved_centers(centers: Tensor, codes: Tensor, identity: Tensor, rate: float = 0.5) -> Tensor:
    """The centres (K, D) after a batch: c_j <- c_j - rate * sum_{y_i = j} (c_j - x_i) / (1 + n_j), Wen et al., Eq. (4).

    Codes (B, D) are those of the global batch; people who are not in it keep their centre.
    """
    counts = torch.zeros(len(centers), 1, dtype=centers.dtype, device=centers.device)
    counts.index_add_(0, identity, torch.ones(len(codes), 1, dtype=centers.dtype, device=centers.device))
    difference = torch.zeros_like(centers).index_add_(0, identity, centers[identity] - codes.to(centers))
    return centers - rate * difference / (1 + counts)


def photometric_loss(rendered: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """L_photo, Eq. (5): M * (||I_hat - I||^2 + L_gdl), the mean over each image's masked pixels, then over the batch.

    L_gdl is the absolute difference between the gradients of the two images, to the right and down; a gradient counts
    where the mask holds both of its pixels. Mathieu et al. (2015), alpha = 1, compare the gradients' absolute values,
    which cannot tell an edge from bright to dark from one that goes the other way; here their signs count.

    Args:
        rendered, image: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W) in [0, 1]; an image with an empty mask adds nothing.
    """
    difference = rendered - image
    total = (mask * difference.square().sum(dim=1, keepdim=True)).sum(dim=(1, 2, 3))
    for axis in (2, 3):
        length = mask.shape[axis] - 1
        both = mask.narrow(axis, 1, length) * mask.narrow(axis, 0, length)
        slopes = [image_.narrow(axis, 1, length) - image_.narrow(axis, 0, length) for image_ in (rendered, image)]
        total = total + (both * (slopes[0] - slopes[1]).abs().sum(dim=1, keepdim=True)).sum(dim=(1, 2, 3))
    return (total / mask.sum(dim=(1, 2, 3)).clamp(min=1)).mean()


def landmark_loss(projected: Tensor, landmarks: Tensor, image_size: int) -> Tensor:
    """L_lmk, Eq. (6): squared distance of the landmarks, plus that of all pairwise distances.

    Both parts are means: over landmarks, and over pairs of different landmarks, where the distance of the two upper and
    lower lids or lips says how far the eyes and the mouth are open.

    Args:
        projected: (B, L, 2) landmarks of the reconstruction in pixels.
        landmarks: (B, L, 2) those of the image.
        image_size: width in pixels; the loss is in (per cent of the width)^2.
    """
    scale = 100 / image_size
    places = (scale * (projected - landmarks)).square().sum(dim=2).mean()
    first, second = torch.triu_indices(landmarks.shape[1], landmarks.shape[1], 1, device=landmarks.device)
    apart = [
        scale * (points[:, first] - points[:, second]).square().sum(dim=2).add(1e-8).sqrt()
        for points in (projected, landmarks)
    ]
    return places + (apart[0] - apart[1]).square().mean()


def shape_loss(vertices: Tensor, target: Tensor) -> Tensor:
    """L_shp, Eq. (7), and L_pair, Eq. (8): mean absolute difference per coordinate of vertices (B, V, 3), in mm."""
    return (vertices - target).abs().mean()


def smoothness_loss(vertices: Tensor, template: Tensor | None, laplacian: SparseOperator | Tensor) -> Tensor:
    """L_smth, Eq. (9): how the difference to the neighbours' mean differs from the template's, mean over coordinates.

    Args:
        vertices: (B, V, 3) mm.
        template: (V, 3); with None the conventional loss, which asks every vertex to be its neighbours' mean.
        laplacian: random-walk Laplacian (V, V): row i is vertex i minus the mean of its neighbours.
    """
    return apply_sparse(laplacian, vertices if template is None else vertices - template).abs().mean()


def symmetry_loss(albedo: Tensor, symmetry: Tensor) -> Tensor:
    """L_symm, Eq. (10): mean absolute difference of an albedo and its mirror image.

    Args:
        albedo: (B, V, 3) at the vertices, or a texture (B, 3, S, S) whose mirror axis is its middle column.
        symmetry: (V,) mirror partner of each vertex; not used for a texture.
    """
    mirrored = albedo.flip(-1) if albedo.dim() == 4 else albedo[:, symmetry]
    return (albedo - mirrored).abs().mean()


def wasserstein_divergence(
    score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, position: Tensor, power: float = 6.0
) -> Tensor:
    """The penalty E||grad D(s)||^p of Eq. (11) at points on the lines between real and fake shapes (Wu et al., 2018).

    Args:
        score: critic (B, ...) to (B,), each score a function of its own sample alone.
        real, fake: paired samples (B, ...); they receive no gradient.
        position: (B,) in [0, 1], 0 at the real sample.
        power: p.
    """
    position = position.to(real).view(-1, *[1] * (real.dim() - 1))
    points = torch.lerp(real.detach(), fake.detach(), position).requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(score(points).sum(), points, create_graph=True)
    return slopes.flatten(1).square().sum(dim=1).pow(power / 2).mean()
