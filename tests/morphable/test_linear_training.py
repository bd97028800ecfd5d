"""Principal components in batches, and a linear model built from another face model."""

import pytest
import torch

from facekit.morphable import build_linear_model
from facekit.morphable.linear_training import random_action_units
from facekit.morphable.principal_components import StreamingPCA


def test_streaming_equals_a_decomposition_of_all_rows_at_once():
    rows = torch.randn(40, 60, dtype=torch.float64) + 3.0
    streamed = StreamingPCA(rank=40)
    for batch in rows.split(7):
        streamed.update(batch)
    centred = rows - rows.mean(dim=0)
    _, strength, directions = torch.linalg.svd(centred, full_matrices=False)
    torch.testing.assert_close(streamed.mean, rows.mean(dim=0))
    found = streamed.components(10)
    torch.testing.assert_close(found.norm(dim=1), strength[:10] / 39**0.5)
    expected = directions[:10] * strength[:10, None] / 39**0.5
    alignment = (found * expected).sum(dim=1) / found.norm(dim=1).square()
    torch.testing.assert_close(alignment.abs(), torch.ones(10, dtype=torch.float64), atol=1e-6, rtol=0)


def test_truncated_streaming_keeps_the_strong_directions():
    generator = torch.Generator().manual_seed(0)
    strength = 0.6 ** torch.arange(30, dtype=torch.float64)
    rows = torch.randn(200, 30, generator=generator, dtype=torch.float64) * strength
    exact, truncated = StreamingPCA(rank=30), StreamingPCA(rank=12)
    for batch in rows.split(25):
        exact.update(batch)
        truncated.update(batch)
    torch.testing.assert_close(truncated.components(5), exact.components(5), atol=1e-3, rtol=1e-2)


def test_uncentred_components_leave_zero_at_zero():
    rows = torch.tensor([[1.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    pca = StreamingPCA(rank=2, centred=False)
    pca.update(rows)
    assert not pca.mean.any()
    torch.testing.assert_close(pca.components(), torch.tensor([[5.0**0.5, 0.0]], dtype=torch.float64))
    with pytest.raises(ValueError, match="no rows"):
        StreamingPCA(rank=2).components()


def test_a_linear_model_is_rebuilt_exactly(linear_model):
    source = linear_model()
    built = build_linear_model(source, 40, num_identity=3, num_expression=2, num_texture=2, performances=120, batch=9)
    assert (built.num_identity, built.num_expression, built.num_texture) == (3, 2, 2)
    generator = torch.Generator().manual_seed(99)
    identity, units = source.sample_identity(6, generator), random_action_units(6, generator).double()
    gaze = 10 * torch.randn(6, 2, generator=generator, dtype=torch.float64)
    target = source.shape(identity, source.expression_code(units, gaze))
    fitted = built.fit(source.shape(identity, source.neutral_expression(6)), ridge=1e-10, neutral=True)[0]
    rebuilt = built.shape(fitted, built.expression_code(units, gaze))
    assert (rebuilt - target).norm(dim=-1).max() < 1e-2
    texture = source.sample_texture(6, generator)
    albedo = source.albedo(texture)
    assert (built.albedo(built.fit_albedo(albedo)) - albedo).abs().max() < 1e-3


def test_the_population_follows_from_the_seed(linear_model):
    source = linear_model()
    sizes = {"num_identity": 2, "num_expression": 1, "num_texture": 1, "performances": 20}
    first, same, other = (build_linear_model(source, 20, seed=seed, **sizes) for seed in (1, 1, 2))
    assert torch.equal(first.identity_basis, same.identity_basis)
    assert not torch.equal(first.identity_basis, other.identity_basis)


@pytest.mark.parametrize("none", ["subjects", "performances", "batch"])
def test_a_model_of_nobody_is_refused(linear_model, none):
    with pytest.raises(ValueError, match="expected at least one subject, one performance and one face in memory"):
        build_linear_model(linear_model(), **{none: 0})
