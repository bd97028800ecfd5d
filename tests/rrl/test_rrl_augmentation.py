"""Views: what moves, what does not, and that every number belongs to its row."""

import torch
from scipy.ndimage import gaussian_filter

from facekit.data import LANDMARK_MIRROR
from facekit.rrl import FIRST_VIEW, UNCHANGED, FacePairs, ViewSettings, attention_maps, gaussian_blur, random_view
from facekit.training import TensorSource
from tests.rrl.rrl_faces import SIZE, symmetric_face


def sample(count=16):
    random = torch.Generator().manual_seed(0)
    faces = symmetric_face(7.0).repeat(count, 1, 1) + torch.randn(count, 68, 2, generator=random)
    return {"image": torch.rand(count, 3, SIZE, SIZE, generator=random), "landmarks": faces}


def test_nothing_changes_when_nothing_is_asked():
    view = random_view(sample(), torch.arange(16), UNCHANGED, "a")
    torch.testing.assert_close(view["image"], sample()["image"], atol=1e-6, rtol=0)
    assert torch.equal(view["landmarks"], sample()["landmarks"])


def test_flips_take_the_landmarks_along():
    faces = sample()
    view = random_view(faces, torch.arange(16), ViewSettings(flip=0.5, jitter=0, grey=0, blur=0), "a")
    flipped = (view["landmarks"] != faces["landmarks"]).flatten(1).any(dim=1)
    assert 2 < flipped.sum() < 14
    torch.testing.assert_close(view["image"][flipped], faces["image"][flipped].flip(-1))
    expected = faces["landmarks"][flipped][:, LANDMARK_MIRROR] * torch.tensor([-1.0, 1.0]) + torch.tensor([SIZE, 0.0])
    torch.testing.assert_close(view["landmarks"][flipped], expected)


def test_crops_take_the_landmarks_along():
    """A white dot is painted on a landmark; after the crop it is where the landmark says."""
    faces = sample(8)
    faces["image"] = torch.zeros(8, 3, SIZE, SIZE)
    column, row = faces["landmarks"][:, 30].floor().long().unbind(1)
    faces["image"][torch.arange(8), :, row, column] = 1.0
    settings = ViewSettings(flip=0.5, jitter=0, grey=0, blur=0, smallest_crop=0.6)
    view = random_view(faces, torch.arange(8), settings, "a")
    spot = view["image"][:, 0].flatten(1).argmax(dim=1)
    found = torch.stack([spot % SIZE, spot // SIZE], dim=1) + 0.5
    assert (found - view["landmarks"][:, 30]).abs().max() < 2.5
    assert (view["landmarks"] - faces["landmarks"]).abs().max() > 8


def test_a_view_belongs_to_its_row():
    faces = sample()
    view = random_view(faces, torch.arange(16), FIRST_VIEW, "a")["image"]
    part = random_view({key: value[5:7] for key, value in faces.items()}, torch.arange(5, 7), FIRST_VIEW, "a")["image"]
    torch.testing.assert_close(view[5:7], part)
    assert (random_view(faces, torch.arange(16), FIRST_VIEW, "b")["image"] - view).abs().max() > 0.1
    assert view.min() >= 0 and view.max() <= 1


def test_grey_pictures_are_grey_and_colours_move():
    faces = sample()
    grey = random_view(faces, torch.arange(16), ViewSettings(flip=0, jitter=0, grey=1.0, blur=0), "a")["image"]
    assert (grey.amax(dim=1) - grey.amin(dim=1)).max() < 1e-5
    hue = random_view(faces, torch.arange(16), ViewSettings(0, 1.0, 0, 0, 0, 0.1, 0, 0), "a")["image"]
    inside = (hue > 0).all(dim=1) & (hue < 1).all(dim=1)
    torch.testing.assert_close(hue.sum(dim=1)[inside], faces["image"].sum(dim=1)[inside], atol=1e-4, rtol=0)
    assert (hue - faces["image"]).abs().mean() > 0.02


def test_blur_is_a_gaussian_with_a_width_of_its_own():
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blurred = gaussian_blur(images, torch.tensor([0.0, 1.3], dtype=torch.float64))
    torch.testing.assert_close(blurred[0], images[0])
    expected = torch.from_numpy(gaussian_filter(images[1].numpy(), (0, 1.3, 1.3), truncate=8))
    torch.testing.assert_close(blurred[1, :, 12:-12, 12:-12], expected[:, 12:-12, 12:-12], atol=1e-6, rtol=0)


def test_pairs_carry_the_maps_of_the_moved_landmarks():
    faces = sample(8)
    source = TensorSource(image=(255 * faces["image"]).byte(), landmarks=faces["landmarks"])
    flip, keep = ViewSettings(1.0, 0, 0, 0, 0, 0, 0, 0), UNCHANGED
    batch = FacePairs(source, (1, 12), (flip, keep)).batch(torch.arange(8), torch.arange(8))
    maps = attention_maps(faces["landmarks"], SIZE, (1, 12)).maps
    torch.testing.assert_close(batch["attention_2"], maps)
    torch.testing.assert_close(batch["attention_1"], maps.flip(-1), atol=5e-3, rtol=0)
    torch.testing.assert_close(batch["image_1"], batch["image_2"].flip(-1), atol=1e-6, rtol=0)
    assert batch["valid_1"].all()
