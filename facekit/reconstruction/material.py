"""What a training run stands on: the face model, the linear 3DMM and its face region, and the photographs."""

from __future__ import annotations

from dataclasses import dataclass

from facekit.data import DataError, parse_data
from facekit.morphable import FaceModel, FaceModelError, LinearFaceModel, ProceduralFace, build_linear_model
from facekit.reconstruction.copies import basel_model, open_copy
from facekit.reconstruction.data import Photos, joined_photos, training_photos
from facekit.reconstruction.prior import Prior, face_prior
from facekit.reconstruction.recipe import Recipe
from facekit.training import ConfigError


@dataclass(frozen=True)
class Material:
    """What a run stands on: the face model of the world, the whole 3DMM, its face region, and the photographs.

    With licensed copies the face model and the 3DMM are both the Basel Face Model.
    """

    face_model: FaceModel
    morphable: LinearFaceModel
    prior: Prior
    labelled: Photos
    unlabelled: Photos


def build_models(recipe: Recipe) -> tuple[FaceModel, LinearFaceModel, Prior]:
    """The face model that ``recipe.data`` names, the linear 3DMM, and its face region.

    In the face world the 3DMM is learned from scans of ``recipe.scanned`` people; with copies it is the Basel model.

    Raises:
        DataError, FaceModelError: the data does not exist or cannot be used.
    """
    choice = parse_data(recipe.data)
    if not choice.is_world:
        basel = basel_model(recipe.data)
        return basel, basel, face_prior(basel, recipe.radius)
    face_model = choice.load_model() or ProceduralFace(recipe.level)
    identity, expression, texture = recipe.components
    morphable = build_linear_model(
        face_model, recipe.scanned, num_identity=identity, num_expression=expression, num_texture=texture,
        seed=recipe.seed,
    )  # fmt: skip
    return face_model, morphable, face_prior(morphable, recipe.radius)


def open_material(recipe: Recipe) -> Material:
    """Build or read the 3DMM, and render or open the photographs that ``recipe`` names.

    Raises:
        ConfigError: the data does not exist or cannot be used.
    """
    try:
        face_model, morphable, prior = build_models(recipe)
        if parse_data(recipe.data).is_world:
            halves = training_photos(
                morphable, face_model, recipe.image_size, recipe.people, recipe.photos, recipe.sources, recipe.views,
                recipe.seed, recipe.in_memory,
            )  # fmt: skip
        else:
            labelled = open_copy(recipe.data, "300wlp", recipe.image_size, recipe.sources)
            collections = open_copy(recipe.data, "celeba", recipe.image_size, recipe.people)
            halves = joined_photos(labelled, collections, recipe.in_memory)
    except (DataError, FaceModelError, ValueError) as error:
        raise ConfigError(str(error)) from error
    return Material(face_model, morphable, prior, *halves)
