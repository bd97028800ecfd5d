"""Build a linear 3D morphable model from any face model, the way real ones are built from scans.

A training population is "scanned" with neutral faces: principal components of the shapes give A_id, of the skins A_tex.
The same people act: principal components of (moving face - same person's neutral) give A_exp. What people and muscles
do that is not linear is lost here, as it is in every linear model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facekit.morphable.action_units import ACTION_UNITS
from facekit.morphable.face_model import FaceModel
from facekit.morphable.linear_model import LinearFaceModel, unit_inputs
from facekit.morphable.principal_components import StreamingPCA

GAZE_DEGREES = 15.0


def build_linear_model(
    face_model: FaceModel,
    subjects: int = 300,
    *,
    num_identity: int = 80,
    num_expression: int = 40,
    num_texture: int = 40,
    performances: int = 600,
    action_units: Tensor | None = None,
    seed: int = 0,
    batch: int = 32,
    name: str | None = None,
) -> LinearFaceModel:
    """PCA over neutral scans, skins and expression offsets of `subjects` people of `face_model`.

    Args:
        face_model: any model that knows action units.
        subjects: training population; people drawn later from other seeds are outside its span.
        num_identity, num_expression, num_texture: components kept (fewer if the data hold fewer).
        performances: how many expression offsets to collect, each of a random subject.
        action_units (N, A, 2): what the performers do, taken in turn; by default sparse random activations,
            see `random_action_units`.
        seed: the population and its performances follow from it alone.
        batch: faces in memory at once; memory is (components + batch) x V whatever the population.

    Returns:
        A `LinearFaceModel` with the same mesh. `expression_code` is the linear map from action units to codes that
        fits the performances best in the least-squares sense.

    Raises:
        ValueError: if `subjects`, `performances` or `batch` is not positive.
    """
    if min(subjects, performances, batch) < 1:
        raise ValueError(
            f"expected at least one subject, one performance and one face in memory, found {subjects}, {performances} "
            f"and {batch}"
        )
    generator = torch.Generator().manual_seed(seed)
    identity = face_model.sample_identity(subjects, generator)
    texture = face_model.sample_texture(subjects, generator, identity)
    shapes, skins = StreamingPCA(2 * num_identity), StreamingPCA(2 * max(num_texture, 1))
    for rows in torch.arange(subjects).split(batch):
        neutral = face_model.neutral_expression(len(rows))
        shapes.update(face_model.shape(identity[rows], neutral).flatten(1))
        skins.update(face_model.albedo(texture[rows]).flatten(1))
    offsets, inputs, cross = StreamingPCA(2 * num_expression, centred=False), [], 0.0
    for rows in torch.arange(performances).split(batch):
        units, gaze = _performance(action_units, rows, generator)
        offset = _expression_offsets(face_model, identity[rows % subjects], units, gaze)
        offsets.update(offset)
        inputs.append(unit_inputs(units, gaze).to(offset))
        cross = cross + inputs[-1].T @ offset
    movement = offsets.components(num_expression)
    return LinearFaceModel(
        name=name or f"{face_model.name}_linear",
        faces=face_model.faces,
        uv=face_model.uv,
        landmarks=face_model.landmarks,
        symmetry=face_model.symmetry,
        regions=face_model.regions,
        mean=shapes.mean.unflatten(0, (-1, 3)),
        identity_basis=shapes.components(num_identity).unflatten(1, (-1, 3)),
        expression_basis=movement.unflatten(1, (-1, 3)),
        mean_albedo=skins.mean.unflatten(0, (-1, 3)),
        texture_basis=skins.components(num_texture).unflatten(1, (-1, 3)),
        unit_matrix=_unit_matrix(torch.cat(inputs), cross, movement),
    )


def random_action_units(count: int, generator: torch.Generator) -> Tensor:
    """Sparse random activations (N, A, 2): about one unit in six is active, mostly on both sides alike."""
    shape = (count, len(ACTION_UNITS), 1)
    active = torch.rand(shape, generator=generator) < 1 / 6
    strength = torch.rand(shape, generator=generator)
    side = 0.7 + 0.3 * torch.rand(count, len(ACTION_UNITS), 2, generator=generator)
    return active * strength * side


def _performance(action_units: Tensor | None, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    gaze = GAZE_DEGREES * (2 * torch.rand(len(rows), 2, generator=generator) - 1)
    if action_units is None:
        return random_action_units(len(rows), generator), gaze
    return action_units[rows % len(action_units)], gaze


def _expression_offsets(face_model: FaceModel, identity: Tensor, units: Tensor, gaze: Tensor) -> Tensor:
    """Moving face minus the same person's neutral face, (N, 3V)."""
    code = face_model.expression_code(units.to(face_model.device), gaze.to(face_model.device))
    moving = face_model.shape(identity, code)
    return (moving - face_model.shape(identity, torch.zeros_like(code))).flatten(1)


def _unit_matrix(inputs: Tensor, cross: Tensor, movement: Tensor) -> Tensor:
    """Least-squares map (2A + 4, K) from inputs (N, 2A + 4) to codes in the components `movement` (K, 3V).

    `cross` (2A + 4, 3V) is inputs^T @ offsets; a code is an offset's projection on a component over its squared length.
    """
    gram = inputs.T.double() @ inputs.double()
    gram.diagonal().add_(1e-6 * float(gram.diagonal().mean()))
    projected = (cross @ movement.T).double() / (movement.double() ** 2).sum(dim=1)
    return torch.linalg.solve(gram, projected).to(movement.dtype)
