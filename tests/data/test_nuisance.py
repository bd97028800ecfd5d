"""Light, background, camera and occluders."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data.nuisance import (
    Nuisance,
    Occluders,
    blur,
    camera_faults,
    compress,
    flash_lights,
    random_backgrounds,
    random_lights,
    sensor_noise,
    settings_of_rows,
)
from facekit.render import sh_irradiance


def settings(count, nuisance=None):
    return settings_of_rows(nuisance or Nuisance(), pd.DataFrame(index=range(count)))


@pytest.fixture(scope="module")
def photograph():
    """A smooth picture (1, 3, 96, 88) with 8-bit values; 88 is no multiple of 16."""
    coarse = torch.rand(1, 3, 12, 11, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=(96, 88), mode="bicubic").clamp(0, 1)
    return (fine * 255).round() / 255


def test_settings_of_conditions():
    rows = pd.DataFrame({"condition": ["hard", "easy", "hard"]})
    values = settings_of_rows({"easy": Nuisance(fill=0.5), "hard": Nuisance(fill=0.9, blur=(1.0, 2.0))}, rows)
    assert values["fill"].tolist() == [0.9, 0.5, 0.9] and values["blur"].shape == (3, 2)
    with pytest.raises(ValueError, match="a row has condition 'easy'"):
        settings_of_rows({"hard": Nuisance()}, rows)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"confusion": 1.2}, "share between 0 and 1"), ({"glasses": 0.6, "hair": 0.6}, "sum must not exceed 1"),
     ({"fill": 0.0}, "between 0.1 and 2"), ({"blur": (2.0, 1.0)}, "two ascending numbers")],
)  # fmt: skip
def test_settings_that_make_no_sense(wrong, message):
    with pytest.raises(ValueError, match=message):
        Nuisance(**wrong)


def test_lights_are_even_enough_and_belong_to_their_take():
    takes = np.arange(300)
    light = random_lights(takes, settings(300, Nuisance(exposure_spread=0.0)))
    assert torch.equal(light[17:18], random_lights(takes[17:18], settings(1, Nuisance(exposure_spread=0.0))))
    ahead = torch.tensor([[0.0, 0.0, 1.0]]).expand(300, 1, 3)
    frontal = sh_irradiance(ahead, light).mean(dim=(1, 2))
    assert frontal.min() > 0.5 and frontal.max() < 2.0
    even = random_lights(takes, settings(300, Nuisance(contrast=0.0, tint=0.0, exposure_spread=0.0)))
    torch.testing.assert_close(even[:, 1:], torch.zeros_like(even[:, 1:]), atol=1e-6, rtol=0)


def test_flashes_light_from_their_side():
    light = flash_lights(np.zeros(20), np.arange(20), settings(20, Nuisance(exposure_spread=0.0)))
    sides = torch.tensor([[-0.8, 0.0, 0.6], [0.8, 0.0, 0.6]]).expand(20, 2, 3)
    left, right = sh_irradiance(sides, light).mean(dim=2).T
    assert left[1] > right[1] + 0.3 and right[13] > left[13] + 0.3
    torch.testing.assert_close(light[0], light[19])
    assert light[7, 0, 0] > light[0, 0, 0]


def test_backgrounds_are_pictures_of_their_take():
    takes = np.arange(40)
    images = random_backgrounds(takes, np.full(40, 0.5), 32)
    assert images.shape == (40, 3, 32, 32) and images.min() >= 0 and images.max() <= 1
    torch.testing.assert_close(random_backgrounds(takes[3:5], np.full(2, 0.5), 32), images[3:5])
    assert images.mean(dim=(1, 2, 3)).std() > 0.1
    plain = random_backgrounds(takes, np.zeros(40), 32)
    assert plain.diff(dim=-1).abs().max() < 0.02 < images.diff(dim=-1).abs().amax(dim=(1, 2, 3)).median()


def test_blur_is_gaussian_and_own_to_each_image():
    dot = torch.zeros(2, 1, 41, 41)
    dot[:, :, 20, 20] = 1.0
    blurred = blur(dot, [1.5, 3.0])
    offset = torch.arange(41.0) - 20.0
    for image, sigma in zip(blurred, (1.5, 3.0), strict=True):
        torch.testing.assert_close(image.sum(), torch.tensor(1.0))
        spread = (image[0].sum(dim=0) * offset**2).sum().sqrt()
        assert abs(spread - sigma) < 0.06
    torch.testing.assert_close(blur(torch.full((1, 3, 9, 9), 0.3), [2.0]), torch.full((1, 3, 9, 9), 0.3))


def test_noise_has_its_scale_and_belongs_to_its_seed():
    noise = sensor_noise(np.arange(30), (64, 64), np.linspace(0.01, 0.1, 30))
    torch.testing.assert_close(noise.std(dim=(1, 2, 3)), torch.linspace(0.01, 0.1, 30), rtol=0.05, atol=0)
    assert torch.equal(sensor_noise([7], (64, 64), [0.01]), sensor_noise(np.arange(9), (64, 64), np.full(9, 0.01))[7:8])
    flat = noise.flatten(1)
    assert np.abs(np.corrcoef(flat.numpy()) - np.eye(30)).max() < 0.06


@pytest.mark.parametrize("quality", [15, 40, 75, 95])
def test_compression_is_that_of_libjpeg(photograph, quality):
    """Against OpenCV's codec without colour subsampling; it rounds to 8 bits between the steps, ours does not."""
    levels = (photograph[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, buffer = cv2.imencode(".jpg", levels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour])
    theirs = cv2.imdecode(buffer, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
    ours = compress(photograph, [quality])[0].permute(1, 2, 0).numpy() * 255
    difference, loss = np.abs(ours - theirs).mean(), np.abs(theirs - levels).mean()
    assert difference < 2.0 and difference < loss


def test_camera_stores_eight_bits(photograph):
    images = photograph.expand(20, -1, -1, -1)
    stored = camera_faults(images, np.arange(20), settings(20, Nuisance(compressed=0.5)))
    torch.testing.assert_close(stored * 255, (stored * 255).round(), atol=1e-4, rtol=0)
    again = camera_faults(images[4:6], np.arange(20)[4:6], settings(2, Nuisance(compressed=0.5)))
    assert (again - stored[4:6]).abs().max() <= 1.01 / 255
    untouched = camera_faults(images, np.arange(20), settings(20, Nuisance(blur=(0.0, 0.0), noise=(0.0, 0.0))))
    torch.testing.assert_close(untouched, images)


def test_occluders_fit_the_face(face_model):
    identity = face_model.sample_identity(6, torch.Generator().manual_seed(0))
    landmarks = face_model.shape(identity, face_model.neutral_expression(6))[:, face_model.landmarks]
    props, skin = Occluders(), torch.full((6, 3), 0.4)
    vertices, albedo = props.build([0, 0, 1, 2, -1, 2], np.arange(6), landmarks, skin, skin / 3)
    assert vertices.shape == albedo.shape == (6, props.num_vertices, 3)
    assert props.faces.max() < props.num_vertices and vertices.isfinite().all()
    assert albedo.min() >= 0 and albedo.max() <= 1
    corners = vertices[:, props.faces]
    area = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]).norm(dim=-1)
    assert area[4].max() == 0.0, "nothing is worn"
    assert (area.sum(dim=1)[[0, 1, 2, 3, 5]] > 1000).all()
    rims = vertices[0, : props.sizes["glasses"]]
    eyes = landmarks[0, 36:48]
    assert (rims[:, 2].max() > eyes[:, 2].max()) and (rims[:, 0].min() < eyes[:, 0].min())
