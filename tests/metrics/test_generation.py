import numpy as np
import pytest
import torch

from facekit.metrics import (
    diversity,
    draw_pairs,
    generation,
    mean_displacement,
    mean_vertex_distance,
    nearest_training_mesh,
    pair_distances,
    specificity,
)


def meshes(count, vertices=400, seed=0, dtype=torch.float64):
    """Smooth random shapes: a fixed cloud of points moved by a few random waves."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(vertices, 3, generator=torch.Generator().manual_seed(7), dtype=dtype) * 100
    waves = torch.sin(points[:, :1] / torch.arange(20, 60, 10, dtype=dtype))
    weights = torch.randn(count, 4, 3, generator=generator, dtype=dtype)
    return points + 3 * torch.einsum("vk,nkc->nvc", waves, weights)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def naive_distance(first, second):
    return sum(float((a - b).square().sum().sqrt()) for a, b in zip(first, second, strict=True)) / len(first)


def test_mean_displacement_is_the_distance_of_a_difference():
    first, second = torch.randn(2, 4, 30, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_displacement(first - second), mean_vertex_distance(first, second))


def test_mean_vertex_distance_is_the_mean_over_vertices():
    first, second = meshes(2)
    assert float(mean_vertex_distance(first, second)) == pytest.approx(naive_distance(first, second))
    assert float(mean_vertex_distance(first, first + torch.tensor([0.0, 3.0, 4.0]))) == pytest.approx(5)


def test_pair_distances_in_small_pieces(monkeypatch):
    shapes, pairs = meshes(6), draw_pairs(6, 50, generator())
    whole = pair_distances(shapes, pairs)
    for most in (7, 1):
        monkeypatch.setattr(generation, "_CACHED", 3 * 400 * most)
        torch.testing.assert_close(pair_distances(shapes, pairs), whole)
    assert float(whole[3]) == pytest.approx(naive_distance(*shapes[pairs[3]]))


def test_pairs_are_different_meshes_drawn_evenly():
    pairs = draw_pairs(4, 12_000, generator())
    assert (pairs[:, 0] != pairs[:, 1]).all()
    counts = torch.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16).reshape(4, 4)
    off_diagonal = counts[~torch.eye(4, dtype=torch.bool)]
    assert ((off_diagonal - 1000).abs() < 150).all()


def test_pairs_share_their_label_and_skip_labels_that_occur_once():
    labels = torch.tensor([3, 8, 3, 5, 8, 3])
    pairs = draw_pairs(6, 500, generator(), labels)
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all() and (pairs[:, 0] != pairs[:, 1]).all()
    assert set(pairs.flatten().tolist()) == {0, 1, 2, 4, 5}
    assert torch.equal(pairs, draw_pairs(6, 500, generator(), labels))


def test_pairs_need_two_meshes():
    with pytest.raises(ValueError, match="no two of the 3 meshes can be paired"):
        draw_pairs(3, 10, generator(), torch.arange(3))
    with pytest.raises(ValueError, match=r"label for each of the 6 meshes, found labels \(4,\)"):
        draw_pairs(6, 10, generator(), torch.zeros(4))


def test_diversity_of_one_person_is_less_than_of_all():
    people = meshes(4)
    shapes = (people[:, None] + 0.1 * meshes(5, seed=1) - 0.1 * meshes(1)).flatten(0, 1)
    person = torch.arange(4).repeat_interleave(5)
    assert diversity(shapes, generator(), person, pairs=300) < 0.5 * diversity(shapes, generator(), pairs=300)
    assert diversity(shapes[:1].repeat(3, 1, 1), generator(), pairs=20) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("vertices", [3, 50, 2200])
def test_nearest_training_mesh_is_exact(monkeypatch, dtype, vertices):
    monkeypatch.setattr(generation, "_PIECE", 3 * vertices * 13)
    samples, training = meshes(9, vertices, 1, dtype), meshes(60, vertices, 2, dtype)
    distance, nearest = nearest_training_mesh(samples, training)
    every = torch.stack([mean_vertex_distance(sample, training) for sample in samples])
    torch.testing.assert_close(distance, every.min(dim=1).values)
    assert torch.equal(nearest, every.argmin(dim=1))
    assert specificity(samples, training) == pytest.approx(float(every.min(dim=1).values.mean()))


def test_bounds_are_never_above_the_distance():
    samples, training = meshes(5, 1000, 1), meshes(30, 1000, 2)
    regions = generation._regions(samples[0])
    assert len(regions.unique()) == regions.numel() > 850
    first, second = (generation._levels(shapes, regions) for shapes in (samples, training))
    every = torch.stack([mean_vertex_distance(sample, training) for sample in samples])
    for level, least in (("planes", 0.999), ("fine", 0.8), ("coarse", 0.7)):
        pairs = zip(getattr(first, level), [getattr(second, level)] * 5, strict=True)
        bounds = torch.stack([generation._plane_distance(one, many) for one, many in pairs])
        assert (bounds <= every * (1 + 1e-12)).all() and (bounds > least * every).all(), level
    assert first.coarse.shape == (5, 3, 64)


def test_few_pairs_are_measured_in_full(monkeypatch):
    """Between clusters of shapes, as of people, the bounds alone decide, and mostly the cheap one."""
    centres = 20 * meshes(40, 1000, 3)
    training = (centres[:, None] + meshes(5, 1000, 4)).flatten(0, 1)
    samples = centres[:10] + meshes(10, 1000, 5)
    measured = {1000: 0, 128: 0, 64: 0}
    whole = generation._plane_distance

    def counted(one, many):
        measured[one.shape[1]] += len(many)
        return whole(one, many)

    monkeypatch.setattr(generation, "_PIECE", 3 * 1000 * 20)
    monkeypatch.setattr(generation, "_plane_distance", counted)
    nearest_training_mesh(samples, training)
    assert measured[64] == len(samples) * len(training)
    assert 0 < measured[1000] < 0.1 * measured[64] and measured[128] < 0.5 * measured[64]


def test_memory_mapped_meshes_are_read_in_pieces(tmp_path, monkeypatch):
    """No more than a piece of the training set is ever turned into an intermediate result."""
    shapes = meshes(60, dtype=torch.float32)
    np.save(tmp_path / "training.npy", shapes.numpy())
    training = torch.from_numpy(np.load(tmp_path / "training.npy", mmap_mode="c"))
    rows, levels = [], generation._levels
    monkeypatch.setattr(generation, "_PIECE", 3 * 400 * 7)
    monkeypatch.setattr(generation, "_levels", lambda part, regions: rows.append(len(part)) or levels(part, regions))
    samples = meshes(3, seed=1, dtype=torch.float32)
    distance, nearest = nearest_training_mesh(samples, training)
    assert rows == [3] + [7] * 8 + [4]
    every = torch.stack([mean_vertex_distance(sample, shapes) for sample in samples])
    assert torch.equal(nearest, every.argmin(dim=1))
    torch.testing.assert_close(distance, every.min(dim=1).values)


def test_meshes_of_a_network_are_measured_without_gradients():
    samples = meshes(3).requires_grad_()
    distance, _ = nearest_training_mesh(samples, meshes(4, seed=1))
    assert not distance.requires_grad and specificity(samples, meshes(4, seed=1)) > 0
    assert diversity(samples, generator(), pairs=5) > 0


def test_shapes_are_checked_first():
    with pytest.raises(ValueError, match=r"found \(1, 400, 3\), \(2, 300, 3\)"):
        specificity(meshes(1), meshes(2, 300))
    with pytest.raises(ValueError, match="expected samples"):
        specificity(meshes(1)[:0], meshes(2))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_mesh_that_is_not_finite_is_named(monkeypatch, value):
    """Comparisons with NaN are false, so that its neighbours would be passed over with it."""
    monkeypatch.setattr(generation, "_PIECE", 3 * 400 * 2)
    good, bad = meshes(5), meshes(5)
    bad[3, 7, 1] = value
    for samples, training, name in ((bad, good, "samples"), (good, bad, "training")):
        with pytest.raises(ValueError, match=f"{name}: mesh 3 has vertices that are not finite"):
            specificity(samples, training)
