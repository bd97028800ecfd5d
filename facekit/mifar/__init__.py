"""Multi-view self-supervised learning for 3D and 4D expressions (Behzad and Zhao, 2021)::

    views = open_views(ViewSettings(dataset="bu3dfe", subjects=10))       # (N, 3, C, H, W): left, front, right
    model = MiFaR(ViewEncoder("resnet18", channels=7), widths=(1024, 1024))
    terms = mifar_loss(model(version_a), model(version_b))                # {"weighted": L_w, "view": L_theta}
    counts = probe_counts(model.encoder, train_views, test_views)         # the projectors are bypassed

``scans`` and ``views`` turn meshes, range images and clouds of points into images, ``pooling`` turns recordings into
dynamic images, ``correlation`` computes the loss without its D x D matrices where that is cheaper.
"""

from facekit.mifar.augment import DRAWS, FRONT, LEFT, RIGHT, Distortion, distorted
from facekit.mifar.copies import default_folder, scan_views
from facekit.mifar.correlation import FORMS, cheaper_form, cross_products, standardize
from facekit.mifar.data import (
    SENSORS,
    ViewSet,
    labelled_rows,
    open_views,
    range_scanned,
    with_labels,
)
from facekit.mifar.losses import LossWeights, barlow_loss, contrastive_loss, mifar_loss, mifar_terms
from facekit.mifar.model import ENCODER_NAMES, Classifier, MiFaR, PlaceEncoder, ViewEncoder, view_features
from facekit.mifar.pooling import (
    approximate_weights,
    as_image,
    dynamic_images,
    rank_pool,
    ranked_share,
    svm_objective,
    svm_weights,
)
from facekit.mifar.pretraining import fold_of, load_run, open_fold, pretrain
from facekit.mifar.probes import (
    all_features,
    centred_by,
    classifier_counts,
    cross_view_neighbours,
    feature_counts,
    fit_classifier,
    linear_probe,
    neighbour_probe,
    probe_counts,
)
from facekit.mifar.recipe import (
    METHODS,
    PRESETS,
    VIEW_DISTORTIONS,
    LaptopRecipe,
    Recipe,
    build_model,
    chosen_views,
    pretraining_update,
    self_supervised_loss,
    two_versions,
    without_labels,
)
from facekit.mifar.scans import (
    PointCloud,
    ScanError,
    ScannerNoise,
    Surface,
    from_mesh_list,
    from_meshes,
    from_range_images,
    scanned,
    without_spikes,
)
from facekit.mifar.settings import ViewSettings
from facekit.mifar.views import ANGLES, CHANNELS, EXTENT, view_images

__all__ = [
    "ANGLES",
    "CHANNELS",
    "DRAWS",
    "ENCODER_NAMES",
    "EXTENT",
    "FORMS",
    "FRONT",
    "LEFT",
    "METHODS",
    "PRESETS",
    "RIGHT",
    "SENSORS",
    "VIEW_DISTORTIONS",
    "Classifier",
    "Distortion",
    "LaptopRecipe",
    "LossWeights",
    "MiFaR",
    "PlaceEncoder",
    "PointCloud",
    "Recipe",
    "ScanError",
    "ScannerNoise",
    "Surface",
    "ViewEncoder",
    "ViewSet",
    "ViewSettings",
    "all_features",
    "approximate_weights",
    "as_image",
    "barlow_loss",
    "build_model",
    "centred_by",
    "cheaper_form",
    "chosen_views",
    "classifier_counts",
    "contrastive_loss",
    "cross_products",
    "cross_view_neighbours",
    "default_folder",
    "distorted",
    "dynamic_images",
    "feature_counts",
    "fit_classifier",
    "fold_of",
    "from_mesh_list",
    "from_meshes",
    "from_range_images",
    "labelled_rows",
    "linear_probe",
    "load_run",
    "mifar_loss",
    "mifar_terms",
    "neighbour_probe",
    "open_fold",
    "open_views",
    "pretrain",
    "pretraining_update",
    "probe_counts",
    "range_scanned",
    "rank_pool",
    "ranked_share",
    "scan_views",
    "scanned",
    "self_supervised_loss",
    "standardize",
    "svm_objective",
    "svm_weights",
    "two_versions",
    "view_features",
    "view_images",
    "with_labels",
    "without_labels",
    "without_spikes",
]
