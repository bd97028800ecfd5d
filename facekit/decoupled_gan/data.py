"""Registered meshes with sparse labels: what the decoupled face model is trained on.

Fernandez Abrevaya et al. (2019), Section 5.2: every mesh has the same triangles, all have an identity label, few have
an expression label, and many are frames of sequences. A label of -1 means that the mesh has none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.data import DataError
from facekit.decoupled_gan.losses import UNLABELLED
from facekit.meshes import check_uv, flipped_triangles, harmonic_uv, load_mesh

CHUNK = 1024


class MeshDataError(DataError):
    """A set of registered meshes that cannot be trained on; the message names the sample."""


@dataclass(frozen=True)
class MeshDataset:
    """Meshes in dense correspondence with labels for some factors.

    Args:
        vertices: (N, V, 3) float32 in millimetres, rigidly aligned; may be memory-mapped.
        faces: (F, 3) int64, the triangles that all samples share.
        labels: factor -> (N,) int64, ``-1`` where a sample has no label.
        label_names: factor -> names of its labels; label k of the factor is called ``label_names[factor][k]``.
        uv: (V, 2) flattening onto the unit square without turned-over triangles; computed from the mean if None.
        sequence: (N,) int64 number of the recording that a mesh is a frame of, -1 for single scans; optional.
        names: what error messages call the samples; "sample <i>" if empty.
        name: name of the set.

    Raises:
        MeshDataError: shapes do not fit, a coordinate is not finite, a label is out of range, or the UV map has flipped
            triangles. The message names the first sample that is wrong.
    """

    vertices: Tensor
    faces: Tensor
    labels: Mapping[str, Tensor]
    label_names: Mapping[str, tuple[str, ...]]
    uv: Tensor | None = None
    sequence: Tensor | None = None
    names: Sequence[str] = field(default=(), repr=False)
    name: str = "meshes"

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_labels()
        self._check_vertices()
        if self.uv is None:
            object.__setattr__(self, "uv", flatten(self.mean(), self.faces))
        try:
            check_uv(self.uv, self.faces, f"uv map of {self.name}")
        except ValueError as error:
            raise MeshDataError(str(error)) from error

    def __len__(self) -> int:
        return len(self.vertices)

    @property
    def num_vertices(self) -> int:
        return self.vertices.shape[1]

    @property
    def num_labels(self) -> dict[str, int]:
        """Number of distinct labels of each factor."""
        return {factor: len(names) for factor, names in self.label_names.items()}

    def sample_name(self, index: int) -> str:
        """What messages call sample ``index``."""
        return self.names[index] if self.names else f"sample {index}"

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """``vertices (B, V, 3)`` and one entry (B,) for each factor."""
        return {"vertices": self.vertices[rows], **{factor: label[rows] for factor, label in self.labels.items()}}

    def mean(self) -> Tensor:
        """Mean mesh (V, 3): the reference that displacements are taken from."""
        total = sum(chunk.double().sum(dim=0) for chunk in self.vertices.split(CHUNK))
        return (total / len(self)).to(self.vertices.dtype)

    def subset(self, rows: Tensor) -> "MeshDataset":
        """The samples ``rows`` (M,), with the same labels and the same map."""
        return replace(
            self,
            vertices=self.vertices[rows],
            labels={factor: label[rows] for factor, label in self.labels.items()},
            sequence=None if self.sequence is None else self.sequence[rows],
            names=tuple(self.names[i] for i in rows.tolist()) if self.names else (),
        )

    def save(self, folder: str | Path) -> None:
        """Write the set as ``vertices.npy`` (which ``load`` maps into memory), ``labels.npz`` and ``names.json``.

        A set that is there already stays whole until the new vertices are written, and may be this set itself. A save
        that was broken off later leaves no ``names.json``, and so nothing that ``load`` takes for a set.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "vertices.partial.npy"
        np.save(partial, self.vertices.numpy())
        (folder / "names.json").unlink(missing_ok=True)
        partial.replace(folder / "vertices.npy")
        arrays = {f"label_{factor}": label.numpy() for factor, label in self.labels.items()}
        if self.sequence is not None:
            arrays["sequence"] = self.sequence.numpy()
        np.savez(folder / "labels.npz", faces=self.faces.numpy(), uv=self.uv.numpy(), **arrays)
        label_names = {factor: list(names) for factor, names in self.label_names.items()}
        texts = {"name": self.name, "label_names": label_names, "names": list(self.names)}
        (folder / "names.json").write_text(json.dumps(texts), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "MeshDataset":
        """Read what ``save`` wrote; the vertices stay on disk until they are asked for.

        Raises:
            MeshDataError: the folder does not hold a saved set.
        """
        folder = Path(folder)
        missing = [name for name in ("vertices.npy", "labels.npz", "names.json") if not (folder / name).is_file()]
        if missing:
            raise MeshDataError(f"{folder} holds no saved meshes: {missing[0]} is missing")
        texts = json.loads((folder / "names.json").read_text(encoding="utf-8"))
        with np.load(folder / "labels.npz") as arrays:
            tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        return cls(
            vertices=torch.from_numpy(np.load(folder / "vertices.npy", mmap_mode="c")),
            faces=tensors["faces"],
            labels={factor: tensors[f"label_{factor}"] for factor in texts["label_names"]},
            label_names={factor: tuple(names) for factor, names in texts["label_names"].items()},
            uv=tensors["uv"],
            sequence=tensors.get("sequence"),
            names=tuple(texts["names"]),
            name=texts["name"],
        )

    def _check_shapes(self) -> None:
        if self.vertices.ndim != 3 or self.vertices.shape[2] != 3 or not len(self.vertices):
            raise MeshDataError(f"{self.name}: vertices must be (N, V, 3), found {tuple(self.vertices.shape)}")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or self.faces.max() >= self.num_vertices:
            raise MeshDataError(f"{self.name}: faces must be (F, 3) with ids below {self.num_vertices}")
        if set(self.labels) != set(self.label_names):
            found, named = sorted(self.labels), sorted(self.label_names)
            raise MeshDataError(f"{self.name}: there are labels of {found}, but names of labels of {named}")
        lengths = {factor: len(label) for factor, label in self.labels.items()}
        lengths |= {} if self.sequence is None else {"sequence": len(self.sequence)}
        lengths |= {"names": len(self.names)} if self.names else {}
        for what, length in lengths.items():
            if length != len(self):
                raise MeshDataError(f"{self.name}: {what} has {length} entries for {len(self)} meshes")

    def _check_labels(self) -> None:
        for factor, label in self.labels.items():
            count = len(self.label_names[factor])
            wrong = ((label < UNLABELLED) | (label >= count)).nonzero().flatten()
            if len(wrong):
                index = int(wrong[0])
                raise MeshDataError(
                    f"{self.sample_name(index)}: {factor} label is {int(label[index])}, "
                    f"expected 0 to {count - 1}, or -1 for none"
                )

    def _check_vertices(self) -> None:
        for start, chunk in zip(range(0, len(self), CHUNK), self.vertices.split(CHUNK), strict=True):
            finite = chunk.isfinite().flatten(1).all(dim=1)
            if not finite.all():
                index = start + int((~finite).nonzero()[0])
                raise MeshDataError(f"{self.sample_name(index)}: has a coordinate that is not finite")


def flatten(vertices: Tensor, faces: Tensor, symmetry: Tensor | None = None) -> Tensor:
    """UV map (V, 2) of a reference mesh: harmonic as in the paper, or mean-value where that turns a triangle over."""
    uv = harmonic_uv(vertices, faces, symmetry=symmetry)
    if len(flipped_triangles(uv, faces)):
        uv = harmonic_uv(vertices, faces, weights="mean_value", symmetry=symmetry)
    return uv


def from_meshes(
    meshes: Sequence[tuple[Tensor, Tensor]],
    labels: Mapping[str, Sequence[int]],
    label_names: Mapping[str, Sequence[str]],
    names: Sequence[str] = (),
    **rest,
) -> MeshDataset:
    """A set from single meshes ``(vertices (V, 3), faces (F, 3))`` that must all have the first one's triangles.

    Raises:
        MeshDataError: a mesh differs in topology; the message names it.
    """
    called = list(names) or [f"sample {i}" for i in range(len(meshes))]
    if not meshes:
        raise MeshDataError("expected at least one mesh, found none")
    first, faces = meshes[0]
    for name, (vertices, triangles) in zip(called, meshes, strict=True):
        if vertices.shape != first.shape:
            raise MeshDataError(f"{name}: has {len(vertices)} vertices, {called[0]} has {len(first)}")
        if triangles.shape != faces.shape or not torch.equal(triangles, faces):
            raise MeshDataError(f"{name}: its triangles differ from those of {called[0]}")
    return MeshDataset(
        vertices=torch.stack([vertices.float() for vertices, _ in meshes]),
        faces=faces.long(),
        labels={factor: torch.as_tensor(values, dtype=torch.int64) for factor, values in labels.items()},
        label_names={factor: tuple(values) for factor, values in label_names.items()},
        names=tuple(called),
        **rest,
    )


def from_files(paths: Sequence[str | Path], labels, label_names, **rest) -> MeshDataset:
    """As ``from_meshes``, from OBJ, PLY or GLB files."""
    meshes = [load_mesh(path) for path in paths]
    return from_meshes([(m.vertices, m.faces) for m in meshes], labels, label_names, [str(p) for p in paths], **rest)
