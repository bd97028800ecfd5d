"""Template registration: a scan of any topology becomes a mesh in a face model's correspondence.

Three steps, each of which leaves less to the next.  The landmarks bring the scan to the model.  If the model is linear,
its identity and expression are fitted to the scan (Blanz and Vetter, 1999), with new nearest points in every round.
What is left is closed by non-rigid ICP in the manner of Amberg, Romdhani and Vetter (2007), here with an offset for
each vertex instead of an affine map: the sum of

    sum_i w_i |x_i - y_i|^2  +  alpha sum_(i,j) |d_i - d_j|^2  +  beta sum_l |x_l - z_l|^2,    x = fitted + d,

is minimised for a stiffness alpha that falls from step to step; y_i is the nearest point of the scan, w_i is 0 where it
is too far, faces elsewhere or lies on the scan's edge, z_l are the scan's landmarks.  Each round is one sparse,
symmetric system for all three coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from torch import Tensor

from facekit.data.sources import DataError
from facekit.meshes import SimilarityTransform, boundary_edges, rigid_align, unique_edges, vertex_normals
from facekit.morphable import FaceModel, LinearFaceModel

STIFFNESS: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0, 1.0)
"""The alpha of the rounds: from a stiff face, which moves as a whole, to a soft one, which follows the scan."""
JAW = 17
_LANDMARK_WEIGHT = (10.0, 1.0)  # with the first and the last stiffness
_REACH = (25.0, 6.0)  # millimetres at which a nearest point counts no more, in the first and last round
_FACING = 0.5  # least cosine between the normals of a vertex and of its nearest point


class RegistrationError(DataError):
    """A scan that cannot be registered; the message says why."""


@dataclass(frozen=True)
class Registration:
    """A scan in a face model's correspondence.

    Attributes:
        vertices: (V, 3) float32 in millimetres, in the model's frame.
        to_model: the rigid transform from the scan's frame to the model's.
        matched: (V,) bool: vertices that were drawn to the scan; the others follow their neighbours.
        error: mean distance in mm of the matched vertices from the scan's tangent planes.
        identity, expression: codes (K,) of the linear fit, or None.
    """

    vertices: Tensor
    to_model: SimilarityTransform
    matched: Tensor
    error: float
    identity: Tensor | None = None
    expression: Tensor | None = None


def register_scan(
    model: FaceModel,
    vertices: Tensor,
    faces: Tensor,
    landmarks: Tensor,
    *,
    stiffness: Sequence[float] = STIFFNESS,
    rounds: int = 3,
    fit_rounds: int = 20,
    ridge: float = 0.02,
    attracted: Tensor | None = None,
) -> Registration:
    """Register a scan to `model`'s mesh.

    Args:
        vertices, faces: the scan, (S, 3) in millimetres and (F, 3).
        landmarks: (68, 3) of the scan, NaN where unknown; at least six must be known, not counting the jaw line, whose
            landmarks slide on the surface and serve to bring the scan to the model alone.
        stiffness: values of alpha, falling, with `rounds` rounds each.
        fit_rounds: rounds of the linear fit; only if the model is a `LinearFaceModel`.
        ridge: weight of the squared length of the codes in that fit, in mm^2.
        attracted: (V,) bool, vertices that the scan may attract; all but the eyes and the inside of the mouth if None.

    Raises:
        RegistrationError: if the shapes do not fit, there are too few landmarks, or the scan and the model do not come
            to lie together.
    """
    _check(model, vertices, faces, landmarks)
    mean = _mean_shape(model)
    known = landmarks.isfinite().all(-1)
    to_model = rigid_align(landmarks[known].double(), mean[model.landmarks[known]])
    known[:JAW] = False
    target = _Target(to_model.apply(vertices.double()).numpy(), faces)
    attracted = _attracted(model) if attracted is None else attracted
    marks = (model.landmarks[known].numpy(), to_model.apply(landmarks[known].double()).numpy())
    template, codes = mean.numpy(), (None, None)
    if isinstance(model, LinearFaceModel):
        template, codes, moved = _fit(model, target, marks, attracted.numpy(), fit_rounds, ridge)
        to_model = to_model.then(moved)
        target = target.moved(moved)
        marks = (marks[0], moved.apply(torch.from_numpy(marks[1])).numpy())
    found, matched = _deform(template, model.faces, target, marks, attracted.numpy(), tuple(stiffness), rounds)
    if matched.mean() < 0.1:
        raise RegistrationError(f"only {matched.mean():.0%} of the model's vertices came to lie on the scan")
    error = float(np.abs(target.plane_distance(found[matched])).mean())
    vertices = torch.from_numpy(found).float()
    return Registration(vertices, to_model, torch.from_numpy(matched), error, *codes)


class _Target:
    """The scan as something to find nearest points on."""

    def __init__(self, points: np.ndarray, faces: Tensor):
        self.points, self.faces = points, faces
        self.normals = vertex_normals(torch.from_numpy(points)[None], faces)[0].numpy()
        self.tree = cKDTree(points)
        self.edge = np.zeros(len(points), dtype=bool)
        self.edge[boundary_edges(faces).flatten().numpy()] = True
        self.edge[np.setdiff1d(np.arange(len(points)), faces.numpy())] = True

    def moved(self, transform: SimilarityTransform) -> _Target:
        return _Target(transform.apply(torch.from_numpy(self.points)).numpy(), self.faces)

    def nearest(self, x: np.ndarray, normals: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """For each point, the nearest one on the tangent plane of its nearest scan vertex, and whether it counts."""
        distance, near = self.tree.query(x)
        along = np.einsum("ij,ij->i", x - self.points[near], self.normals[near])
        counts = (distance < reach) & ~self.edge[near]
        counts &= np.einsum("ij,ij->i", normals, self.normals[near]) > _FACING
        return x - along[:, None] * self.normals[near], counts

    def plane_distance(self, x: np.ndarray) -> np.ndarray:
        near = self.tree.query(x)[1]
        return np.einsum("ij,ij->i", x - self.points[near], self.normals[near])


Marks = tuple[np.ndarray, np.ndarray]


def _fit(
    model: LinearFaceModel, target: _Target, marks: Marks, attracted: np.ndarray, rounds: int, ridge: float
) -> tuple[np.ndarray, tuple[Tensor, Tensor], SimilarityTransform]:
    """The model's face nearest to the scan, its codes, and how the scan has to move to meet it."""
    basis = torch.cat([model.identity_basis, model.expression_basis]).double()
    mean = model.mean.double()
    code = torch.zeros(len(basis), dtype=torch.float64)
    moved = SimilarityTransform(torch.eye(3).double(), torch.zeros(3).double(), torch.ones(()).double())
    for step in range(rounds + 1):
        shape = mean + torch.einsum("k,kvc->vc", code, basis)
        vertices, goals = torch.from_numpy(marks[0]), torch.from_numpy(marks[1])
        weight = torch.full((len(vertices),), 1.0, dtype=torch.float64)
        if step:
            reach = float(np.interp(step, (1, rounds), _REACH))
            normals = vertex_normals(shape[None], model.faces)[0].numpy()
            near, counts = target.nearest(moved.inverse().apply(shape).numpy(), normals @ moved.rotation.numpy(), reach)
            near = moved.apply(torch.from_numpy(near))
            chosen = torch.from_numpy(np.flatnonzero(counts & attracted))
            few = max(1, len(chosen) // 4_000)
            chosen = chosen[::few]
            vertices = torch.cat([vertices, chosen])
            goals = torch.cat([moved.apply(goals), near[chosen]])
            share = 1.0 if not len(chosen) else len(marks[0]) / len(chosen)
            weight = torch.cat([weight * 0.2, torch.full((len(chosen),), share, dtype=torch.float64)])
        update = rigid_align(goals, shape[vertices], weight)
        moved = moved.then(update)
        goals = update.apply(goals)
        rows = (basis[:, vertices] * weight.sqrt()[:, None]).flatten(1)
        offsets = ((goals - mean[vertices]) * weight.sqrt()[:, None]).flatten()
        gram = rows @ rows.T / weight.sum()
        strength = ridge * (1.0 + 20.0 * (step == 0))  # landmarks alone do not say much about the code
        gram.diagonal().add_(strength)
        code = torch.linalg.solve(gram, rows @ offsets / weight.sum())
    shape = mean + torch.einsum("k,kvc->vc", code, basis)
    codes = code[: model.num_identity].float(), code[model.num_identity :].float()
    return shape.numpy(), codes, moved


def _deform(
    template: np.ndarray,
    faces: Tensor,
    target: _Target,
    marks: Marks,
    attracted: np.ndarray,
    stiffness: tuple[float, ...],
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Non-rigid ICP: the template (V, 3) drawn to the scan, and which vertices were."""
    edges = unique_edges(faces).numpy()
    laplacian = _edge_laplacian(edges, len(template))
    marked = np.zeros(len(template))
    goals = np.zeros_like(template)
    goals[marks[0]] = marks[1]
    found, matched = template, np.zeros(len(template), dtype=bool)
    for step, alpha in enumerate(stiffness):
        share = step / max(1, len(stiffness) - 1)
        marked[marks[0]] = np.interp(share, (0, 1), _LANDMARK_WEIGHT)
        reach = float(np.interp(share, (0, 1), _REACH))
        for _ in range(rounds):
            normals = vertex_normals(torch.from_numpy(found)[None], faces)[0].numpy()
            near, counts = target.nearest(found, normals, reach)
            matched = counts & attracted
            weight = matched + marked
            system = scipy.sparse.diags(weight + 1e-8) + alpha * laplacian
            pull = matched[:, None] * (near - template) + marked[:, None] * (goals - template)
            found = template + splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(
                pull
            )
    return found, matched


def _edge_laplacian(edges: np.ndarray, size: int) -> scipy.sparse.csr_matrix:
    """Sum over edges of (d_i - d_j)^2 as a quadratic form."""
    i, j = edges.T
    ones = np.ones(len(edges))
    adjacency = scipy.sparse.coo_matrix((ones, (i, j)), shape=(size, size)).tocsr()
    adjacency = adjacency + adjacency.T
    return scipy.sparse.diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency


def _mean_shape(model: FaceModel) -> Tensor:
    identity = torch.zeros(1, model.num_identity, dtype=model.dtype, device=model.device)
    return model.shape(identity, model.neutral_expression())[0].detach().double().cpu()


def _attracted(model: FaceModel) -> Tensor:
    hidden = [mask for name, mask in model.regions.items() if name in ("eyes", "mouth_interior", "mouth_socket")]
    return ~torch.stack(hidden).any(0).cpu() if hidden else torch.ones(model.num_vertices, dtype=torch.bool)


def _check(model: FaceModel, vertices: Tensor, faces: Tensor, landmarks: Tensor) -> None:
    if len(model.landmarks) != 68:
        raise RegistrationError(f"face model '{model.name}' has no landmarks")
    if landmarks.shape != (68, 3) or vertices.dim() != 2 or vertices.shape[1] != 3 or faces.shape[1:] != (3,):
        raise RegistrationError(
            f"expected vertices (S, 3), faces (F, 3) and landmarks (68, 3), found {tuple(vertices.shape)}, "
            f"{tuple(faces.shape)} and {tuple(landmarks.shape)}"
        )
    if not vertices.isfinite().all() or not len(faces) or int(faces.min()) < 0 or int(faces.max()) >= len(vertices):
        raise RegistrationError("the scan has no faces, coordinates that are not finite, or faces without vertices")
    known = int(landmarks[JAW:].isfinite().all(-1).sum())
    if known < 6:
        raise RegistrationError(f"{known} landmarks are known beside the jaw line, expected six at least")
