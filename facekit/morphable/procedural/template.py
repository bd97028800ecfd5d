"""The template: one triangulation of the canonical plane, shared by everyone, at three nested levels.

Level 0 is a Delaunay mesh of graded points: dense at lids, lips and nostrils, coarse on cheeks and scalp. Feature
curves carry points of their own, so that mesh edges run along lid margins, lip borders and nostril rims. It is built
for s >= 0 and mirrored. Each further level splits every triangle into four; midpoints of curve edges are put back on
their curve. The vertices of a level are therefore the first vertices of the next one.

Point coordinates are rounded after every step, so that the mesh is the same on every machine.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import spsolve
from scipy.spatial import Delaunay, cKDTree

from facekit.morphable.procedural import layout

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LEVELS = (0, 1, 2)

# fmt: off
#: Curves whose points are vertices, with the edge length (mm) at level 0.
CURVE_SPACING = {
    "upper_lid": 2.7, "lower_lid": 2.9, "upper_lip_margin": 2.9, "lower_lip_margin": 2.9, "upper_lip_border": 3.3,
    "lower_lip_border": 3.5,
    "pocket_1": 2.9, "pocket_2": 2.9, "pocket_3": 2.9, "pocket_4": 2.9, "nostril": 2.5, "alar_crease": 3.9,
    "outline": 15.0,
}
# fmt: on

# fmt: off
#: Edge length (mm) wanted at a feature and its growth with distance from it.
FEATURE_SPACING = {
    "upper_lid": (2.6, 0.23), "lower_lid": (2.6, 0.23), "lid_crease": (3.2, 0.3), "upper_lip_margin": (3.0, 0.26),
    "lower_lip_margin": (3.0, 0.26), "upper_lip_border": (3.4, 0.26), "lower_lip_border": (3.4, 0.26),
    "nostril": (2.4, 0.32), "alar_crease": (3.4, 0.32), "nose_ridge": (5.0, 0.3), "brow": (5.0, 0.3),
    "nasolabial_fold": (5.5, 0.3), "ear_rim": (4.8, 0.45), "jaw": (9.5, 0.3),
}
# fmt: on
COARSEST = 14.0


@dataclass(frozen=True)
class Template:
    """Mesh of the canonical plane at one level.

    Attributes:
        plane (V, 2): canonical coordinates (s, t) in mm.
        faces (F, 3): triangles, counter-clockwise in the plane and so seen from outside the face.
        symmetry (V,): mirror partner of each vertex.
        uv (V, 2): harmonic map of the plane to the unit square.
    """

    plane: Array
    faces: Index
    symmetry: Index
    uv: Array


@cache
def build_template(level: int) -> Template:
    """The template at level 0, 1 or 2 (about 1,200, 5,000 and 20,000 vertices).

    Raises:
        ValueError: for another level.
    """
    if level not in LEVELS:
        raise ValueError(f"the procedural face has levels {LEVELS}, not {level!r}")
    plane, faces, symmetry, uv = _nested_levels()[level]
    for array in (plane, faces, symmetry, uv):
        array.setflags(write=False)
    return Template(plane, faces, symmetry, uv)


@cache
def _nested_levels() -> tuple[tuple[Array, Index, Index, Array], ...]:
    meshes = [_mirrored(*_half_mesh())]
    for _ in LEVELS[1:]:
        meshes.append(_subdivide(*meshes[-1]))
    uv = _square_map(*meshes[-1][:2], coarse=len(meshes[0][0]))
    return tuple((plane, faces, symmetry, uv[: len(plane)].copy()) for plane, faces, symmetry in meshes)


# --- level 0 ---------------------------------------------------------------------------------------------------------


def spacing(points: Array) -> Array:
    """Wanted edge length (N,) in mm of level 0 at canonical points (N, 2)."""
    wanted = np.full(len(points), COARSEST)
    for name, (finest, growth) in FEATURE_SPACING.items():
        gap = cKDTree(layout.curve(name)).query(layout.fold(points))[0]
        wanted = np.minimum(wanted, finest + growth * gap)
    return wanted


def _curve_points() -> Array:
    """Vertices that stay where they are: on feature curves and on the midline."""
    fixed = []
    for name, step in CURVE_SPACING.items():
        length = np.linalg.norm(np.diff(layout.curve(name), axis=0), axis=1).sum()
        points = layout.curve(name, max(3, round(length / step) + 1))
        fixed.append(points[:-1] if name == "nostril" else points)
    fixed.append(np.array([layout.NOSTRIL_CENTRE]))
    fixed.append(_midline_points(np.concatenate(fixed)))
    points = np.round(np.concatenate(fixed), 3)
    points[np.abs(points[:, 0]) < 1e-6, 0] = 0.0
    return points[_first_of_equals(points)]


def _midline_points(fixed: Array) -> Array:
    """Graded points on s = 0 between the curve points that already lie on it."""
    stops = np.sort(fixed[np.abs(fixed[:, 0]) < 1e-6, 1])
    heights = []
    for low, high in itertools.pairwise(stops):
        at = np.linspace(low, high, 200)
        density = 1.0 / spacing(np.stack([np.zeros_like(at), at], axis=1))
        total = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(at))])
        count = max(1, round(total[-1]))
        heights.append(np.interp(np.arange(1, count) / count * total[-1], total, at))
    t = np.concatenate(heights)
    return np.stack([np.zeros_like(t), t], axis=1)


def _first_of_equals(points: Array) -> Index:
    return np.sort(np.unique(points, axis=0, return_index=True)[1])


def _fill_points(fixed: Array) -> Array:
    """Points between the curves: a graded Poisson-disc set over a low-discrepancy sequence."""
    index = np.arange(1, 24001)
    outline = layout.polygon("face")
    low, high = outline.min(axis=0), outline.max(axis=0)
    plastic = 1.32471795724474602596
    candidates = low + np.stack([(index / plastic) % 1.0, (index / plastic**2) % 1.0], axis=1) * (high - low)
    candidates = np.round(candidates[layout.points_in_polygon(candidates, outline)], 3)
    wanted = spacing(candidates)
    near = cKDTree(fixed).query(candidates)[0] > 0.72 * wanted
    near &= cKDTree(outline).query(candidates)[0] > 0.6 * wanted
    near &= candidates[:, 0] > 0.62 * wanted
    near &= ~layout.inside("mouth", candidates)
    candidates, wanted = candidates[near], wanted[near]
    chosen: list[int] = []
    free = np.ones(len(candidates), dtype=bool)
    neighbours = cKDTree(candidates)
    for i in np.argsort(wanted, kind="stable"):
        if free[i]:
            chosen.append(i)
            free[neighbours.query_ball_point(candidates[i], 0.82 * wanted[i])] = False
    return candidates[chosen]


def _triangulate(points: Array) -> Index:
    """Delaunay triangles of the half plane mesh inside the outline, counter-clockwise."""
    triangles = Delaunay(points).simplices.astype(np.int64)
    corners = points[triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    triangles[area < 0] = triangles[area < 0][:, [0, 2, 1]]
    keep = (np.abs(area) > 1e-3) & layout.points_in_polygon(corners.mean(axis=1), layout.polygon("face"))
    return triangles[keep]


def _half_mesh(relaxations: int = 12) -> tuple[Array, Index]:
    fixed = _curve_points()
    points = np.concatenate([fixed, _fill_points(fixed)])
    free = np.arange(len(points)) >= len(fixed)
    for _ in range(relaxations):
        edges = _unique_edges(_triangulate(points))[0]
        ends = np.concatenate([edges, edges[:, ::-1]])
        weight = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(points),) * 2)
        centre = weight @ points / np.asarray(weight.sum(axis=1))
        points[free] = np.round(0.5 * points[free] + 0.5 * centre[free], 3)
    faces = _triangulate(points)
    used = np.unique(faces)
    renumber = np.full(len(points), -1)
    renumber[used] = np.arange(len(used))
    return points[used], renumber[faces]


def _mirrored(points: Array, faces: Index) -> tuple[Array, Index, Index]:
    """The half mesh and its mirror image, welded along s = 0."""
    off = np.flatnonzero(points[:, 0] > 0)
    partner = np.arange(len(points))
    partner[off] = len(points) + np.arange(len(off))
    plane = np.concatenate([points, points[off] * [-1.0, 1.0]])
    symmetry = np.concatenate([partner, off])
    return plane, np.concatenate([faces, partner[faces][:, [0, 2, 1]]]), symmetry


# --- levels 1 and 2 --------------------------------------------------------------------------------------------------


def _unique_edges(faces: Index) -> tuple[Index, Index]:
    """Edges (E, 2), lower index first, and the edges (F, 3) opposite to each corner's predecessor: 01, 12, 20."""
    sides = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges, inverse = np.unique(sides, axis=0, return_inverse=True)
    return edges, inverse.reshape(-1, 3)


def _subdivide(plane: Array, faces: Index, symmetry: Index) -> tuple[Array, Index, Index]:
    edges, of_face = _unique_edges(faces)
    middle = _snap(plane, edges, plane[edges].mean(axis=1))
    first_new = len(plane)
    a, b, c = faces.T
    ab, bc, ca = (of_face + first_new).T
    quarters = [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    mirrored = np.sort(symmetry[edges], axis=1)
    key = edges[:, 0] * first_new + edges[:, 1]
    partner = np.searchsorted(key, mirrored[:, 0] * first_new + mirrored[:, 1])
    middle[partner == np.arange(len(edges)), 0] = 0.0
    return (np.concatenate([plane, middle]), np.concatenate(quarters), np.concatenate([symmetry, partner + first_new]))


def _snap(plane: Array, edges: Index, middle: Array) -> Array:
    """Midpoints of edges along a feature curve, moved onto the curve; rounded like every coordinate."""
    folded = layout.fold(plane)
    for name in CURVE_SPACING:
        line = layout.curve(name, 800)
        on_curve = layout.project(folded, line)[1] < 0.02
        candidates = np.flatnonzero(on_curve[edges].all(axis=1))
        nearest, gap, _ = layout.project(layout.fold(middle[candidates]), line)
        close = gap < 0.15 * np.linalg.norm(np.diff(plane[edges[candidates]], axis=1)[:, 0], axis=1)
        chosen = candidates[close]
        side = np.sign(middle[chosen, 0])
        middle[chosen] = nearest[close] * np.stack([side, np.ones_like(side)], axis=1)
    return np.round(middle, 4)


# --- texture coordinates ---------------------------------------------------------------------------------------------


def _square_map(plane: Array, faces: Index, coarse: int) -> Array:
    """Harmonic map (cotangent weights) of the plane mesh with its border on the unit square.

    The square's corners lie on vertices of level 0, the first `coarse` ones, so that every level fills the square.
    """
    border = _border(faces)
    uv = np.zeros_like(plane)
    uv[border] = _around_square(plane[border], border < coarse)
    stiffness = _cotangent_stiffness(plane, faces)
    inner = np.setdiff1d(np.arange(len(plane)), border)
    right_side = -stiffness[inner][:, border] @ uv[border]
    uv[inner] = spsolve(stiffness[inner][:, inner].tocsc(), right_side)
    return np.clip(uv, 0.0, 1.0)


def _cotangent_stiffness(plane: Array, faces: Index) -> csr_matrix:
    rows, columns, weights = [], [], []
    for corner in range(3):
        i, j, k = (faces[:, (corner + shift) % 3] for shift in (0, 1, 2))
        first, second = plane[j] - plane[i], plane[k] - plane[i]
        cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
        weight = 0.5 * (first * second).sum(axis=1) / cross
        rows += [j, k, j, k]
        columns += [k, j, j, k]
        weights += [-weight, -weight, weight, weight]
    size = len(plane)
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return coo_matrix(entries, shape=(size, size)).tocsr()


def _border(faces: Index) -> Index:
    """Vertices of the mesh border in counter-clockwise order."""
    directed = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    present = {(int(a), int(b)) for a, b in directed}
    follower = {a: b for a, b in present if (b, a) not in present}
    loop = [min(follower)]
    while (after := follower[loop[-1]]) != loop[0]:
        loop.append(after)
    return np.array(loop)


def _around_square(border: Array, eligible: NDArray[np.bool_]) -> Array:
    """Places on the unit square's border: corners where the outline turns from top to side and from side to neck."""
    corner_targets = np.array([[98.0, 118.0], [-98.0, 118.0], [-104.0, -110.0], [104.0, -110.0]])
    reach = np.where(eligible, np.linalg.norm(border - corner_targets[:, None], axis=2), np.inf)
    corners = reach.argmin(axis=1)
    square = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    step = np.linalg.norm(np.roll(border, -1, axis=0) - border, axis=1)
    placed = np.zeros_like(border)
    for number, begin in enumerate(corners):
        end = corners[(number + 1) % 4]
        run = np.arange(begin, begin + (end - begin) % len(border) + 1) % len(border)
        length = np.concatenate([[0.0], np.cumsum(step[run[:-1]])])
        fraction = (length / length[-1])[:, None]
        placed[run] = (1 - fraction) * square[number] + fraction * square[(number + 1) % 4]
    return placed
