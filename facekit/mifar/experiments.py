"""Experiments of MiFaR: Tables I to III, Figures 2 and 3 and one idea more, at four scales.

``python -m facekit run mifar/table1 --scale notebook --seeds 3`` measures every method on the same folds of people: a
linear probe on features that were trained without labels (MiFaR, Barlow Twins on the front view, SimCLR's loss per
view), on random weights and on the images themselves, MiFaR with a k-nearest-neighbour probe and fine-tuned, and the
same encoders trained with labels. Accuracy is in percent. Methods that the paper quotes from elsewhere stand in the
tables as published.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from facekit.experiments import Measured, Run, experiment
from facekit.metrics import accuracy
from facekit.mifar.comparison import Plan, centred_counts, cross_validated, fold_counts
from facekit.mifar.copies import check_named
from facekit.mifar.data import SENSORS, ViewSet, open_views, with_labels
from facekit.mifar.pretraining import fold_of, pretrain
from facekit.mifar.probes import probe_counts
from facekit.mifar.published import TABLE_1, TABLE_2, TABLE_3A, TABLE_3B
from facekit.mifar.recipe import LaptopRecipe, Recipe
from facekit.mifar.timing import launched_seconds

PAPER = "Behzad and Zhao 2021"

_SMOKE = LaptopRecipe(
    subjects=4, folds=2, steps=2, batch_size=12, image_size=24, channels=("depth",), projector=(16, 16), frames=3
)
SCALES = {
    "smoke": Plan(_SMOKE, 1, 2),
    "notebook": Plan(LaptopRecipe(subjects=30, frames=6, steps=40, batch_size=32), 1, 40),
    "small": Plan(LaptopRecipe(subjects=0, image_size=48, steps=900, folds=10), 3, 400),
    "paper": Plan(Recipe(), 10, 2000),
}
"""Settings of each scale; the paper tests all of 10 folds."""


def plan_of(run: Run, dataset: str, **changes: object) -> Plan:
    """The plan of a run's scale for a data set, noted in the run's record."""
    plan = SCALES[run.scale]
    recipe = replace(plan.recipe, data=run.data, dataset=dataset, seed=run.seed, progress=False, **changes)
    run.config |= {
        "folds": recipe.folds, "tested_folds": plan.tested_folds, "subjects": recipe.subjects, "steps": recipe.steps,
        "batch_size": recipe.batch_size, "image_size": recipe.image_size, "encoder": recipe.encoder,
        "projector": list(recipe.projector), "classifier_steps": plan.classifier_steps,
    }  # fmt: skip
    return replace(plan, recipe=recipe)


def as_columns(columns: Sequence[str], totals: Sequence[dict[str, Tensor]]) -> dict[str, dict[str, float]]:
    """Accuracy in percent by method and column."""
    return {
        method: {column: 100 * accuracy(total[method]) for column, total in zip(columns, totals, strict=True)}
        for method in totals[0]
    }


@experiment(
    "mifar/table1",
    paper=PAPER,
    title="Table I: accuracy (%) on BU-3DFE (Subset I: the two highest levels, II: all four) and Bosphorus",
    columns=("subset_1", "subset_2", "bosphorus"),
    published=TABLE_1,
)
def table1(run: Run) -> Measured:
    """Static scans: meshes of BU-3DFE and range images of Bosphorus."""
    check_named(run.data, "bu3dfe", "bosphorus")
    plan = plan_of(run, "bosphorus")
    bosphorus = cross_validated(plan, posed_six(open_views(plan.recipe.views())), [None])
    plan = plan_of(run, "bu3dfe")
    subsets = cross_validated(plan, open_views(plan.recipe.views()), [(3, 4), (1, 2, 3, 4)])
    return as_columns(("subset_1", "subset_2", "bosphorus"), subsets + bosphorus)


def posed_six(views: ViewSet) -> ViewSet:
    """Bosphorus' scans of those people who posed the six expressions."""
    posed = with_labels(views).table["subject"].astype(str).unique()
    return views.select(views.table["subject"].astype(str).isin(posed).to_numpy())


@experiment(
    "mifar/table2",
    paper=PAPER,
    title="Table II: accuracy (%) on BU-4DFE, one dynamic image per view and recording",
    columns=("accuracy",),
    published=TABLE_2,
)
def table2(run: Run) -> Measured:
    """Recordings: rank-pooled meshes of BU-4DFE's twin."""
    plan = plan_of(run, "bu4dfe")
    run.config |= {"frames": plan.recipe.frames, "pooling": plan.recipe.pooling}
    return as_columns(["accuracy"], cross_validated(plan, open_views(plan.recipe.views()), [None]))


@experiment(
    "mifar/table3a",
    paper=PAPER,
    title="Table III (A): accuracy (%) of recognising the eight tasks of BP4D",
    columns=("accuracy",),
    published=TABLE_3A,
)
def table3a(run: Run) -> Measured:
    """Spontaneous recordings: rank-pooled clouds of points of BP4D's twin."""
    plan = plan_of(run, "bp4d")
    run.config |= {"frames": plan.recipe.frames, "pooling": plan.recipe.pooling}
    return as_columns(["accuracy"], cross_validated(plan, open_views(plan.recipe.views()), [None]))


@experiment(
    "mifar/table3b",
    paper=PAPER,
    title="Table III (B): accuracy (%) when trained on BU-4DFE and tested on BP4D's Tasks 1 (happy) and 8 (disgust)",
    columns=("accuracy",),
    published=TABLE_3B,
)
def table3b(run: Run) -> Measured:
    """Posed recordings to spontaneous ones, two classes."""
    check_named(run.data, "bu4dfe", "bp4d")
    plan = plan_of(run, "bu4dfe")
    posed = open_views(plan.recipe.views())
    spontaneous = open_views(replace(plan.recipe, dataset="bp4d").views())
    parts = [(two_classes(posed), two_classes(spontaneous.select(spontaneous.table["task"].isin((1, 8)).to_numpy())))]
    return as_columns(["accuracy"], fold_counts(plan, posed, parts))


def two_classes(views: ViewSet) -> ViewSet:
    """The rows that show disgust (0) or happiness (1)."""
    names = ("disgust", "happiness")
    number = torch.tensor([names.index(name) if name in names else -1 for name in views.classes])
    labels = torch.where(views.labels >= 0, number[views.labels], -1)
    return with_labels(replace(views, labels=labels, classes=names))


@experiment(
    "mifar/beyond",
    paper=PAPER,
    title="Beyond the paper: linear probe (%) on vectors, and on vectors less their person's mean",
    columns=tuple(SENSORS),
)
def beyond(run: Run) -> Measured:
    """The four data sets, each with the same trained networks read in both ways; random weights and images likewise."""
    check_named(run.data, *SENSORS)
    measured: dict[str, dict[str, float]] = {}
    for dataset in SENSORS:
        plan = plan_of(run, dataset)
        views = open_views(plan.recipe.views())
        views = posed_six(views) if dataset == "bosphorus" else views
        levels = (3, 4) if dataset == "bu3dfe" else None
        for fold in range(plan.tested_folds):
            found = centred_counts(plan.recipe, *fold_of(views, plan.recipe.folds, fold), levels)
            for method, counts in found.items():
                cell = measured.setdefault(method, {})
                cell[dataset] = cell.get(dataset, 0.0) + 100 * accuracy(counts) / plan.tested_folds
    return measured


@experiment(
    "mifar/figure3",
    paper=PAPER,
    title="Figure 3: last value of L_theta per dimension, and linear probe (%), by loss, encoders and batch size",
    columns=("view_loss", "linear_probe"),
)
def figure3(run: Run) -> Measured:
    """L_MiFaR against L_theta alone, different and same encoders, three batch sizes (batch = embedding size)."""
    plan = plan_of(run, "bu3dfe")
    train, test = fold_of(open_views(plan.recipe.views()), plan.recipe.folds, 0)
    labelled, unseen = with_labels(train, (3, 4)), with_labels(test, (3, 4))
    largest = plan.recipe.batch_size
    measured = {}
    for batch in (largest // 4, largest // 2, largest):
        for shared in (False, True):
            for weighted in (1.0, 0.0):
                recipe = replace(
                    plan.recipe, batch_size=batch, projector=(*plan.recipe.projector[:-1], batch),
                    shared_encoder=shared, loss=replace(plan.recipe.loss, weighted=weighted),
                )  # fmt: skip
                model, lines = pretrain(recipe, train)
                name = f"{'L_MiFaR' if weighted else 'L_theta'}, {'same' if shared else 'different'} encoders, {batch}"
                last = sum(line["pretraining/view"] for line in lines[-2:]) / len(lines[-2:]) / (3 * batch)
                probe = 100 * accuracy(probe_counts(model.encoder, labelled, unseen))
                measured[name] = {"view_loss": last, "linear_probe": probe}
    return measured


TIMED = {"smoke": ((8,), 16, 1), "notebook": ((32, 64, 128), 256, 3), "small": ((64, 128, 256), 2250, 4)}
"""Batch sizes, scans in an epoch and timed steps of each scale; the paper's are 256, 512 and 1024."""


@experiment(
    "mifar/figure2",
    paper=PAPER,
    title="Figure 2: seconds per epoch by batch size (= embedding size) and number of processes on this machine",
    columns=("seconds_per_epoch",),
)
def figure2(run: Run) -> Measured:
    """Random images of the scale's size; as many processes as there are GPUs, or one and two on a CPU."""
    recipe = SCALES[run.scale].recipe
    batches, scans, steps = TIMED.get(run.scale, ((256, 512, 1024), 2250, 10))
    gpus = torch.cuda.device_count()
    counts = sorted({1, gpus}) if gpus else [1, 2]
    run.config |= {"scans": scans, "image_size": recipe.image_size, "encoder": recipe.encoder}
    measured = {}
    for batch in batches:
        for processes in counts:
            seconds = launched_seconds(processes, batch, scans, recipe.image_size, recipe.encoder, steps)
            measured[f"batch {batch}, {processes} process{'es' * (processes > 1)}"] = {"seconds_per_epoch": seconds}
    return measured
