"""Region and relation learning (RRL): self-supervised learning for action units (AUs), Song et al., 2023::

    pairs = open_pairs(recipe := LaptopRecipe())      # two views of each face, attention maps of its AUs
    model = pretrain(recipe, pairs)                   # Eq. (7): whole face, regions, relations by optimal transport
    faces = labelled_faces("world", "bp4d", recipe.image_size, subjects=41, frames=8)
    print(probe_scores(encode(model.online.encoder, faces.images), faces).mean)

The encoder is what is kept; projector, predictor and target network only serve its training.
"""

from facekit.rrl.attention import REGIONS, Attention, attention_maps, face_frame, region_centres
from facekit.rrl.augmentation import FIRST_VIEW, SECOND_VIEW, UNCHANGED, ViewSettings, gaussian_blur, random_view
from facekit.rrl.baselines import (
    FlowNetwork,
    SupervisedSettings,
    WarpedFaces,
    fit_supervised,
    pretrain_by_reconstruction,
    resample,
    supervised_scores,
)
from facekit.rrl.data import (
    UNIT_PROTOCOLS,
    FacePairs,
    LabelledFaces,
    RowsOnDemand,
    label_relation,
    labelled_faces,
    unlabelled_faces,
)
from facekit.rrl.losses import LossWeights, global_loss, local_loss, relation_loss
from facekit.rrl.model import Branch, Features, LocalBranch, RegionRelation
from facekit.rrl.probe import (
    LinearProbe,
    ProbeSettings,
    Scores,
    always_present,
    cross_validated,
    encode,
    fit_probe,
    positive_weights,
    probe_scores,
    unit_cross_entropy,
)
from facekit.rrl.recipe import (
    PRESETS,
    LaptopRecipe,
    Recipe,
    build_model,
    load_encoder,
    open_labelled,
    open_pairs,
    pretrain,
    relation_cost,
    rrl_terms,
    training_loop,
)
from facekit.rrl.stages import pool_regions, pool_stages
from facekit.rrl.transport import marginals, relation_matrix, transport_cost, transport_plans

__all__ = [
    "FIRST_VIEW",
    "PRESETS",
    "REGIONS",
    "SECOND_VIEW",
    "UNCHANGED",
    "UNIT_PROTOCOLS",
    "Attention",
    "Branch",
    "FacePairs",
    "Features",
    "FlowNetwork",
    "LabelledFaces",
    "LaptopRecipe",
    "LinearProbe",
    "LocalBranch",
    "LossWeights",
    "ProbeSettings",
    "Recipe",
    "RegionRelation",
    "RowsOnDemand",
    "Scores",
    "SupervisedSettings",
    "ViewSettings",
    "WarpedFaces",
    "always_present",
    "attention_maps",
    "build_model",
    "cross_validated",
    "encode",
    "face_frame",
    "fit_probe",
    "fit_supervised",
    "gaussian_blur",
    "global_loss",
    "label_relation",
    "labelled_faces",
    "load_encoder",
    "local_loss",
    "marginals",
    "open_labelled",
    "open_pairs",
    "pool_regions",
    "pool_stages",
    "positive_weights",
    "pretrain",
    "pretrain_by_reconstruction",
    "probe_scores",
    "random_view",
    "region_centres",
    "relation_cost",
    "relation_loss",
    "relation_matrix",
    "resample",
    "rrl_terms",
    "supervised_scores",
    "training_loop",
    "transport_cost",
    "transport_plans",
    "unit_cross_entropy",
    "unlabelled_faces",
]
