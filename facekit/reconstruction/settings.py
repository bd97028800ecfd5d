"""How much data and warm-up the small run takes, judged by labelled photographs that it was not trained on.

Nothing else may choose a setting: MICC's scans are for the tables. The worlds of these runs are those of no table.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from facekit.data import DataError, load_all, parse_data, twin
from facekit.metrics import vertex_errors
from facekit.reconstruction.data import COEFFICIENTS
from facekit.reconstruction.evaluation import encode
from facekit.reconstruction.material import Material, open_material
from facekit.reconstruction.methods import SCALES, Trained, train, warm_backbone
from facekit.reconstruction.recipe import Recipe

SHARES: Mapping[str, tuple[float, float]] = {
    "2/5 of the people, 3/8 of the warm-up": (0.4, 0.375),
    "3/8 of the warm-up": (1.0, 0.375),
    "as chosen": (1.0, 1.0),
}
"""Row -> which shares of a scale's labelled people and of its warm-up a run takes."""
WORLD, UNSEEN_WORLD = 100, 200
"""Added to the seed: of the training, and of the photographs that it has not seen."""


def compare_settings(data: str, scale: str, seed: int) -> dict[str, float]:
    """Shape errors (mm) of the mean face, and of the full model and the 3DMM regressor under each of ``SHARES``.

    Raises:
        DataError: ``data`` is not the face world, where unseen people with known shapes can be had.
    """
    if not parse_data(data).is_world:
        raise DataError(f"settings are compared in the face world, found --data {data}")
    chosen, sizes = SCALES[scale]
    chosen, joint = replace(chosen, data=data, seed=WORLD + seed), chosen.steps - chosen.warm_up
    errors: dict[str, float] = {}
    for label, (people, share) in SHARES.items():
        warm_up = round(share * chosen.warm_up)
        recipe = replace(chosen, sources=round(people * chosen.sources), warm_up=warm_up, steps=joint + warm_up)
        material = open_material(recipe)
        if not errors:
            unseen = _unseen(recipe, material, sizes.pictures, UNSEEN_WORLD + seed)
            errors["the mean face"] = shape_error(None, unseen, material)
        start, rest = warm_backbone(recipe, material), replace(recipe, steps=joint, warm_up=0)
        for method, linear in (("full model", False), ("3DMM regressor", True)):
            errors[f"{method}, {label}"] = shape_error(train(rest, material, linear, start), unseen, material)
    return errors


def _unseen(recipe: Recipe, material: Material, count: int, seed: int) -> dict[str, Tensor]:
    """Photographs of 300W-LP's twin, of people that no training of this experiment has seen."""
    source = twin(
        "300wlp", subjects=count, views=1, image_size=recipe.image_size, model=material.face_model,
        seed=seed, fit_with=material.morphable, outputs=("image", *COEFFICIENTS),
    )  # fmt: skip
    return load_all(source.select(~source.table["mirrored"].to_numpy()))


@torch.no_grad()
def shape_error(found: Trained | None, unseen: Mapping[str, Tensor], material: Material) -> float:
    """Mean distance in mm of reconstructed shapes, or of the mean face, from the 3DMM shapes of photographs."""
    prior = material.prior.model
    truth = prior.shape(*(unseen[name] for name in COEFFICIENTS))
    if found is None:
        return float(vertex_errors(prior.mean.expand_as(truth), truth).mean())
    codes = encode(found.model, unseen["image"])
    shapes = found.model.shape_decoder(codes.identity, codes.expression)
    return float(vertex_errors(shapes, truth).mean())
