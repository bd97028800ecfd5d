"""Every method on the same folds of people: who is trained on what, and the confusion counts that come of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facekit.mifar.data import ViewSet, labelled_rows, with_labels
from facekit.mifar.model import Classifier, MiFaR, ViewEncoder
from facekit.mifar.pretraining import fold_of, pretrain
from facekit.mifar.probes import (
    all_features,
    centred_by,
    classifier_counts,
    feature_counts,
    fit_classifier,
    probe_counts,
)
from facekit.mifar.recipe import Recipe, build_model
from facekit.training import derive_seed, distributed_run

OURS = "MiFaR (Ours)"


@dataclass(frozen=True)
class Plan:
    """A scale: the recipe, how many of its folds are tested, and the steps of supervised training and fine-tuning."""

    recipe: Recipe
    tested_folds: int
    classifier_steps: int


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
    trained = {method: trained_on(replace(recipe, method=method), train) for method in ("mifar", "barlow", "simclr")}
    trained["random"] = untrained(recipe)
    names = {
        "mifar": "MiFaR, linear probe", "barlow": "Barlow Twins, front view, linear probe",
        "simclr": "SimCLR's loss per view, linear probe", "random": "random weights, linear probe",
    }  # fmt: skip
    for counts, (labelled, unseen) in zip(found, parts, strict=True):
        for method, name in names.items():
            counts[name] = probe_counts(trained[method].encoder, labelled, unseen)
        counts["the images, linear probe"] = feature_counts(pixels(labelled), labelled, pixels(unseen), unseen)
        counts["MiFaR, k-NN probe"] = probe_counts(trained["mifar"].encoder, labelled, unseen, "neighbours")
        counts["the same encoders, supervised"] = supervised_counts(plan, labelled, unseen)
        counts[OURS] = supervised_counts(plan, labelled, unseen, trained["mifar"].encoder)
    return found


_KEPT: dict[str, MiFaR] = {}
_MOST_KEPT = 24


def trained_on(recipe: Recipe, train: ViewSet) -> MiFaR:
    """Networks trained without labels on these people; MiFaR's are kept for the next experiment of a command."""
    if recipe.method != "mifar":
        return pretrain(recipe, train)[0]
    key = f"{recipe} {sorted(train.table['subject'].astype(str).unique())}"
    if key not in _KEPT:
        while len(_KEPT) >= _MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = pretrain(recipe, train)[0]
    return _KEPT[key]


def untrained(recipe: Recipe) -> MiFaR:
    """The networks as they are drawn, on the recipe's device."""
    with distributed_run(recipe) as world:
        torch.manual_seed(derive_seed(recipe.seed, "random"))
        return build_model(recipe).to(world.device)


def pixels(views: ViewSet) -> Tensor:
    """The images of all views as features (N, D)."""
    return views.images.flatten(1).float() / 255


def supervised_counts(plan: Plan, train: ViewSet, test: ViewSet, start: ViewEncoder | None = None) -> Tensor:
    """Confusion counts of a classifier trained with labels, from random weights or from a copy of an encoder.

    It is trained on the recipe's device.
    """
    recipe = plan.recipe
    with distributed_run(recipe) as world:
        torch.manual_seed(derive_seed(recipe.seed, "classifier"))
        model = Classifier(build_model(replace(recipe, method="mifar")).encoder, len(train.classes))
        if start is not None:
            model.encoder.load_state_dict(start.state_dict())
        fit_classifier(
            model.to(world.device), train, plan.classifier_steps, min(64, recipe.batch_size),
            encoder_rate=1.0 if start is None else 0.5, seed=recipe.seed,
        )  # fmt: skip
        return classifier_counts(model, test)


def fitted(recipe: Recipe, train: ViewSet) -> Recipe:
    """The recipe with a batch no larger than the training part."""
    return replace(recipe, batch_size=min(recipe.batch_size, len(train) // 2 * 2))


def centred_counts(recipe: Recipe, train: ViewSet, test: ViewSet, levels: Sequence[int] | None) -> dict[str, Tensor]:
    """Confusion counts of linear probes on vectors as they are and less their person's mean.

    The mean is that of all scans of the person in the fold's part, whatever they show: no label goes into it.
    """
    recipe = fitted(recipe, train)
    encoders = {
        "MiFaR": trained_on(recipe, train).encoder,
        "random weights": untrained(recipe).encoder,
        "images": None,
    }
    rows = [labelled_rows(part, levels) for part in (train, test)]
    labelled = [part.select(kept) for part, kept in zip((train, test), rows, strict=True)]
    counts = {}
    for name, encoder in encoders.items():
        vectors = [pixels(part) if encoder is None else all_features(encoder, part) for part in (train, test)]
        centred = [centred_by(x, part.people) for x, part in zip(vectors, (train, test), strict=True)]
        for kind, features in ((name, vectors), (f"{name}, less the person's mean", centred)):
            known, asked = (x[torch.from_numpy(kept)] for x, kept in zip(features, rows, strict=True))
            counts[kind] = feature_counts(known, labelled[0], asked, labelled[1])
    return counts
