"""Experiments of RRL: Tables 1 to 4 and the matrix of Fig. 2, at four scales.

``python -m facekit run rrl/table3 --data world --scale small`` pre-trains on EmotioNet's twin and probes the frozen
encoder on BP4D's. The tables share their pre-trained encoders, see ``kept_encoders``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch

from facekit.experiments import Measured, Run, experiment
from facekit.nn import STRIDES, Encoder
from facekit.rrl.baselines import SupervisedSettings, supervised_scores
from facekit.rrl.data import UNIT_PROTOCOLS, LabelledFaces, label_relation, labelled_faces
from facekit.rrl.kept_encoders import pretrained, reconstructing, untrained
from facekit.rrl.losses import LossWeights
from facekit.rrl.probe import ProbeSettings, Scores, always_present, encode, probe_scores
from facekit.rrl.published import TABLE_1, TABLE_2, TABLE_3, TABLE_4
from facekit.rrl.recipe import LaptopRecipe, Recipe

PAPER = "Song and Liu 2023"
BYOL = LossWeights(1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scale:
    """Sizes of an experiment: the pre-training, the labelled twins, the supervised baseline and the probe."""

    recipe: Recipe
    subjects: dict[str, int]
    frames: dict[str, int]
    supervised: SupervisedSettings
    probe: ProbeSettings = field(default_factory=ProbeSettings)


_NOTEBOOK = LaptopRecipe(
    faces=1000, image_size=48, steps=100, batch_size=32, base_learning_rate=0.016, warmup=10, save_every=10_000
)
_QUICK = ProbeSettings(steps=150, batch_size=256, learning_rate=3e-3, weight_decay=0.1)
SCALES = {
    "smoke": Scale(
        LaptopRecipe(faces=24, image_size=32, steps=2, batch_size=8, label_subjects=6, hidden=32, projection=16),
        {"bp4d": 6, "disfa": 6}, {"bp4d": 1, "disfa": 8}, SupervisedSettings(epochs=1), replace(_QUICK, steps=5),
    ),
    "notebook": Scale(
        _NOTEBOOK, {"bp4d": 41, "disfa": 27}, {"bp4d": 5, "disfa": 60}, SupervisedSettings(epochs=8), _QUICK
    ),
    "small": Scale(LaptopRecipe(), {"bp4d": 41, "disfa": 27}, {"bp4d": 12, "disfa": 140}, SupervisedSettings()),
    "paper": Scale(
        Recipe(), {"bp4d": 41, "disfa": 27}, {"bp4d": 0, "disfa": 4845},
        SupervisedSettings(encoder="swin_t", epochs=12, learning_rate=1e-4),
    ),
}  # fmt: skip
"""Settings of each scale; at ``paper``, a licensed data set's own size takes the place of subjects and frames."""


def _recipe(run: Run, units: str, **changes: object) -> Recipe:
    recipe = replace(SCALES[run.scale].recipe, data=run.data, seed=run.seed, units=units, progress=False, **changes)
    run.config |= {
        name: getattr(recipe, name)
        for name in ("faces", "image_size", "encoder", "steps", "batch_size", "learning_rate")
    }
    return recipe


def labelled(run: Run, name: str) -> LabelledFaces:
    """The labelled faces of a run; BP4D's or DISFA's.

    Tables ask for them before they train, so that a copy that cannot be used is not found out hours later.
    """
    size = SCALES[run.scale].recipe.image_size
    faces = (_last if run.scale == "paper" else _remembered)(run.data, run.scale, name, run.seed, size)
    run.config |= {f"{name}_images": len(faces.images)}
    return faces


def _labelled(data: str, scale: str, name: str, seed: int, image_size: int) -> LabelledFaces:
    return labelled_faces(data, name, image_size, seed, **_sizes(data, scale, name))


_remembered = lru_cache(maxsize=12)(_labelled)
"""Two twins of six seeds are some hundred megabytes."""
_last = lru_cache(maxsize=1)(_labelled)
"""At the scale ``paper`` BP4D alone is 22 gigabytes, which are read once for all rows of a table."""


def _sizes(data: str, scale: str, name: str) -> dict[str, int]:
    chosen = SCALES[scale]
    return {"subjects": chosen.subjects[name], "frames": chosen.frames[name]} if data.startswith("world") else {}


LOOKS = {
    "whole face": (False, ()),
    "whole face, every stage": (False, STRIDES),
    "face + own region, last stage": (True, (16,)),
    "face + own region, every stage": (True, STRIDES),
}
"""What a probe sees: whether attention maps are kept, and the strides of the maps that are averaged."""


def probed(run: Run, encoder: Encoder, name: str, look: str = "whole face") -> Scores:
    """F1 of a linear probe on a frozen encoder, which sees what ``LOOKS`` says."""
    faces = labelled(run, name)
    encoder = encoder.to("cuda" if torch.cuda.is_available() else "cpu")
    regional, strides = LOOKS[look]
    if regional:
        features = encode(encoder, faces.images, faces.attention(), strides)
    elif strides:
        features = encode(encoder, faces.images, torch.ones(len(faces.images), 1, 1, 1), strides)[:, 0]
    else:
        features = encode(encoder, faces.images)
    return probe_scores(features, faces, SCALES[run.scale].probe, run.seed)


def _by_unit(scores: Scores, name: str) -> dict[str, float]:
    cells = {f"AU{unit}": float(score) for unit, score in zip(UNIT_PROTOCOLS[name].units, scores.by_unit, strict=True)}
    return cells | {"mean": scores.mean}


def _columns(name: str) -> list[str]:
    return [*(f"AU{unit}" for unit in UNIT_PROTOCOLS[name].units), "mean"]


def _transfer(run: Run, name: str) -> Measured:
    """Tables 1 and 2: frozen encoders from several kinds of pre-training, and supervised training of the same one."""
    recipe, plain = _recipe(run, name), _recipe(run, "bp4d", weights=BYOL)  # without regions their AUs do not matter
    faces = labelled(run, name)
    encoders = {
        "initial weights": untrained(recipe),
        "FAb-Net-like, still pictures": reconstructing(plain),
        "BYOL": pretrained(plain),
        "RRL": pretrained(recipe),
    }
    measured = {method: probed(run, encoder, name) for method, encoder in encoders.items()}
    supervised = replace(SCALES[run.scale].supervised, encoder=recipe.encoder)
    measured["supervised, same encoder"] = supervised_scores(faces, supervised, run.seed)
    measured["always yes"] = always_present(faces)
    return {method: _by_unit(scores, name) for method, scores in measured.items()}


@experiment("rrl/table1", paper=PAPER, title="F1 (%) per AU on DISFA", columns=_columns("disfa"), published=TABLE_1)
def table1(run: Run) -> Measured:
    """Self-supervised and supervised methods on DISFA."""
    return _transfer(run, "disfa")


@experiment("rrl/table2", paper=PAPER, title="F1 (%) per AU on BP4D", columns=_columns("bp4d"), published=TABLE_2)
def table2(run: Run) -> Measured:
    """Self-supervised and supervised methods on BP4D."""
    return _transfer(run, "bp4d")


COMPONENTS = {
    "global": BYOL,
    "global + local": LossWeights(relation=0.0),
    "global + relation": LossWeights(local=0.0),
    "global + local + relation": LossWeights(),
}
"""The rows of Table 3: which terms of Eq. (7) are on."""


@experiment("rrl/table3", paper=PAPER, title="F1 (%) on BP4D by component", columns=("bp4d",), published=TABLE_3)
def table3(run: Run) -> Measured:
    """Which component helps."""
    recipes = {row: _recipe(run, "bp4d", weights=weights) for row, weights in COMPONENTS.items()}
    labelled(run, "bp4d")
    return {row: {"bp4d": probed(run, pretrained(recipe), "bp4d").mean} for row, recipe in recipes.items()}


@experiment(
    "rrl/table4", paper=PAPER, title="F1 (%) on BP4D by backbone and augmentation", columns=("bp4d",), published=TABLE_4
)
def table4(run: Run) -> Measured:
    """Backbones and augmentation. VGG-16 and Swin-T are trained at the scale ``paper``; others use a small network."""
    recipe = _recipe(run, "bp4d")
    labelled(run, "bp4d")
    if run.scale == "paper":
        rows = {
            "VGG-16, no augmentation": replace(recipe, encoder="vgg16", augment=False),
            "Swin-T, no augmentation": replace(recipe, augment=False),
            "Swin-T": recipe,
        }
    else:
        rows = {"resnet_tiny, no augmentation": replace(recipe, augment=False), "resnet_tiny": recipe}
    return {row: {"bp4d": probed(run, pretrained(chosen), "bp4d").mean} for row, chosen in rows.items()}


@experiment(
    "rrl/beyond", paper=PAPER, title="F1 (%) of probes that keep the regions (beyond the paper)",
    columns=("bp4d", "disfa"),
)  # fmt: skip
def beyond(run: Run) -> Measured:
    """The attention maps after pre-training: a linear probe on the whole face, against probes that also see the AU's
    own region of the encoder's maps, of the last one or of every stage."""
    measured: dict[str, dict[str, float]] = {}
    for name in ("bp4d", "disfa"):
        recipe = _recipe(run, name)
        labelled(run, name)
        random = untrained(recipe)
        looks = [
            ("initial weights", random, "whole face"),
            ("initial weights", random, "face + own region, every stage"),
        ]
        encoder = pretrained(recipe)
        looks += [("RRL", encoder, look) for look in LOOKS]
        for label, network, look in looks:
            measured.setdefault(f"{label}, {look}", {})[name] = probed(run, network, name, look).mean
    return measured


def _unit_pairs(name: str) -> list[str]:
    units = UNIT_PROTOCOLS[name].units
    return [f"AU{unit}-AU{other}" for place, unit in enumerate(units) for other in units[place + 1 :]]


@experiment("rrl/figure2", paper=PAPER, title="Relation matrix M of BP4D's AUs", columns=_unit_pairs("bp4d"))
def figure2(run: Run) -> Measured:
    """Fig. 2, its upper triangle; the figure's numbers are not in the text, so there is nothing to stand beside."""
    relation = label_relation(run.data, "bp4d", run.seed, **_sizes(run.data, run.scale, "bp4d"))
    upper = relation[tuple(torch.triu_indices(len(relation), len(relation), 1))]
    return {"phi, clipped to [0, 1]": dict(zip(_unit_pairs("bp4d"), upper.tolist(), strict=True))}
