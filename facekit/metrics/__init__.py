"""What the papers measure: recognition rates, surface errors, and how varied and how face-like generated shapes are."""

from facekit.metrics.classification import (
    accuracy,
    class_scores,
    confusion_counts,
    mean_class_accuracy,
    unit_f1,
)
from facekit.metrics.generation import (
    diversity,
    draw_pairs,
    mean_displacement,
    mean_vertex_distance,
    nearest_training_mesh,
    pair_distances,
    specificity,
)
from facekit.metrics.surface import cumulative_error, error_summary, vertex_errors

__all__ = [
    "accuracy",
    "class_scores",
    "confusion_counts",
    "cumulative_error",
    "diversity",
    "draw_pairs",
    "error_summary",
    "mean_class_accuracy",
    "mean_displacement",
    "mean_vertex_distance",
    "nearest_training_mesh",
    "pair_distances",
    "specificity",
    "unit_f1",
    "vertex_errors",
]
