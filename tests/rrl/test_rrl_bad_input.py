"""Each kind of bad input has a documented answer, no NaN comes of it, and what is missing is counted."""

from dataclasses import replace

import pytest
import torch

from facekit.rrl import (
    FIRST_VIEW,
    SECOND_VIEW,
    UNIT_PROTOCOLS,
    FacePairs,
    LabelledFaces,
    LossWeights,
    RegionRelation,
    always_present,
    experiments,
    marginals,
    positive_weights,
    probe_scores,
    relation_loss,
    relation_matrix,
    rrl_terms,
    training_loop,
    transport_cost,
    transport_plans,
)
from facekit.training import TensorSource, distributed_run, read_metrics
from tests.rrl.rrl_faces import SIZE, symmetric_face

UNITS = UNIT_PROTOCOLS["bp4d"].units
K = len(UNITS)


def damaged(kind: str) -> torch.Tensor:
    """Landmarks (1, 68, 2) of a face with one kind of damage."""
    face = symmetric_face()
    if kind == "no face":
        face[:] = torch.nan
    elif kind == "no brows":
        face[:, 17:27] = torch.nan
    elif kind == "half outside":
        face = symmetric_face(shift=(-56.0, 0.0))
    elif kind == "far outside":
        face = symmetric_face(shift=(300.0, 0.0))
    return face


MISSING = {"whole": 0, "no brows": 3, "half outside": 0, "far outside": K, "no face": K}
"""How many of the 12 regions are gone: without brows those of AUs 1, 2 and 4."""


def pairs_of(kinds: list[str]) -> FacePairs:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(len(kinds), 3, SIZE, SIZE, generator=random)
    faces = TensorSource(image=images, landmarks=torch.cat([damaged(kind) for kind in kinds]))
    return FacePairs(faces, UNITS, (FIRST_VIEW, SECOND_VIEW))


@pytest.mark.parametrize("kind", MISSING)
def test_a_batch_of_damaged_faces_trains_and_its_missing_regions_are_counted(kind):
    torch.manual_seed(0)
    model = RegionRelation("resnet_tiny", hidden=32, projection=16)
    batch = pairs_of(["whole", kind, kind, "whole"]).batch(torch.arange(4), torch.arange(4))
    for view in (1, 2):
        assert (~batch[f"valid_{view}"]).sum(dim=1).tolist() == [0, MISSING[kind], MISSING[kind], 0]
    terms = rrl_terms(model, batch, transport_cost(torch.eye(K)), LossWeights(), 0.1)
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(p.grad.isfinite().all() for p in model.trainable() if p.grad is not None)


def test_the_log_of_a_run_says_which_share_of_the_regions_was_missing(tmp_path):
    kinds = ["whole", "no brows", "no face", "far outside"]
    recipe = replace(
        experiments.SCALES["smoke"].recipe, out_dir=str(tmp_path), steps=2, batch_size=4, log_every=1, progress=False
    )
    with distributed_run(recipe) as world:
        model = RegionRelation("resnet_tiny", hidden=32, projection=16)
        training_loop(recipe, world, model, pairs_of(kinds)).run()
    logged = [line["rrl/regions_missing"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert logged == pytest.approx([sum(MISSING[kind] for kind in kinds) / (4 * K)] * 2)


def test_a_unit_that_never_occurs_is_strange_to_all_and_scores_nothing():
    present = torch.rand(90, K, generator=torch.Generator().manual_seed(0)) < 0.4
    present[:, 3] = False
    coded = torch.ones_like(present)
    relation = relation_matrix(present, coded)
    assert relation[3].sum() == 1.0 and relation[3, 3] == 1.0 and relation.isfinite().all()
    assert positive_weights(present, coded, 1.0)[3] == 1.0
    parts = torch.arange(90).chunk(3)
    folds = tuple(
        (torch.cat([p for p in parts if p is not part]).numpy(), part.numpy()) for part in parts
    )  # fmt: skip
    faces = LabelledFaces(torch.zeros(90, 3, 8, 8), torch.zeros(90, 68, 2), present, coded, folds, UNITS)
    scores = probe_scores(torch.randn(90, 4, generator=torch.Generator().manual_seed(1)), faces)
    assert scores.by_unit[3] == 0.0 and scores.by_unit.isfinite().all()
    assert always_present(faces).by_unit[3] == 0.0


def test_marginals_of_nothing_are_even_and_carry_a_plan_without_nan():
    nothing, face = torch.zeros(3, K, 8), torch.ones(3, 8)
    valid = torch.ones(3, K, dtype=torch.bool)
    valid[1, 4:] = False
    valid[2] = False
    weight = marginals(nothing, face, valid)
    assert (weight > 0).sum(dim=1).tolist() == [K, 4, K]
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(3))
    plan = transport_plans(transport_cost(torch.eye(K)), weight, weight)
    assert plan.isfinite().all()
    torch.testing.assert_close(plan.sum(dim=2), weight, atol=1e-5, rtol=0)
    units = nothing.clone().requires_grad_()
    relation_loss(units, nothing, face, face, transport_cost(torch.eye(K)), valid=valid).backward()
    assert units.grad.isfinite().all()
