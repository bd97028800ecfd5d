"""The training meshes of the paper, made in the face world: four data sets in one, few with an expression label.

Fernandez Abrevaya et al. (2019), Section 5.2. BU-3DFE and Bosphorus bring people, BU-4DFE and BP4D bring motion. All
meshes know who they show. An expression label is kept where the paper has one: on the static scans, on three frames of
each BU-4DFE sequence (first and last: neutral; the strongest: the sequence's expression) and on one neutral frame of
each BP4D subject. That is about 7 % of 30,559 meshes.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import FaceWorld, twin
from facekit.decoupled_gan.data import MeshDataset, flatten
from facekit.meshes import MeshHierarchy, connected_components, submesh
from facekit.morphable import EXPRESSIONS, FaceModel

SUBJECTS = {"bu3dfe": 100, "bosphorus": 105, "bu4dfe": 101, "bp4d": 41}
FRAMES = {"bu4dfe": 33, "bp4d": 32}
MESHES = 30_559
SPEECH_FRAMES = 24
CHUNK = 512


def world_meshes(
    model: FaceModel,
    share: float = 1.0,
    seed: int = 0,
    num_vertices: int | None = None,
    crop: float = 1.15,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MeshDataset:
    """Registered meshes of synthetic people under the four protocols, rigidly aligned as the model makes them.

    Args:
        model: the face model; its mesh is the topology, but for what ``crop`` and ``num_vertices`` leave out.
        share: of the paper's 347 people; 1 gives 30,559 meshes, 0.2 a fifth of them.
        seed: other people and performances.
        num_vertices: decimate the topology to so many vertices, a subset of the model's; all of them if None.
        crop: how much of the head is kept, see ``topology``.
        progress: told how many meshes are made, and of how many.

    Returns:
        Meshes set by set, with the factors ``identity`` and ``expression``.

    Raises:
        ValueError: ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], found {share}")
    kept, faces, uv = topology(model, num_vertices, crop)
    sources = {name: _source(name, model, share, seed) for name in SUBJECTS}
    excess = sum(map(len, sources.values())) - round(MESHES * share)
    if excess > 0:
        every = np.linspace(0, len(sources["bp4d"]) - 1, max(len(sources["bp4d"]) - excess, 8))
        sources["bp4d"] = sources["bp4d"].select(every.round().astype(int))
    total = sum(map(len, sources.values()))
    vertices = torch.empty(total, len(kept), 3)
    tables, done = [], 0
    for name, source in sources.items():
        movement = torch.empty(len(source))
        for rows in torch.arange(len(source)).split(CHUNK):
            sample = source.batch(rows)
            vertices[done : done + len(rows)] = sample["vertices"][:, kept]
            movement[rows] = sample["action_units"].sum(dim=(1, 2))
            done += len(rows)
            progress(done, total)
        tables.append(_labelled(name, source.table, movement.numpy()))
    return _with_labels(vertices, faces, uv, pd.concat(tables, ignore_index=True), model.name)


def speech_meshes(
    model: FaceModel,
    share: float = 1.0,
    seed: int = 0,
    num_vertices: int | None = None,
    crop: float = 1.15,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MeshDataset:
    """Registered meshes of people who speak, with the factors ``identity``, ``expression`` and ``viseme``.

    The supplement's identity-expression-viseme model: 14 people, 40 sentences each, spoken flatly and with feeling; all
    frames have an identity label, 68 % a viseme and 3 % an expression.

    Args:
        model, seed, num_vertices, crop, progress: as for ``world_meshes``.
        share: of the 24 frames that each of the 1,120 recordings gives; there is always one.

    Raises:
        ValueError: ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], found {share}")
    kept, faces, uv = topology(model, num_vertices, crop)
    source = twin("fanelli", model=model, seed=seed, outputs=("vertices",), frames=max(1, round(SPEECH_FRAMES * share)))
    vertices = torch.empty(len(source), len(kept), 3)
    for rows in torch.arange(len(source)).split(CHUNK):
        vertices[rows] = source.batch(rows)["vertices"][:, kept]
        progress(int(rows[-1]) + 1, len(source))
    table = source.table
    columns = {"identity": "subject", "expression": "expression", "viseme": "viseme"}
    coded = {
        factor: pd.factorize(table[column].astype(str).replace("", None), sort=True)
        for factor, column in columns.items()
    }
    return MeshDataset(
        vertices=vertices,
        faces=faces,
        labels={factor: torch.from_numpy(codes) for factor, (codes, _) in coded.items()},
        label_names={factor: tuple(names) for factor, (_, names) in coded.items()},
        uv=uv,
        sequence=torch.from_numpy(pd.factorize(table["sequence"])[0]),
        names=tuple("fanelli/" + table["sequence"].astype(str) + "/" + table["frame"].astype(str)),
        name=f"speech on {model.name}",
    )


def topology(model: FaceModel, num_vertices: int | None = None, crop: float = 1.15) -> tuple[Tensor, Tensor, Tensor]:
    """The mesh to train on: vertices of the model that are kept (V,), triangles between them (F, 3), map (V, 2).

    Face scans show the face, not the head, so that is what is kept: the skin within ``crop`` times the distance from
    the bridge of the nose to the chin. Eyes and mouth pocket become holes, which a harmonic map opens wide: the lids
    and lips get many pixels. ``crop`` = 0 keeps the whole mesh.
    """
    neutral = model.shape(torch.zeros(1, model.num_identity), model.neutral_expression())[0]
    kept, faces = torch.arange(model.num_vertices), model.faces
    if crop:
        landmarks = neutral[model.landmarks]
        bridge, chin = landmarks[27:31].mean(dim=0), landmarks[8]
        skin = (neutral - bridge).norm(dim=1) <= crop * (chin - bridge).norm()
        for name in ("eyes", "mouth_interior"):
            skin &= ~model.regions.get(name, torch.zeros_like(skin))
        faces, kept = submesh(model.faces, skin)
        piece = connected_components(faces, len(kept))
        faces, largest = submesh(faces, piece == piece.bincount().argmax())
        kept = kept[largest]
    if num_vertices is not None and num_vertices < len(kept):
        hierarchy = MeshHierarchy.build(neutral[kept], faces, [len(kept) / num_vertices])
        kept, faces = kept[hierarchy.down[0].coalesce().indices()[1]], hierarchy.levels[1].faces
    return kept, faces, flatten(neutral[kept], faces)


def _source(name: str, model: FaceModel, share: float, seed: int) -> FaceWorld:
    """The rows of a data set's twin that the paper uses; of the static sets, two scans of a person at most."""
    sizes = {"frames": FRAMES[name]} if name in FRAMES else {}
    source = twin(
        name, max(2, round(SUBJECTS[name] * share)), model=model, seed=seed,
        outputs=("vertices", "action_units"), **sizes,
    )  # fmt: skip
    return source if name in FRAMES else source.select(_two_scans(source.table))


def _two_scans(table: pd.DataFrame) -> np.ndarray:
    """Of each person one neutral scan and the strongest scan of one expression, which goes round from person to person.

    A person who did not pose that expression gives the neutral scan alone.
    """
    frontal = (table["yaw"] == 0) & (table["pitch"] == 0)
    if "occluder" in table:
        frontal &= table["occluder"] == ""
    number = pd.factorize(table["subject"])[0]
    posed = np.array(EXPRESSIONS[1:])[number % 6]
    wanted = np.select([table["expression"] == "neutral", table["expression"] == posed], ["neutral", "posed"], "")
    chosen = table.assign(position=np.arange(len(table)), wanted=wanted)[frontal & (wanted != "")]
    chosen = chosen.sort_values("activation", ascending=False, kind="stable").drop_duplicates(["subject", "wanted"])
    return np.sort(chosen["position"].to_numpy())


def _labelled(name: str, table: pd.DataFrame, movement: np.ndarray) -> pd.DataFrame:
    """``identity``, ``expression`` (name or ""), ``sequence`` (name or "") and ``name`` of each mesh of one data set.

    ``movement`` (N,) is the sum of a mesh's action units, by which BP4D's neutral frames are found.
    """
    identity = name + "/" + table["subject"].astype(str)
    expression = table["expression"].astype(str).to_numpy(dtype=object)
    if name not in FRAMES:
        called = identity + "/" + table["expression"].astype(str)
        return pd.DataFrame({"identity": identity, "expression": expression, "sequence": "", "name": called})
    sequence = name + "/" + table["sequence"].astype(str)
    frames = pd.DataFrame({"sequence": sequence, "identity": identity, "movement": movement}).reset_index(drop=True)
    label = np.full(len(table), "", dtype=object)
    if name == "bp4d":
        label[frames.groupby("identity")["movement"].idxmin()] = "neutral"
    else:
        groups = frames.groupby("sequence")
        peak = groups["movement"].idxmax().to_numpy()
        label[peak] = expression[peak]
        label[groups.head(1).index] = label[groups.tail(1).index] = "neutral"
    called = sequence + "/" + table["frame"].astype(str)
    return pd.DataFrame({"identity": identity, "expression": label, "sequence": sequence, "name": called})


def _with_labels(vertices: Tensor, faces: Tensor, uv: Tensor, table: pd.DataFrame, model: str) -> MeshDataset:
    identity, people = pd.factorize(table["identity"])
    expression = pd.Index(EXPRESSIONS).get_indexer(table["expression"])
    sequence = pd.factorize(table["sequence"].replace("", None))[0]
    return MeshDataset(
        vertices=vertices,
        faces=faces,
        labels={"identity": torch.from_numpy(identity), "expression": torch.from_numpy(expression)},
        label_names={"identity": tuple(people), "expression": tuple(EXPRESSIONS)},
        uv=uv,
        sequence=torch.from_numpy(sequence),
        names=tuple(table["name"]),
        name=f"face world on {model}",
    )
