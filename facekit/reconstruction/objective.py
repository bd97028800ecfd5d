"""What one training step computes: reconstruct a hybrid batch, and the terms of Eq. (4) to (11).

``Objective.generator`` trains the encoder and the decoders, ``Objective.critic`` the mesh critic; a training loop calls
the two in turn.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from facekit.data import normalize
from facekit.meshes import SparseOperator, uniform_laplacian
from facekit.morphable import LinearFaceModel
from facekit.reconstruction import losses
from facekit.reconstruction.decoders import MeshCritic
from facekit.reconstruction.model import Face, Reconstructor
from facekit.reconstruction.prior import spread
from facekit.training import gather

Batches = Mapping[str, Mapping[str, Tensor]]


class Randomness(Protocol):
    """What the losses need of a training step: see ``facekit.training.Step``."""

    index: int

    def normal(self, *shape: int) -> Tensor: ...
    def uniform(self, *shape: int) -> Tensor: ...


class Recognizer(nn.Module):
    """The face recognition head of Eq. (4): a linear classifier of people, and a centre for each."""

    def __init__(self, code_size: int, people: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(code_size, people)
        self.register_buffer("centers", torch.zeros(people, code_size))

    def forward(self, codes: Tensor, identity: Tensor) -> dict[str, Tensor]:
        """``softmax`` and ``center`` for identity codes (B, D); then the centres move with the global batch."""
        terms = {
            "softmax": losses.softmax_loss(self.classifier(codes), identity),
            "center": losses.center_loss(codes, self.centers, identity),
        }
        if self.training:
            everyone, names = gather(codes.detach()), gather(identity)
            self.centers = losses.moved_centers(self.centers, everyone, names)
        return terms


class WarmUp(nn.Module):
    """A stand-in for the paper's pre-trained backbone, where there are no weights to begin with.

    A linear layer on the backbone's features reads the landmarks of the labelled photographs, in the image and on the
    3DMM's face; what the backbone learns from that is kept, the layer is not used again.
    """

    def __init__(self, dim: int, landmarks: int = 68) -> None:
        super().__init__()
        self.last = nn.Linear(dim, 5 * landmarks)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, dim) to landmarks in the image (B, 68, 2), in quarters of its width from its middle, and the
        displacements of landmarks on the face (B, 68, 3), in the 3DMM's spread."""
        flat, solid = self.last(features).unflatten(1, (-1, 5)).split([2, 3], dim=2)
        return flat, solid


class Objective:
    """The losses of one model.

    Args:
        model, recognizer, critic: the networks; without a critic there is no adversarial term.
        prior: 3DMM of the face region, for the labels of Eq. (7) and (8) and the real shapes of Eq. (11).
        weights: terms of weight 0 are left out.
        texture_from: step from which the convolutional albedo decoder takes over, Section 5.
        conventional: smooth towards the neighbours' mean instead of Eq. (9), the ablation of Section 5.2.
        masked: use the face mask in Eq. (5).
    """

    def __init__(
        self,
        model: Reconstructor,
        recognizer: Recognizer,
        critic: MeshCritic | None,
        prior: LinearFaceModel,
        weights: losses.LossWeights,
        texture_from: int | None = None,
        conventional: bool = False,
        masked: bool = True,
    ) -> None:
        self.model, self.recognizer, self.critic, self.prior = model, recognizer, critic, prior
        self.weights, self.masked = weights, masked
        self.texture_from = texture_from
        self.smooth_towards = None if conventional else prior.mean
        self.laplacian = SparseOperator(uniform_laplacian(prior.faces, prior.num_vertices, "random_walk")).to(
            prior.mean.device
        )

    def reconstruct(self, batches: Batches, step: Randomness) -> Face:
        """The faces of the labelled rows, then of the unlabelled ones."""
        return self.model(_images(batches), texture=self.texture_from is not None and step.index >= self.texture_from)

    def generator(self, batches: Batches, step: Randomness) -> dict[str, Tensor]:
        """All terms of the encoder and decoders; ``batches`` holds ``labelled`` and ``unlabelled``."""
        face = self.reconstruct(batches, step)
        whole = {key: torch.cat([batch[key] for batch in batches.values()]) for key in batches["unlabelled"]}
        terms = self._of_images(face, whole) | self._of_shapes(face, batches["labelled"])
        if self.weights.softmax or self.weights.center:
            terms |= self.recognizer(face.codes.identity, whole["identity"])
        if self.critic is not None and self.weights.adversarial:
            terms["adversarial"] = -self.critic(face.vertices).mean()
        if self.weights.codes:
            terms["codes"] = face.codes.identity.square().mean() + face.codes.expression.square().mean()
        return {name: term for name, term in terms.items() if getattr(self.weights, name)}

    def warm_up(self, batch: Mapping[str, Tensor], step: Randomness, head: WarmUp) -> dict[str, Tensor]:
        """``flat`` and ``solid``: mean squared errors of landmarks that ``head`` reads from labelled photos."""
        flat, solid = head(self.model.encoder.backbone(normalize(batch["image"])))
        size, spots = self.model.image_size, self.model.landmarks
        moved = self._target(batch, batch["expression_code"])[:, spots] - self.prior.mean[spots]
        return {
            "flat": (flat - 4 * (batch["landmarks"] / size - 0.5)).square().mean(),
            "solid": (solid - moved / spread(self.prior)).square().mean(),
        }

    def critic_terms(self, batches: Batches, step: Randomness) -> dict[str, Tensor]:
        """Eq. (11) with its sign turned: ``distance`` E[D(fake)] - E[D(real)], and the ``divergence`` penalty."""
        with torch.no_grad():
            codes = self.model.encoder(_images(batches))
            fake = self.critic.normalize(self.model.shape_decoder(codes.identity, codes.expression))
            real = self.critic.normalize(self.real_shapes(batches, step))
        position = torch.cat([step.uniform(len(batch["image"])) for batch in batches.values()])
        return {
            "distance": self.critic.score(fake).mean() - self.critic.score(real).mean(),
            "divergence": losses.wasserstein_divergence(self.critic.score, real, fake, position),
        }

    def real_shapes(self, batches: Batches, step: Randomness) -> Tensor:
        """As many faces (B, V, 3) of the linear 3DMM: new people, with expressions of the labelled photographs.

        Numbers are drawn for each half on its own, so that W processes together draw what one process would.
        """
        known = batches["labelled"]["expression_code"]
        shapes = []
        for batch in batches.values():
            count = len(batch["image"])
            expressions = known.repeat(-(-count // len(known)), 1)[:count]
            shapes.append(self.prior.shape(step.normal(count, self.prior.num_identity), expressions))
        return torch.cat(shapes)

    def _of_images(self, face: Face, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Terms of every photograph: photometric, landmarks, smoothness and albedo symmetry."""
        rendering = self.model.render(face)
        covered = rendering.mask.detach() > 0.99
        mask = (covered & batch["mask"] if self.masked else covered).to(face.vertices.dtype)
        return {
            "photometric": losses.photometric_loss(rendering.image, batch["image"], mask),
            "landmark": losses.landmark_loss(rendering.landmarks, batch["landmarks"], self.model.image_size),
            "smooth": losses.smoothness_loss(face.vertices, self.smooth_towards, self.laplacian),
            "symmetry": losses.symmetry_loss(face.albedo, self.model.symmetry),
        }

    def _of_shapes(self, face: Face, labelled: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Terms of labelled photographs: shape, and the pair with exchanged expressions."""
        count = len(labelled["image"])
        identity, expression = face.codes.identity[:count], face.codes.expression[:count]
        own, other = labelled["expression_code"], _exchanged(labelled["expression_code"])
        terms = {"shape": losses.shape_loss(face.vertices[:count], self._target(labelled, own))}
        if self.weights.pair:
            swapped = self.model.shape_decoder(identity, _exchanged(expression))
            terms["pair"] = losses.shape_loss(swapped, self._target(labelled, other))
        if self.weights.neutral:
            still = self.model.shape_decoder(identity, torch.zeros_like(expression))
            terms["neutral"] = losses.shape_loss(still, self._target(labelled, torch.zeros_like(own)))
        return terms

    @torch.no_grad()
    def _target(self, labelled: Mapping[str, Tensor], expressions: Tensor) -> Tensor:
        """The 3DMM's faces (B, V, 3) of the labelled people with some expressions, mirrored where the photograph is."""
        shapes = self.prior.shape(labelled["shape_code"], expressions)
        return torch.where(labelled["mirrored"][:, None, None], self.prior.mirror(shapes), shapes)


def _images(batches: Batches) -> Tensor:
    """The photographs (B, 3, S, S) of all halves."""
    return torch.cat([batch["image"] for batch in batches.values()])


def _exchanged(rows: Tensor) -> Tensor:
    """Rows 2k and 2k + 1 change places."""
    return rows.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
