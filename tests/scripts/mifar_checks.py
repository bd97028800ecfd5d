"""Runs in each of two processes: MiFaR's losses on half a batch each are those of one process on all of it.

Likewise its views, of which each process renders a part.
"""

import sys
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from checking import run_checks
from torch import Tensor, nn

from facekit.mifar import (
    Recipe,
    ScanError,
    ScannerNoise,
    ViewSet,
    ViewSettings,
    barlow_loss,
    build_model,
    cheaper_form,
    contrastive_loss,
    mifar_terms,
    open_views,
    self_supervised_loss,
    two_versions,
)
from facekit.training import Step, World, synchronize_gradients
from tests.data.readers import scan_trees
from tests.mifar.textbook import textbook_loss

BATCH, VIEWS = 12, 3


def everyone(width: int) -> tuple[Tensor, nn.Parameter]:
    """Inputs (V, N, 5) of the global batch and a weight that makes embeddings of them."""
    random = torch.Generator().manual_seed(width)
    inputs = torch.randn(VIEWS, BATCH, 5, dtype=torch.float64, generator=random)
    return inputs, nn.Parameter(torch.randn(2, 5, width, dtype=torch.float64, generator=random))


def check_forms(world: World) -> None:
    """Value and averaged gradient of both forms, for wide and narrow embeddings."""
    for width in (4, 40):
        inputs, weight = everyone(width)
        terms = textbook_loss(inputs @ weight[0], (inputs + 0.3 * inputs.sin()) @ weight[1])
        expected = 2 * terms["weighted"] + terms["view"]
        slope = torch.autograd.grad(expected, weight)[0]
        mine = inputs.chunk(world.size, 1)[world.rank]
        for form in ("gram", "textbook", "auto"):
            weight.grad = None
            found = mifar_terms(mine @ weight[0], (mine + 0.3 * mine.sin()) @ weight[1], form=form)
            value = 2 * (found["weighted_invariance"] + 5e-3 * found["weighted_redundancy"])
            value = value + found["view_invariance"] + 5e-3 * found["view_redundancy"]
            value.backward()
            synchronize_gradients([weight])
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(weight.grad, slope, rtol=1e-8, atol=1e-10)


def check_constant_dimension(world: World) -> None:
    """A dimension that varies in one process alone is no constant; one that varies in none is."""
    inputs, weight = everyone(6)
    first = (inputs @ weight[0]).detach()
    first[:, :, 0] = 0.1
    first[:, : BATCH // 2, 1] = 0.1
    mine = first.chunk(world.size, 1)[world.rank].clone().requires_grad_()
    terms = mifar_terms(mine, (inputs @ weight[1]).detach().chunk(world.size, 1)[world.rank])
    sum(terms.values()).backward()
    assert mine.grad.isfinite().all() and not mine.grad[..., 0].any() and mine.grad[..., 1].any()


def check_one_sample_each(world: World) -> None:
    """A batch of one per process is a batch of two."""
    inputs, weight = everyone(6)
    expected = textbook_loss(inputs[:, :2] @ weight[0], inputs[:, :2] @ weight[1])["view"]
    mine = inputs[:, world.rank : world.rank + 1]
    terms = mifar_terms(mine @ weight[0], mine @ weight[1])
    torch.testing.assert_close(terms["view_invariance"] + 5e-3 * terms["view_redundancy"], expected)


def check_baselines(world: World) -> None:
    """Barlow Twins and the contrastive loss, whose mean over the processes is that of one."""
    inputs, weight = everyone(8)
    mine = inputs.chunk(world.size, 1)[world.rank]
    for loss in (barlow_loss, contrastive_loss):
        alone = {loss: textbook_loss(inputs[:1] @ weight[0], inputs[:1] @ weight[1], (1.0,))["view"]}
        if loss is contrastive_loss:
            alone[loss] = naive_contrastive(inputs[0] @ weight[0], inputs[0] @ weight[1])
        slope = torch.autograd.grad(alone[loss], weight)[0]
        weight.grad = None
        loss(mine[0] @ weight[0], mine[0] @ weight[1]).backward()
        synchronize_gradients([weight])
        torch.testing.assert_close(weight.grad, slope, rtol=1e-4, atol=1e-6)


def naive_contrastive(first: Tensor, second: Tensor) -> Tensor:
    unit = nn.functional.normalize(torch.cat([first, second]), dim=1)
    scores = (unit @ unit.T / 0.2).fill_diagonal_(float("-inf"))
    return nn.functional.cross_entropy(scores, torch.arange(len(unit)).roll(len(unit) // 2))


def check_distortions(world: World) -> None:
    """Two processes distort the global batch as one does."""
    recipe = Recipe(encoder="resnet_tiny", projector=(8, 8), channels=("depth",))
    images = torch.rand(4, 3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    model = build_model(recipe).eval()
    loss = self_supervised_loss(recipe, model)
    mine = {"images": images.chunk(world.size)[world.rank]}
    with torch.no_grad():
        terms = loss(mine, Step(1, 2, "pretraining", 0, 0, world, 3))
        alone = Step(1, 2, "pretraining", 0, 0, World(0, 1, world.device), 3)
        first, second = (model(version).double() for version in two_versions(images, alone))
        expected = textbook_loss(first, second)
    for name in expected:
        torch.testing.assert_close(terms[name].double(), expected[name], rtol=1e-4, atol=1e-4)


def check_bytes(world: World) -> None:
    """Where work is even, the form that sends less is taken."""
    for batch, width in ((64, 4096), (4096, 64)):
        sent = {"gram": 2 * VIEWS * batch * width, "textbook": VIEWS * width**2}
        assert sent[cheaper_form(VIEWS, batch, width, world.size)] == min(sent.values())


def opened(settings: ViewSettings) -> tuple[ViewSet, list[tuple[int, int]]]:
    """The views, rendered anew, and the progress that was told."""
    told: list[tuple[int, int]] = []
    return open_views(settings, lambda done, total: told.append((done, total))), told


def made_alone(world: World, shared: ViewSet, settings: ViewSettings) -> None:
    """The first process makes the same images without the other."""
    if not world.is_main:
        return
    with ExitStack() as stack:
        for module in ("sharing", "collectives"):
            stack.enter_context(patch.multiple(f"facekit.training.{module}", world_size=lambda: 1, rank=lambda: 0))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        alone = opened(settings)[0]
    assert torch.equal(shared.images, alone.images) and torch.equal(shared.labels, alone.labels)
    assert shared.table.equals(alone.table)


def check_views_of_twins(world: World) -> None:
    """A twin of one block, which one process makes, and recordings whose exact pooling depends on their block."""
    scans = ViewSettings(dataset="bu3dfe", subjects=1, image_size=16, channels=("depth",))
    for settings, own in (
        (scans, ([], [(25, 25)])),
        (replace(scans, dataset="bu4dfe", frames=16, pooling="svm"), ([(3, 3)], [(3, 3)])),
    ):
        shared, told = opened(settings)
        assert told == own[world.rank], told
        made_alone(world, shared, settings)


def check_a_problem_of_one_process(world: World) -> None:
    """The first process, which has nothing to render here, can say what the second one found."""
    gone = ScannerNoise(holes=1, hole_radius=500.0)
    with pytest.raises(ScanError, match="sample 0 shows no surface at 20 degrees"):
        opened(ViewSettings(dataset="bu3dfe", subjects=1, image_size=16, channels=("depth",), noise=gone))


def check_views_of_a_copy(world: World) -> None:
    """Each process reads its share of the scans; a damaged one is said once, by the first process."""
    root = Path(sys.argv[1])
    if world.is_main:
        damaged = scan_trees.bu3dfe(root / "bu3dfe") / "F0001/F0001_AN01WH_F3D.wrl"
        damaged.write_bytes(damaged.read_bytes().replace(b"coordIndex", b"coordinate", 1))
    torch.distributed.barrier()
    settings = ViewSettings(data=f"bu3dfe={root / 'bu3dfe'}", image_size=16, channels=("depth",), cache=str(root / "1"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        shared, told = opened(settings)
    left_out = [str(entry.message) for entry in said if "left out" in str(entry.message)]
    assert len(left_out) == int(world.is_main) and all("1 of 6 scans left out" in message for message in left_out)
    assert told == [(1, 3), (2, 3), (3, 3)] and len(shared) == 5
    made_alone(world, shared, replace(settings, cache=str(root / "2")))


if __name__ == "__main__":
    run_checks(globals())
