import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from facekit.metrics import accuracy, class_scores, confusion_counts, mean_class_accuracy, unit_f1


@pytest.fixture
def labels():
    generator = torch.Generator().manual_seed(0)
    actual = torch.randint(5, (200,), generator=generator)
    predicted = torch.where(torch.rand(200, generator=generator) < 0.6, actual, (actual * 3 + 1) % 5)
    return predicted, actual


def test_counts_and_rates_agree_with_scikit_learn(labels):
    predicted, actual = labels
    counts = confusion_counts(predicted, actual, 5)
    np.testing.assert_array_equal(counts, confusion_matrix(actual, predicted, labels=range(5)))
    assert accuracy(counts) == pytest.approx(accuracy_score(actual, predicted))
    precision, recall, f1, _ = precision_recall_fscore_support(actual, predicted, zero_division=0)
    scores = class_scores(counts)
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        np.testing.assert_allclose(scores[name], expected)
    assert mean_class_accuracy(counts) == pytest.approx(recall.mean())


def test_scores_are_taken_at_their_greatest_entry(labels):
    predicted, actual = labels
    scores = torch.nn.functional.one_hot(predicted, 5).float()
    assert torch.equal(confusion_counts(scores, actual, 5), confusion_counts(predicted, actual, 5))


def test_class_that_never_occurs_scores_zero_and_is_left_out_of_the_mean():
    counts = confusion_counts(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 3)
    assert class_scores(counts)["f1"][2] == 0
    assert mean_class_accuracy(counts) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("predicted", "actual", "message"),
    [
        (torch.tensor([0, 3]), torch.tensor([0, 1]), "predicted: row 1 is class 3, expected 0 to 2"),
        (torch.tensor([0, 1]), torch.tensor([-1, 1]), "actual: row 0 is class -1"),
        (torch.tensor([0, 1]), torch.tensor([1]), r"found \(2,\) and \(1,\)"),
        (torch.tensor([[0.0, 1, -torch.inf], [1, torch.nan, 0]]), torch.tensor([0, 1]), "predicted: row 1 holds NaN"),
    ],
)
def test_bad_labels_are_named(predicted, actual, message):
    with pytest.raises(ValueError, match=message):
        confusion_counts(predicted, actual, 3)


def test_scores_of_one_class_are_not_taken_for_classes():
    with pytest.raises(TypeError, match="predicted: expected class ids as whole numbers"):
        confusion_counts(torch.tensor([0.2, 0.9]), torch.tensor([0, 1]), 2)


def test_rates_without_samples_are_nan():
    counts = confusion_counts(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 3)
    assert counts.shape == (3, 3) and np.isnan([accuracy(counts), mean_class_accuracy(counts)]).all()


def test_unit_f1_agrees_with_scikit_learn():
    generator = torch.Generator().manual_seed(1)
    predicted, actual = (torch.rand(80, 12, generator=generator) < 0.3 for _ in range(2))
    expected = [f1_score(actual[:, unit], predicted[:, unit]) for unit in range(12)]
    np.testing.assert_allclose(unit_f1(predicted, actual), expected)


def test_unit_f1_leaves_out_what_was_not_annotated():
    predicted = torch.tensor([[True, True], [True, False], [False, False]])
    actual = torch.tensor([[True, False], [False, False], [True, False]])
    valid = torch.tensor([[True, True], [False, True], [True, True]])
    np.testing.assert_allclose(unit_f1(predicted, actual, valid), [2 / 3, 0])
    np.testing.assert_allclose(unit_f1(predicted, actual), [0.5, 0])


def test_unit_f1_refuses_scores_and_other_shapes():
    yes = torch.ones(4, 3, dtype=torch.bool)
    with pytest.raises(TypeError, match="predicted: expected a boolean tensor"):
        unit_f1(yes.float(), yes)
    with pytest.raises(ValueError, match=r"predicted: expected shape \(4, 3\)"):
        unit_f1(yes[:, :2], yes)
