"""The protocol twins: for each public data set, a part of the face world with its subjects, labels, poses and splits.

A twin answers the question "would this method, on this protocol, do what the paper says?" for a reader without the
licensed data.  Its people and pictures are synthetic; its sizes, codes, label statistics and splits are the data
set's.  `PROTOCOLS` says what each holds, `twin` makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import torch

from facekit.data.nuisance import Nuisance
from facekit.data.sources import DataError
from facekit.data.world import motion_twins, static_twins, wild_twins
from facekit.data.world.face_world import FaceWorld
from facekit.data.world.settings import TWIN_NUISANCE
from facekit.data.world.spontaneous import BP4D_RATES, BP4D_TASKS, DISFA_RATES, SPONTANEOUS
from facekit.data.world.tables import BASIC_SIX, Request
from facekit.morphable import FaceModel, LinearFaceModel


@dataclass(frozen=True)
class Protocol:
    """What a data set's protocol is made of.

    `subjects` is the published number of people; `extent` the published number of the things that `extent_name` counts
    for each of them (frames of a recording, photographs, views, lights), 0 where it differs between people.
    """

    title: str
    subjects: int
    build: Callable[[Request], pd.DataFrame]
    expressions: tuple[str, ...] = ()
    yaws: tuple[float, ...] = ()
    units: tuple[int, ...] = ()
    extent: int = 1
    extent_name: str = ""


SEVEN = ("neutral", *BASIC_SIX)

PROTOCOLS: dict[str, Protocol] = {
    "bu3dfe": Protocol("BU-3DFE", 100, static_twins.bu3dfe, SEVEN, static_twins.BU3DFE_YAWS, (), 9, "views"),
    "bosphorus": Protocol("Bosphorus", 105, static_twins.bosphorus, SEVEN, (), static_twins.BOSPHORUS_UNITS),
    "bu4dfe": Protocol("BU-4DFE", 101, motion_twins.bu4dfe, BASIC_SIX, extent=100, extent_name="frames"),
    "bp4d": Protocol(
        "BP4D-Spontaneous", 41, motion_twins.bp4d, BP4D_TASKS, (), tuple(BP4D_RATES), 0, "frames"
    ),
    "disfa": Protocol("DISFA", 27, motion_twins.disfa, (), (), tuple(DISFA_RATES), 4_845, "frames"),
    "kdef": Protocol("KDEF", 70, static_twins.kdef, SEVEN, static_twins.KDEF_YAWS, (), 2, "sessions"),
    "multipie": Protocol(
        "CMU Multi-PIE", 337, static_twins.multipie, ("neutral", "smile", "surprise", "squint", "disgust", "scream"),
        static_twins.MULTIPIE_YAWS, (), 20, "lights",
    ),
    "sfew": Protocol("SFEW 2.0", 350, wild_twins.sfew, SEVEN),
    "celeba": Protocol("CelebA", 10_177, wild_twins.celeba, extent=0, extent_name="photos"),
    "300wlp": Protocol("300W-LP", 3_837, wild_twins.wlp300, extent=0, extent_name="views"),
    "aflw2000": Protocol("AFLW2000-3D", 2_000, wild_twins.aflw2000),
    "micc": Protocol("MICC Florence", 53, static_twins.micc, ("neutral",), extent=30, extent_name="frames"),
    "emotionet": Protocol("EmotioNet", 950_000, wild_twins.emotionet),
    "fanelli": Protocol("Fanelli B3D(AC)^2", 14, motion_twins.fanelli, BASIC_SIX, extent=117, extent_name="frames"),
}  # fmt: skip
"""Name of each twin to what its data set's protocol is made of."""


def twin_table(name: str, subjects: int | None = None, seed: int = 0, **sizes: int) -> pd.DataFrame:
    """The manifest of a twin: the published size, or another number of `subjects`.

    Some twins take one more size for each person: `frames` of a recording (bu4dfe, bp4d, disfa, fanelli, micc),
    `photos` (celeba), `views` (bu3dfe, 300wlp), `lights` (multipie), `sessions` (kdef).  Fewer frames are spread evenly
    over the recording, which stays as long as it is.

    Raises:
        DataError: if the name, a size's name or its value is not one that exists.
    """
    if name not in PROTOCOLS:
        raise DataError(f"{name!r} has no twin; known are {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    unknown = [size for size in sizes if size != protocol.extent_name]
    if unknown:
        takes = f"it takes subjects and {protocol.extent_name}" if protocol.extent_name else "it takes subjects only"
        raise DataError(f"the twin of {protocol.title} has no size named {unknown[0]!r}; {takes}")
    count = protocol.subjects if subjects is None else int(subjects)
    extent = int(sizes.get(protocol.extent_name, protocol.extent))
    if count < 1 or extent < (0 if protocol.extent == 0 else 1):
        raise DataError(f"the sizes of the twin of {protocol.title} must be positive, found {count} and {extent}")
    try:
        return protocol.build(Request(name, count, int(seed), extent))
    except ValueError as error:
        raise DataError(f"the twin of {protocol.title} cannot be made: {error}") from error


def twin(
    name: str,
    subjects: int | None = None,
    image_size: int = 112,
    model: FaceModel | None = None,
    seed: int = 0,
    nuisance: Nuisance | Mapping[str, Nuisance] | None = None,
    outputs: tuple[str, ...] | None = None,
    fit_with: LinearFaceModel | None = None,
    device: torch.device | str = "cpu",
    **sizes: int,
) -> FaceWorld:
    """The face world under the protocol of a public data set.

    `model` is the procedural face unless another face model is given; `nuisance` replaces the twin's own settings;
    `sizes` are those of `twin_table`; `outputs`, `fit_with` (for 3DMM coefficients, as 300W-LP has them) and `device`
    are those of `FaceWorld`.
    """
    table = twin_table(name, subjects, seed, **sizes)
    return FaceWorld(
        table, model=model, image_size=image_size, nuisance=nuisance or TWIN_NUISANCE[name],
        process=SPONTANEOUS.get(name), outputs=outputs, fit_with=fit_with, device=device,
        name=f"twin of {PROTOCOLS[name].title}",
    )  # fmt: skip
