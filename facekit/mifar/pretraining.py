"""Running the recipe: self-supervised training of one fold's people, in memory or from a script."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from facekit.data import check_disjoint, subject_folds
from facekit.mifar.data import ViewSet, open_views
from facekit.mifar.model import MiFaR
from facekit.mifar.recipe import Recipe, build_model, pretraining_update, without_labels
from facekit.training import ConfigError, TrainingLoop, distributed_run, load_weights, parse_config, read_metrics


def fold_of(views: ViewSet, folds: int, fold: int, seed: int = 0) -> tuple[ViewSet, ViewSet]:
    """Training and test part of a fold; nobody is in both.

    Raises:
        ManifestError: there are fewer people than folds, or somebody is on both sides.
    """
    train, test = subject_folds(views.table, folds, seed)[fold]
    check_disjoint(views.table, train, test)
    return views.select(train), views.select(test)


def pretrain(
    recipe: Recipe, train: ViewSet, watch: Callable[[int, MiFaR], None] | None = None, watch_every: int = 0
) -> tuple[MiFaR, list[dict[str, float]]]:
    """Train on images in memory, whose labels are taken away first; return the networks and the lines of the metrics.

    Nothing is kept on disk. ``watch(step, model)`` is called after steps 0 (the first), ``watch_every``, 2
    ``watch_every`` and so on.
    """
    if recipe.batch_size > len(train):
        raise ConfigError(f"batch_size is {recipe.batch_size}, but there are {len(train)} scans to train on")
    with tempfile.TemporaryDirectory() as folder, distributed_run(recipe) as world:
        model = build_model(recipe).to(world.device)
        update = pretraining_update(recipe, world, model)

        def after(step: int) -> None:
            if watch is not None and watch_every and step % watch_every == 0:
                watch(step, model)

        quiet = replace(recipe, out_dir=folder, save_every=recipe.steps)
        loop = TrainingLoop(quiet, world, {"mifar": model}, [update], without_labels(train), after_step=after)
        loop.run()
        return model.eval(), read_metrics(Path(folder) / "metrics.jsonl")


def load_run(out_dir: str | Path) -> tuple[MiFaR, Recipe]:
    """The networks and the settings of a finished run of ``book/mifar/train.py``."""
    recipe = parse_config(Recipe, ["--config", str(Path(out_dir) / "config.yml")])
    model = build_model(recipe)
    load_weights(Path(out_dir) / "weights.pt", {"mifar": model})
    return model.eval(), recipe


def open_fold(
    recipe: Recipe, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[ViewSet, ViewSet]:
    """The images that a recipe names, cut at its fold: (training part, test part).

    Raises:
        ConfigError: there are fewer people than folds, or a part lacks the labels that the probes need after training.
        DataError, ManifestError: see ``open_views`` and ``fold_of``.
    """
    views = open_views(recipe.views(), progress)
    if recipe.folds > views.table["subject"].nunique():
        raise ConfigError(f"folds is {recipe.folds}, but there are {views.table['subject'].nunique()} people")
    train, test = fold_of(views, recipe.folds, recipe.fold)
    known, asked = len(train.labels[train.labels >= 0].unique()), int((test.labels >= 0).sum())
    if known < 2 or not asked:
        raise ConfigError(
            f"in fold {recipe.fold} of {recipe.folds} the training people show {known} of the expressions "
            f"{', '.join(views.classes)} and the test people {asked} scans of them; the probes need two expressions or "
            "more to learn and a scan to be asked about"
        )
    return train, test
