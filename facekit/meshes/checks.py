"""What can be wrong with a mesh, found before it does harm, and said in one sentence with numbers.

A bad index in a mesh does not fail where it was made; it fails, or quietly gives nonsense, much later, on a GPU. So
meshes are checked where they come in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facekit.meshes.topology import edge_face_counts, half_edges

KINDS = ("shape", "empty", "index", "not finite", "degenerate", "duplicate", "non-manifold", "winding")
"""Defects: shape, empty, index, not finite, degenerate, duplicate, non-manifold, winding."""


class MeshError(ValueError):
    """A mesh that cannot be used; the message names the sample, what was found and what was expected."""


@dataclass(frozen=True)
class MeshProblem:
    """One kind of defect: which of `KINDS`, how many, the id of the first offender, and a sentence about it."""

    kind: str
    count: int
    first: int
    message: str


def check_mesh(
    vertices: Tensor, faces: Tensor, name: str | Sequence[str] = "mesh", allow: Collection[str] = ()
) -> None:
    """Raise if a mesh, or any mesh of a batch that shares its triangles, has a defect.

    Args:
        vertices: `(V, 3)` or `(B, V, 3)`.
        faces: `(F, 3)` integer vertex ids.
        name: what to call the mesh in the message; for a batch a list of B names may be given.
        allow: kinds of defect that are tolerated, from `KINDS`, for instance `("degenerate",)` for raw scans.

    Raises:
        MeshError: naming the sample and every kind of defect, with how many there are and which is first.
        ValueError: for an unknown kind in `allow`.
    """
    unknown = set(allow) - set(KINDS)
    if unknown:
        raise ValueError(f"allow holds {sorted(unknown)}, expected kinds from {KINDS}")
    if vertices.dim() not in (2, 3):
        raise MeshError(f"{name}: vertices are {_describe(vertices)}, expected (V, 3) or (B, V, 3)")
    batch = vertices[None] if vertices.dim() == 2 else vertices
    names = [name] * len(batch) if isinstance(name, str) else list(name)
    if len(names) != len(batch):
        raise ValueError(f"{len(batch)} meshes but {len(names)} names")
    about_faces = [p for p in face_problems(faces, vertices.shape[-2]) if p.kind not in allow]
    if about_faces:
        raise MeshError(f"{names[0] if names else name}: " + "; ".join(p.message for p in about_faces))
    for sample, label in zip(batch, names, strict=True):
        problems = [p for p in vertex_problems(sample, faces) if p.kind not in allow]
        if problems:
            raise MeshError(f"{label}: " + "; ".join(p.message for p in problems))


def mesh_problems(vertices: Tensor, faces: Tensor) -> list[MeshProblem]:
    """All defects of one mesh `(V, 3)`, `(F, 3)`, those of the triangles first; empty for a sound mesh."""
    about_faces = face_problems(faces, vertices.shape[0])
    if any(p.kind in ("shape", "empty", "index") for p in about_faces):
        return about_faces
    return about_faces + vertex_problems(vertices, faces)


def face_problems(faces: Tensor, num_vertices: int) -> list[MeshProblem]:
    """Defects of the triangles alone: shape, emptiness, indices, repeated corners or triangles, edges, winding."""
    if faces.dim() != 2 or faces.shape[1] != 3 or faces.is_floating_point():
        return [MeshProblem("shape", 1, 0, f"faces are {_describe(faces)}, expected (F, 3) integers")]
    if num_vertices == 0 or faces.shape[0] == 0:
        return [MeshProblem("empty", 1, 0, f"the mesh is empty: {num_vertices} vertices, {faces.shape[0]} faces")]
    outside = ((faces < 0) | (faces >= num_vertices)).any(1)
    if outside.any():
        corner = faces[outside][0].tolist()
        text = f"{{count}} with a vertex outside 0..{num_vertices - 1}, first face {{first}} = {corner}"
        return [_problem("index", outside, text, "face")]
    ordered = faces.sort(1).values
    repeated = (ordered[:, 1:] == ordered[:, :-1]).any(1)
    found = [
        _problem("degenerate", repeated, "{count} with a vertex used twice, first face {first}", "face"),
        _problem("duplicate", _seen_before(ordered), "{count} repeated from earlier, first face {first}", "face"),
    ]
    edges, touching = edge_face_counts(faces[~repeated])
    crowded = touching > 2
    if crowded.any():
        edge, most = edges[crowded][0].tolist(), int(touching[crowded][0])
        text = f"{{count}} shared by more than two faces, first edge {edge} by {most}"
        found.append(_problem("non-manifold", crowded, text, "edge"))
    directed = half_edges(faces[~repeated])
    twice = _seen_before(directed) & ~_any_row(directed.sort(1).values, edges[crowded])
    if twice.any():
        edge = directed[twice][0].tolist()
        text = f"{{count}} walked twice in the same sense (inconsistent winding), first edge {edge}"
        found.append(_problem("winding", twice, text, "edge"))
    return [problem for problem in found if problem.count]


def vertex_problems(vertices: Tensor, faces: Tensor) -> list[MeshProblem]:
    """Defects of the positions `(V, 3)`: shape, NaN or infinity, triangles with no area."""
    if vertices.dim() != 2 or vertices.shape[1] != 3 or not vertices.is_floating_point():
        return [MeshProblem("shape", 1, 0, f"vertices are {_describe(vertices)}, expected (V, 3) floating point")]
    bad = ~vertices.isfinite().all(1)
    if bad.any():
        return [_problem("not finite", bad, "{count} not finite, first vertex {first}", "vertex")]
    a, b, c = vertices.detach().double()[faces.long()].unbind(1)
    double_area = torch.linalg.cross(b - a, c - a).norm(dim=1)
    longest = torch.stack([(b - a).norm(dim=1), (c - b).norm(dim=1), (a - c).norm(dim=1)]).amax(0)
    flat = (double_area <= 1e-9 * longest.square()) & (faces.sort(1).values.diff(dim=1) != 0).all(1)
    problem = _problem("degenerate", flat, "{count} without area, first face {first}", "face")
    return [problem] if problem.count else []


def _problem(kind: str, offending: Tensor, text: str, noun: str) -> MeshProblem:
    count = int(offending.sum())
    first = int(offending.nonzero()[0]) if count else -1
    plural = noun if count == 1 else {"vertex": "vertices"}.get(noun, noun + "s")
    return MeshProblem(kind, count, first, text.format(count=f"{count} {plural}", first=first))


def _seen_before(rows: Tensor) -> Tensor:
    """True for every row of ids `(N, K)` that equals an earlier row."""
    if len(rows) == 0:
        return torch.zeros(0, dtype=torch.bool, device=rows.device)
    size = int(rows.max()) + 1
    label = rows[:, 0]
    for column in rows.unbind(1)[1:]:
        label = (label * size + column).unique(return_inverse=True)[1]
    order = label.argsort(stable=True)
    repeats = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    repeats[order[1:]] = label[order[1:]] == label[order[:-1]]
    return repeats


def _any_row(rows: Tensor, wanted: Tensor) -> Tensor:
    """True for every row `(N, 2)` of ids that is among the wanted ones `(M, 2)`."""
    size = int(rows.max()) + 1 if rows.numel() else 1
    return torch.isin(rows[:, 0] * size + rows[:, 1], wanted[:, 0] * size + wanted[:, 1])


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
