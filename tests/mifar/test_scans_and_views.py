"""Scans with holes, spikes and missing texture, and the images of their three views."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from facekit.mifar import (
    PointCloud,
    ScanError,
    ScannerNoise,
    from_mesh_list,
    from_meshes,
    from_range_images,
    range_scanned,
    scanned,
    view_images,
    without_spikes,
)

NONE = ScannerNoise(0.0, 0, 0.0, 0.0, 0.0, 0, 0.0)


def dome(count=41, radius=80.0, batch=2):
    """A hemisphere towards the viewer, red on the image's left and blue on its right, as a grid of vertices."""
    angle = torch.linspace(-1.45, 1.45, count)
    y, x = torch.meshgrid(angle.flip(0), angle, indexing="ij")
    vertices = radius * torch.stack([x.sin() * y.cos(), y.sin(), x.cos() * y.cos()], -1).reshape(1, -1, 3)
    ids = torch.arange(count * count).view(count, count)
    a, b, c, d = ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]
    faces = torch.cat([torch.stack([a, b, c], -1).view(-1, 3), torch.stack([a, c, d], -1).view(-1, 3)])
    red = torch.tensor([0.9, 0.2, 0.1]).expand_as(vertices)
    colours = torch.where(vertices[..., :1] < 0, red, red.flip(-1))
    return vertices.repeat(batch, 1, 1), faces, colours.repeat(batch, 1, 1)


def test_three_views_turn_the_surface():
    vertices, faces, colours = dome()
    images = view_images(from_meshes(vertices, faces, colours), 64, centre=torch.zeros(3))
    assert images.shape == (2, 3, 7, 64, 64) and images.min() >= 0 and images.max() <= 1
    seen = images[0, :, 3] > 0
    red = ((images[0, :, 0] > 0.5) & seen).float().sum((1, 2)) / seen.float().sum((1, 2))
    assert red[0] > red[1] + 0.1 > red[2] + 0.2 and abs(red[1] - 0.5) < 0.05
    front = images[0, 1]
    assert_close(front[3, 32, 32], torch.tensor(0.5 + 80 / 200), atol=0.01, rtol=0)
    assert_close(front[4:, 32, 32], torch.tensor([0.5, 0.5, 1.0]), atol=0.06, rtol=0)
    assert front[4, 32, 12] < 0.25 and front[4, 32, 52] > 0.75 and front[5, 12, 32] > 0.75
    assert not front[:, 0, 0].any()


def test_depth_follows_the_sphere_in_every_view():
    vertices, faces, _ = dome(count=121)
    for scans in (from_meshes(vertices, faces), PointCloud(vertices, vertices.clamp(0, 1))):
        depth = view_images(scans, 40, ["depth"], centre=torch.zeros(3), extent=210.0)[0, :, 0]
        place = (torch.arange(40) + 0.5 - 20) * 210 / 40
        expected = 0.5 + (80**2 - place.square() - place[:, None].square()).clamp(min=0).sqrt() / 200
        middle = (place.square() + place[:, None].square()).sqrt() < 45
        assert (depth - expected)[:, middle].abs().max() < 0.02
    points = view_images(PointCloud(vertices, vertices.clamp(0, 1)), 40, ["normals"], centre=torch.zeros(3))[0, 1]
    direct = view_images(from_meshes(vertices, faces), 40, ["normals"], centre=torch.zeros(3))[0, 1]
    assert (points - direct)[:, middle].abs().mean() < 0.03


def test_range_images_become_the_same_views():
    vertices, faces, colours = dome(count=121, batch=1)
    direct = view_images(scanned(vertices, faces, colours, NONE, np.arange(1)), 48, centre=torch.zeros(3))
    ranged = view_images(range_scanned(vertices, faces, colours, NONE, np.arange(1)), 48, centre=torch.zeros(3))
    middle = slice(16, 32)
    assert (direct - ranged)[:, 1, :, middle, middle].abs().mean() < 0.02


def test_a_range_image_is_cut_where_it_jumps_and_where_it_is_empty():
    depth = torch.full((1, 9, 9), 10.0)
    depth[0, :, 5:] = 60.0
    depth[0, 0, 0] = torch.nan
    vertices = from_range_images(depth, 2.0).vertices.view(9, 9, 3)
    assert vertices[0, 0].isnan().all() and vertices[:, 5].isnan().all()
    assert vertices[4, 4].tolist() == [0.0, 0.0, -10.0] and vertices[0, 8].tolist() == [8.0, 8.0, -60.0]


def test_meshes_of_different_topology_share_a_batch():
    coarse, fine = dome(21, batch=1), dome(41, batch=1)
    scans = from_mesh_list([(coarse[0][0], coarse[1]), (fine[0][0], fine[1])], [coarse[2][0], fine[2][0]])
    images = view_images(scans, 48, centre=torch.zeros(3))
    alone = view_images(from_meshes(*fine), 48, centre=torch.zeros(3))
    assert_close(images[1], alone[0], atol=1e-5, rtol=0)
    assert (images[0] - images[1]).abs().mean() < 0.03
    with pytest.raises(ScanError, match="empty"):
        from_mesh_list([(fine[0][0], fine[1][:0])])


def test_noise_makes_holes_spikes_and_bare_places_by_seed_alone():
    vertices, faces, colours = dome(batch=3)
    noise = ScannerNoise(jitter=0.5, holes=1, hole_radius=15.0, spikes=0.02, untextured=1, untextured_radius=20.0)
    seeds = np.array([4, 5, 4])
    scan = scanned(vertices, faces, colours, noise, seeds)
    gone, bare = scan.vertices.isnan().any(-1), scan.colours.isnan().any(-1)
    assert 0.01 < gone.float().mean() < 0.2 and 0.01 < bare.float().mean() < 0.3
    out = (scan.vertices - vertices)[..., 2]
    assert 0.005 < (out > 25).float().mean() < 0.05
    assert_close(out[out.abs() < 5].std(), torch.tensor(0.5), rtol=0.1, atol=0)
    assert torch.equal(scan.vertices[0].nan_to_num(), scan.vertices[2].nan_to_num())
    assert not torch.equal(scan.vertices[0].nan_to_num(), scan.vertices[1].nan_to_num())
    one = scanned(vertices[:1], faces, colours[:1], noise, seeds[:1])
    assert torch.equal(one.vertices[0].nan_to_num(), scan.vertices[0].nan_to_num())
    clean = scanned(vertices, faces, colours, NONE, seeds)
    assert torch.equal(clean.vertices, vertices) and torch.equal(clean.colours, colours)
    with pytest.raises(ValueError, match="must not be negative"):
        ScannerNoise(holes=-1)


def test_damage_is_repaired_in_the_images():
    vertices, faces, colours = dome(count=61)
    clean = view_images(from_meshes(vertices, faces, colours), 48, centre=torch.zeros(3))
    noise = ScannerNoise(0.0, 2, 8.0, 0.003, 30.0, 1, 10.0)
    damaged = scanned(vertices, faces, colours, noise, np.array([1, 2]))
    repaired = view_images(damaged, 48, centre=torch.zeros(3))
    raw = view_images(damaged, 48, centre=torch.zeros(3), fill=0)

    def wrong(images):
        return ((images - clean).abs()[:, :, 3] > 0.05).float().mean()

    assert repaired.isfinite().all() and wrong(repaired) < 0.5 * wrong(raw)
    assert wrong(raw) > 0.005


def test_spikes_leave_a_surface_and_the_rest_stays():
    vertices, faces, _ = dome(batch=1)
    vertices[0, 840, 2] += 40
    smooth = without_spikes(from_meshes(vertices, faces), 15.0).vertices.isnan().any(-1)[0]
    assert smooth[840] and smooth.sum() == 1


def test_a_view_without_surface_is_named():
    vertices, faces, colours = dome()
    vertices[1] += 5000
    with pytest.raises(ScanError, match="sample 1 shows no surface at 20 degrees"):
        view_images(from_meshes(vertices, faces, colours), 32, centre=torch.zeros(3))
    vertices[1] = torch.nan
    with pytest.raises(ScanError, match="sample 1 shows no surface"):
        view_images(PointCloud(vertices, colours), 32, centre=torch.zeros(3))
    with pytest.raises(ScanError, match="channels are"):
        view_images(from_meshes(*dome()), 32, ["curvature"])
