"""Where on the face which paint goes: fixed fields over the canonical plane.

Each field is a number per canonical point, mostly in [0, 1]. They are computed once for a set of points (the vertices
of a template, or the texels of a texture) and mixed by the texture code afterwards. What is finer than the points lie
apart is faded to its mean, so that a coarse mesh gets the right colour without aliasing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from facekit.morphable.procedural import layout
from facekit.morphable.procedural.layout import Array, bump, smoothstep
from facekit.morphable.procedural.skin_noise import BROW_HAIRS, waves

#: Border of the beard's area on the subject's left.
BEARD = (
    (0.0, -11.5),
    (9.0, -12.0),
    (17.0, -14.5),
    (26.0, -21.0),
    (34.0, -32.0),
    (48.0, -33.0),
    (66.0, -24.0),
    (82.0, -6.0),
    (96.0, 18.0),
    (107.0, 22.0),
    (112.0, -10.0),
    (108.0, -34.0),
    (96.0, -60.0),
    (76.0, -80.0),
    (56.0, -94.0),
    (28.0, -104.0),
    (0.0, -108.0),
)
#: Beyond the hairline: over the crown and around the ear.
SCALP_END = (
    (112.0, 26.0),
    (115.5, 40.0),
    (126.0, 50.5),
    (140.0, 51.5),
    (152.0, 43.0),
    (157.5, 27.0),
    (156.0, 9.0),
    (149.0, -7.0),
    (160.0, -24.0),
    (190.0, -10.0),
    (190.0, 70.0),
    (150.0, 110.0),
    (60.0, 160.0),
    (0.0, 165.0),
)


OPENINGS = {
    "eye": ("upper_lid", "lower_lid"),
    "mouth": ("upper_lip_margin", "lower_lip_margin"),
    "lips": ("upper_lip_border", "lower_lip_border"),
}


def point_spacing(points: Array) -> Array:
    """Typical distance (N,) in mm to the neighbours of each canonical point (N, 2)."""
    distance, _ = cKDTree(points).query(points, k=min(5, len(points)))
    return distance[:, 1:].mean(axis=1)


def along_curve(points: Array, line: Array) -> tuple[Array, Array, Array]:
    """Distance (N,) in mm to a polyline (M, 2), place along it (N,) in [0, 1], and height (N,) of the point over it.

    The same as `layout.project` to within a tenth of a millimetre, and fast for many points.
    """
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], int(length[-1] / 0.2) + 2)
    dense = np.stack([np.interp(at, length, line[:, axis]) for axis in (0, 1)], axis=1)
    folded = layout.fold(points)
    gap, nearest = cKDTree(dense).query(folded)
    return gap, nearest / (len(at) - 1), folded[:, 1] - dense[nearest, 1]


def inside(points: Array, corners: Array) -> NDArray[np.bool_]:
    """Which points (N, 2), on either side, lie in a polygon (M, 2) of the side s >= 0."""
    folded = layout.fold(points)
    near = ((folded >= corners.min(axis=0)) & (folded <= corners.max(axis=0))).all(axis=1)
    within = np.zeros(len(points), dtype=bool)
    for part in np.array_split(np.flatnonzero(near), max(1, near.sum() // 8192)):
        within[part] = layout.points_in_polygon(folded[part], corners)
    return within


def signed_distance(points: Array, corners: Array, *lines: Array) -> Array:
    """Distance (N,) in mm to the polylines `lines`, or to the polygon's whole edge, positive inside the polygon."""
    edges = lines or (np.concatenate([corners, corners[:1]]),)
    gap = np.min([along_curve(points, line)[0] for line in edges], axis=0)
    return np.where(inside(points, corners), gap, -gap)


def opening_depth(name: str, points: Array) -> Array:
    """Signed distance (N,) to the edge of a region between an upper and a lower curve: "lips", "mouth" or "eye"."""
    upper, lower = OPENINGS[name]
    return signed_distance(points, layout.polygon(name), layout.curve(upper), layout.curve(lower))


def skin_fields(points: Array, spacing: Array) -> dict[str, Array]:
    """Fields (N,) of skin and hair at canonical points (N, 2) that lie `spacing` (N,) mm apart."""
    folded = layout.fold(points)
    s, t = folded.T
    soft = 0.5 * spacing
    fields = {
        "cheek": bump(folded, (43.0, -4.0), (17.0, 13.0)) + 0.55 * bump(folded, (58.0, 8.0), (15.0, 11.0)),
        "nose": bump(folded, (0.0, 2.0), (11.0, 9.0)) + 0.8 * bump(folded, (17.0, -3.0), (6.5, 7.5)),
        "ear": smoothstep(signed_distance(points, layout.polygon("ear")), -3.0, 3.0),
        "forehead": smoothstep(t, 48.0, 74.0) + 0.6 * bump(folded, (0.0, 25.0), (9.0, 22.0)),
        "chin": bump(folded, (0.0, -68.0), (15.0, 10.0)),
        "perioral": bump(folded, (0.0, -34.0), (34.0, 22.0)),
        "under_eye": bump(folded, (27.0, 24.5), (12.0, 4.6), -4.0) + 0.8 * bump(folded, (17.0, 30.0), (4.0, 6.5)),
        "upper_lid": _upper_lid(points),
        "lid_crease": np.exp(-((along_curve(points, layout.curve("lid_crease"))[0] / np.hypot(1.3, soft)) ** 2))
        * 1.3
        / np.hypot(1.3, soft),
        "nasolabial": np.exp(-((along_curve(points, layout.curve("nasolabial_fold"))[0] / 4.0) ** 2)),
        "alar": np.exp(-((along_curve(points, layout.curve("alar_crease"))[0] / np.hypot(1.8, soft)) ** 2)),
        "philtrum": bump(folded, (0.0, -17.0), (2.6, 5.5)),
        "neck": smoothstep(along_curve(points, layout.curve("jaw"))[0], 4.0, 30.0)
        * (t < np.interp(s, *layout.curve("jaw", 200).T)),
        "nostril": smoothstep(signed_distance(points, layout.polygon("nostril")), -0.7 - soft, 0.9),
        "lashes": _lash_line(points, spacing),
    }
    fields |= _lips(points, soft) | _beard(points) | _brow(points, spacing)
    fields["scalp"] = _scalp_depth(points)
    fields["temple"] = bump(folded, (52.0, 92.0), (13.0, 15.0))
    return fields


def _upper_lid(points: Array) -> Array:
    """The lid's plate between margin and crease."""
    folded = layout.fold(points)
    corners = np.concatenate([layout.curve("upper_lid", 100), layout.curve("lid_crease", 100)[::-1]])
    return smoothstep(signed_distance(folded, corners), -2.5, 1.5)


def _lash_line(points: Array, spacing: Array) -> Array:
    """Dark rim of the lids: strong above, weaker below, thinning towards the inner corner."""
    within = inside(points, layout.polygon("eye"))
    line = np.zeros(len(points))
    for name, strength, width in (("upper_lid", 1.0, 1.1), ("lower_lid", 0.42, 0.7)):
        gap, place, _ = along_curve(points, layout.curve(name))
        spread = np.hypot(width, 0.42 * spacing)
        stroke = np.exp(-((gap / spread) ** 2)) * (width / spread) ** 0.5
        line = np.maximum(line, strength * stroke * smoothstep(place, 0.04, 0.4) * np.where(within, 0.6, 1.0))
    return line


def _lips(points: Array, soft: Array) -> dict[str, Array]:
    border = opening_depth("lips", points)
    upper = layout.fold(points)[:, 1] > -35.0
    s = np.abs(points[:, 0])
    wrinkles = 0.5 + 0.5 * np.cos(2 * np.pi * s / 1.9 + 1.3 * np.sin(s * 0.9))
    visible = np.exp(-((2.0 * soft / 0.8) ** 2))
    mouth = smoothstep(opening_depth("mouth", points), -1.2 - soft, 0.6)
    return {
        "lips": smoothstep(border, -1.0 - soft, 1.2 + 0.5 * soft),
        "upper_lip": upper.astype(float),
        "lip_wrinkles": visible * (wrinkles - 0.5),
        "lip_seam": mouth,
        "lip_rim": np.exp(-(((border + 1.6) / np.hypot(1.0, soft)) ** 2)),
    }


def _beard(points: Array) -> dict[str, Array]:
    folded = layout.fold(points)
    s, t = folded.T
    line = np.array(BEARD)
    depth = signed_distance(points, line, line)
    area = smoothstep(depth, -6.0, 9.0 + 12.0 * smoothstep(t, -60.0, -90.0)) * smoothstep(t, -106.0, -72.0)
    bare = smoothstep(opening_depth("lips", points), 0.8, -1.6)
    thin = 1.0 - 0.75 * bump(folded, (12.0, -52.0), (7.0, 3.0)) - 0.45 * smoothstep(s, 40.0, 75.0)
    moustache = smoothstep(t, -37.0, -31.0) * smoothstep(s, 37.0, 29.0) * (1.0 - 0.6 * bump(folded, (0, -16), (2.2, 6)))
    return {"moustache": area * bare * moustache, "beard": area * bare * (1.0 - moustache) * thin}


def _brow(points: Array, spacing: Array) -> dict[str, Array]:
    """Place along the brow, height across it (mm, positive upwards), and the pattern of its hairs in [-1, 1]."""
    gap, place, above = along_curve(points, layout.curve("brow"))
    height = np.where(above >= 0, gap, -gap)
    beyond = ((place < 1e-6) | (place > 1 - 1e-6)) * gap
    # Hairs lean outwards at the brow's head and lie along it at the tail: noise drawn out along that direction.
    across_hairs = 44.0 * place - (1.1 - 1.6 * place) * height
    hairs = np.tanh(1.3 * waves(np.stack([across_hairs, 0.22 * height], axis=1), spacing, BROW_HAIRS, 1, seed=24)[0])
    return {
        "brow_place": place,
        "brow_height": np.where(beyond > 0, 0.0, height),
        "brow_beyond": beyond,
        "brow_hairs": hairs,
    }


def _scalp_depth(points: Array) -> Array:
    """Distance in mm behind the hairline, negative on the face and in the ear."""
    line = layout.curve("hairline")
    corners = np.concatenate([line, np.array(SCALP_END)])
    depth = signed_distance(points, corners, line)
    behind_ear = signed_distance(points, corners)
    return np.where(depth > 0, np.minimum(depth, np.where(np.abs(points[:, 0]) > 106.0, behind_ear, depth)), depth)


def eye_fields(points: Array) -> dict[str, Array]:
    """Fields (N,) inside the almonds: height between the lids, distance to the margins, caruncle."""
    u, v = layout.opening_coordinates("eye", points)
    gap_upper, gap_lower = (along_curve(points, layout.curve(name))[0] for name in ("upper_lid", "lower_lid"))
    return {
        "u": u.clip(0, 1),
        "v": v.clip(0, 1),
        "upper_gap": gap_upper,
        "lower_gap": gap_lower,
        "caruncle": smoothstep(u, 0.17, 0.05),
    }


def mouth_fields(points: Array, spacing: Array) -> dict[str, Array]:
    """Fields (N,) behind the lips: amounts of tooth, gum and lip lining, the rest being dark; gaps between teeth."""
    u, v = layout.opening_coordinates("mouth", points)
    u, v = u.clip(0, 1), v.clip(0, 1)
    upper_edge, lower_edge = (layout.height_on(f"{lip}_lip_margin", points[:, 0]) for lip in ("upper", "lower"))
    blur = (0.6 * spacing / np.maximum(upper_edge - lower_edge, 2.0)).clip(0.012, 0.20)
    # Rows of vertices run along v = 0.1, 0.2, ..., so that these edges stay sharp without more blur.
    blur = blur.clip(max=0.05)
    upper, lower = _band(v, *layout.POCKET["upper_teeth"], blur), _band(v, *layout.POCKET["lower_teeth"], blur)
    gums = _band(v, 0.85, 0.93, blur) + _band(v, 0.07, 0.15, blur)
    lining = smoothstep(v, 0.10, 0.0) + smoothstep(v, 0.91, 1.0)
    place = 25.0 * np.sin(1.25 * u)
    width = np.hypot(0.4, 0.8 * spacing)
    gaps = np.zeros_like(u)
    for teeth, edges in ((upper, (0.0, 8.4, 14.8, 21.4)), (lower, (0.0, 5.3, 11.0, 17.6))):
        near = np.abs(place[:, None] - np.array(edges)).min(axis=1)
        gaps = np.maximum(gaps, np.exp(-((near / width) ** 2)) * (0.4 / width) ** 2 * teeth)
    inwards = smoothstep(u, 0.97, 0.7)
    return {
        "upper_teeth": upper * inwards,
        "lower_teeth": lower * inwards,
        "gums": gums.clip(0, 1),
        "lining": lining.clip(0, 1),
        "gaps": gaps,
        "depth": smoothstep(u, 0.35, 1.0),
    }


def _band(v: Array, start: float, end: float, blur: Array) -> Array:
    """1 between `start` and `end`, with edges softened by `blur` (N,) to either side."""
    rise, fall = (v - start) / (2 * blur) + 0.5, (end - v) / (2 * blur) + 0.5
    return smoothstep(rise, 0.0, 1.0) * smoothstep(fall, 0.0, 1.0)
