import pytest
import torch

from facekit.morphable.action_units import ACTION_UNITS, TABLE, action_unit_index, action_unit_vector
from facekit.morphable.expressions import ALL_EXPRESSIONS, EXPRESSIONS, PROTOTYPES, VISEMES, sample_expression


def draw(label, count=400, intensity=1.0, seed=0):
    return sample_expression(label, torch.full((count,), intensity), torch.Generator().manual_seed(seed))


def test_the_table_names_every_unit():
    assert ACTION_UNITS == (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 43)
    assert all(unit.name and unit.muscle for unit in TABLE)


def test_action_unit_vector_takes_sides():
    vector = action_unit_vector({12: 0.5, 14: (0.0, 1.0)})
    assert vector[action_unit_index(12)].tolist() == [0.5, 0.5]
    assert vector[action_unit_index(14)].tolist() == [0.0, 1.0]
    assert vector.count_nonzero() == 3


def test_intensities_and_numbers_are_checked():
    for intensity in (1.5, float("nan"), (0.5, -0.1)):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            action_unit_vector({12: intensity})
    with pytest.raises(ValueError, match="11"):
        action_unit_vector({11: 0.5})


def test_shapes_of_labels_and_intensities_are_checked():
    generator = torch.Generator()
    for shape in ((), (2, 1)):
        with pytest.raises(ValueError, match="expression intensity must be "):
            sample_expression("anger", torch.ones(shape), generator)
    for labels in (torch.tensor([1, 2]), torch.tensor([1.0, 2.0, 3.0])):
        with pytest.raises(ValueError, match=r"expression ids must be whole numbers \(3,\), found torch\."):
            sample_expression(labels, torch.ones(3), generator)


def test_samples_show_the_units_of_their_prototype():
    for label in ALL_EXPRESSIONS:
        units = draw(label)
        assert units.shape == (400, len(ACTION_UNITS), 2) and 0 <= units.min() and units.max() <= 1
        allowed = {unit for p in PROTOTYPES[label] for unit in (*p.always, *p.sometimes)}
        shown = {ACTION_UNITS[i] for i in units.sum(dim=(0, 2)).nonzero()[:, 0].tolist()}
        assert shown == allowed, label


def test_neutral_is_still():
    assert draw("neutral").abs().max() == 0


def test_intensity_grows_the_expression():
    means = [float(draw("anger", intensity=level).mean()) for level in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert means[0] == 0 and means == sorted(set(means))


def test_people_vary_in_strength_and_symmetry():
    smile = draw("happiness")[:, action_unit_index(12)]
    assert smile.mean(dim=1).std() > 0.03
    assert 0.02 < (smile[:, 0] - smile[:, 1]).abs().mean() < 0.3
    assert (draw("happiness")[:, action_unit_index(25)].sum(dim=1) == 0).any()


def test_labels_by_id_and_determinism():
    ids = torch.arange(len(EXPRESSIONS))
    intensity = torch.ones(len(ids))
    one, other = (sample_expression(ids, intensity, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, other)
    assert one[0].abs().max() == 0 and one[4, action_unit_index(12)].min() > 0.3


def test_expressions_differ_more_between_than_within():
    samples = torch.stack([draw(label, 60).flatten(1) for label in EXPRESSIONS])
    centre = samples.mean(dim=1)
    own = (samples - centre[:, None]).norm(dim=-1)
    other = (samples[:, :, None] - centre).norm(dim=-1)
    nearest = other.argmin(dim=-1)
    assert (nearest == torch.arange(len(EXPRESSIONS))[:, None]).double().mean() > 0.95
    assert own.mean() > 0.2


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="joy"):
        draw("joy")
    with pytest.raises(ValueError, match=r"0\.\.8"):
        sample_expression(torch.tensor([9]), torch.ones(1), torch.Generator())
    with pytest.raises(ValueError, match="intensity"):
        draw("anger", intensity=1.2)


def test_visemes_use_known_units():
    assert len(VISEMES) >= 12
    for units in VISEMES.values():
        action_unit_vector(units)
