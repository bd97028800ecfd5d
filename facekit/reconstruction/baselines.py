"""What the paper's model is compared with, on the same photographs: two users of the linear 3DMM.

``linear_reconstructor`` regresses 3DMM coefficients with the same encoder and the same losses, the idea of Deng et al.
(2019); ``fit_photos`` optimises the coefficients of each photograph through the renderer, the classical way (Blanz and
Vetter, 2003).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from facekit.morphable import LinearFaceModel
from facekit.reconstruction import losses
from facekit.reconstruction.model import CODE_SIZES, Codes, FaceEncoder, Reconstructor


class LinearShape(nn.Module):
    """Eq. (1) as a shape decoder: the first K entries of the identity code are a_id, the expression code is a_exp."""

    def __init__(self, prior: LinearFaceModel) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, identity: Tensor, expression: Tensor) -> Tensor:
        return self.prior.shape(identity[:, : self.prior.num_identity], expression)


class LinearAlbedo(nn.Module):
    """Eq. (2) as an albedo decoder: the last M entries of the identity code are a_tex."""

    def __init__(self, prior: LinearFaceModel) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, identity: Tensor) -> Tensor:
        return self.prior.albedo(identity[:, self.prior.num_identity :])


def linear_reconstructor(
    prior: LinearFaceModel, image_size: int, backbone: str = "resnet50", weights: str = "cached"
) -> Reconstructor:
    """The regressor: the paper's encoder, with codes that are the coefficients of the 3DMM ``prior``.

    The coefficients start near zero, the mean face.
    """
    sizes = CODE_SIZES | {"identity": prior.num_identity + prior.num_texture, "expression": prior.num_expression}
    encoder = FaceEncoder(backbone, weights, sizes)
    with torch.no_grad():
        for name in ("identity", "expression"):
            encoder.heads[name].weight.mul_(0.1)
            encoder.heads[name].bias.zero_()
    return Reconstructor(prior, encoder, LinearShape(prior), LinearAlbedo(prior), image_size)


class Fit(NamedTuple):
    """Codes that describe photographs, the loss (steps,) on the way, and the neutral faces (B, V, 3) mm."""

    codes: Codes
    history: Tensor
    neutral: Tensor


def fit_photos(
    model: Reconstructor,
    prior: LinearFaceModel,
    images: Tensor,
    masks: Tensor,
    landmarks: Tensor,
    steps: int = 150,
    rate: float = 0.05,
    weights: losses.LossWeights | None = None,
) -> Fit:
    """Optimise 3DMM coefficients, pose and light of each photograph, from the mean face, with Adam.

    Args:
        model: from ``linear_reconstructor``; its decoders and its renderer are used, its encoder is not.
        prior: the 3DMM.
        images: (B, 3, S, S) in [0, 1]; masks (B, 1, S, S) bool; landmarks (B, 68, 2) pixels.
        steps, rate: of Adam.
        weights: of ``photometric``, ``landmark`` and ``codes``; by default 10, 0.05 and 0.05.

    The first third of the steps finds pose and light alone; were everything free at once, a face that is seen from the
    side would be explained by its shape.
    """
    weights = weights or losses.LossWeights(landmark=0.05, codes=0.05)
    sizes = (prior.num_identity + prior.num_texture, prior.num_expression, CODE_SIZES["pose"], CODE_SIZES["light"])
    free = [images.new_zeros(len(images), size, requires_grad=True) for size in sizes]
    codes, history = Codes(*free), []
    optimizer = torch.optim.Adam(free, rate)
    for step in range(steps):
        face = model.decode(codes)
        rendering = model.render(face)
        mask = ((rendering.mask.detach() > 0.99) & masks).to(images.dtype)
        loss = (
            weights.photometric * losses.photometric_loss(rendering.image, images, mask)
            + weights.landmark * losses.landmark_loss(rendering.landmarks, landmarks, model.image_size)
            + weights.codes * (codes.identity.square().mean() + codes.expression.square().mean())
        )
        optimizer.zero_grad()
        loss.backward()
        if step < steps // 3:
            for code in (codes.identity, codes.expression):
                code.grad = None
        optimizer.step()
        history.append(float(loss.detach()))
    with torch.no_grad():
        neutral = model.shape_decoder(codes.identity, torch.zeros_like(codes.expression))
    return Fit(Codes(*(code.detach() for code in codes)), torch.tensor(history), neutral)
