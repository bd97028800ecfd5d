"""Paint a face: albedo at canonical points from a texture code.

The painter is set up once for a set of points, the vertices of a template or the texels of a texture, and then paints
a batch of people at once: pigments of the skin first (melanin, haemoglobin, carotene), then hair over it, then the eyes
and the inside of the mouth.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from facekit.morphable.procedural import layout
from facekit.morphable.procedural.pigments import hair_color, iris_color, skin_color, smooth_rise
from facekit.morphable.procedural.skin_code import NUM_PATTERNS, NUM_TEXTURE, TEXTURE_DIMENSIONS, sample_skin
from facekit.morphable.procedural.skin_fields import eye_fields, mouth_fields, opening_depth, point_spacing, skin_fields
from facekit.morphable.procedural.skin_noise import COARSE, FINE, GRAIN, waves
from facekit.morphable.procedural.skin_spots import KINDS, spots

PALEST, DARKEST = 0.020, 3.0  # amounts of melanin
MARGIN = 0.15  # mm: points this close to the edge of an opening belong to the lid or the lip
IRIS_ANGLE = 29.0  # degrees between the gaze and the iris's edge, seen from the eyeball's centre


class Skin(nn.Module):
    """Albedo of the procedural face at P canonical points.

    Args:
        points (P, 2): canonical coordinates in mm (`layout`).
        spacing (P,): distance in mm to the neighbouring points; worked out if not given. Detail finer than this is
            left out.
    """

    num_texture = NUM_TEXTURE

    def __init__(self, points: layout.Array, spacing: layout.Array | None = None) -> None:
        super().__init__()
        points = np.asarray(points, dtype=np.float64)
        spacing = point_spacing(points) if spacing is None else np.asarray(spacing, dtype=np.float64)
        self._keep_all("skin", skin_fields(points, spacing))
        eye = self._keep_index("eye_points", opening_depth("eye", points) > MARGIN)
        self._keep_all("eye", eye_fields(points[eye]))
        mouth = self._keep_index("mouth_points", opening_depth("mouth", points) > MARGIN)
        self._keep_all("mouth", mouth_fields(points[mouth], spacing[mouth]))
        self._keep("coarse", waves(points, spacing, COARSE, NUM_PATTERNS, seed=21))
        self._keep("fine", waves(points, spacing, FINE, 1, seed=22)[0])
        self._keep("hair_grain", waves(points, spacing, GRAIN, 1, seed=23)[0])
        for kind in KINDS:
            matrix, directions = spots(kind, points, spacing)
            index = torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))
            values = torch.from_numpy(matrix.data.astype(np.float32))
            sparse = torch.sparse_coo_tensor(index, values, matrix.shape, check_invariants=True).coalesce()
            self.register_buffer(f"{kind}_matrix", sparse, persistent=False)
            self._keep(f"{kind}_directions", directions)

    def sample(self, count: int, generator: torch.Generator, traits: Mapping[str, Tensor] | None = None) -> Tensor:
        """Texture codes (N, T); `traits` may hold the people's "sex" and "age" (N,), see `sample_skin`."""
        traits = traits or {}
        return sample_skin(count, generator, traits.get("sex"), traits.get("age"))

    def _keep(self, name: str, array: layout.Array) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)), persistent=False)

    def _keep_all(self, group: str, fields: dict[str, layout.Array]) -> None:
        for name, field in fields.items():
            self._keep(f"{group}_{name}", field)

    def _keep_index(self, name: str, mask: layout.Array) -> layout.Array:
        index = np.flatnonzero(mask)
        self.register_buffer(name, torch.from_numpy(index), persistent=False)
        return index

    def forward(self, texture: Tensor, iris_angle: Tensor | None = None) -> Tensor:
        """Albedo (B, P, 3), linear RGB in [0, 1].

        Args:
            texture (B, T): texture codes; one serves several angles.
            iris_angle (B, P) or (P,): at points on the eyeballs, the angle in degrees between the gaze and the point,
                seen from the eyeball's centre; other points are ignored. Eyes without an iris if None.
        """
        if texture.dim() != 2 or texture.shape[1] != NUM_TEXTURE:
            raise ValueError(f"texture code has shape {tuple(texture.shape)}, expected (B, {NUM_TEXTURE})")
        if iris_angle is not None and iris_angle.dim() == 2:
            texture = texture.expand(max(len(texture), len(iris_angle)), -1)
        code = dict(zip((dimension.name for dimension in TEXTURE_DIMENSIONS), texture.unbind(1), strict=True))
        pattern = texture[:, -NUM_PATTERNS:]
        share = torch.special.ndtr(code["melanin"])
        albedo = self._skin(code, pattern, share)
        albedo = self._hair(albedo, code, share)
        albedo = albedo.index_copy(1, self.eye_points, self._eyes(albedo, code, share, iris_angle))
        return albedo.index_copy(1, self.mouth_points, self._mouth_inside(albedo, code)).clamp(0.0, 1.0)

    def _skin(self, code: dict[str, Tensor], pattern: Tensor, share: Tensor) -> Tensor:
        """Colours (B, P, 3) of bare skin and lips; `share` (B,) is the person's place between palest and darkest."""
        dark_ring = self.skin_under_eye * _amount(code["under_eye"], 0.32, 0.45) + 0.25 * self.skin_upper_lid
        melanin = self._melanin(code, pattern, share, dark_ring)
        blood = self._blood(code, pattern, dark_ring)
        lips = self.skin_lips * (0.82 + 0.18 * self.skin_upper_lip)
        lip_melanin = 0.05 * share[:, None] ** 2 + _amount(code["lip_melanin"], 0.10, 0.8) * share[:, None]
        melanin = melanin * (1.0 - 0.55 * lips) + lips * (
            lip_melanin + 0.03 * self.skin_upper_lip + 0.03 * self.skin_lip_wrinkles
        )
        lip_blood = _amount(code["lip_flush"], 0.62, 0.32) + 0.25 * self.skin_lip_wrinkles + 0.5 * self.skin_lip_seam
        blood = (blood + lips * lip_blood) * (1.0 - 0.22 * self.skin_lip_rim)
        carotene = _amount(code["carotene"], 0.22, 0.5) * (1.0 - 0.35 * lips)
        color = skin_color(melanin.clamp_min(1e-4), blood.clamp_min(1e-4), carotene)
        openings = 0.94 * self.skin_nostril + 0.55 * self.skin_lip_seam * (1.0 - self.skin_nostril)
        return color * (1.0 - openings)[:, None]

    def _melanin(self, code: dict[str, Tensor], pattern: Tensor, share: Tensor, dark_ring: Tensor) -> Tensor:
        """Amount of melanin (B, P): the person's own, more where skin is dark in everyone, and spots."""
        base = (PALEST * (DARKEST / PALEST) ** share)[:, None]
        tan = 0.16 * code["forehead_tan"][:, None] * (self.skin_forehead - 0.4)
        mottled = _amount(code["mottling"], 0.021, 0.35) * (1.0 - 0.45 * share)[:, None]
        uneven = mottled * (pattern @ self.coarse) + 0.035 * self.fine
        folds = 0.3 * dark_ring + 0.10 * self.skin_perioral + 0.12 * self.skin_lid_crease - 0.12 * self.skin_neck
        freckles = self._spots("freckles", pattern, 0.9 - 1.1 * code["freckles"] + 1.2 * share)
        moles = self._spots("moles", pattern, 1.9 - 0.45 * code["moles"]).clamp(max=1.0)
        return base * (1.0 + tan + uneven + folds) + (0.05 + 0.25 * base) * freckles + (0.5 + 0.9 * base) * moles

    def _blood(self, code: dict[str, Tensor], pattern: Tensor, dark_ring: Tensor) -> Tensor:
        """Amount of haemoglobin (B, P): flushed cheeks, nose and ears, folds, blemishes."""
        flush = (
            _amount(code["cheek_flush"], 0.50, 0.55) * self.skin_cheek
            + _amount(code["nose_flush"], 0.42, 0.5) * self.skin_nose
            + _amount(code["ear_flush"], 0.45, 0.45) * self.skin_ear
            + 0.22 * self.skin_alar + 0.18 * self.skin_nasolabial + 0.20 * self.skin_chin
            + 0.30 * dark_ring + 0.12 * self.skin_lid_crease + 0.10 * self.skin_perioral
        )  # fmt: skip
        uneven = _amount(code["mottling"], 0.032, 0.35) * (pattern.roll(1, 1) @ self.coarse) + 0.06 * self.fine
        pale = 0.30 * self.skin_forehead.clamp(max=1.0)
        blemishes = self._spots("blemishes", pattern, 2.0 - 0.6 * code["blemishes"]).clamp(max=1.2)
        return _amount(code["haemoglobin"], 0.17, 0.28) * (1.0 + 1.15 * flush + uneven - pale) + 0.34 * blemishes

    def _spots(self, kind: str, pattern: Tensor, threshold: Tensor) -> Tensor:
        """Darkness (B, P) of the spots whose direction lies close enough to the person's pattern."""
        on = torch.sigmoid(7.0 * (pattern @ getattr(self, f"{kind}_directions").T - threshold[:, None]))
        return torch.sparse.mm(getattr(self, f"{kind}_matrix"), on.T).T

    def _hair(self, albedo: Tensor, code: dict[str, Tensor], share: Tensor) -> Tensor:
        darkness = torch.sigmoid(1.3 * code["hair_melanin"] + 5.5 * (share - 0.22))
        fair = 1.0 - smooth_rise(share, 0.35, 0.7)
        red = torch.sigmoid(1.8 * code["hair_red"] - 2.6) * fair * (1.0 - 0.6 * darkness)
        grey = smooth_rise(code["hair_grey"], 0.7, 2.6)
        pigment = 0.16 * 60.0**darkness
        scalp_hair = hair_color(pigment, 0.6 * red, grey)[:, None]
        brow_hair = hair_color(1.6 * pigment + 0.35, 0.5 * red, 0.6 * grey)[:, None]
        stubble = hair_color(1.8 * pigment + 0.1, 0.5 * red, 0.8 * grey)[:, None]
        grain = 1.0 + 0.16 * self.hair_grain
        albedo = _over(albedo, scalp_hair * grain[:, None], self._scalp_cover(code))
        albedo = _over(albedo, brow_hair, self._brow_cover(code))
        density = (
            smooth_rise(code["beard"], 0.15, 2.4)[:, None] * self.skin_beard
            + smooth_rise(code["moustache"], 0.15, 2.4)[:, None] * self.skin_moustache
        )
        albedo = _over(albedo, stubble, (0.74 * density * (1.0 + 0.25 * self.hair_grain)).clamp(0.0, 0.9))
        lash = (self.skin_lashes * (0.60 * torch.exp(0.22 * code["lashes"]))[:, None]).clamp(0.0, 0.95)
        return _over(albedo, 0.5 * brow_hair * (1 - 0.5 * fair[:, None, None]), lash)

    def _scalp_cover(self, code: dict[str, Tensor]) -> Tensor:
        """Opacity (B, P) of the hair on the scalp."""
        receded = 9.0 * torch.nn.functional.softplus(1.5 * (code["hair_recession"] - 0.9)) / 1.5
        depth = self.skin_scalp - receded[:, None] * (0.4 + 1.6 * self.skin_temple) + 1.2 * self.hair_grain
        dense = (0.62 + 0.35 * torch.sigmoid(1.2 * code["hair_cover"] + 0.8))[:, None]
        return smooth_rise(depth, -1.5, 7.0) * dense

    def _brow_cover(self, code: dict[str, Tensor]) -> Tensor:
        """Opacity (B, P) of the brows."""
        place = self.skin_brow_place
        profile = (0.62 + 0.9 * place).clamp(max=1.0) * (1.0 - 0.72 * smooth_rise(place, 0.45, 1.0))
        half_width = 4.3 * torch.exp(0.2 * code["brow_width"])[:, None] * profile
        across = (self.skin_brow_height[None] / half_width).abs()
        body = 1.0 - smooth_rise(across, 0.45, 1.15)
        end = (0.93 + 0.06 * code["brow_reach"])[:, None]
        ends = smooth_rise(place, 0.0, 0.10) * 0.55 + 0.45 * smooth_rise(place, 0.02, 0.3)
        ends = ends * (1.0 - ((place[None] - end) / 0.10).clamp(0.0, 1.0))
        ends = ends * torch.exp(-((self.skin_brow_beyond / 1.8) ** 2))
        density = (0.70 * torch.exp(0.25 * code["brow_density"]))[:, None]
        return (density * body * ends * (1.0 + 0.45 * self.skin_brow_hairs)).clamp(0.0, 0.96)

    def _eyes(self, albedo: Tensor, code: dict[str, Tensor], share: Tensor, iris_angle: Tensor | None) -> Tensor:
        """Colours (B, E, 3) between the lids: sclera, caruncle, iris and pupil, darker towards the lids."""
        skin = albedo[:, self.eye_points]
        warmth = 0.04 * code["sclera"][:, None, None]
        red = (
            self.eye_caruncle * 0.5
            + torch.exp(-((self.eye_lower_gap / 1.2) ** 2)) * 0.35
            + 0.12 * (self.eye_u - 0.5).abs() * 2
        )[:, None]
        sclera = skin.new_tensor([0.66, 0.62, 0.60]) - warmth * skin.new_tensor([0.3, 0.8, 1.6])
        sclera = sclera - red * skin.new_tensor([0.12, 0.34, 0.34]) - 0.10 * share[:, None, None]
        eye = sclera.expand(len(skin), -1, -1)
        if iris_angle is not None:
            eye = self._iris(eye, code, share, iris_angle.expand(len(skin), -1)[:, self.eye_points])
        shade = (
            1.0
            - 0.62 * torch.exp(-((self.eye_upper_gap / 2.6) ** 2))
            - 0.22 * torch.exp(-((self.eye_lower_gap / 1.3) ** 2))
            - 0.25 * smooth_rise((self.eye_u - 0.5).abs(), 0.3, 0.5)
        )
        eye = eye * shade.clamp_min(0.15)[:, None]
        wet = skin.new_tensor([0.45, 0.20, 0.17]) * (1 - 0.45 * share)[:, None, None]
        return torch.lerp(eye, wet.expand_as(eye), 0.75 * self.eye_caruncle[:, None])

    def _iris(self, eye: Tensor, code: dict[str, Tensor], share: Tensor, angle: Tensor) -> Tensor:
        melanin = torch.sigmoid(1.9 * code["iris_melanin"] + 7.0 * (share - 0.32))
        color = iris_color(melanin, torch.sigmoid(1.5 * code["iris_green"]))[:, None]
        pupil = (10.5 * torch.exp(0.17 * code["pupil"]))[:, None]
        ring = ((angle - pupil) / (IRIS_ANGLE - pupil)).clamp(0.0, 1.0)[..., None]
        color = color * (1.25 - 0.25 * ring) * (1.0 - 0.72 * smooth_rise(ring, 0.70, 1.0))
        eye = _over(eye, color, 1.0 - smooth_rise(angle, IRIS_ANGLE - 2.5, IRIS_ANGLE + 3.0))
        return _over(eye, eye.new_tensor([0.012, 0.011, 0.010]), 1.0 - smooth_rise(angle - pupil, -2.0, 2.0))

    def _mouth_inside(self, albedo: Tensor, code: dict[str, Tensor]) -> Tensor:
        """Colours (B, M, 3) behind the lips: lining, gums, teeth and the dark of the throat."""
        lips = albedo[:, self.mouth_points]
        throat = lips.new_tensor([0.035, 0.012, 0.011])
        gums = lips.new_tensor([0.30, 0.10, 0.095])
        tooth = (
            lips.new_tensor([0.60, 0.56, 0.48])
            * torch.exp(-0.13 * code["teeth"][:, None] * lips.new_tensor([0.6, 1.0, 1.8]))[:, None]
        )
        inside = _over(throat.expand_as(lips), gums, self.mouth_gums * (1 - 0.5 * self.mouth_depth))
        tooth = tooth * (1.0 - 0.5 * self.mouth_depth[:, None])
        inside = _over(inside, tooth, self.mouth_upper_teeth)
        inside = _over(inside, 0.5 * tooth, self.mouth_lower_teeth)
        inside = inside * (1.0 - 0.75 * self.mouth_gaps[:, None])
        return _over(inside, 0.75 * lips, self.mouth_lining)


def _amount(code: Tensor, middle: float, spread: float) -> Tensor:
    """Log-normal amounts (B, 1) of a code dimension (B,): `middle` at 0, times e^spread per standard deviation."""
    return (middle * torch.exp(spread * code))[:, None]


def _over(below: Tensor, above: Tensor, opacity: Tensor) -> Tensor:
    """Colour `above` painted over `below` (..., 3) with the given opacity (...)."""
    return below + (above - below) * opacity[..., None]
