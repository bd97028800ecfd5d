"""The face world: synthetic people before a synthetic camera, with every label there is.

Row i of the table is a person (`person`), a performance (`take`) and an image of it (`seed`); everything in the sample
is computed from these, from the row's labels and from the nuisance settings, so that it is the same on every machine,
in every worker and in whatever batch it is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data.encodings import expression_ids, positions
from facekit.data.manifest import EXPRESSION_LABELS, OCCLUDERS
from facekit.data.nuisance import (
    Nuisance,
    Occluders,
    RowSettings,
    camera_faults,
    flash_lights,
    random_backgrounds,
    random_lights,
    settings_of_rows,
)
from facekit.data.randomness import derive_seeds, row_uniform, seeded_generator
from facekit.data.sources import DataError, DataSource, Sample
from facekit.data.transforms import mirror_some
from facekit.data.world.framing import Framing
from facekit.data.world.outputs import PICTURES, checked_outputs, visible_landmarks
from facekit.data.world.performance import perform
from facekit.data.world.plain_paint import PlainPaint
from facekit.data.world.spontaneous import SpontaneousProcess
from facekit.morphable import FaceModel, LinearFaceModel
from facekit.render import Rendering, render_mesh

_REMEMBERED = 20_000  # people whose codes are kept


class FaceWorld(DataSource):
    """A data source that makes its samples.

    Args:
        table: a manifest with the columns `person`, `take`, `seed`, `performed` and `activation`.
        model: the face model; the procedural face at level 1 if None.
        image_size: width and height of the images in pixels.
        nuisance: the settings of difficulty, or one record for each value of the column `condition`.
        process: how spontaneous recordings (rows without an activation) move.
        outputs: names of `OUTPUTS` that a batch holds; all but the fitted codes if None.  Fewer is faster: without one
            of `PICTURES` nothing is rendered.
        fit_with: a linear model of the same mesh, for the fitted codes, as data sets with 3DMM coefficients have them.
        device: where faces are made and rendered.

    Raises:
        DataError: if the table lacks a column, or an output does not exist or cannot be made.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        model: FaceModel | None = None,
        image_size: int = 112,
        nuisance: Nuisance | Mapping[str, Nuisance] | None = None,
        process: SpontaneousProcess | None = None,
        outputs: tuple[str, ...] | None = None,
        fit_with: LinearFaceModel | None = None,
        device: torch.device | str = "cpu",
        name: str = "face world",
    ):
        absent = [column for column in ("person", "take", "seed", "performed", "activation") if column not in table]
        if absent:
            raise DataError(f"{name}: the table lacks the column {absent[0]!r}")
        if image_size < 8:
            raise DataError(f"{name}: image_size must be at least 8 pixels, found {image_size}")
        super().__init__(table, name=name)
        self.model = (_procedural_face() if model is None else model).to(device)
        if len(self.model.landmarks) != 68:
            raise DataError(f"{name}: face model {self.model.name!r} has no landmarks, which framing needs")
        self.image_size = int(image_size)
        self.nuisance = Nuisance() if nuisance is None else nuisance
        self.process = process
        self.fit_with = fit_with
        self.device = torch.device(device)
        self.outputs = checked_outputs(outputs, fit_with, name)
        self.framing = Framing.of(self.model, self.image_size)
        self._people: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def load(self, rows: pd.DataFrame) -> Sample:
        """The samples of some rows of the table."""
        settings = settings_of_rows(self.nuisance, rows)
        sample = self._labels(rows)
        sample["action_units"], sample["gaze"] = perform(rows, settings, self.process)
        sample |= self._face(rows, sample)
        flipped = _mirrored_rows(rows)
        sample["pose"] = self.framing.poses(rows, settings, flipped).to(self.device)
        sample["light"] = self._lights(rows, settings)
        sample["occluder"] = _occluders(rows, settings)
        sample["landmarks_3d"] = sample["vertices"][:, self.model.landmarks]
        if set(self.outputs) & {*PICTURES, "landmarks"}:
            sample |= self._pictures(rows, settings, sample)
        if self.fit_with is not None:
            codes = self.fit_with.fit(sample["vertices"])
            sample["fitted_identity_code"], sample["fitted_expression_code"] = codes
        sample = {key: value.to(self.device) for key, value in sample.items() if key in self.outputs}
        if flipped.any():
            sample = self._mirrored(sample, torch.from_numpy(flipped).to(self.device))
        return {key: sample[key] for key in self.outputs}

    def describe(self) -> dict[str, object]:
        """The settings that the samples depend on beside the table, and a checksum of the face model."""
        nobody = torch.zeros(1, self.model.num_identity, device=self.device)
        average = self.model.shape(nobody, self.model.neutral_expression())
        return {
            "name": self.name, "model": self.model.name, "average_face": round(float(average.square().mean()), 3),
            "image_size": self.image_size, "nuisance": repr(self.nuisance), "process": repr(self.process),
            "outputs": self.outputs,
        }  # fmt: skip

    def scan(self, subject: str) -> tuple[Tensor, Tensor]:
        """The neutral face of a subject: vertices (V, 3) in millimetres and the triangles (F, 3)."""
        rows = np.flatnonzero((self.table["subject"] == subject).to_numpy())
        if len(rows) == 0:
            raise DataError(f"{self.name} has no subject named {subject!r}")
        first = self.table.iloc[rows[:1]]
        identity, _ = self._person(int(first["person"].iloc[0]), _sexes(first)[0])
        return self.model.shape(identity[None], self.model.neutral_expression())[0], self.model.faces

    @cached_property
    def _props(self) -> Occluders:
        return Occluders()

    def _labels(self, rows: pd.DataFrame) -> Sample:
        performed = rows["performed"].astype(str).where(rows["activation"].notna(), "")
        intensity = rows["intensity"].to_numpy() if "intensity" in rows else np.full(len(rows), -1)
        labels = {
            "expression": expression_ids(rows.get("expression", [""] * len(rows)), EXPRESSION_LABELS),
            "performed": expression_ids(performed, EXPRESSION_LABELS),
            "intensity": intensity.astype(np.int64),
            "activation": rows["activation"].to_numpy(dtype=np.float32),
            "person": rows["person"].to_numpy(dtype=np.int64),
            "row": rows.index.to_numpy(dtype=np.int64),
        }
        return {key: torch.from_numpy(np.array(value)) for key, value in labels.items()}

    def _person(self, person: int, sex: str = "") -> tuple[Tensor, Tensor]:
        """Identity code (num_identity,) and texture code (num_texture,) of a person; recent people are remembered.

        Somebody drawn with the other sex than the one stated becomes their opposite, who is as likely.
        """
        if person not in self._people:
            if len(self._people) >= _REMEMBERED:
                self._people.clear()
            generator = seeded_generator(person)
            identity = self.model.sample_identity(1, generator)
            if self.model.sex_trait is not None and sex:
                drawn_male = bool(identity[0, self.model.sex_trait] > 0)
                identity = identity if drawn_male == (sex == "M") else -identity
            self._people[person] = identity[0], self.model.sample_texture(1, generator, identity)[0]
        return self._people[person]

    def _face(self, rows: pd.DataFrame, sample: Sample) -> Sample:
        people = [self._person(*row) for row in zip(rows["person"].tolist(), _sexes(rows), strict=True)]
        identity = torch.stack([identity for identity, _ in people])
        texture = torch.stack([texture for _, texture in people])
        units, gaze = (sample[key].to(identity) for key in ("action_units", "gaze"))
        expression = self.model.expression_code(units, gaze)
        if self.model.num_texture:
            vertices, albedo = self.model.face(identity, expression, texture)
        else:
            vertices = self.model.shape(identity, expression)
            albedo = self._paint(rows["person"].to_numpy(), gaze).to(vertices)
        return {
            "identity_code": identity,
            "texture_code": texture,
            "expression_code": expression,
            "vertices": vertices,
            "vertex_albedo": albedo,
        }

    @cached_property
    def _paint(self) -> PlainPaint:
        return PlainPaint(self.model)

    def _lights(self, rows: pd.DataFrame, settings: RowSettings) -> Tensor:
        takes = rows["take"].to_numpy()
        light = random_lights(takes, settings)
        if "lighting" in rows:
            flash = rows["lighting"].to_numpy()
            studio = flash_lights(takes, np.maximum(flash, 0), settings)
            light = torch.where(torch.from_numpy(flash >= 0)[:, None, None], studio, light)
        return light.to(self.device)

    def _pictures(self, rows: pd.DataFrame, settings: RowSettings, sample: Sample) -> Sample:
        vertices, albedo, faces = sample["vertices"], sample["vertex_albedo"], self.model.faces
        kinds, takes = sample["occluder"].numpy(), rows["take"].to_numpy()
        if (kinds >= 0).any():
            skin, hair = _skin_and_hair(vertices, albedo, self.model)
            props, colours = self._props.build(kinds, takes, sample["landmarks_3d"], skin, hair)
            vertices, albedo = torch.cat([vertices, props], dim=1), torch.cat([albedo, colours], dim=1)
            faces = torch.cat([faces, self._props.faces.to(faces) + self.model.num_vertices])
        scene = derive_seeds(takes, self.framing.cameras(rows, _mirrored_rows(rows)), "scene")
        background = random_backgrounds(scene, settings["clutter"], self.image_size).to(self.device)
        picture = render_mesh(
            vertices, faces, albedo, sample["pose"], sample["light"], self.image_size,
            background=background, landmarks=self.model.landmarks,
        )  # fmt: skip
        image = camera_faults(picture.image, rows["seed"].to_numpy(), settings)
        return {"image": image, **self._layers(picture, sample)}

    def _layers(self, picture: Rendering, sample: Sample) -> Sample:
        face = picture.fragments.face[:, None]
        layers = {
            "mask": (face >= 0) & (face < len(self.model.faces)),
            "occluder_mask": face >= len(self.model.faces),
            "landmarks": picture.landmarks,
        }
        for key in ("depth", "normals", "albedo"):
            if key in self.outputs:
                layers[key] = getattr(picture, key)
        if "landmarks_visible" in self.outputs:
            layers["landmarks_visible"] = visible_landmarks(picture, self.model, layers["mask"])
        return layers

    def _mirrored(self, sample: Sample, flipped: Tensor) -> Sample:
        """Rows that are mirror images keep the codes of the person that they mirror."""
        codes = {key: value for key, value in sample.items() if key.endswith("_code")}
        return mirror_some(sample, flipped, self.model.symmetry) | codes


def _procedural_face() -> FaceModel:
    from facekit.morphable import ProceduralFace

    return ProceduralFace(level=1)


def _sexes(rows: pd.DataFrame) -> list[str]:
    """F or M where it is stated, else empty, for each row."""
    return rows["sex"].tolist() if "sex" in rows else [""] * len(rows)


def _mirrored_rows(rows: pd.DataFrame) -> np.ndarray:
    """True (B,) for rows that are mirror images of others."""
    return rows["mirrored"].to_numpy(copy=True) if "mirrored" in rows else np.zeros(len(rows), dtype=bool)


def _occluders(rows: pd.DataFrame, settings: RowSettings) -> Tensor:
    """Position in OCCLUDERS (B,) int64, -1 for none: what the manifest says, or drawn where it says nothing."""
    draw = row_uniform(rows["take"].to_numpy(), "occluder")[:, 0]
    shares = np.stack([settings[name] for name in OCCLUDERS], axis=1).cumsum(axis=1)
    drawn = (draw[:, None] >= shares).sum(axis=1)
    drawn = np.where(drawn == len(OCCLUDERS), -1, drawn)
    if "occluder" in rows:
        stated = positions(rows["occluder"], OCCLUDERS)
        drawn = np.where(stated >= 0, stated, drawn)
    return torch.from_numpy(drawn.astype(np.int64))


def _skin_and_hair(vertices: Tensor, albedo: Tensor, model: FaceModel) -> tuple[Tensor, Tensor]:
    """Mean linear RGB (B, 3) of the skin and of the top of the head (at most half the skin, should it be bald)."""
    region = model.regions.get("skin")
    skin = (albedo if region is None else albedo[:, region]).mean(dim=1)
    top = vertices[..., 1].topk(max(1, model.num_vertices // 100), dim=1).indices
    hair = albedo.gather(1, top[..., None].expand(-1, -1, 3)).mean(dim=1)
    return skin, torch.minimum(hair, 0.5 * skin)
