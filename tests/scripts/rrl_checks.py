"""Runs in each of two processes: a frozen encoder on a part of the faces each gives the features of all of them."""

from unittest.mock import patch

import pandas as pd
import pytest
import torch
from checking import run_checks

from facekit.data import DataError, FaceWorld
from facekit.data.sources import Sample
from facekit.nn import Encoder
from facekit.rrl import RowsOnDemand, encode, unlabelled_faces
from facekit.training import World


def check_shared_features(world: World) -> None:
    """Every process reads its own part alone, also where the parts differ in size."""
    for count in (7, 1):
        images = torch.randint(256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        asked: list[int] = []

        def read(rows: torch.Tensor, images: torch.Tensor = images, asked: list[int] = asked) -> torch.Tensor:
            asked.extend(rows.tolist())
            return images[rows]

        on_demand, encoder = RowsOnDemand(read, count), Encoder("resnet_tiny")
        asked.clear()
        attention = torch.rand(count, 2, 14, 14, generator=torch.Generator().manual_seed(2))
        features = encode(encoder, on_demand, attention, batch_size=3, shared=True)
        torch.testing.assert_close(features, encode(encoder, images, attention), rtol=1e-4, atol=1e-5)
        mine = {(7, 0): [0, 1, 2], (7, 1): [3, 4, 5, 6]}.get((count, world.rank), [0])
        assert asked == mine, asked


def check_faces_in_memory(world: World) -> None:
    """Every process makes a part of them, and has all."""
    made, load = [], FaceWorld.load
    with patch.object(FaceWorld, "load", lambda self, rows: made.append(len(rows)) or load(self, rows)):
        faces = unlabelled_faces("world", 16, 5)
    assert len(faces) == 5 and sum(made) == (2, 3)[world.rank], made
    alone, held = unlabelled_faces("world", 16, 5, in_memory=False).batch(range(5)), faces.batch(torch.arange(5))
    torch.testing.assert_close(held["landmarks"], alone["landmarks"], rtol=0, atol=1e-3)
    assert (held["image"].float() / 255 - alone["image"]).abs().max() < 0.01


def check_a_picture_that_one_process_cannot_read(world: World) -> None:
    """Both processes say so, as the first one alone may speak."""
    load = FaceWorld.load

    def damaged(self: FaceWorld, rows: pd.DataFrame) -> Sample:
        if world.rank == 1:
            raise DataError("a.jpg: is cut off")
        return load(self, rows)

    with patch.object(FaceWorld, "load", damaged), pytest.raises(DataError, match="is cut off"):
        unlabelled_faces("world", 16, 2)


if __name__ == "__main__":
    run_checks(globals())
