"""Meshes for figures like the paper's 3 to 10, of every model of a comparison, in one compressed file.

``figure_meshes`` samples them; ``mesh_arrays`` and ``load_meshes`` keep them at a hundredth of a millimetre.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facekit.decoupled_gan.comparison import Setting, meshes_of, model_of
from facekit.decoupled_gan.evaluation import FaceSampler
from facekit.decoupled_gan.experiments import fit, unseen_faces
from facekit.decoupled_gan.manipulation import add_expression, replace_expression
from facekit.metrics import nearest_training_mesh

METHODS = (
    "without mesh regularisation",
    "without expression classification",
    "without feature loss",
    "MAE",
    "COMA",
    "decoupled GAN",
    "decoupled GAN, linear start",
)
FITTED = ("MAE", "COMA", "decoupled GAN", "decoupled GAN, linear start")
PER_MILLIMETRE = 100


def figure_meshes(setting: Setting, count: int = 5) -> dict[str, Tensor]:
    """Meshes (B, V, 3) in millimetres by ``<method>/<figure>``.

    ``samples``: rows of ``count`` meshes: at random, one person, one expression (Figures 3, 8, 9). ``transfer``: two
    rows of source, target, replaced and added (Figures 4, 6). ``specificity``: the three samples nearest to a training
    mesh and the three farthest (Figure 7). ``fit/truth`` and ``fit/<method>``: faces never seen, and their fits for
    lambda = 0 and 10 (Figure 10); ``fit/landmarks`` holds the landmarks of the first face. ``walk``: for the full
    model, steps along a code of identity, of expression and of noise (T, 3, V, 3).
    """
    found = {}
    for method in METHODS:
        model = model_of(setting, method)
        found[f"{method}/samples"] = _rows(model, count)
        found[f"{method}/transfer"] = _transfers(model)
        found[f"{method}/specificity"] = _extremes(model, meshes_of(setting).vertices)
    found["walk"] = walk(model_of(setting, "decoupled GAN"))
    return found | _fits(setting)


@torch.no_grad()
def _rows(model: FaceSampler, count: int) -> Tensor:
    random = torch.Generator().manual_seed(3)
    rows = [model.sample_codes(count, random) for _ in range(3)]
    for row, factor in zip(rows[1:], ("identity", "expression"), strict=True):
        row[factor] = row[factor][:1].expand(count, -1)
    return torch.cat([model(row) for row in rows])


@torch.no_grad()
def _transfers(model: FaceSampler) -> Tensor:
    random = torch.Generator().manual_seed(8)
    source, target = model.sample_codes(2, random), model.sample_codes(2, random)
    made = (source, target, replace_expression(target, source), add_expression(target, source))
    return torch.stack([model(codes) for codes in made], dim=1).flatten(0, 1)


@torch.no_grad()
def _extremes(model: FaceSampler, training: Tensor, samples: int = 200) -> Tensor:
    made = model(model.sample_codes(samples, torch.Generator().manual_seed(5)))
    order = nearest_training_mesh(made, training)[0].argsort()
    return made[torch.cat([order[:3], order[-3:]])]


@torch.no_grad()
def walk(model: FaceSampler, steps: int = 7, reach: float = 2.5, seed: int = 4) -> Tensor:
    """Meshes (steps, N, V, 3): column n moves part n of one code from -``reach`` to ``reach`` along a random direction.

    A direction has the length of an average code of its part, so that ``reach`` is in units of that.
    """
    random = torch.Generator().manual_seed(seed)
    start, direction = model.sample_codes(1, random), model.sample_codes(1, random)
    places = torch.linspace(-reach, reach, steps)[:, None]
    resting = {part: code.expand(steps, -1) for part, code in start.items()}
    columns = [model({**resting, part: places * direction[part]}) for part in start]
    return torch.stack(columns, dim=1)


def _fits(setting: Setting) -> dict[str, Tensor]:
    landmarks, truth = unseen_faces(setting)
    chosen = truth[[7, 9]]
    found = {"fit/truth": chosen, "fit/landmarks": chosen[:1, landmarks]}
    for method in FITTED:
        fits = [fit(setting, method, landmarks, chosen, weight) for weight in (0.0, 10.0)]
        found[f"fit/{method}"] = torch.stack(fits, dim=1).flatten(0, 1)
    return found


def mesh_arrays(meshes: Mapping[str, Tensor], faces: Tensor) -> dict[str, np.ndarray]:
    """Meshes (..., V, 3) as int16 in hundredths of a millimetre, and their triangles as ``faces`` (F, 3) int32."""
    rounded = {name: (PER_MILLIMETRE * mesh).round().to(torch.int16).numpy() for name, mesh in meshes.items()}
    return {"faces": faces.to(torch.int32).numpy(), **rounded}


def load_meshes(file: str | Path) -> tuple[dict[str, Tensor], Tensor]:
    """From an .npz file of ``mesh_arrays``: meshes by name, in millimetres, and triangles."""
    with np.load(file) as arrays:
        faces = torch.from_numpy(arrays["faces"]).long()
        names = [name for name in arrays.files if name != "faces"]
        return {name: torch.from_numpy(arrays[name]).float() / PER_MILLIMETRE for name in names}, faces
