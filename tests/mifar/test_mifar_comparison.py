"""Which trained networks one experiment of a command leaves for the next, and where they are trained."""

from types import SimpleNamespace

import pandas as pd
import pytest

from facekit.mifar import ViewEncoder, comparison
from facekit.mifar.recipe import LaptopRecipe


@pytest.fixture
def pretrained(monkeypatch):
    """The methods that were trained, in a comparison that has kept nothing yet and keeps two networks."""
    methods = []

    def pretrain(recipe, train):
        methods.append(recipe.method)
        return object(), None

    monkeypatch.setattr(comparison, "pretrain", pretrain)
    monkeypatch.setattr(comparison, "_KEPT", {})
    monkeypatch.setattr(comparison, "_MOST_KEPT", 2)
    return methods


def people(*names):
    return SimpleNamespace(table=pd.DataFrame({"subject": names}))


def test_only_mifar_is_kept_and_by_the_people_it_saw(pretrained):
    recipe, train = LaptopRecipe(method="mifar"), people("a", "b")
    first = comparison.trained_on(recipe, train)
    assert comparison.trained_on(recipe, people("b", "a", "b")) is first
    assert comparison.trained_on(recipe, people("a")) is not first
    other = LaptopRecipe(method="barlow")
    assert comparison.trained_on(other, train) is not comparison.trained_on(other, train)
    assert pretrained == ["mifar", "mifar", "barlow", "barlow"]


def test_the_oldest_gives_way_and_other_methods_push_nothing_out(pretrained):
    recipe = LaptopRecipe(method="mifar")
    first = comparison.trained_on(recipe, people("a"))
    second = comparison.trained_on(recipe, people("b"))
    comparison.trained_on(LaptopRecipe(method="simclr"), people("c"))
    assert comparison.trained_on(recipe, people("a")) is first
    comparison.trained_on(recipe, people("c"))
    assert comparison.trained_on(recipe, people("b")) is second
    assert comparison.trained_on(recipe, people("a")) is not first


def test_what_is_trained_with_labels_is_trained_on_the_recipes_device(monkeypatch):
    """As far as the meta device shows it, which has shapes and no numbers."""
    places = []
    monkeypatch.setattr(comparison, "fit_classifier", lambda model, *_, **__: places.append(device_of(model)))
    monkeypatch.setattr(comparison, "classifier_counts", lambda model, test: places.append(device_of(model)))
    recipe = LaptopRecipe(device="meta", channels=("depth",))
    plan, train = comparison.Plan(recipe, 1, 1), SimpleNamespace(classes=("a", "b"))
    comparison.supervised_counts(plan, train, train)
    comparison.supervised_counts(plan, train, train, ViewEncoder("resnet_places", 1))
    assert places == ["meta"] * 4 and device_of(comparison.untrained(recipe)) == "meta"


def device_of(model):
    return next(model.parameters()).device.type
