"""Experiments of MiFaR: Tables I to III and Figures 2 and 3, at four scales.

``python -m facekit run mifar/table1 --scale notebook --seeds 3`` measures every method on the same folds of people: a
linear probe on features that were trained without labels (MiFaR, Barlow Twins on the front view, SimCLR's loss per
view, random weights), MiFaR with a k-nearest-neighbour probe and fine-tuned, and the same encoders trained with labels.
Accuracy is in percent. Methods that the paper quotes from elsewhere stand in the tables as published.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facekit.experiments import Measured, Run, experiment
from facekit.metrics import accuracy
from facekit.mifar.copies import check_named
from facekit.mifar.data import ViewSet, open_views, with_labels
from facekit.mifar.model import Classifier, ViewEncoder
from facekit.mifar.pretraining import fold_of, pretrain
from facekit.mifar.probes import classifier_counts, fit_classifier, probe_counts
from facekit.mifar.published import TABLE_1, TABLE_2, TABLE_3A, TABLE_3B
from facekit.mifar.recipe import LaptopRecipe, Recipe, build_model
from facekit.mifar.timing import launched_seconds
from facekit.training import derive_seed

PAPER = "Behzad and Zhao 2021"
OURS = "MiFaR (Ours)"


@dataclass(frozen=True)
class Plan:
    """A scale: the recipe, how many of its folds are tested, and the steps of supervised training and fine-tuning."""

    recipe: Recipe
    tested_folds: int
    classifier_steps: int


_SMOKE = LaptopRecipe(
    subjects=4, folds=2, steps=2, batch_size=12, image_size=24, channels=("depth",), projector=(16, 16), frames=3
)
SCALES = {
    "smoke": Plan(_SMOKE, 1, 2),
    "notebook": Plan(LaptopRecipe(subjects=30, frames=6, steps=60, batch_size=32, folds=5), 1, 40),
    "small": Plan(LaptopRecipe(subjects=0, image_size=48, steps=900, folds=10), 3, 400),
    "paper": Plan(Recipe(), 10, 2000),
}
"""Settings of each scale; the paper tests all of 10 folds."""

Counter = Callable[[Recipe, int, ViewSet, list[tuple[ViewSet, ViewSet]]], dict[str, list[Tensor]]]


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


def cross_validated(plan: Plan, views: ViewSet, subsets: Sequence[Sequence[int] | None]) -> list[dict[str, Tensor]]:
    """Confusion counts of every method, summed over the tested folds, for each subset of intensities (None for all).

    One training without labels serves all subsets; everything that sees labels is trained for each of them.
    """
    totals: list[dict[str, Tensor]] = [{} for _ in subsets]
    for fold in range(plan.tested_folds):
        train, test = fold_of(views, plan.recipe.folds, fold)
        parts = [(with_labels(train, levels), with_labels(test, levels)) for levels in subsets]
        for total, found in zip(totals, fold_counts(plan, train, parts), strict=True):
            for method, counts in found.items():
                total[method] = total.get(method, 0) + counts
    return totals


def fold_counts(plan: Plan, train: ViewSet, parts: Sequence[tuple[ViewSet, ViewSet]]) -> list[dict[str, Tensor]]:
    """Confusion counts of every method on each of the (training, test) parts of one fold."""
    recipe, found = fitted(plan.recipe, train), [{} for _ in parts]
    trained = {method: pretrain(replace(recipe, method=method), train)[0] for method in ("mifar", "barlow", "simclr")}
    torch.manual_seed(derive_seed(recipe.seed, "random"))
    trained["random"] = build_model(recipe)
    names = {
        "mifar": "MiFaR, linear probe", "barlow": "Barlow Twins, front view, linear probe",
        "simclr": "SimCLR's loss per view, linear probe", "random": "random weights, linear probe",
    }  # fmt: skip
    for counts, (labelled, unseen) in zip(found, parts, strict=True):
        for method, name in names.items():
            counts[name] = probe_counts(trained[method].encoder, labelled, unseen)
        counts["MiFaR, k-NN probe"] = probe_counts(trained["mifar"].encoder, labelled, unseen, "neighbours")
        counts["the same encoders, supervised"] = supervised_counts(plan, labelled, unseen)
        counts[OURS] = supervised_counts(plan, labelled, unseen, trained["mifar"].encoder)
    return found


def supervised_counts(plan: Plan, train: ViewSet, test: ViewSet, start: ViewEncoder | None = None) -> Tensor:
    """Confusion counts of a classifier trained with labels, from random weights or from a copy of an encoder."""
    recipe = plan.recipe
    torch.manual_seed(derive_seed(recipe.seed, "classifier"))
    model = Classifier(build_model(replace(recipe, method="mifar")).encoder, len(train.classes))
    if start is not None:
        model.encoder.load_state_dict(start.state_dict())
    fit_classifier(
        model, train, plan.classifier_steps, min(64, recipe.batch_size), encoder_rate=1.0 if start is None else 0.5,
        seed=recipe.seed,
    )  # fmt: skip
    return classifier_counts(model, test)


def fitted(recipe: Recipe, train: ViewSet) -> Recipe:
    """The recipe with a batch no larger than the training part."""
    return replace(recipe, batch_size=min(recipe.batch_size, len(train) // 2 * 2))


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
