"""Pre-trained encoders that several experiments share: trained once, then found again.

Each one's run stays in ``runs/rrl_experiments``, named by its settings, the package's code and the files of copies of
data sets, and is continued or reused, by a later command, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from facekit.data import parse_data
from facekit.data.cache import table_hash
from facekit.nn import Encoder
from facekit.rrl.baselines import pretrain_by_reconstruction
from facekit.rrl.data import FacePairs, unlabelled_faces
from facekit.rrl.recipe import Recipe, build_model, open_pairs, training_loop
from facekit.training import config_to_dict, distributed_run, load_weights, save_weights

RUNS = Path("runs/rrl_experiments")

_unlabelled = lru_cache(maxsize=6)(unlabelled_faces)


def _pairs(recipe: Recipe) -> FacePairs:
    """Views of the unlabelled faces, which are made once for all encoders of a seed."""
    faces = _unlabelled(recipe.data, recipe.image_size, recipe.faces, recipe.seed, recipe.in_memory)
    return open_pairs(recipe, faces)


def pretrained(recipe: Recipe) -> Encoder:
    """The encoder that a recipe makes, trained now or found where an earlier experiment left it."""

    def train(folder: Path) -> Encoder:
        with distributed_run(recipe) as world:
            model = build_model(recipe).to(world.device)
            training_loop(replace(recipe, out_dir=str(folder)), world, model, _pairs(recipe)).run()
            return model.online.encoder

    return _kept(recipe, "rrl", train)


def reconstructing(recipe: Recipe) -> Encoder:
    """The encoder that learns by reconstruction with a recipe's sizes, kept likewise."""
    return _kept(recipe, "flow", lambda folder: pretrain_by_reconstruction(recipe, _pairs(recipe).faces))


def untrained(recipe: Recipe) -> Encoder:
    """The encoder with its initial weights."""
    with distributed_run(recipe):
        return Encoder(recipe.encoder, weights=recipe.encoder_weights).eval()


def _kept(recipe: Recipe, kind: str, train: Callable[[Path], Encoder]) -> Encoder:
    copies = _copies(recipe.data, recipe.units)
    settings = config_to_dict(recipe) | {"kind": kind, "out_dir": "", "code": _code(), "copies": copies}
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


@lru_cache(maxsize=16)
def _copies(data: str, units: str) -> list[str]:
    """Texts that change with the files and labels of copies, so that no encoder outlives the data that trained it."""
    choice = parse_data(data)
    asked = [name for name in ("emotionet", units) if name in choice.folders or "own" in choice.folders]
    sources = [choice.open(name) for name in asked]
    return [f"{table_hash(source.table)} {json.dumps(source.describe(), sort_keys=True)}" for source in sources]


@lru_cache
def _code() -> str:
    """A text that changes with the package's code, so that no encoder outlives the code that trained it."""
    package = Path(__file__).parents[1]
    files = sorted(package.rglob("*.py"))
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()
