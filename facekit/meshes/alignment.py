"""Bringing shapes into one frame: Procrustes alignment of corresponding points, and ICP where none are known.

A transform maps a point x to `scale * R x + t`. Everything about Procrustes is batched and differentiable.
"""

from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from facekit.meshes.normals import vertex_normals
from facekit.meshes.precision import full_precision, single_at_least
from facekit.meshes.topology import boundary_edges, submesh


@dataclass(frozen=True)
class SimilarityTransform:
    """`x -> scale * R x + t`, one or a batch.

    Attributes:
        rotation: `(3, 3)` or `(B, 3, 3)`, a proper rotation.
        translation: `(3,)` or `(B, 3)`.
        scale: `()` or `(B,)`; 1 for a rigid transform.
    """

    rotation: Tensor
    translation: Tensor
    scale: Tensor

    @full_precision
    def apply(self, points: Tensor) -> Tensor:
        """Move points `(..., N, 3)`, in their floating point type."""
        parts = (self.rotation, self.translation, self.scale)
        rotation, translation, scale = (part.to(points.dtype) for part in parts)
        return scale[..., None, None] * points @ rotation.mT + translation[..., None, :]

    def inverse(self) -> "SimilarityTransform":
        """The transform that undoes this one."""
        rotation, scale = self.rotation.mT, 1 / self.scale
        translation = -scale[..., None] * (rotation @ self.translation[..., None])[..., 0]
        return SimilarityTransform(rotation, translation, scale)

    def then(self, following: "SimilarityTransform") -> "SimilarityTransform":
        """This transform first, `following` after it."""
        moved = following.apply(self.translation[..., None, :])[..., 0, :]
        return SimilarityTransform(following.rotation @ self.rotation, moved, following.scale * self.scale)


def rigid_align(source: Tensor, target: Tensor, weights: Tensor | None = None) -> SimilarityTransform:
    """Rotation and translation that bring source points closest to their target points in least squares.

    Args:
        source: `(B, N, 3)` or `(N, 3)`, N >= 3 points not all on one line.
        target: the same shape; point k belongs to source point k.
        weights: `(N,)` or `(B, N)`, non-negative; equal if left out.

    Returns:
        The transform, in the source's floating point type (float32 at least).

    Raises:
        ValueError: if the shapes differ, there are fewer than three points, or numbers are not finite.
    """
    return _procrustes(source, target, weights, with_scale=False)


def similarity_align(source: Tensor, target: Tensor, weights: Tensor | None = None) -> SimilarityTransform:
    """As `rigid_align`, with the best scale too."""
    return _procrustes(source, target, weights, with_scale=True)


@full_precision
def _procrustes(source: Tensor, target: Tensor, weights: Tensor | None, with_scale: bool) -> SimilarityTransform:
    """Umeyama's closed form: the rotation from the singular vectors of the covariance, mirror images ruled out."""
    if source.shape != target.shape or source.shape[-1] != 3 or source.shape[-2] < 3:
        raise ValueError(
            f"expected two sets of at least three points (..., N, 3), found "
            f"{tuple(source.shape)} and {tuple(target.shape)}"
        )
    dtype = single_at_least(source)
    source, target = source.to(dtype), target.to(dtype)
    weights = source.new_ones(source.shape[-2]) if weights is None else weights.to(source)
    if tuple(weights.shape) not in (source.shape[-2:-1], source.shape[:-1]):
        raise ValueError(f"expected weights {tuple(source.shape[:-1])}, found {tuple(weights.shape)}")
    weights = (weights / weights.sum(-1, keepdim=True))[..., None]
    source_mean, target_mean = (weights * source).sum(-2), (weights * target).sum(-2)
    from_mean, to_mean = source - source_mean[..., None, :], target - target_mean[..., None, :]
    try:
        left, singular, right = torch.linalg.svd((weights * to_mean).mT @ from_mean)
    except torch.linalg.LinAlgError as error:
        raise ValueError("the points are not finite, or all weights are zero") from error
    sign = torch.ones_like(singular)
    sign[..., 2] = torch.linalg.det(left @ right).sign()
    rotation = (left * sign[..., None, :]) @ right
    scale = singular.new_ones(singular.shape[:-1])
    if with_scale:
        scale = (singular * sign).sum(-1) / (weights * from_mean.square()).sum((-2, -1))
    translation = target_mean - scale[..., None] * (rotation @ source_mean[..., None])[..., 0]
    return SimilarityTransform(rotation, translation, scale)


def procrustes_mean(
    shapes: Tensor, with_scale: bool = False, steps: int = 20, tolerance: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """Generalised Procrustes: align all shapes to their mean, and the mean to them, until it rests.

    Args:
        shapes: `(N, V, 3)` in correspondence.
        with_scale: also remove size; the mean keeps the size of the first shape.
        steps: at most so many rounds.
        tolerance: stop when the mean moves less than this, root mean square, relative to its own size.

    Returns:
        The aligned shapes `(N, V, 3)` and their mean `(V, 3)`, in the frame of the first shape.
    """
    align = similarity_align if with_scale else rigid_align
    mean = shapes[0]
    size = (mean - mean.mean(0)).square().sum(-1).mean().sqrt()
    for _ in range(steps):
        aligned = align(shapes, mean.expand_as(shapes)).apply(shapes)
        fresh = aligned.mean(0)
        fresh = similarity_align(fresh, shapes[0]).apply(fresh) if with_scale else fresh
        moved = (fresh - mean).square().sum(-1).mean().sqrt()
        mean = fresh
        if moved < tolerance * size:
            break
    return align(shapes, mean.expand_as(shapes)).apply(shapes), mean


@dataclass(frozen=True)
class IcpResult:
    """Outcome of `icp`.

    Attributes:
        transform: from source to target.
        error: root mean square distance of the last matched pairs (to the plane for point-to-plane), in mm.
        steps: rounds taken.
        converged: whether the transform came to rest before the rounds ran out.
    """

    transform: SimilarityTransform
    error: float
    steps: int
    converged: bool


def icp(
    source: Tensor,
    target: Tensor,
    target_faces: Tensor | None = None,
    steps: int = 100,
    keep: float = 0.9,
    with_scale: bool = False,
    initial: SimilarityTransform | None = None,
    tolerance: float = 1e-5,
) -> IcpResult:
    """Iterative closest points: match each source point to the nearest target vertex, align the pairs, repeat.

    With `target_faces` the alignment is point-to-plane, which converges in a few rounds, and pairs whose target lies on
    the target's boundary are left out, so that a partial scan does not pull. Without, it is point-to-point.

    Args:
        source: `(N, 3)`.
        target: `(M, 3)`.
        target_faces: `(F, 3)`.
        steps: at most so many rounds.
        keep: fraction of the pairs, the closest ones, that count in each round.
        with_scale: also find the scale; point-to-point only.
        initial: where to start, for instance from `rigid_align` of landmarks; identity if left out.
        tolerance: stop when no source point moves further than this, relative to the source's extent, in a round.

    Raises:
        ValueError: for `keep` outside (0, 1], or for a scale together with point-to-plane.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must lie in (0, 1], found {keep}")
    if with_scale and target_faces is not None:
        raise ValueError("with_scale needs point-to-point alignment: leave target_faces out")
    points, goal = source.detach().double().cpu(), target.detach().double().cpu()
    normals, usable = _planes(goal, target_faces)
    tree = cKDTree(goal.numpy())
    transform = _as_double(initial) if initial is not None else _identity()
    extent = (points.amax(0) - points.amin(0)).norm()
    error, converged, step = float("inf"), False, 0
    for step in range(1, steps + 1):  # noqa: B007 (the count of rounds is part of the result)
        moved = transform.apply(points)
        chosen, matched = _pairs(moved, tree, usable, keep)
        if normals is None:
            update = _procrustes(moved[chosen], goal[matched], None, with_scale)
            residual = (update.apply(moved[chosen]) - goal[matched]).norm(dim=1)
        else:
            update = _towards_planes(moved[chosen], goal[matched], normals[matched])
            residual = ((update.apply(moved[chosen]) - goal[matched]) * normals[matched]).sum(1)
        transform, error = transform.then(update), float(residual.square().mean().sqrt())
        if (update.apply(moved) - moved).norm(dim=1).amax() < tolerance * extent:
            converged = True
            break
    found = (transform.rotation.to(source), transform.translation.to(source), transform.scale.to(source))
    return IcpResult(SimilarityTransform(*found), error, step, converged)


def _planes(goal: Tensor, faces: Tensor | None) -> tuple[Tensor | None, Tensor]:
    usable = torch.ones(len(goal), dtype=torch.bool)
    if faces is None:
        return None, usable
    faces = faces.cpu()
    usable[boundary_edges(faces).flatten()] = False
    return vertex_normals(goal, faces), usable


def _pairs(moved: Tensor, tree: cKDTree, usable: Tensor, keep: float) -> tuple[Tensor, Tensor]:
    """Source ids and target ids of the pairs that count: usable targets, the closest fraction `keep`."""
    distance, nearest = tree.query(moved.numpy())
    distance, nearest = torch.from_numpy(distance), torch.from_numpy(nearest).long()
    candidates = usable[nearest].nonzero().flatten()
    count = max(int(keep * len(candidates)), 3)
    if len(candidates) < 3:
        raise ValueError("fewer than three source points have a counterpart inside the target surface")
    chosen = candidates[distance[candidates].argsort(stable=True)[:count]]
    return chosen, nearest[chosen]


def _towards_planes(points: Tensor, goal: Tensor, normals: Tensor) -> SimilarityTransform:
    """One Gauss-Newton step of the point-to-plane error, the rotation about the points' centre.

    Directions that the planes do not determine (sliding along a plane, turning a ball) are left alone.
    """
    centre = points.mean(0)
    lever = torch.linalg.cross(points - centre, normals)
    size = (points - centre).norm(dim=1).mean()
    system = torch.cat([lever / size, normals], 1)
    offset = ((goal - points) * normals).sum(1)
    solution = torch.linalg.pinv(system.T @ system, rtol=1e-9, hermitian=True) @ (system.T @ offset)
    rotation = rotation_from_vector(solution[:3] / size)
    translation = centre + solution[3:] - rotation @ centre
    return SimilarityTransform(rotation, translation, points.new_ones(()))


def rotation_from_vector(vector: Tensor) -> Tensor:
    """Rotation `(..., 3, 3)` about the direction of `vector (..., 3)`, by its length in radians."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(skew)


def crop_sphere(vertices: Tensor, faces: Tensor, centre: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """The part of a mesh within a ball, as the MICC protocol crops a scan to 95 mm around the nose tip.

    Args:
        vertices: `(V, 3)`.
        faces: `(F, 3)`.
        centre: `(3,)`.
        radius: in the vertices' unit.

    Returns:
        Vertices `(V', 3)`, faces `(F', 3)` and the old ids `(V',)`.
    """
    new_faces, ids = submesh(faces, (vertices - centre).norm(dim=-1) <= radius)
    return vertices[ids], new_faces, ids


def _identity() -> SimilarityTransform:
    eye = torch.eye(3, dtype=torch.float64)
    return SimilarityTransform(eye, torch.zeros(3, dtype=torch.float64), torch.ones((), dtype=torch.float64))


def _as_double(transform: SimilarityTransform) -> SimilarityTransform:
    parts = (transform.rotation, transform.translation, transform.scale)
    return SimilarityTransform(*(part.detach().double().cpu() for part in parts))
