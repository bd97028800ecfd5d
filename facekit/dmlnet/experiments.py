"""Experiments of DML-Net: Tables 2 to 9 and Figures 6 to 15, on the protocol twins or the data sets themselves.

``python -m facekit run dmlnet/table8_kdef --scale notebook`` trains the ablation on KDEF's twin with three seeds and
writes the rates beside the paper's. All numbers are percentages unless their name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facekit.dmlnet import published
from facekit.dmlnet.data import PROTOCOLS
from facekit.dmlnet.evaluation import (
    answer,
    clustering_scores,
    confusion,
    descent,
    descent_spread,
    identity_clusters,
    togetherness,
)
from facekit.dmlnet.measures import compared, part_of, rates, rates_by, run_of, short_names, yaw_names
from facekit.dmlnet.pictures import TRIPLETS
from facekit.dmlnet.published import SEVEN, SHORT, STEPS
from facekit.dmlnet.training_runs import Trained, faces_for
from facekit.experiments import Measured, Run, experiment

PAPER = "Liu et al. 2021"


@experiment(
    "dmlnet/table2", paper=PAPER, title="KDEF, five yaws (%)", columns=("pose", "expression"),
    published=published.TABLE_2,
)  # fmt: skip
def table2(run: Run) -> Measured:
    """Rates of pose and expression beside measured baselines."""
    return compared(run, "kdef", rates)


@experiment(
    "dmlnet/table3", paper=PAPER, title="KDEF: expression and angle (%)",
    columns=("-90", "-45", "0", "45", "90", "average"), published=published.TABLE_3,
)  # fmt: skip
def table3(run: Run) -> Measured:
    """DML-Net's rate for each expression in each pose."""
    found = run_of(run, "kdef", "DML-Net")
    pose, names = found.test.labels.pose, yaw_names(found.test)
    rows = {}
    for number, name in short_names(found.test).items():
        part = part_of(found, found.test.labels.expression == number)
        rows[name] = rates_by(part, part.test.labels.pose, names)
    return {**rows, "average": rates_by(found, pose, names)}


@experiment(
    "dmlnet/table4", paper=PAPER, title="KDEF, frontal faces: each expression (%)", columns=(*SEVEN, "average"),
    published=published.TABLE_4,
)  # fmt: skip
def table4(run: Run) -> Measured:
    """Rates on frontal faces of networks trained on all poses."""

    def frontal(found: Trained) -> dict[str, float]:
        part = part_of(found, found.test.labels.pose == found.test.yaws.index(0.0))
        return rates_by(part, part.test.labels.expression, short_names(part.test))

    return compared(run, "kdef", frontal)


def _table5(widest: int) -> Callable[[Run], Measured]:
    def table5(run: Run) -> Measured:
        def within(found: Trained) -> dict[str, float]:
            near = np.flatnonzero(np.abs(found.test.yaws) <= widest)
            return rates(part_of(found, np.isin(found.test.labels.pose, near)))

        return compared(run, "bu3dfe", within)

    return table5


for _widest in (90, 45):
    experiment(
        f"dmlnet/table5_{_widest}", paper=PAPER, title=f"BU-3DFE, yaws to ±{_widest}° (%)",
        columns=("pose", "expression"), published=published.TABLE_5[_widest],
    )(_table5(_widest))  # fmt: skip


@experiment(
    "dmlnet/table6", paper=PAPER, title="Multi-PIE: each pose (%)",
    columns=("-30", "-15", "0", "15", "30", "average"), published=published.TABLE_6,
)  # fmt: skip
def table6(run: Run) -> Measured:
    """Expression rates for each of five poses."""
    return compared(run, "multipie", lambda found: rates_by(found, found.test.labels.pose, yaw_names(found.test)))


def _each_expression(found: Trained) -> dict[str, float]:
    return rates_by(found, found.test.labels.expression, short_names(found.test))


@experiment(
    "dmlnet/table7", paper=PAPER, title="SFEW after pre-training on Multi-PIE: each expression (%)",
    columns=(*SEVEN, "average"), published=published.TABLE_7,
)  # fmt: skip
def table7(run: Run) -> Measured:
    """Rates on the validation split; poses and identities of SFEW are filled in."""
    return compared(run, "sfew", _each_expression, start="multipie")


def _table8(dataset: str) -> Callable[[Run], Measured]:
    def table8(run: Run) -> Measured:
        rows = {}
        for method in STEPS:
            found = run_of(run, dataset, method)
            rows[method] = {**rates(found), "images_per_second": found.speed()}
        return rows

    return table8


for _name in ("kdef", "bu3dfe", "multipie"):
    experiment(
        f"dmlnet/table8_{_name}", paper=PAPER, title=f"Ablation on {_name} (%, and faces per second)",
        columns=("pose", "expression", "images_per_second"), published=published.TABLE_8[_name],
    )(_table8(_name))  # fmt: skip


@experiment(
    "dmlnet/table9", paper=PAPER, title="Trained on BU-3DFE, tested on SFEW: each expression (%)", columns=SEVEN,
    published=published.TABLE_9,
)  # fmt: skip
def table9(run: Run) -> Measured:
    """Rates on SFEW's validation split of networks that have never seen SFEW.

    BU-3DFE's six expressions do not hold neutral, so that no neutral face can be named correctly here.
    """
    _, sfew = faces_for(run.scale, "sfew", run.data)
    codes = [sfew.expressions.index(name) for name in PROTOCOLS["bu3dfe"].expressions]

    def across(found: Trained) -> dict[str, float]:
        answers = answer(found.network, sfew)
        seen = answers._replace(expression=answers.expression.new_tensor(codes)[answers.expression])
        numbers = _each_expression(found._replace(test=sfew, answers=seen))
        return {name: value for name, value in numbers.items() if name != "average"}

    return compared(run, "bu3dfe", across)


_FIGURES = {6: "kdef", 7: "bu3dfe", 8: "multipie", 9: "sfew"}
_FIGURE_9 = {"expression": published.FIGURE_9, "pose": published.FIGURE_9_POSE}


def _class_names(dataset: str, task: str) -> tuple[str, ...]:
    protocol = PROTOCOLS[dataset]
    if task == "pose":
        return tuple(f"{yaw:g}" for yaw in protocol.yaws)
    return tuple(SHORT.get(name, name) for name in protocol.expressions)


def _confusion(dataset: str, task: str) -> Callable[[Run], Measured]:
    def figure(run: Run) -> Measured:
        found = run_of(run, dataset, "DML-Net", "multipie" if dataset == "sfew" else "")
        names, counts = _class_names(dataset, task), confusion(found.answers, found.test)[task].double()
        shares = 100.0 * counts / counts.sum(dim=1, keepdim=True).clamp(min=1.0)
        seen = counts.sum(dim=1) > 0
        return {
            actual: dict(zip(names, shares[row].tolist(), strict=True)) for row, actual in enumerate(names) if seen[row]
        }

    return figure


for _number, _name in _FIGURES.items():
    for _task in ("expression", "pose"):
        experiment(
            f"dmlnet/figure{_number}_{_task}", paper=PAPER, columns=_class_names(_name, _task),
            title=f"Confusion of {_task}s on {_name}: rows actual, columns predicted (%)",
            published=_FIGURE_9[_task] if _number == 9 else None,
        )(_confusion(_name, _task))  # fmt: skip


@experiment(
    "dmlnet/figures10_13", paper=PAPER, columns=("silhouette_expression", "silhouette_pose", "silhouette_subject"),
    title="BU-3DFE: how the embedding groups faces with each kind of triplet (silhouette, -1 to 1)",
)  # fmt: skip
def figures10_13(run: Run) -> Measured:
    """What the t-SNE pictures show, as numbers: grouped by expression, and neither by pose nor by subject."""
    rows = {}
    for method in TRIPLETS:
        found = run_of(run, "bu3dfe", method)
        scores = clustering_scores(found.answers, found.test)
        rows[method] = {f"silhouette_{name}": score for name, score in scores.items()}
    return rows


@experiment(
    "dmlnet/figure14", paper=PAPER, columns=("togetherness",),
    title="BU-3DFE, frontal happiness in four clusters: faces in the cluster that holds most of their person (%)",
)  # fmt: skip
def figure14(run: Run) -> Measured:
    """The clusters of the embedding, and the same clusters dealt out at random."""
    found = run_of(run, "bu3dfe", "DML-Net")
    try:
        clusters = identity_clusters(found.answers, found.test, "happiness", seed=run.seed)
    except ValueError:  # a network that has hardly learned may take too few faces for happy
        return {"clusters of the embedding": {"togetherness": None}}
    chosen = clusters >= 0
    subjects = found.test.labels.subject
    random = np.random.default_rng(run.seed)
    dealt = [togetherness(random.permutation(clusters[chosen]), subjects[chosen]) for _ in range(200)]
    return {
        "clusters of the embedding": {"togetherness": togetherness(clusters, subjects)},
        "the same, dealt at random": {"togetherness": float(np.mean(dealt))},
    }


TENTHS = tuple(f"{10 * part} %" for part in range(1, 11))
"""Ends of ten equal parts of a training run."""


def _figure15(dataset: str) -> Callable[[Run], Measured]:
    def figure15(run: Run) -> Measured:
        rows: dict[str, dict[str, float]] = {}
        for name, method in {"with ADW": "MFE+HPE+JEFL+ADW", "without ADW": "MFE+HPE+JEFL"}.items():
            log = run_of(run, dataset, method).log
            rows[name] = descent_spread(log)
            for task, course in descent(log, len(TENTHS)).items():
                rows[f"{name}: {task}"] = dict(zip(TENTHS, course, strict=False))
        return rows

    return figure15


for _name in ("multipie", "bu3dfe"):
    experiment(
        f"dmlnet/figure15_{_name}", paper=PAPER, columns=("spread", "roughness", *TENTHS),
        title=f"Descent of the three losses on {_name}: how unlike each other, how uneven, and mean losses of each "
        "tenth of the run (of their first value)",
    )(_figure15(_name))  # fmt: skip


def _beyond(dataset: str) -> Callable[[Run], Measured]:
    def beyond(run: Run) -> Measured:
        return {method: rates(run_of(run, dataset, method)) for method in ("DML-Net", "DML-Net, progress weights")}

    return beyond


for _name in ("kdef", "bu3dfe", "multipie"):
    experiment(
        f"dmlnet/beyond_{_name}", paper=PAPER, columns=("pose", "expression"),
        title=f"Beyond the paper, {_name}: weights that follow what the network knows (%)",
    )(_beyond(_name))  # fmt: skip


@experiment(
    "dmlnet/longer", paper=PAPER, columns=("once", "ten_times"),
    title="KDEF: expression (%) after the steps of the other tables and after ten times as many",
)  # fmt: skip
def longer(run: Run) -> Measured:
    """Whether a method is behind because the training is short."""
    rows = {}
    for method in ("ResNet50", "MFE", "DML-Net", "DML-Net, progress weights"):
        lengths = {"ten_times": 10, "once": 1}  # the record names the steps of the last
        found = {name: run_of(run, "kdef", method, longer=length) for name, length in lengths.items()}
        rows[method] = {name: rates(network)["expression"] for name, network in found.items()}
    return rows
