"""Compare settings of a run by labelled photographs that it has not seen, and by nothing else.

    python book/reconstruction/choose.py --seed 100 --people 60 --photos 6 --sources 1200 --views 1 \
        --steps 1900 --warm_up 1500 --texture_from 10000

trains with these settings, as the experiments do, and prints the mean distance between the reconstructions of 150
photographs of 300W-LP's twin and their 3DMM shapes, in millimetres. Their people come from another seed than those of
the training, and the world of seed 100 is that of no experiment.
"""

from dataclasses import replace

import torch

from facekit.data import twin
from facekit.metrics import vertex_errors
from facekit.reconstruction import COEFFICIENTS, LaptopRecipe, Recipe, encode, open_material, train
from facekit.training import command_line

UNSEEN = 150


def main(config: Recipe) -> dict[str, float]:
    """Train, print and return ``shape_error_mm``, and that of the mean face as ``mean_face_mm``."""
    material = open_material(config)
    backbone = None
    if config.warm_up:
        warm = train(replace(config, steps=config.warm_up), material)
        backbone = warm.model.encoder.backbone.state_dict()
    rest = replace(config, steps=config.steps - config.warm_up, warm_up=0)
    model = train(rest, material, backbone=backbone).model

    unseen = twin(
        "300wlp", subjects=UNSEEN, views=1, image_size=config.image_size, model=material.face_model,
        seed=config.seed + 1, fit_with=material.morphable, outputs=("image", *COEFFICIENTS),
    )  # fmt: skip
    batch = unseen.select(~unseen.table["mirrored"].to_numpy()).batch(range(UNSEEN))
    prior = material.prior.model
    truth = prior.shape(*(batch[name] for name in COEFFICIENTS))
    codes = encode(model, batch["image"])
    with torch.no_grad():
        found = model.shape_decoder(codes.identity, codes.expression)
    measured = {"shape_error_mm": found, "mean_face_mm": prior.mean.expand_as(truth)}
    errors = {name: float(vertex_errors(shapes, truth).mean()) for name, shapes in measured.items()}
    print(", ".join(f"{name} {error:.2f}" for name, error in errors.items()))
    return errors


if __name__ == "__main__":
    command_line(main, LaptopRecipe)
