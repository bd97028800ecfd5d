"""A decoupled 3D face model by adversarial training (Fernandez Abrevaya et al., 2019).

``MeshDataset`` holds registered meshes with sparse labels; ``world_meshes`` makes the paper's population in the face
world. ``DecoupledGAN`` is the generator (codes to meshes), the discriminator (geometry images to realness, identity,
expression) and the fixed codes of the labels; ``Adversaries`` are the two losses that a training loop minimises.
"""

from facekit.decoupled_gan.adversarial import Adversaries, DecoupledGAN, Draw
from facekit.decoupled_gan.data import MeshDataError, MeshDataset, flatten, from_files, from_meshes
from facekit.decoupled_gan.evaluation import FaceSampler, LinearEmbedding, LinearGaussian, evaluate, evaluate_data
from facekit.decoupled_gan.losses import (
    LossWeights,
    class_weights,
    classification_loss,
    feature_loss,
    label_distribution,
    laplacian_loss,
    wasserstein_distance,
)
from facekit.decoupled_gan.model import CODE_SIZES, Codes, Discriminator, FixedCodes, Generator, Judgement
from facekit.decoupled_gan.population import world_meshes
from facekit.decoupled_gan.portraits import portraits
from facekit.decoupled_gan.recipe import PRESETS, Recipe, build_gan, gan_updates, load_run, make_meshes, open_meshes

__all__ = [
    "CODE_SIZES",
    "PRESETS",
    "Adversaries",
    "Codes",
    "DecoupledGAN",
    "Discriminator",
    "Draw",
    "FaceSampler",
    "FixedCodes",
    "Generator",
    "Judgement",
    "LinearEmbedding",
    "LinearGaussian",
    "LossWeights",
    "MeshDataError",
    "MeshDataset",
    "Recipe",
    "build_gan",
    "class_weights",
    "classification_loss",
    "evaluate",
    "evaluate_data",
    "feature_loss",
    "flatten",
    "from_files",
    "from_meshes",
    "gan_updates",
    "label_distribution",
    "laplacian_loss",
    "load_run",
    "make_meshes",
    "open_meshes",
    "portraits",
    "wasserstein_distance",
    "world_meshes",
]
