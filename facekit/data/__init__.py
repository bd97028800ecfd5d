"""Data: manifests, subject-independent folds, the synthetic face world with its protocol twins, caches, transforms."""

from facekit.data.cache import RenderCache, load_all
from facekit.data.choice import DATASETS, FACE_MODELS, READERS, DataChoice, parse_data
from facekit.data.encodings import au_matrix, expression_ids, expression_name, label_ids, pose_classes, sample_labels
from facekit.data.folds import (
    PUBLISHED_FOLDS,
    check_disjoint,
    published_folds,
    split_rows,
    subject_folds,
)
from facekit.data.manifest import (
    EXPRESSION_LABELS,
    MANIFEST_COLUMNS,
    OCCLUDERS,
    ManifestError,
    au_columns,
    check_manifest,
    missing_labels,
)
from facekit.data.nuisance import Nuisance
from facekit.data.prepared import open_prepared
from facekit.data.preparing import prepare
from facekit.data.randomness import derive_seeds, row_choice, row_normal, row_uniform
from facekit.data.sources import DataError, DataSource, load_each
from facekit.data.transforms import (
    LANDMARK_MIRROR,
    crop,
    landmark_boxes,
    mirror,
    normalize,
    random_crop,
    random_mirror,
)
from facekit.data.world import (
    OUTPUTS,
    PROTOCOLS,
    SPONTANEOUS,
    TWIN_NUISANCE,
    FaceWorld,
    twin,
    twin_table,
)

__all__ = [
    "DATASETS",
    "EXPRESSION_LABELS",
    "FACE_MODELS",
    "LANDMARK_MIRROR",
    "MANIFEST_COLUMNS",
    "OCCLUDERS",
    "OUTPUTS",
    "PROTOCOLS",
    "PUBLISHED_FOLDS",
    "READERS",
    "SPONTANEOUS",
    "TWIN_NUISANCE",
    "DataChoice",
    "DataError",
    "DataSource",
    "FaceWorld",
    "ManifestError",
    "Nuisance",
    "RenderCache",
    "au_columns",
    "au_matrix",
    "check_disjoint",
    "check_manifest",
    "crop",
    "derive_seeds",
    "expression_ids",
    "expression_name",
    "label_ids",
    "landmark_boxes",
    "load_all",
    "load_each",
    "mirror",
    "missing_labels",
    "normalize",
    "open_prepared",
    "parse_data",
    "pose_classes",
    "prepare",
    "published_folds",
    "random_crop",
    "random_mirror",
    "row_choice",
    "row_normal",
    "row_uniform",
    "sample_labels",
    "split_rows",
    "subject_folds",
    "twin",
    "twin_table",
]
