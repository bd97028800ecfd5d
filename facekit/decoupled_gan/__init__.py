"""A decoupled 3D face model by adversarial training (Fernandez Abrevaya et al., 2019).

``MeshDataset`` holds registered meshes with sparse labels; ``world_meshes`` makes the paper's population in the face
world. ``DecoupledGAN`` is the generator (codes to meshes), the discriminator (geometry images to realness, identity,
expression) and the fixed codes of the labels; ``Adversaries`` are the two losses that a training loop minimises.
``train_mae``, ``train_coma``, ``additive_linear`` and ``bilinear`` make the models that it is compared with;
``fit_judge`` trains the networks that measure decoupling, and ``fit_landmarks`` fits any of the models to a few points.
"""

from facekit.decoupled_gan.adversarial import Adversaries, DecoupledGAN, Draw
from facekit.decoupled_gan.autoencoders import (
    AutoencoderRecipe,
    MeshAutoencoder,
    MultilinearAutoencoder,
    train_coma,
    train_mae,
)
from facekit.decoupled_gan.comparison import BASELINES, SCALES, VARIANTS, Setting, judges_of, meshes_of, model_of
from facekit.decoupled_gan.data import MeshDataError, MeshDataset, flatten, from_files, from_meshes
from facekit.decoupled_gan.evaluation import FaceSampler, LinearEmbedding, LinearGaussian, evaluate, evaluate_data
from facekit.decoupled_gan.explorer import explorer
from facekit.decoupled_gan.figures import figure_meshes, load_meshes, mesh_arrays, walk
from facekit.decoupled_gan.fitting import (
    EXTREME_EXPRESSIONS,
    extreme_faces,
    fit_landmarks,
    landmark_vertices,
    surface_rmse,
)
from facekit.decoupled_gan.judges import LAPTOP_JUDGE, JudgeSettings, TripletJudge, decoupling, fit_judge, triplet_loss
from facekit.decoupled_gan.linear_models import (
    CodedFaces,
    GaussianCode,
    MultilinearModel,
    additive_linear,
    bilinear,
    labelled_tensor,
    neutral_faces,
)
from facekit.decoupled_gan.linear_start import start_linearly
from facekit.decoupled_gan.losses import (
    LossWeights,
    class_weights,
    classification_loss,
    feature_loss,
    label_distribution,
    laplacian_loss,
    wasserstein_distance,
)
from facekit.decoupled_gan.manipulation import add_expression, replace_expression, transfer
from facekit.decoupled_gan.model import CODE_SIZES, Codes, Discriminator, FixedCodes, Generator, Judgement
from facekit.decoupled_gan.population import speech_meshes, topology, world_meshes
from facekit.decoupled_gan.portraits import portraits
from facekit.decoupled_gan.recipe import (
    PRESETS,
    CodeSizes,
    Recipe,
    build_gan,
    gan_updates,
    load_run,
    make_meshes,
    open_face_model,
    open_meshes,
)
from facekit.decoupled_gan.training import train_gan

__all__ = [
    "BASELINES",
    "CODE_SIZES",
    "EXTREME_EXPRESSIONS",
    "LAPTOP_JUDGE",
    "PRESETS",
    "SCALES",
    "VARIANTS",
    "Adversaries",
    "AutoencoderRecipe",
    "CodeSizes",
    "CodedFaces",
    "Codes",
    "DecoupledGAN",
    "Discriminator",
    "Draw",
    "FaceSampler",
    "FixedCodes",
    "GaussianCode",
    "Generator",
    "JudgeSettings",
    "Judgement",
    "LinearEmbedding",
    "LinearGaussian",
    "LossWeights",
    "MeshAutoencoder",
    "MeshDataError",
    "MeshDataset",
    "MultilinearAutoencoder",
    "MultilinearModel",
    "Recipe",
    "Setting",
    "TripletJudge",
    "add_expression",
    "additive_linear",
    "bilinear",
    "build_gan",
    "class_weights",
    "classification_loss",
    "decoupling",
    "evaluate",
    "evaluate_data",
    "explorer",
    "extreme_faces",
    "feature_loss",
    "figure_meshes",
    "fit_judge",
    "fit_landmarks",
    "flatten",
    "from_files",
    "from_meshes",
    "gan_updates",
    "judges_of",
    "label_distribution",
    "labelled_tensor",
    "landmark_vertices",
    "laplacian_loss",
    "load_meshes",
    "load_run",
    "make_meshes",
    "mesh_arrays",
    "meshes_of",
    "model_of",
    "neutral_faces",
    "open_face_model",
    "open_meshes",
    "portraits",
    "replace_expression",
    "speech_meshes",
    "start_linearly",
    "surface_rmse",
    "topology",
    "train_coma",
    "train_gan",
    "train_mae",
    "transfer",
    "triplet_loss",
    "walk",
    "wasserstein_distance",
    "world_meshes",
]
