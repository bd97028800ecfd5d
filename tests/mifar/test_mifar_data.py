"""Images of the four data sets' twins."""

import pytest
import torch

from facekit.data import DataError
from facekit.mifar import ViewSettings, open_views, with_labels


@pytest.fixture(scope="module")
def small():
    return {
        name: ViewSettings(dataset=name, subjects=2, image_size=24, channels=("texture", "depth"), frames=3)
        for name in ("bu3dfe", "bosphorus", "bu4dfe", "bp4d")
    }


@pytest.mark.parametrize(
    ("name", "count", "labelled"), [("bu3dfe", 50, 48), ("bosphorus", 57, 6), ("bu4dfe", 12, 12), ("bp4d", 16, 16)]
)
def test_every_data_set_gives_three_views_with_labels(small, name, count, labelled):
    views = open_views(small[name])
    assert views.images.shape == (count, 3, 4, 24, 24) and views.images.dtype == torch.uint8
    assert len(with_labels(views)) == labelled
    assert views.table["subject"].nunique() == 2
    assert len(views.classes) == (8 if name == "bp4d" else 6)
    front = views.images[:, 1].float()
    assert 20 < front.mean() < 200 and front.flatten(1).std(1).min() > 5
    assert (views.images[:, 0].float() - views.images[:, 2].float()).abs().mean() > 3


def test_subsets_of_bu3dfe_are_cut_by_intensity(small):
    views = open_views(small["bu3dfe"])
    assert len(with_labels(views, (3, 4))) == 24 and len(with_labels(views, (1, 2, 3, 4))) == 48


def test_recordings_that_do_not_move_are_grey_and_expressions_are_not(small):
    moving = open_views(small["bu4dfe"]).images[:, 1, 3].float()
    assert (moving - 127.5).abs().flatten(1).amax(1).min() > 100


def test_what_cannot_be_opened_is_named(small):
    with pytest.raises(DataError, match="none of the paper's data sets"):
        open_views(ViewSettings(dataset="kdef"))
    with pytest.raises(DataError, match="/nowhere"):
        open_views(ViewSettings(data="bu3dfe=/nowhere"))
