"""Flips and crops carry their labels along."""

import pytest
import torch

from facekit.data.transforms import (
    LANDMARK_MIRROR,
    crop,
    landmark_boxes,
    mirror,
    normalize,
    random_crop,
    random_mirror,
)
from facekit.data.world.framing import Framing
from facekit.render import render_mesh, weak_perspective


@pytest.fixture(scope="module")
def sample(small_world):
    return small_world[[0, 40, 100]]


def test_the_mirror_swaps_sides_and_is_its_own_inverse(sample, face_model):
    assert LANDMARK_MIRROR.sort().values.tolist() == list(range(68))
    assert torch.equal(LANDMARK_MIRROR[LANDMARK_MIRROR], torch.arange(68))
    neutral = Framing.of(face_model, 48)
    assert neutral.height > 90
    points = face_model.shape(torch.zeros(1, face_model.num_identity), face_model.neutral_expression())
    points = points[0, face_model.landmarks]
    torch.testing.assert_close(points[LANDMARK_MIRROR] * torch.tensor([-1.0, 1.0, 1.0]), points, atol=0.5, rtol=0)
    kept = {key: value for key, value in sample.items() if not key.endswith("_code")}
    twice = mirror(mirror(sample, face_model.symmetry), face_model.symmetry)
    for key, value in kept.items():
        torch.testing.assert_close(twice[key], value, atol=1e-4, rtol=1e-5)


def test_the_mirror_image_is_the_image_of_the_mirrored_labels(sample, face_model):
    """Rendering the mirrored vertices under the mirrored pose and light gives the mirrored picture."""

    def picture(s):
        return render_mesh(s["vertices"], face_model.faces, s["vertex_albedo"], s["pose"], s["light"], 48).image

    difference = (picture(mirror(sample, face_model.symmetry)) - picture(sample).flip(-1)).abs()
    assert difference.mean() < 0.01 and (difference > 0.1).float().mean() < 0.02


def test_what_a_mirror_needs(sample, face_model):
    with pytest.raises(ValueError, match="needs the face model's symmetry map"):
        mirror(sample)
    with pytest.raises(ValueError, match="beside an image"):
        mirror({"landmarks": sample["landmarks"]})
    light = {"image": sample["image"], "expression": sample["expression"]}
    assert torch.equal(mirror(light)["expression"], sample["expression"])


def test_random_mirror_flips_some(sample, face_model):
    generator = torch.Generator().manual_seed(2)
    chosen = torch.rand(3, generator=torch.Generator().manual_seed(2)) < 0.5
    assert chosen.any() and not chosen.all()
    flipped = random_mirror(sample, generator, face_model.symmetry)
    for row in range(3):
        expected = sample["image"][row].flip(-1) if chosen[row] else sample["image"][row]
        assert torch.equal(flipped["image"][row], expected)


def test_crops_keep_pixels_landmarks_and_pose_together(sample, face_model):
    boxes = torch.tensor([[8.0, 4.0, 24.0], [0.0, 0.0, 48.0], [-4.0, -4.0, 32.0]])
    cut = crop(sample, boxes, 24)
    torch.testing.assert_close(cut["image"][0], sample["image"][0, :, 4:28, 8:32], atol=1e-5, rtol=0)
    assert cut["mask"].dtype == torch.bool and torch.equal(cut["mask"][0], sample["mask"][0, :, 4:28, 8:32])
    projected = weak_perspective(sample["vertices"], cut["pose"])[:, face_model.landmarks, :2]
    torch.testing.assert_close(projected, cut["landmarks"], atol=1e-3, rtol=0)
    assert torch.equal(crop(sample, boxes[:, :], 24)["vertices"], sample["vertices"])


def test_random_crops_stay_inside(sample):
    first, again = (random_crop(sample, torch.Generator().manual_seed(5), 40, (0.5, 0.9)) for _ in range(2))
    assert torch.equal(first["image"], again["image"]) and first["image"].shape[-1] == 40
    assert (first["pose"][:, 3] > sample["pose"][:, 3] * 40 / 48).all()


def test_landmark_boxes_hold_the_landmarks(sample):
    boxes = landmark_boxes(sample["landmarks"], margin=0.1)
    inside = (sample["landmarks"] - boxes[:, None, :2]) / boxes[:, None, 2:]
    assert inside.min() >= 0.04 and inside.max() <= 0.96


def test_images_of_8_bits_are_not_normalized_as_they_are():
    with pytest.raises(ValueError, match=r"images must be floating point in \[0, 1\], found torch\.uint8"):
        normalize(torch.full((1, 3, 2, 2), 128, dtype=torch.uint8))


def test_normalized_images():
    grey = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(normalize(grey), torch.zeros(1, 3, 4, 4))
