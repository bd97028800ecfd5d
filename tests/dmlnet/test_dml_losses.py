"""Triplet losses against the equations word for word and against pytorch-metric-learning; dynamic weights."""

import math

import pytest
import torch
from torch import Tensor

from facekit.dmlnet import (
    PAIRS,
    BatchLabels,
    DynamicWeights,
    IslandLoss,
    ProgressWeights,
    hardest_triplets,
    metric_losses,
    pose_pairs,
    squared_distances,
)
from tests.dmlnet.literal import literal_triplet_loss

FACTOR = {"pose": "pose", "identity": "subject"}


def batch(count: int = 20, seed: int = 0, kinds: tuple[int, int, int] = (3, 3, 4)) -> tuple[Tensor, BatchLabels]:
    random = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, 6, generator=random, dtype=torch.float64, requires_grad=True)
    return embeddings, BatchLabels(*(torch.randint(kind, (count,), generator=random) for kind in kinds))


@pytest.mark.parametrize("hinge", [True, False])
@pytest.mark.parametrize("kind", ["pose", "identity"])
@pytest.mark.parametrize("seed", range(4))
def test_losses_and_gradients_are_those_of_the_equations(kind, hinge, seed):
    embeddings, labels = batch(seed=seed, count=8 + 6 * seed)
    ours = metric_losses(embeddings, labels, [kind], 0.4, hinge, reduction="sum")[kind]
    literal, anchors = literal_triplet_loss(embeddings, FACTOR[kind], labels, 0.4, hinge)
    torch.testing.assert_close(ours.loss, literal)
    assert ours.anchors == anchors and ours.anchors + ours.unused == len(embeddings)
    torch.testing.assert_close(*(torch.autograd.grad(loss, embeddings)[0] for loss in (ours.loss, literal)))
    mean = metric_losses(embeddings, labels, [kind], 0.4, hinge)[kind].loss
    torch.testing.assert_close(mean * anchors, literal)


def test_an_anchor_without_a_partner_contributes_nothing_and_is_counted():
    """The fifth sample shows an expression of its own, the sixth a pose and an expression of its own."""
    embeddings, _ = batch(6)
    labels = BatchLabels(*(torch.tensor(x) for x in ([0, 0, 1, 1, 2, 3], [0, 1, 0, 1, 0, 2], [0, 1, 0, 1, 0, 2])))
    found = hardest_triplets(squared_distances(embeddings), *pose_pairs(labels), margin=5.0)
    assert (found.anchors, found.unused) == (4, 2)
    (gradient,) = torch.autograd.grad(found.loss, embeddings)
    assert gradient[5].abs().max() == 0, "it is neither anchor nor partner"


def test_a_batch_without_any_triplet_costs_nothing():
    embeddings, _ = batch(4)
    same = torch.zeros(4, dtype=torch.int64)
    for found in metric_losses(embeddings, BatchLabels(same, same, same), list(PAIRS), 0.5).values():
        assert found.loss == 0 and found.anchors == 0 and found.unused == 4 and found.active == 0
        assert torch.autograd.grad(found.loss, embeddings, retain_graph=True)[0].abs().max() == 0


def test_without_the_hinge_the_loss_has_no_lower_bound():
    """Moving the classes apart lowers the printed form for ever; with the hinge there is nothing left to gain."""
    labels = BatchLabels(*(torch.tensor(x) for x in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1])))
    apart = [torch.tensor([[0.0], [0.1], [far], [far + 0.1]]) for far in (3.0, 30.0)]
    printed = [float(metric_losses(x, labels, ["pose"], 0.5, hinge=False)["pose"].loss) for x in apart]
    hinged = [float(metric_losses(x, labels, ["pose"], 0.5)["pose"].loss) for x in apart]
    assert printed[1] < printed[0] < -5 and hinged == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(3))
def test_plain_triplets_agree_with_pytorch_metric_learning(seed):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    reducers = pytest.importorskip("pytorch_metric_learning.reducers")
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    embeddings, labels = batch(24, seed)
    triplets = miners.BatchHardMiner(distance=squared)(embeddings, labels.expression)
    loss = losses.TripletMarginLoss(0.4, distance=squared, reducer=reducers.MeanReducer())
    theirs = loss(embeddings, labels.expression, triplets)
    ours = metric_losses(embeddings, labels, ["expression"], 0.4)["expression"].loss
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(value, embeddings)[0] for value in (ours, theirs)))


@pytest.mark.parametrize("kind", ["pose", "identity"])
def test_given_the_hardest_triplets_pytorch_metric_learning_agrees(kind):
    """Its miners know one label; the triplets of two labels are found with its distances and handed to its loss."""
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    reducers = pytest.importorskip("pytorch_metric_learning.reducers")
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    embeddings, labels = batch(24, 5)
    table = squared(embeddings).detach()
    triplets = []
    for i, (positive, negative) in enumerate(zip(*PAIRS[kind](labels), strict=True)):
        if positive.any() and negative.any():
            far, near = positive.nonzero()[:, 0], negative.nonzero()[:, 0]
            triplets.append((i, int(far[table[i, far].argmax()]), int(near[table[i, near].argmin()])))
    indices = tuple(torch.tensor(column) for column in zip(*triplets, strict=True))
    loss = losses.TripletMarginLoss(0.4, distance=squared, reducer=reducers.MeanReducer())
    torch.testing.assert_close(
        metric_losses(embeddings, labels, [kind], 0.4)[kind].loss, loss(embeddings, labels.expression, indices)
    )


def test_distances_are_squared_and_kept_in_single_precision():
    embeddings, _ = batch(5)
    expected = (embeddings[:, None] - embeddings[None]).square().sum(-1)
    torch.testing.assert_close(squared_distances(embeddings), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert squared_distances(embeddings.float()).dtype == torch.float32
        assert squared_distances(embeddings.bfloat16()).dtype == torch.float32


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="reduction is 'max'"):
        hardest_triplets(torch.zeros(2, 2), *[torch.ones(2, 2, dtype=torch.bool)] * 2, 0.1, reduction="max")
    with pytest.raises(ValueError, match="distances are"):
        hardest_triplets(torch.zeros(2, 2), *[torch.ones(3, 2, dtype=torch.bool)] * 2, 0.1)
    with pytest.raises(ValueError, match="must be positive"):
        DynamicWeights(["a"], temperature=0.0)


def observe(weights: DynamicWeights, *losses: tuple[float, ...]) -> None:
    for values in losses:
        weights.observe({task: torch.tensor(value) for task, value in zip(weights.tasks, values, strict=True)})


def test_weights_are_those_of_equation_8():
    weights = DynamicWeights(["a", "b", "c"], window=2)
    observe(weights, (4.0, 1.0, 2.0), (2.0, 3.0, 2.0))
    assert weights.weights == pytest.approx({"a": 2 / 3, "b": 2 / 3, "c": 2 / 3}), "one window: no rate yet"
    observe(weights, (1.0, 2.0, 1.0))
    assert weights.weights == pytest.approx({"a": 2 / 3, "b": 2 / 3, "c": 2 / 3}), "half a window more"
    observe(weights, (2.0, 4.0, 2.0))
    rates = (1.5 / 3.0, 3.0 / 2.0, 1.5 / 2.0)
    total = sum(math.exp(rate / 2) for rate in rates)
    expected = [2 * math.exp(rate / 2) / total for rate in rates]
    assert list(weights.weights.values()) == pytest.approx(expected)
    assert weights.weights["b"] > weights.weights["c"] > weights.weights["a"], "b rose, a fell fastest"


def test_a_loss_that_is_gone_leaves_finite_weights():
    weights = DynamicWeights(["a", "b"], window=1)
    observe(weights, (1.0, 0.0), (1.0, 0.0))
    assert list(weights.weights.values()) == pytest.approx([1.0, 1.0])
    observe(weights, (1.0, 1.0))
    assert all(math.isfinite(value) for value in weights.weights.values()), "from nothing to something: rate unbounded"
    observe(weights, (1.0, 1e30), (1e30, 1.0))
    assert sum(weights.weights.values()) == pytest.approx(2.0)


def test_weights_continue_from_a_checkpoint():
    one, other = DynamicWeights(["a", "b"], window=2), DynamicWeights(["a", "b"], window=2)
    first, rest = [(1.0, 2.0), (1.0, 1.0), (0.5, 3.0)], [(0.7, 1.0), (0.1, 1.0), (0.3, 0.2)]
    observe(one, *first)
    other.load_state_dict(one.state_dict())
    observe(one, *rest)
    observe(other, *rest)
    assert one.weights == other.weights and one.weights["a"] != one.weights["b"]


def test_the_metric_term_waits_for_expressions_and_the_pose_makes_room():
    weights = ProgressWeights(["expression", "pose", "metric"], memory=0.0)
    assert weights.weights == {"expression": 1.0, "pose": 1.0, "metric": 0.0}
    known = {"expression": 0.5, "pose": 0.9}
    weights.observe({name: torch.tensor(-math.log(share)) for name, share in known.items()})
    assert weights.weights == pytest.approx({"expression": 1.0, "pose": 0.1, "metric": 0.25})
    without_pose = ProgressWeights(["expression", "metric"])
    without_pose.observe({"expression": torch.tensor(0.0)})
    assert without_pose.weights == pytest.approx({"expression": 1.0, "metric": 0.01}), "a tenth of the way to 1"
    with pytest.raises(ValueError, match="tasks are pose"):
        ProgressWeights(["pose"])
    with pytest.raises(ValueError, match=r"memory is 1\.0"):
        ProgressWeights(["expression"], memory=1.0)


def test_progress_continues_from_a_checkpoint():
    one, other = (ProgressWeights(["expression", "pose", "metric"]) for _ in range(2))
    one.observe({"expression": torch.tensor(1.0), "pose": torch.tensor(0.2)})
    other.load_state_dict(one.state_dict())
    for weights in (one, other):
        weights.observe({"expression": torch.tensor(0.5), "pose": torch.tensor(0.1)})
    assert one.weights == other.weights != ProgressWeights(one.tasks).weights


def test_island_loss_is_the_centre_loss_and_the_angles_between_centres():
    torch.manual_seed(0)
    loss = IslandLoss(3, 4, spread=0.5)
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    near = sum(0.5 * (x[i] - loss.centres[y[i]]).square().sum() for i in range(5)) / 5
    angles = sum(
        1 + torch.cosine_similarity(loss.centres[j], loss.centres[k], dim=0)
        for j in range(3) for k in range(3) if j != k
    )  # fmt: skip
    torch.testing.assert_close(loss(x, y), near + 0.5 * angles)
    centre = IslandLoss(3, 4, spread=0.0)
    centre.centres.data.copy_(loss.centres)
    torch.testing.assert_close(centre(x, y), near)
