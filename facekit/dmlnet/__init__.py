"""DML-Net: pose-aware, identity-invariant facial expressions by metric learning on five-tuples (Liu et al., 2021).

A batch of five-tuples, the network's answers and the three terms of its loss::

    labels = face_labels(twin_table("bu3dfe", 20), expressions)          # expression, pose and subject of every row
    rows = FiveTupleSampler(labels, batch_size=15).rows(0)               # 3 x (anchor, pose +, pose -, identity +, -)
    found = DMLNet(expressions=6, poses=9, encoder="resnet18")(faces)    # embedding, expression and pose scores
    triplets = metric_losses(found.embedding, batch_labels, ("pose", "identity"), margin=0.5)

``Recipe`` holds the settings of Table 1, ``make_faces`` cuts the faces out of a data set or its twin, ``Objective`` is
the weighted sum of Eq. (7).
"""

from facekit.dmlnet.baselines import IslandLoss
from facekit.dmlnet.data import PROTOCOLS, DMLDataError, Faces, Protocol, bands, cut_faces, load_faces, open_sources
from facekit.dmlnet.evaluation import (
    Answers,
    answer,
    clustering_scores,
    confusion,
    descent,
    descent_spread,
    identity_clusters,
    images_per_second,
    recognition_rates,
    togetherness,
)
from facekit.dmlnet.labelling import Effort, Reader, annotated, cluster_people, fill_labels, fit_reader, train_readers
from facekit.dmlnet.losses import (
    PAIRS,
    BatchLabels,
    DynamicWeights,
    ProgressWeights,
    TripletLoss,
    expression_pairs,
    hardest_triplets,
    identity_pairs,
    metric_losses,
    pose_pairs,
    squared_distances,
)
from facekit.dmlnet.model import DMLNet, ParallelEncoders, Recognition
from facekit.dmlnet.opening import make_faces, open_faces
from facekit.dmlnet.pictures import (
    TRIPLETS,
    cluster_members,
    in_the_plane,
    load_pictures,
    make_pictures,
)
from facekit.dmlnet.recipe import (
    PRESETS,
    LaptopRecipe,
    Objective,
    Recipe,
    build_network,
    load_run,
    network_update,
)
from facekit.dmlnet.training_runs import METHODS, SCALES, Trained, recipe_for, train_network, trained
from facekit.dmlnet.tuples import ROLES, FaceLabels, FiveTupleSampler, TupleError, face_labels, five_tuples

__all__ = [
    "METHODS",
    "PAIRS",
    "PRESETS",
    "PROTOCOLS",
    "ROLES",
    "SCALES",
    "TRIPLETS",
    "Answers",
    "BatchLabels",
    "DMLDataError",
    "DMLNet",
    "DynamicWeights",
    "Effort",
    "FaceLabels",
    "Faces",
    "FiveTupleSampler",
    "IslandLoss",
    "LaptopRecipe",
    "Objective",
    "ParallelEncoders",
    "ProgressWeights",
    "Protocol",
    "Reader",
    "Recipe",
    "Recognition",
    "Trained",
    "TripletLoss",
    "TupleError",
    "annotated",
    "answer",
    "bands",
    "build_network",
    "cluster_members",
    "cluster_people",
    "clustering_scores",
    "confusion",
    "cut_faces",
    "descent",
    "descent_spread",
    "expression_pairs",
    "face_labels",
    "fill_labels",
    "fit_reader",
    "five_tuples",
    "hardest_triplets",
    "identity_clusters",
    "identity_pairs",
    "images_per_second",
    "in_the_plane",
    "load_faces",
    "load_pictures",
    "load_run",
    "make_faces",
    "make_pictures",
    "metric_losses",
    "network_update",
    "open_faces",
    "open_sources",
    "pose_pairs",
    "recipe_for",
    "recognition_rates",
    "squared_distances",
    "togetherness",
    "train_network",
    "train_readers",
    "trained",
]
