"""Experiments of RRL: Tables 1 to 4 and the matrix of Fig. 2, at four scales.

``python -m facekit run rrl/table3 --data world --scale small`` pre-trains on EmotioNet's twin and probes the frozen
encoder on BP4D's. The tables share their pre-trained encoders: each one's run stays in ``runs/rrl_experiments``, named
by its settings and by the package's code, and is continued or reused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from facekit.experiments import Measured, Run, experiment
from facekit.nn import Encoder
from facekit.rrl.baselines import SupervisedSettings, pretrain_by_reconstruction, supervised_scores
from facekit.rrl.data import UNIT_PROTOCOLS, LabelledFaces, labelled_faces
from facekit.rrl.losses import LossWeights
from facekit.rrl.probe import Scores, always_present, encode, probe_scores
from facekit.rrl.published import TABLE_1, TABLE_2, TABLE_3, TABLE_4
from facekit.rrl.recipe import LaptopRecipe, Recipe, build_model, open_pairs, training_loop
from facekit.training import config_to_dict, distributed_run, load_weights, save_weights

RUNS = Path("runs/rrl_experiments")
PAPER = "Song and Liu 2023"
BYOL = LossWeights(1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scale:
    """Sizes of an experiment: the pre-training, the labelled twins and the supervised baseline."""

    recipe: Recipe
    subjects: dict[str, int]
    frames: dict[str, int]
    supervised: SupervisedSettings


_NOTEBOOK = LaptopRecipe(faces=1500, image_size=48, steps=100, save_every=10_000)
SCALES = {
    "smoke": Scale(
        LaptopRecipe(faces=24, image_size=32, steps=2, batch_size=8, label_subjects=6, hidden=32, projection=16),
        {"bp4d": 6, "disfa": 6}, {"bp4d": 1, "disfa": 8}, SupervisedSettings(epochs=1),
    ),
    "notebook": Scale(_NOTEBOOK, {"bp4d": 41, "disfa": 27}, {"bp4d": 5, "disfa": 60}, SupervisedSettings(epochs=8)),
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


@lru_cache(maxsize=2)
def _faces(data: str, scale: str, name: str, seed: int, image_size: int) -> LabelledFaces:
    chosen = SCALES[scale]
    sizes = {"subjects": chosen.subjects[name], "frames": chosen.frames[name]} if data.startswith("world") else {}
    return labelled_faces(data, name, image_size, seed, **sizes)


def labelled(run: Run, name: str) -> LabelledFaces:
    """The labelled faces of a run; BP4D's or DISFA's."""
    faces = _faces(run.data, run.scale, name, run.seed, SCALES[run.scale].recipe.image_size)
    run.config |= {f"{name}_images": len(faces.images)}
    return faces


def pretrained(recipe: Recipe) -> Encoder:
    """The encoder that a recipe makes, trained now or found where an earlier experiment left it."""

    def train(folder: Path) -> Encoder:
        with distributed_run(recipe) as world:
            model = build_model(recipe).to(world.device)
            training_loop(replace(recipe, out_dir=str(folder)), world, model, open_pairs(recipe)).run()
            return model.online.encoder

    return _kept(recipe, "rrl", train)


def reconstructing(recipe: Recipe) -> Encoder:
    """The encoder that learns by reconstruction with a recipe's sizes, kept likewise."""
    return _kept(recipe, "flow", lambda folder: pretrain_by_reconstruction(recipe, open_pairs(recipe).faces))


def untrained(recipe: Recipe) -> Encoder:
    """The encoder with its initial weights."""
    with distributed_run(recipe):
        return Encoder(recipe.encoder, weights=recipe.encoder_weights).eval()


def _kept(recipe: Recipe, kind: str, train: Callable[[Path], Encoder]) -> Encoder:
    settings = config_to_dict(recipe) | {"kind": kind, "out_dir": "", "code": _code()}
    name = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8).hexdigest()
    folder = RUNS / f"{kind}-{name}"
    file = folder / "encoder.pt"
    if file.exists():
        encoder = Encoder(recipe.encoder)
        load_weights(file, {"encoder": encoder})
        return encoder.eval()
    encoder = train(folder).cpu().eval()
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(file, {"encoder": encoder})
    return encoder


@lru_cache
def _code() -> str:
    """A text that changes with the package's code, so that no encoder outlives the code that trained it."""
    package = Path(__file__).parents[1]
    files = sorted(package.rglob("*.py"))
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


def probed(run: Run, encoder: Encoder, name: str, regional: bool = False) -> Scores:
    """F1 of a linear probe on a frozen encoder; ``regional`` adds to each AU the feature of its own region."""
    faces = labelled(run, name)
    encoder = encoder.to("cuda" if torch.cuda.is_available() else "cpu")
    features = encode(encoder, faces.images, faces.attention() if regional else None)
    return probe_scores(features, faces, seed=run.seed)


def _by_unit(scores: Scores, name: str) -> dict[str, float]:
    cells = {f"AU{unit}": float(score) for unit, score in zip(UNIT_PROTOCOLS[name].units, scores.by_unit, strict=True)}
    return cells | {"mean": scores.mean}


def _columns(name: str) -> list[str]:
    return [*(f"AU{unit}" for unit in UNIT_PROTOCOLS[name].units), "mean"]


def _transfer(run: Run, name: str) -> Measured:
    """Tables 1 and 2: frozen encoders from several kinds of pre-training, and supervised training of the same one."""
    recipe = _recipe(run, name)
    encoders = {
        "initial weights": untrained(recipe),
        "FAb-Net-like, still pictures": reconstructing(recipe),
        "BYOL": pretrained(replace(recipe, weights=BYOL)),
        "RRL": pretrained(recipe),
    }
    measured = {method: probed(run, encoder, name) for method, encoder in encoders.items()}
    faces = labelled(run, name)
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
    return {row: {"bp4d": probed(run, pretrained(recipe), "bp4d").mean} for row, recipe in recipes.items()}


@experiment(
    "rrl/table4", paper=PAPER, title="F1 (%) on BP4D by backbone and augmentation", columns=("bp4d",), published=TABLE_4
)
def table4(run: Run) -> Measured:
    """Backbones and augmentation. VGG-16 and Swin-T are trained at the scale ``paper``; others use a small network."""
    recipe = _recipe(run, "bp4d")
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
    """The attention maps after pre-training: a linear probe on the whole face, against one that also sees the AU's own
    region of the encoder's map."""
    measured: dict[str, dict[str, float]] = {}
    for name in ("bp4d", "disfa"):
        recipe = _recipe(run, name)
        for label, encoder in (("initial weights", untrained(recipe)), ("RRL", pretrained(recipe))):
            for regional in (False, True):
                row = f"{label}, {'face + own region' if regional else 'whole face'}"
                measured.setdefault(row, {})[name] = probed(run, encoder, name, regional).mean
    return measured


def _pairs(name: str) -> list[str]:
    units = UNIT_PROTOCOLS[name].units
    return [f"AU{unit}-AU{other}" for place, unit in enumerate(units) for other in units[place + 1 :]]


@experiment("rrl/figure2", paper=PAPER, title="Relation matrix M of BP4D's AUs", columns=_pairs("bp4d"))
def figure2(run: Run) -> Measured:
    """Fig. 2, its upper triangle; the figure's numbers are not in the text, so there is nothing to stand beside."""
    relation = labelled(run, "bp4d").relation()
    upper = relation[tuple(torch.triu_indices(len(relation), len(relation), 1))]
    return {"phi, clipped to [0, 1]": dict(zip(_pairs("bp4d"), upper.tolist(), strict=True))}
