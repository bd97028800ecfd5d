"""The plain baseline learns what is there to be learned, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data.sources import DataError, DataSource
from facekit.data.world.calibration import plain_accuracy, plain_network

CLASSES = ("anger", "fear", "happiness")


def coloured_squares(count, seed, informative=True):
    """Noise with a square in red, green or blue, which is the class if `informative`."""
    label = np.random.default_rng(seed).integers(0, 3, count)
    table = pd.DataFrame({"path": "x", "frame": np.arange(count), "expression": np.array(CLASSES)[label]})

    def load(rows):
        places = torch.tensor(rows["frame"].to_numpy())
        generator = torch.Generator().manual_seed(seed)
        images = 0.6 * torch.rand(count, 3, 32, 32, generator=generator)
        if informative:
            images[np.arange(count), label, 8:20, 8:20] += 0.4
        return {"image": images[places]}

    return DataSource(table, load, "squares")


def test_the_baseline_learns_a_rule_and_repeats_itself():
    train, test = coloured_squares(192, 0), coloured_squares(96, 1)
    accuracy = plain_accuracy(train, test, CLASSES, epochs=4, batch_size=16)
    assert accuracy > 0.9
    assert accuracy == plain_accuracy(train, test, CLASSES, epochs=4, batch_size=16)


def test_the_baseline_finds_nothing_in_noise():
    accuracy = plain_accuracy(coloured_squares(128, 0, False), coloured_squares(192, 1, False), CLASSES, epochs=2)
    assert accuracy < 0.5


def test_random_state_is_left_alone_and_classes_must_occur():
    before = torch.get_rng_state()
    plain_accuracy(coloured_squares(8, 0), coloured_squares(8, 1), CLASSES, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(DataError, match="no row has an expression among disgust"):
        plain_accuracy(coloured_squares(8, 0), coloured_squares(8, 1), ("disgust",))
    assert plain_network(5)(torch.zeros(2, 3, 48, 48)).shape == (2, 5)
