"""The linear 3D morphable model: a face is a mean plus weighted directions of change (Blanz and Vetter, 1999)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.meshes import linear_to_srgb, srgb_to_linear
from facekit.meshes.precision import full_precision
from facekit.morphable.face_model import FaceModel, FaceModelError
from facekit.morphable.model_files import read_npz, require_array, require_indices, write_npz

_SAVED = (
    "faces",
    "uv",
    "landmarks",
    "symmetry",
    "mean",
    "identity_basis",
    "expression_basis",
    "mean_albedo",
    "texture_basis",
    "unit_matrix",
)


class LinearFaceModel(FaceModel):
    """Shape s = mean + A_id a_id + A_exp a_exp and albedo t = mean_t + A_tex a_tex.

    The bases carry their scale: identity and texture codes are ~ N(0, 1) over the population. Expression codes are
    ~ N(0, 1) where the basis comes from PCA and weights in [0, 1] where it consists of named expression shapes.

    Buffers:
        mean (V, 3), identity_basis (K_id, V, 3), expression_basis (K_exp, V, 3): millimetres.
        mean_albedo (V, 3), texture_basis (K_tex, V, 3): RGB in [0, 1], encoded as `albedo_encoding` says.
        unit_matrix (2A + 4, K_exp): expression code per unit of each action unit (right and left side alternating)
            and per degree of gaze towards +x, -x, +y and -y; (0, K_exp) when the model knows no action units.

    Attributes:
        expression_range: bounds that `expression_code` keeps to, or None.
        albedo_encoding: "linear", or "srgb" for bases of photographs' pixel values, decoded by `albedo`.
    """

    mean: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    mean_albedo: Tensor
    texture_basis: Tensor
    unit_matrix: Tensor

    def __init__(
        self,
        *,
        name: str,
        faces: Tensor,
        uv: Tensor,
        landmarks: Tensor,
        symmetry: Tensor,
        regions: Mapping[str, Tensor],
        mean: Tensor,
        identity_basis: Tensor,
        expression_basis: Tensor,
        mean_albedo: Tensor | None = None,
        texture_basis: Tensor | None = None,
        unit_matrix: Tensor | None = None,
        expression_range: tuple[float, float] | None = None,
        albedo_encoding: str = "linear",
    ) -> None:
        mean_albedo = torch.full_like(mean, 0.5) if mean_albedo is None else mean_albedo
        texture_basis = mean.new_zeros(0, *mean.shape) if texture_basis is None else texture_basis
        unit_matrix = mean.new_zeros(0, len(expression_basis)) if unit_matrix is None else unit_matrix
        super().__init__(
            name=name,
            faces=faces,
            uv=uv.to(mean.dtype),
            landmarks=landmarks,
            symmetry=symmetry,
            regions=regions,
            num_identity=len(identity_basis),
            num_expression=len(expression_basis),
            num_texture=len(texture_basis),
        )
        if albedo_encoding not in {"linear", "srgb"}:
            raise FaceModelError(
                f"face model '{name}': albedo_encoding is '{albedo_encoding}', expected 'linear' or 'srgb'"
            )
        for what, basis in {
            "mean": mean[None],
            "identity_basis": identity_basis,
            "expression_basis": expression_basis,
            "mean_albedo": mean_albedo[None],
            "texture_basis": texture_basis,
        }.items():
            if tuple(basis.shape[1:]) != (self.num_vertices, 3):
                raise FaceModelError(
                    f"face model '{name}': {what} is for {tuple(basis.shape[1:])}, expected ({self.num_vertices}, 3)"
                )
        self.register_buffer("mean", mean)
        self.register_buffer("identity_basis", identity_basis)
        self.register_buffer("expression_basis", expression_basis)
        self.register_buffer("mean_albedo", mean_albedo)
        self.register_buffer("texture_basis", texture_basis)
        self.register_buffer("unit_matrix", unit_matrix)
        self.expression_range = expression_range
        self.albedo_encoding = albedo_encoding

    @full_precision
    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices (B, V, 3) in millimetres: mean + A_id a_id + A_exp a_exp."""
        self.check_codes(identity=identity, expression=expression)
        return self.mean + _combine(identity, self.identity_basis) + _combine(expression, self.expression_basis)

    @full_precision
    def albedo(self, texture: Tensor, expression: Tensor | None = None) -> Tensor:
        """Vertex albedo (B, V, 3), linear RGB in [0, 1]: mean_t + A_tex a_tex, decoded and clipped."""
        self.check_codes(texture=texture)
        encoded = (self.mean_albedo + _combine(texture, self.texture_basis)).clamp(0.0, 1.0)
        return srgb_to_linear(encoded) if self.albedo_encoding == "srgb" else encoded

    def expression_code(self, action_units: Tensor, gaze: Tensor | None = None) -> Tensor:
        """Expression codes (B, K_exp): the linear `unit_matrix` applied to intensities and gaze."""
        if len(self.unit_matrix) == 0:
            raise FaceModelError(f"face model '{self.name}' does not know action units")
        count = (len(self.unit_matrix) - 4) // 2
        if action_units.dim() != 3 or tuple(action_units.shape[1:]) != (count, 2):
            raise FaceModelError(
                f"face model '{self.name}': action_units have shape {tuple(action_units.shape)}, "
                f"expected (B, {count}, 2)"
            )
        gaze = action_units.new_zeros(len(action_units), 2) if gaze is None else gaze
        code = unit_inputs(action_units, gaze).to(self.dtype) @ self.unit_matrix
        return code if self.expression_range is None else code.clamp(*self.expression_range)

    def fit(self, vertices: Tensor, *, ridge: float = 1e-6, neutral: bool = False) -> tuple[Tensor, Tensor]:
        """Codes (identity (B, K_id), expression (B, K_exp)) whose faces come nearest to `vertices` (B, V, 3).

        Minimises the mean squared vertex distance in mm² plus `ridge` times the squared length of the codes, in
        closed form. `vertices` must be in this model's correspondence and head frame; ridge is about the noise
        variance in mm² over the number of vertices. With `neutral` the expression code is held at zero.

        Raises:
            FaceModelError: `vertices` are not (B, V, 3).
        """
        self._check_vertices("vertices", vertices)
        bases = [self.identity_basis] if neutral else [self.identity_basis, self.expression_basis]
        code = least_squares_code(vertices - self.mean, torch.cat(bases), ridge)
        identity, expression = code[:, : self.num_identity], code[:, self.num_identity :]
        return identity, self.neutral_expression(len(vertices)) if neutral else expression

    def fit_albedo(self, albedo: Tensor, *, ridge: float = 1e-9) -> Tensor:
        """Texture codes (B, K_tex) whose albedo comes nearest to `albedo` (B, V, 3), linear RGB."""
        self._check_vertices("albedo", albedo)
        encoded = linear_to_srgb(albedo) if self.albedo_encoding == "srgb" else albedo
        return least_squares_code(encoded - self.mean_albedo, self.texture_basis, ridge)

    def _check_vertices(self, what: str, values: Tensor) -> None:
        if values.dim() != 3 or tuple(values.shape[1:]) != (self.num_vertices, 3):
            found = tuple(values.shape)
            raise FaceModelError(f"face model '{self.name}': {what} {found}, expected (B, {self.num_vertices}, 3)")

    def save(self, path: str | Path) -> None:
        """Write the whole model to one .npz file, atomically."""
        arrays = {key: getattr(self, key).cpu().numpy() for key in _SAVED}
        arrays |= {f"region_{region}": mask.cpu().numpy() for region, mask in self.regions.items()}
        bounds = [] if self.expression_range is None else list(self.expression_range)
        write_npz(
            Path(path),
            arrays
            | {
                "name": np.array(self.name),
                "expression_range": np.array(bounds, float),
                "albedo_encoding": np.array(self.albedo_encoding),
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> LinearFaceModel:
        """Read a model written by `save`; `FaceModelError` names the file and what is wrong with it."""
        path = Path(path)
        arrays = read_npz(path)
        num_vertices = len(require_array(path, arrays, "mean", (None, 3)))
        shapes = {
            "faces": (None, 3),
            "uv": (num_vertices, 2),
            "landmarks": (None,),
            "symmetry": (num_vertices,),
            "mean": (num_vertices, 3),
            "mean_albedo": (num_vertices, 3),
            "unit_matrix": (None, None),
            "expression_range": (None,),
        }
        shapes |= {f"{kind}_basis": (None, num_vertices, 3) for kind in ("identity", "expression", "texture")}
        tensors = {key: torch.from_numpy(require_array(path, arrays, key, shape)) for key, shape in shapes.items()}
        for key in ("faces", "landmarks", "symmetry"):
            require_indices(path, key, arrays[key], num_vertices)
        bounds = tuple(float(bound) for bound in tensors.pop("expression_range"))
        regions = {
            key.removeprefix("region_"): torch.from_numpy(array).bool()
            for key, array in arrays.items()
            if key.startswith("region_")
        }
        texts = {
            key: str(arrays.get(key, default))
            for key, default in {"name": path.stem, "albedo_encoding": "linear"}.items()
        }
        try:
            return cls(regions=regions, expression_range=bounds or None, **tensors, **texts)
        except FaceModelError as error:
            raise FaceModelError(f"{path}: {error}") from error


def unit_inputs(action_units: Tensor, gaze: Tensor) -> Tensor:
    """The rows (B, 2A + 4) that `unit_matrix` multiplies: units by side, then gaze towards +x, -x, +y and -y."""
    directions = torch.stack([gaze[:, 0], -gaze[:, 0], gaze[:, 1], -gaze[:, 1]], dim=1).clamp_min(0.0)
    return torch.cat([action_units.flatten(1), directions.to(action_units)], dim=1)


def least_squares_code(offsets: Tensor, basis: Tensor, ridge: float) -> Tensor:
    """Codes a (B, K) that minimise |offset - A a|² / V + ridge |a|² for `offsets` (B, V, 3) and `basis` (K, V, 3).

    Solved in float64 through the normal equations.
    """
    directions = basis.flatten(1).double()
    scale = 1.0 / basis.shape[1]
    gram = directions @ directions.T * scale
    gram.diagonal().add_(ridge)
    target = offsets.flatten(1).double() @ directions.T * scale
    return torch.linalg.solve(gram, target.T).T.to(offsets.dtype)


def _combine(code: Tensor, basis: Tensor) -> Tensor:
    return (code.to(basis.dtype) @ basis.flatten(1)).unflatten(1, basis.shape[1:])
