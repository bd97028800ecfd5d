"""A 3D face from one photograph (Gao et al., 2020)::

    material = open_material(recipe)                                  # 3DMM, labelled and unlabelled photographs
    networks = Networks(recipe, material.prior.model, material.labelled.people)
    updates(recipe, material, networks, material.prior.model)         # critic and generator, for a training loop
    face = networks.model(images)                                     # codes, vertices, albedo, pose, light
    networks.model.render(face).image                                 # and back into the image

The shape depends on the identity and expression codes alone, the graph decoder's albedo on the identity code alone.
"""

from facekit.reconstruction.baselines import Fit, fit_photos, linear_reconstructor
from facekit.reconstruction.copies import MiccCopy, basel_model, open_copy, write_landmarks
from facekit.reconstruction.data import COEFFICIENTS, Photos, joined_photos, open_photos, training_photos
from facekit.reconstruction.decoders import (
    AlbedoDecoder,
    ConvolutionalAlbedo,
    GraphDecoder,
    MeshCritic,
    ShapeDecoder,
)
from facekit.reconstruction.evaluation import (
    CONDITIONS,
    average_over_identity,
    average_over_views,
    encode,
    micc_errors,
    neutral_expression,
    pose_and_landmarks,
    scan_errors,
    verification,
)
from facekit.reconstruction.figures import figure_pictures
from facekit.reconstruction.losses import (
    LossWeights,
    center_loss,
    landmark_loss,
    moved_centers,
    photometric_loss,
    shape_loss,
    smoothness_loss,
    softmax_loss,
    symmetry_loss,
    wasserstein_divergence,
)
from facekit.reconstruction.material import Material, build_models, open_material
from facekit.reconstruction.methods import SCALES, train
from facekit.reconstruction.model import CODE_SIZES, Codes, Face, FaceEncoder, Reconstructor, build_reconstructor
from facekit.reconstruction.objective import Objective, Recognizer, WarmUp
from facekit.reconstruction.photo import (
    PhotoError,
    Portrait,
    export,
    find_detector,
    find_face,
    portrait,
    read_landmarks,
    read_photo,
    reconstruct_photo,
    upload_box,
)
from facekit.reconstruction.prior import Prior, face_prior, spread
from facekit.reconstruction.recipe import PRESETS, LaptopRecipe, Recipe
from facekit.reconstruction.start import ridge, start_codes
from facekit.reconstruction.training import Networks, load_run, objective, updates

__all__ = [
    "CODE_SIZES",
    "COEFFICIENTS",
    "CONDITIONS",
    "PRESETS",
    "SCALES",
    "AlbedoDecoder",
    "Codes",
    "ConvolutionalAlbedo",
    "Face",
    "FaceEncoder",
    "Fit",
    "GraphDecoder",
    "LaptopRecipe",
    "LossWeights",
    "Material",
    "MeshCritic",
    "MiccCopy",
    "Networks",
    "Objective",
    "PhotoError",
    "Photos",
    "Portrait",
    "Prior",
    "Recipe",
    "Recognizer",
    "Reconstructor",
    "ShapeDecoder",
    "WarmUp",
    "average_over_identity",
    "average_over_views",
    "basel_model",
    "build_models",
    "build_reconstructor",
    "center_loss",
    "encode",
    "export",
    "face_prior",
    "figure_pictures",
    "find_detector",
    "find_face",
    "fit_photos",
    "joined_photos",
    "landmark_loss",
    "linear_reconstructor",
    "load_run",
    "micc_errors",
    "moved_centers",
    "neutral_expression",
    "objective",
    "open_copy",
    "open_material",
    "open_photos",
    "photometric_loss",
    "portrait",
    "pose_and_landmarks",
    "read_landmarks",
    "read_photo",
    "reconstruct_photo",
    "ridge",
    "scan_errors",
    "shape_loss",
    "smoothness_loss",
    "softmax_loss",
    "spread",
    "start_codes",
    "symmetry_loss",
    "train",
    "training_photos",
    "updates",
    "upload_box",
    "verification",
    "wasserstein_divergence",
    "write_landmarks",
]
