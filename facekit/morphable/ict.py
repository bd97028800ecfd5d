"""The ICT-FaceKit light face model (Li et al., 2020, MIT licence): real scan-derived faces as a linear model.

One hundred identity components and fifty-seven named expression shapes over 26,719 vertices: face, head and neck, mouth
socket, gums, teeth, eyeballs and lashes. `load_ict` reads the public folder of OBJ files, or the packed .npz, and cuts
out the region asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facekit.meshes.topology import submesh, triangulate
from facekit.morphable.action_units import ACTION_UNITS
from facekit.morphable.face_model import FaceModelError
from facekit.morphable.ict_files import read_ict
from facekit.morphable.openings import close_openings
from facekit.morphable.painted_model import PaintedFaceModel
from facekit.morphable.topology import cylindrical_uv, mirror_partners

NUM_VERTICES = 26_719
# Parts painted in one colour (linear RGB).
PLAIN = {
    "teeth": (0.62, 0.57, 0.48),
    "gums_and_tongue": (0.30, 0.09, 0.085),
    "mouth_socket": (0.10, 0.03, 0.03),
    "eye_sockets": (0.30, 0.12, 0.10),
}
CENTIMETRE = 10.0

# First and last-plus-one vertex of the mesh's parts, from the model's published topology table.
PARTS = {
    "narrow_face": (0, 6706),
    "face": (0, 9409),
    "head_and_neck": (9409, 11248),
    "mouth_socket": (11248, 13294),
    "eye_sockets": (13294, 14062),
    "gums_and_tongue": (14062, 17039),
    "teeth": (17039, 21451),
    "eyes": (21451, 24591),
}
SCLERAS = ((21451, 22221), (23021, 23791))

# Vertices of each region that can be asked for. "solid" leaves out what is transparent: tear film, lashes, occluders.
REGIONS = {
    "narrow": ((0, 6706),),
    "face": ((0, 9409),),
    "closed": ((0, 9409),),
    "head": ((0, 11248),),
    "solid": ((0, 21451), *SCLERAS),
    "full": ((0, NUM_VERTICES),),
}

# Each action unit's expression shapes. `_` stands for the side; shapes without a side take half of each side.
# The published table has no entry for AU 23, 25 and 26, gives AU 10 a shape without sides, to which the sided
# mouthUpperUp_ (there AU 11) is added, and calls the closed eye AU 45.
SHAPES_OF_UNIT: dict[int, dict[str, float]] = {
    1: {"browInnerUp_": 1.0},
    2: {"browOuterUp_": 1.0},
    4: {"browDown_": 1.0},
    5: {"eyeWide_": 1.0},
    6: {"cheekSquint_": 1.0},
    7: {"eyeSquint_": 1.0},
    9: {"noseSneer_": 1.0},
    10: {"mouthShrugUpper": 0.5, "mouthUpperUp_": 0.7},
    12: {"mouthSmile_": 1.0},
    14: {"mouthDimple_": 1.0},
    15: {"mouthFrown_": 1.0},
    16: {"mouthLowerDown_": 1.0},
    17: {"mouthShrugLower": 1.0},
    18: {"mouthPucker": 1.0},
    20: {"mouthStretch_": 1.0},
    22: {"mouthFunnel": 1.0},
    23: {"mouthRollUpper": 0.35, "mouthRollLower": 0.35, "mouthPucker": 0.15},
    24: {"mouthPress_": 1.0},
    25: {"mouthUpperUp_": 0.25, "mouthLowerDown_": 0.6},
    26: {"jawOpen": 0.4},
    27: {"jawOpen": 1.0},
    43: {"eyeBlink_": 1.0},
}
# Shapes for gaze towards +x (the subject's left), -x, +y and -y; a full shape is about 30 degrees.
SHAPES_OF_GAZE = (
    ("eyeLookOut_L", "eyeLookIn_R"),
    ("eyeLookIn_L", "eyeLookOut_R"),
    ("eyeLookUp_L", "eyeLookUp_R"),
    ("eyeLookDown_L", "eyeLookDown_R"),
)
DEGREES_OF_FULL_GAZE = 30.0


def load_ict(
    path: str | Path,
    region: str = "face",
    *,
    num_identity: int | None = None,
    cache: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> PaintedFaceModel:
    """Load ICT-FaceKit from its folder `FaceXModel/` (packed once into a cache) or from the packed .npz.

    Args:
        path: the folder, its parent, or the .npz.
        region: "face" (9,409 vertices: forehead to upper neck, open at eyes and mouth), "closed" (the same with
            the three openings filled by eye surfaces and a mouth pocket: a topological disc), "narrow" (6,706),
            "head" (11,248), "solid" (everything opaque: with eyeballs, teeth and sockets) or "full" (26,719).
        num_identity: how many of the 100 identity components to keep.
        cache: where the folder's packed arrays go, see `read_ict`.

    Returns:
        Vertices in millimetres; identity codes ~ N(0, 1), expression codes in [0, 1] per named shape. The model has no
        colours of its own: its texture code is that of the procedural face's skin.

    Raises:
        FaceModelError: the files are missing, truncated or of the wrong shape; or the region does not exist.
    """
    if region not in REGIONS:
        raise FaceModelError(f"ICT-FaceKit has no region '{region}', expected one of {', '.join(REGIONS)}")
    arrays = read_ict(path, cache)
    if region != "full" and len(arrays["neutral"]) != NUM_VERTICES:
        raise FaceModelError(
            f"{path}: found {len(arrays['neutral'])} vertices, expected {NUM_VERTICES} for the region '{region}'"
        )
    faces, keep = _cut(arrays["quads"], len(arrays["neutral"]), region)
    landmarks = _renumber(arrays["landmarks68"], keep)
    mean, identity, expression = (
        arrays[key][..., keep, :].astype(np.float32) * CENTIMETRE for key in ("neutral", "identity", "expression")
    )
    identity = identity[:num_identity]
    regions = {name: (keep >= first) & (keep < last) for name, (first, last) in PARTS.items()}
    if region == "closed":
        faces, filled, fill = close_openings(mean, faces, landmarks)
        mean, identity, expression = fill(mean), fill(identity, offset=True), fill(expression, offset=True)
        regions = {
            name: np.concatenate([mask, np.zeros(len(mean) - len(keep), dtype=bool)]) for name, mask in regions.items()
        } | filled
    names = [str(name) for name in arrays["expression_names"]]
    return PaintedFaceModel(
        name=f"ict_{region}",
        faces=torch.from_numpy(faces),
        uv=torch.from_numpy(cylindrical_uv(mean)).to(dtype),
        landmarks=torch.from_numpy(landmarks),
        symmetry=torch.from_numpy(mirror_partners(mean)),
        regions={name: torch.from_numpy(mask) for name, mask in regions.items()},
        mean=torch.from_numpy(mean).to(dtype),
        identity_basis=torch.from_numpy(identity).to(dtype),
        expression_basis=torch.from_numpy(expression).to(dtype),
        unit_matrix=unit_matrix(names).to(dtype),
        expression_range=(0.0, 1.0),
        eye_centres=_eye_centres(arrays["neutral"] * CENTIMETRE),
        gaze_matrix=_gaze_matrix(names),
        plain={name: color for name, color in PLAIN.items() if name in regions},
    )


def unit_matrix(names: list[str]) -> torch.Tensor:
    """Weights (2A + 4, K) of the named expression shapes for each action unit and side, and per degree of gaze."""
    column = {name: index for index, name in enumerate(names)}
    matrix = torch.zeros(2 * len(ACTION_UNITS) + 4, len(names))

    def add(row: int, shape: str, weight: float) -> None:
        if shape in column:
            matrix[row, column[shape]] += weight

    for position, unit in enumerate(ACTION_UNITS):
        for side, letter in enumerate("RL"):
            for shape, weight in SHAPES_OF_UNIT.get(unit, {}).items():
                sided = shape.endswith("_")
                add(2 * position + side, shape + letter if sided else shape, weight if sided else weight / 2)
    for row, shapes in enumerate(SHAPES_OF_GAZE, start=2 * len(ACTION_UNITS)):
        for shape in shapes:
            add(row, shape, 1.0 / DEGREES_OF_FULL_GAZE)
    return matrix


def _cut(quads: np.ndarray, num_vertices: int, region: str) -> tuple[np.ndarray, np.ndarray]:
    """The region's triangles (F, 3) and the model's number of each of their vertices (V,), ascending."""
    keep = torch.zeros(num_vertices, dtype=torch.bool)
    for first, last in REGIONS[region]:
        keep[first:last] = True
    faces, ids = submesh(triangulate(torch.from_numpy(quads)), keep)
    return faces.numpy(), ids.numpy()


def _eye_centres(neutral: np.ndarray) -> torch.Tensor:
    """Middle of the right and left eyeballs' fronts, (2, 2) in mm; of the landmarked eyes' usual place without them."""
    if len(neutral) != NUM_VERTICES:
        return torch.tensor([[-31.5, 35.0], [31.5, 35.0]])
    left, right = (neutral[first:last, :2] for first, last in SCLERAS)
    middles = [(part.min(axis=0) + part.max(axis=0)) / 2 for part in (right, left)]
    return torch.from_numpy(np.stack(middles))


def _gaze_matrix(names: list[str]) -> torch.Tensor:
    """Degrees (K, 4) towards +x and +y, right eye then left, that each expression shape stands for."""
    matrix = torch.zeros(len(names), 4)
    directions = {"Up": (1, 1.0), "Down": (1, -1.0)}
    for column, name in enumerate(names):
        if not name.startswith("eyeLook"):
            continue
        way, side = name.removeprefix("eyeLook").split("_")
        outwards = 1.0 if side == "L" else -1.0
        axis, sign = (directions | {"Out": (0, outwards), "In": (0, -outwards)})[way]
        matrix[column, axis + (2 if side == "L" else 0)] = sign * DEGREES_OF_FULL_GAZE
    return matrix


def _renumber(indices: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Positions in the sorted vertex list `keep`; empty when some are not in it."""
    position = np.searchsorted(keep, indices).clip(max=len(keep) - 1)
    return position.astype(np.int64) if (keep[position] == indices).all() else np.empty(0, dtype=np.int64)
