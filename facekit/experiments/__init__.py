"""Experiments by name: every table and figure of a paper is one function that can be run and leaves one JSON file.

A paper's ``experiments.py`` registers its functions::

    @experiment("dmlnet/table8", paper="Liu et al. 2021", title="Ablation", columns=("accuracy",),
                published={"ResNet50": {"accuracy": 83.7}})
    def table8(run: Run) -> Measured:
        return {"ResNet50": {"accuracy": train_and_test(run.data, run.scale, run.seed)}}

``python -m facekit list`` and ``python -m facekit run dmlnet/table8`` find it by its id; ``python -m facekit run
'dmlnet/*'`` runs all of a paper's in one process, where they share the models that they train.
"""

from facekit.experiments.figures import figure_command
from facekit.experiments.registry import (
    PAPER_ROOMS,
    SCALES,
    Experiment,
    ExperimentError,
    Measured,
    Run,
    chosen_experiments,
    experiment,
    load_experiments,
    run_experiment,
)
from facekit.experiments.results import result_path, result_table, without_path, write_json
from facekit.experiments.scoreboard import agreement, load_results, scoreboard

__all__ = [
    "PAPER_ROOMS",
    "SCALES",
    "Experiment",
    "ExperimentError",
    "Measured",
    "Run",
    "agreement",
    "chosen_experiments",
    "experiment",
    "figure_command",
    "load_experiments",
    "load_results",
    "result_path",
    "result_table",
    "run_experiment",
    "scoreboard",
    "without_path",
    "write_json",
]
