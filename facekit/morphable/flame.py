"""FLAME (Li et al., 2017): a head with identity, expression and pose blendshapes, and a jaw that rotates.

    T(beta, theta, psi) = T_mean + B_S(beta) + B_P(theta) + B_E(psi), then linear blend skinning about joints

The 2020 file `generic_model.pkl` is a pickle; it is read by an unpickler that cannot run code. The head's own rotation
is left to the camera's pose, so the root joint stays still.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.meshes import rotation_from_vector
from facekit.meshes.precision import full_precision
from facekit.morphable.action_units import ACTION_UNITS
from facekit.morphable.face_model import NUM_LANDMARKS, FaceModel, FaceModelError
from facekit.morphable.model_files import require_array, require_file, require_indices
from facekit.morphable.restricted_pickle import load_pickled_arrays, restricted_load
from facekit.morphable.topology import cylindrical_uv, mirror_partners, orient_outwards

METRE = 1000.0
NUM_JOINTS = 5  # root, neck, jaw, left eye, right eye
NUM_IDENTITY = 300
POSE_SIZE = 8  # jaw (3), neck (3), gaze (2), in degrees
JAW_DEGREES = {26: 10.0, 27: 22.0}


class FlameModel(FaceModel):
    """FLAME as a face model.

    The expression code holds the expression components (~ N(0, 1)), then in degrees: the jaw's rotation vector (3; the
    first opens the mouth), the neck's (3), and the gaze of both eyes (2: towards +x, towards +y). Albedo is a plain
    grey: FLAME's textures are files of their own.
    """

    def __init__(
        self,
        *,
        template: Tensor,
        identity_basis: Tensor,
        expression_basis: Tensor,
        pose_basis: Tensor,
        joint_regressor: Tensor,
        skinning: Tensor,
        parents: tuple[int, ...],
        **topology: object,
    ) -> None:
        super().__init__(
            name="flame",
            num_identity=len(identity_basis),
            num_texture=0,
            num_expression=len(expression_basis) + POSE_SIZE,
            **topology,
        )
        self.parents = parents
        self.register_buffer("template", template)
        self.register_buffer("identity_basis", identity_basis)
        self.register_buffer("expression_basis", expression_basis)
        self.register_buffer("pose_basis", pose_basis)
        self.register_buffer("joint_regressor", joint_regressor)
        self.register_buffer("skinning", skinning)

    @full_precision
    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices (B, V, 3) in millimetres, Eq. (1) to (5) of the paper."""
        self.check_codes(identity=identity, expression=expression)
        count = max(len(identity), len(expression))
        identity, expression = (code.to(self.dtype).expand(count, -1) for code in (identity, expression))
        movement, pose = expression[:, :-POSE_SIZE], expression[:, -POSE_SIZE:]
        basis = torch.cat([self.identity_basis, self.expression_basis]).flatten(1)
        shaped = self.template + (torch.cat([identity, movement], dim=1) @ basis).unflatten(1, (-1, 3))
        joints = torch.einsum("jv,bvc->bjc", self.joint_regressor, shaped)
        rotations = self._joint_rotations(pose)
        identity_matrix = torch.eye(3, dtype=self.dtype, device=self.device)
        feature = (rotations[:, 1:] - identity_matrix).flatten(1)
        posed = shaped + (feature @ self.pose_basis.flatten(1)).unflatten(1, (-1, 3))
        rotation, shift = _chain(rotations, joints, self.parents)
        blended = torch.einsum("vj,bjrc->bvrc", self.skinning, rotation)
        return torch.einsum("bvrc,bvc->bvr", blended, posed) + torch.einsum("vj,bjr->bvr", self.skinning, shift)

    def albedo(self, texture: Tensor, expression: Tensor | None = None) -> Tensor:
        self.check_codes(texture=texture)
        return self.template.new_full((len(texture), self.num_vertices, 3), 0.4)

    def expression_code(self, action_units: Tensor, gaze: Tensor | None = None) -> Tensor:
        """Expression code for jaw units (26, 27) and gaze.

        FLAME's expression components are statistical and stand for no muscle: other units raise `FaceModelError`.
        """
        known = [ACTION_UNITS.index(unit) for unit in JAW_DEGREES]
        others = [
            unit
            for index, unit in enumerate(ACTION_UNITS)
            if index not in known and bool((action_units[:, index] != 0).any())
        ]
        if others:
            raise FaceModelError(f"face model 'flame' knows the action units 26 and 27 and the gaze, not {others}")
        code = self.neutral_expression(len(action_units))
        degrees = code.new_tensor(list(JAW_DEGREES.values()))
        code[:, -POSE_SIZE] = (action_units[:, known].mean(dim=2).to(code) * degrees).sum(dim=1)
        if gaze is not None:
            code[:, -2:] = gaze.to(code)
        return code

    def _joint_rotations(self, pose: Tensor) -> Tensor:
        """Rotation matrices (B, 5, 3, 3) of root, neck, jaw and both eyes from the pose part of the code."""
        zero = pose.new_zeros(len(pose), 1)
        eye = torch.cat([-pose[:, 7:8], pose[:, 6:7], zero], dim=1)
        vectors = torch.stack([pose.new_zeros(len(pose), 3), pose[:, 3:6], pose[:, 0:3], eye, eye], dim=1)
        return rotation_from_vector(torch.deg2rad(vectors))


def load_flame(
    path: str | Path,
    landmarks: str | Path | None = None,
    *,
    num_identity: int = NUM_IDENTITY,
    num_expression: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> FlameModel:
    """Load FLAME from `generic_model.pkl` (2020; files of the same layout work too).

    Args:
        landmarks: `landmark_embedding.npy`; each landmark becomes the nearest corner of its triangle.
        num_identity, num_expression: how many of the 300 and 100 components to keep.

    Raises:
        FaceModelError: the file is missing, truncated, of the wrong shape, or names anything but arrays.
    """
    path = Path(path).expanduser()
    arrays = load_pickled_arrays(path)
    template = require_array(path, arrays, "v_template", (None, 3))
    size = len(template)
    shapes = require_array(path, arrays, "shapedirs", (size, 3, None)).transpose(2, 0, 1)
    if shapes.shape[0] <= NUM_IDENTITY:
        raise FaceModelError(
            f"{path}: array 'shapedirs' has {shapes.shape[0]} components, expected {NUM_IDENTITY} of "
            "identity followed by those of expression"
        )
    poses = require_array(path, arrays, "posedirs", (size, 3, 9 * (NUM_JOINTS - 1))).transpose(2, 0, 1)
    regressor = require_array(path, arrays, "J_regressor", (NUM_JOINTS, size))
    skinning = require_array(path, arrays, "weights", (size, NUM_JOINTS))
    faces = require_indices(path, "f", require_array(path, arrays, "f", (None, 3)), size)
    points = np.empty(0, dtype=np.int64) if landmarks is None else _read_embedding(Path(landmarks), faces)

    def tensor(array: np.ndarray) -> Tensor:
        return torch.tensor(np.asarray(array, dtype=np.float64), dtype=dtype)

    return FlameModel(
        template=tensor(template * METRE),
        identity_basis=tensor(shapes[:NUM_IDENTITY][:num_identity] * METRE),
        expression_basis=tensor(shapes[NUM_IDENTITY:][:num_expression] * METRE),
        pose_basis=tensor(poses * METRE),
        joint_regressor=tensor(regressor),
        skinning=tensor(skinning),
        parents=_parents(path, arrays),
        faces=torch.from_numpy(orient_outwards(template, faces)),
        uv=tensor(cylindrical_uv(template)),
        landmarks=torch.from_numpy(points),
        symmetry=torch.from_numpy(mirror_partners(template)),
        regions={},
    )


def _parents(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Each joint's parent, the root's being -1 (written as 4294967295 in some files)."""
    table = require_array(path, arrays, "kintree_table", (2, NUM_JOINTS))[0].astype(np.int64)
    parents = (-1, *(int(parent) for parent in table[1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents[1:], start=1)):
        raise FaceModelError(f"{path}: 'kintree_table' has parents {table.tolist()}, expected each before its joint")
    return parents


def _chain(rotations: Tensor, joints: Tensor, parents: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """World rotation (B, J, 3, 3) and shift (B, J, 3) of each joint's bone: x -> R x + shift."""
    turned, placed = [rotations[:, 0]], [joints[:, 0]]
    for joint, parent in enumerate(parents[1:], start=1):
        offset = joints[:, joint] - joints[:, parent]
        placed.append(placed[parent] + (turned[parent] @ offset.unsqueeze(-1)).squeeze(-1))
        turned.append(turned[parent] @ rotations[:, joint])
    rotation, position = torch.stack(turned, dim=1), torch.stack(placed, dim=1)
    return rotation, position - (rotation @ joints.unsqueeze(-1)).squeeze(-1)


def _read_embedding(path: Path, faces: np.ndarray) -> np.ndarray:
    """Landmark vertices (68,) from `landmark_embedding.npy`, a NumPy file around a pickled dictionary."""
    data = require_file(path, "FLAME's landmark_embedding.npy").read_bytes()
    start = data.find(b"\n") + 1
    if not data.startswith(b"\x93NUMPY") or start == 0:
        raise FaceModelError(f"{path}: not a NumPy file")
    contents = restricted_load(data[start:], path)
    contents = contents.item() if isinstance(contents, np.ndarray) and contents.shape == () else contents
    if not isinstance(contents, dict):
        raise FaceModelError(f"{path}: expected a dictionary with 'full_lmk_faces_idx' and 'full_lmk_bary_coords'")
    triangles = require_array(path, contents, "full_lmk_faces_idx").reshape(-1)
    weights = require_array(path, contents, "full_lmk_bary_coords").reshape(-1, 3)
    if len(triangles) != NUM_LANDMARKS or len(weights) != NUM_LANDMARKS:
        raise FaceModelError(f"{path}: found {len(triangles)} landmarks, expected {NUM_LANDMARKS}")
    corners = faces[require_indices(path, "full_lmk_faces_idx", triangles, len(faces))]
    return corners[np.arange(NUM_LANDMARKS), weights.argmax(axis=1)]
