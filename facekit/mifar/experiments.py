"""Experiments of MiFaR: Tables I to III, Figures 2 and 3 and one idea more, at four scales.

``python -m facekit run mifar/table1 --scale notebook --seeds 3`` measures every method on the same folds of people: a
linear probe on features that were trained without labels (MiFaR, Barlow Twins on the front view, SimCLR's loss per
view), on random weights and on the images themselves, MiFaR with a k-nearest-neighbour probe and fine-tuned, and the
same encoders trained with labels. Accuracy is in percent. Methods that the paper quotes from elsewhere stand in the
tables as published.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean

import torch
from torch import Tensor

from facekit.data import parse_data
from facekit.experiments import Measured, Run, experiment
from facekit.metrics import accuracy
from facekit.mifar.comparison import Plan, centred_counts, cross_validated, fitted, fold_counts, supervised_counts
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
    "notebook": Plan(LaptopRecipe(subjects=30, frames=6, steps=40, batch_size=32), 1, 150),
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
    parse_data(run.data).require("bu3dfe", "bosphorus")
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
    parse_data(run.data).require("bu4dfe", "bp4d")
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
    parse_data(run.data).require(*SENSORS)
    measured: dict[str, dict[str, float]] = {}
    for dataset in SENSORS:
        plan = plan_of(run, dataset)
        views, levels = asked_of(plan.recipe)
        for fold in range(plan.tested_folds):
            found = centred_counts(plan.recipe, *fold_of(views, plan.recipe.folds, fold), levels)
            for method, counts in found.items():
                cell = measured.setdefault(method, {})
                cell[dataset] = cell.get(dataset, 0.0) + 100 * accuracy(counts) / plan.tested_folds
    return measured


def asked_of(recipe: Recipe) -> tuple[ViewSet, Sequence[int] | None]:
    """A data set's views, and the levels of intensity that are asked for: Subset I of BU-3DFE, elsewhere all (None)."""
    views = open_views(recipe.views())
    return posed_six(views) if recipe.dataset == "bosphorus" else views, (3, 4) if recipe.dataset == "bu3dfe" else None


CALIBRATED = {"smoke": (1, 2), "notebook": (40, 150), "small": (150, 400), "paper": (2000,)}
"""Steps of supervised training that each scale compares."""


@experiment(
    "mifar/calibration",
    paper=PAPER,
    title="Calibration: the same encoders, supervised (%), by steps, on the last two folds of people",
    columns=tuple(SENSORS),
)
def calibration(run: Run) -> Measured:
    """What the twins' difficulty and the steps of supervised training are chosen by; no other method is looked at.

    The folds are none that a table tests, but at the size of the paper, where tables test all.
    """
    parse_data(run.data).require(*SENSORS)
    measured: dict[str, dict[str, float]] = {f"{steps} steps": {} for steps in CALIBRATED[run.scale]}
    for dataset in SENSORS:
        plan = plan_of(run, dataset)
        views, levels = asked_of(plan.recipe)
        folds = [fold_of(views, plan.recipe.folds, fold) for fold in range(plan.recipe.folds)][-2:]
        run.config["tested_folds"] = len(folds)
        for steps in CALIBRATED[run.scale]:
            timed = replace(plan, recipe=fitted(plan.recipe, folds[0][0]), classifier_steps=steps)
            counts = [supervised_counts(timed, *(with_labels(part, levels) for part in parts)) for parts in folds]
            measured[f"{steps} steps"][dataset] = 100 * accuracy(sum(counts))
    return measured


BATCHES = {"smoke": (3, 6, 12), "notebook": (16, 32, 64), "small": (16, 32, 64), "paper": (256, 512, 1024)}
"""Batch sizes, which are embedding sizes too, of each scale's Figure 3."""
SHARES = {"view_loss_quarter": 0.25, "view_loss_half": 0.5, "view_loss": 1.0}
"""Columns of Figure 3, and the shares of the training after which they are read."""


@experiment(
    "mifar/figure3",
    paper=PAPER,
    title="Figure 3: L_theta per dimension after a quarter, half and all of the training, and linear probe (%)",
    columns=(*SHARES, "linear_probe"),
)
def figure3(run: Run) -> Measured:
    """L_MiFaR against L_theta alone, different and same encoders, three batch sizes (batch = embedding size)."""
    plan = plan_of(run, "bu3dfe", log_every=1)
    run.config |= {"batch_size": list(BATCHES[run.scale]), "projector": "as wide as the batch is large"}
    train, test = fold_of(open_views(plan.recipe.views()), plan.recipe.folds, 0)
    labelled, unseen = with_labels(train, (3, 4)), with_labels(test, (3, 4))
    measured = {}
    for batch, shared, weighted in product(BATCHES[run.scale], (False, True), (1.0, 0.0)):
        recipe = replace(
            plan.recipe, batch_size=batch, projector=(*plan.recipe.projector[:-1], batch), shared_encoder=shared,
            loss=replace(plan.recipe.loss, weighted=weighted),
        )  # fmt: skip
        model, lines = pretrain(recipe, train)
        name = f"{'L_MiFaR' if weighted else 'L_theta'}, {'same' if shared else 'different'} encoders, {batch}"
        losses = [line["pretraining/view"] / (3 * batch) for line in lines]
        measured[name] = {column: loss_after(losses, share) for column, share in SHARES.items()}
        measured[name]["linear_probe"] = 100 * accuracy(probe_counts(model.encoder, labelled, unseen))
    return measured


def loss_after(losses: Sequence[float], share: float, steps: int = 5) -> float:
    """Mean of the last few of the steps that make up this share of a training."""
    done = max(1, round(share * len(losses)))
    return fmean(losses[max(0, done - steps) : done])


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
