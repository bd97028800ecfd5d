"""Control points of the face and the smooth surface through them.

The skin is the thin-plate spline (R. L. Harder and R. N. Desmarais, 1972) through K control points: of all surfaces
over the canonical plane that pass through them it bends least. Its values at the vertices depend linearly on the
control positions, `vertices = M @ controls` with a fixed matrix M (V, K), so that anatomy and muscles need to move a
few hundred points only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from facekit.morphable.procedural.cage_points import (
    CURVES,
    EAR_AXES,
    EAR_ORIGIN,
    EAR_POINTS,
    EYE_CENTRE,
    LID_RADIUS,
    POINTS,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cage:
    """Control points of the whole average face.

    Attributes:
        names: for each control its series' name; the same on both sides.
        places (K, 2): canonical places.
        rest (K, 3): positions in mm on the average neutral face.
        symmetry (K,): mirror partner of each control.
    """

    names: tuple[str, ...]
    places: Array
    rest: Array
    symmetry: Index

    def __len__(self) -> int:
        return len(self.names)

    def named(self, *names: str, side: int = 0) -> Index:
        """Indices of all controls of the given series, in order; side +1 or -1 keeps one side (and the midline)."""
        unknown = set(names) - set(self.names)
        if unknown:
            raise ValueError(f"no control points named {', '.join(sorted(unknown))}")
        return np.array(
            [i for name in names for i, own in enumerate(self.names) if own == name and side * self.places[i, 0] >= 0]
        )


@cache
def build_cage() -> Cage:
    """The authored half and its mirror image."""
    names, places, rest = [], [], []
    for name, rows in POINTS.items():
        for s, t, x, y, z in rows:
            names.append(name)
            places.append((s, t))
            rest.append((x, y, _on_lid_sphere(x, y) if z is None else z))
    for name, rows in EAR_POINTS.items():
        for s, t, *local in rows:
            names.append(name)
            places.append((s, t))
            rest.append(np.array(EAR_ORIGIN) + np.array(local) @ np.array(EAR_AXES))
    half_places, half_rest = np.array(places, dtype=float), np.array(rest, dtype=float)
    off = np.flatnonzero(half_places[:, 0] > 0)
    partner = np.arange(len(names))
    partner[off] = len(names) + np.arange(len(off))
    return Cage(
        names=(*names, *(names[i] for i in off)),
        places=np.concatenate([half_places, half_places[off] * [-1.0, 1.0]]),
        rest=np.concatenate([half_rest, half_rest[off] * [-1.0, 1.0, 1.0]]),
        symmetry=np.concatenate([partner, off]),
    )


def _on_lid_sphere(x: float, y: float) -> float:
    across = (x - EYE_CENTRE[0]) ** 2 + (y - EYE_CENTRE[1]) ** 2
    return EYE_CENTRE[2] + float(np.sqrt(LID_RADIUS**2 - across))


def surface_matrix(cage: Cage, points: Array, block: int = 4096) -> Array:
    """Matrix M (N, K) from the cage's controls to the skin at canonical points (N, 2).

    Controls are first refined along the curves they belong to, then interpolated by the thin-plate spline.
    """
    places, weights = _surface_weights(cage)
    parts = [_spline_basis(points[i : i + block], places) @ weights for i in range(0, len(points), block)]
    return np.concatenate(parts) if parts else np.zeros((0, len(cage)))


def rest_normals(cage: Cage, points: Array, step: float = 0.05) -> Array:
    """Unit normals (N, 3) of the average face at canonical points (N, 2), by central differences of `step` mm."""
    places, weights = _surface_weights(cage)
    coefficients = weights @ cage.rest

    def tangent(offset: tuple[float, float]) -> Array:
        ahead, behind = (_spline_basis(points + sign * np.array(offset), places) @ coefficients for sign in (1, -1))
        return ahead - behind

    normal = np.cross(tangent((step, 0.0)), tangent((0.0, step)))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


@cache
def _surface_weights(cage: Cage) -> tuple[Array, Array]:
    """Centres (R, 2) of the surface's kernels and their coefficients (R + 3, K) from the controls."""
    places, refine = _refined(cage)
    return places, _spline_weights(places) @ refine


def _refined(cage: Cage) -> tuple[Array, Array]:
    """Canonical places (R, 2) of the controls and the extra ones on curves, and the matrix (R, K) that makes them."""
    rows = [np.eye(len(cage))]
    for kind, series, extra in CURVES:
        right, left = (cage.named(*series, side=side) for side in (-1, 1))
        if kind == "whole":
            chains = [np.concatenate([cage.symmetry[left[:0:-1]], left])]
        elif kind == "ring":
            chains = [np.append(chain, chain[0]) for chain in (right, left)]
        else:
            chains = [right, left]
        rows += [_between(cage, chain, extra, closed=kind == "ring") for chain in chains]
    refine = np.concatenate(rows)
    return refine @ cage.places, refine


def _between(cage: Cage, chain: Index, extra: int, closed: bool) -> Array:
    """Rows (N, K) that place `extra` controls in every gap of a chain, on a cubic spline over chord length."""
    step = np.linalg.norm(np.diff(cage.places[chain], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(step)])
    fraction = np.arange(1, extra + 1) / (extra + 1)
    at = (length[:-1, None] + fraction * step[:, None]).ravel()
    selector = np.eye(len(cage))[chain]
    return CubicSpline(length, selector, bc_type="periodic" if closed else "natural")(at)


def blend(matrix: Tensor, controls: Tensor) -> Tensor:
    """matrix (R, K) times controls (B, K, 3), as one product for the whole batch: (B, R, 3)."""
    batch = len(controls)
    product = matrix @ controls.permute(1, 0, 2).reshape(matrix.shape[1], 3 * batch)
    return product.unflatten(1, (batch, 3)).permute(1, 0, 2).contiguous()


def spline_matrix(places: Array, points: Array) -> Array:
    """Thin-plate spline interpolation matrix M (N, K).

    Args:
        places (K, 2): where values are given; pairwise different, not all on a line.
        points (N, 2): where values are wanted.

    Returns:
        M such that M @ values (K, C) are the spline's values (N, C). Rows sum to one, and affine functions of the
        place are reproduced exactly.
    """
    return _spline_basis(points, places) @ _spline_weights(places)


def _spline_weights(places: Array) -> Array:
    """Coefficients (K + 3, K) of the spline that is 1 at one place and 0 at the others."""
    count = len(places)
    system = np.zeros((count + 3, count + 3))
    system[:, :count] = _spline_basis(places, places).T
    system[:count, count:] = system[count:, :count].T
    return np.linalg.solve(system, np.eye(count + 3)[:, :count])


def _spline_basis(points: Array, places: Array) -> Array:
    """Kernel r^2 log r about each place, then 1, s, t: (N, K + 3), over places brought to unit size."""
    centre, scale = places.mean(axis=0), np.ptp(places, axis=0).max()
    places, points = (places - centre) / scale, (points - centre) / scale
    squared = ((points**2).sum(axis=1)[:, None] + (places**2).sum(axis=1) - 2.0 * points @ places.T).clip(1e-300)
    return np.concatenate([squared * np.log(squared), np.ones((len(points), 1)), points], axis=1)
