"""Attention maps: where they are, that they move with the picture, and what bad landmarks do."""

import pytest
import torch

from facekit.data import crop, mirror
from facekit.rrl import REGIONS, UNIT_PROTOCOLS, attention_maps, region_centres
from tests.rrl.rrl_faces import SIZE, symmetric_face

UNITS = UNIT_PROTOCOLS["bp4d"].units


def maps_of(landmarks, **options):
    return attention_maps(landmarks, SIZE, UNITS, **options)


def centre_of_mass(maps):
    """(B, K, 2) x, y in pixels of the picture."""
    place = (torch.arange(maps.shape[-1]) + 0.5) * SIZE / maps.shape[-1]
    mass = maps / maps.sum(dim=(2, 3), keepdim=True)
    return torch.stack([(mass.sum(dim=2) * place).sum(-1), (mass.sum(dim=3) * place).sum(-1)], dim=-1)


def test_every_protocol_has_its_regions_and_maps_are_between_zero_and_one():
    for protocol in UNIT_PROTOCOLS.values():
        assert set(protocol.units) <= set(REGIONS)
        found = attention_maps(symmetric_face(), SIZE, protocol.units)
        assert found.maps.shape == (1, len(protocol.units), 14, 14) and found.valid.all()
        torch.testing.assert_close(found.maps.amax(dim=(2, 3)), torch.ones(1, len(protocol.units)))
        assert found.maps.min() >= 0


def test_brows_are_above_cheeks_and_cheeks_above_the_chin():
    height = dict(zip(UNITS, centre_of_mass(maps_of(symmetric_face()).maps)[0, :, 1].tolist(), strict=True))
    assert height[1] < height[4] < height[7] < height[6] < height[10] < height[24] < height[17]


def test_a_symmetric_face_has_symmetric_maps():
    maps = maps_of(symmetric_face()).maps
    torch.testing.assert_close(maps, maps.flip(-1), atol=2e-3, rtol=0)


def test_a_mirrored_face_has_mirrored_maps():
    """Sides differ here, so that swapping left and right wrongly would show."""
    face = symmetric_face(roll=13.0, zoom=0.9, shift=(9.0, -4.0))
    face[:, 17:22, 1] -= 7.0
    mirrored = mirror({"image": torch.zeros(1, 3, SIZE, SIZE), "landmarks": face})["landmarks"]
    maps = maps_of(face).maps
    torch.testing.assert_close(maps_of(mirrored).maps, maps.flip(-1), atol=2e-3, rtol=0)
    assert (maps - maps.flip(-1)).abs().max() > 0.5


def test_a_crop_moves_and_enlarges_the_maps():
    """The maps of a cropped picture are those of the whole one, cropped; smoothing alone differs with the zoom."""
    face = symmetric_face(roll=-8.0)
    box = torch.tensor([[14.0, 20.0, 84.0]])
    whole = attention_maps(face, SIZE, UNITS, size=56, sigma=3.0).maps
    sample = {"image": whole[0].unsqueeze(1).expand(-1, 3, -1, -1), "landmarks": face.expand(12, -1, -1)}
    cut = crop(sample, (box / 2).expand(12, 3), 28)["image"][None, :, 0]
    moved = crop({"image": torch.zeros(1, 3, SIZE, SIZE), "landmarks": face}, box, SIZE)["landmarks"]
    again = attention_maps(moved, SIZE, UNITS, size=28, sigma=2.0).maps
    difference = (cut / cut.amax(dim=(2, 3), keepdim=True) - again).abs().mean(dim=(2, 3))
    assert difference.max() < 0.01
    unmoved = attention_maps(face, SIZE, UNITS, size=28, sigma=2.0).maps
    assert (unmoved - again).abs().mean() > 0.04


def test_regions_turn_and_grow_with_the_face():
    upright, turned = (region_centres(symmetric_face(roll), UNITS) for roll in (0.0, 90.0))
    offset = upright - SIZE / 2
    torch.testing.assert_close(turned - SIZE / 2, torch.stack([-offset[..., 1], offset[..., 0]], dim=-1))
    torch.testing.assert_close(region_centres(symmetric_face(zoom=0.5), UNITS) - SIZE / 2, offset / 2)
    inner = symmetric_face()[0, 42, 0] - symmetric_face()[0, 39, 0]
    assert upright[0, 0, 0, 1] == pytest.approx(37.0 - 0.5 * float(inner), abs=1e-4)


def test_a_batch_gives_what_its_faces_give_alone():
    faces = torch.cat([symmetric_face(5.0), symmetric_face(-20.0, 0.7), symmetric_face(0.0, 1.2, (10.0, 0.0))])
    together = maps_of(faces).maps
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], maps_of(faces[row : row + 1]).maps)


def test_missing_landmarks_leave_the_side_that_is_known():
    face = symmetric_face()
    face[:, 17:22] = torch.nan
    found = maps_of(face)
    assert found.valid.all() and found.maps.isfinite().all()
    brow = found.maps[0, UNITS.index(1)]
    assert brow[:, :6].max() < 0.1 < brow[:, 8:].max()
    both = face.clone()
    both[:, 22:27] = torch.nan
    valid = maps_of(both).valid[0]
    assert [unit for unit, known in zip(UNITS, valid, strict=True) if not known] == [1, 2, 4]
    visible = torch.ones(1, 68, dtype=torch.bool)
    visible[:, 17:27] = False
    assert torch.equal(maps_of(symmetric_face(), visible=visible).maps, maps_of(both).maps)


def test_pictures_without_a_face_give_zeros_and_are_counted():
    faces = symmetric_face().repeat(4, 1, 1)
    faces[1] = torch.nan
    faces[2, 5] = torch.inf
    faces[3] = 30.0
    found = maps_of(faces)
    assert found.maps.isfinite().all()
    assert found.valid.sum(dim=1).tolist() == [12, 0, 12, 0]
    assert found.maps[1].abs().sum() == 0


def test_faces_at_the_border_keep_what_is_inside():
    half = maps_of(symmetric_face(shift=(-56.0, 0.0)))
    assert half.maps.isfinite().all() and half.valid.all()
    gone = maps_of(symmetric_face(shift=(300.0, 0.0)))
    assert not gone.valid.any() and gone.maps.abs().sum() == 0


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="AU 3 has no region"):
        attention_maps(symmetric_face(), SIZE, (1, 3))
    with pytest.raises(ValueError, match=r"expected \(B, 68, 2\)"):
        attention_maps(torch.zeros(1, 5, 2), SIZE, UNITS)
