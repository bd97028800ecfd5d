"""The --data option."""

import pytest

from facekit.data import DATASETS, PROTOCOLS, READERS, DataError, parse_data


def test_the_face_world_and_its_model(tmp_path):
    world = parse_data("world")
    assert world.is_world and not world.models and world.load_model() is None
    ict = parse_data(f"world:ict={tmp_path}")
    assert ict.is_world and ict.models == {"ict": tmp_path}


def test_copies_and_the_model_that_their_labels_belong_to(tmp_path):
    (tmp_path / "kdef").mkdir()
    choice = parse_data(f"kdef={tmp_path / 'kdef'},bp4d={tmp_path}")
    assert not choice.is_world and choice.folders == {"kdef": tmp_path / "kdef", "bp4d": tmp_path}
    assert not choice.models
    with_model = parse_data(f"300wlp={tmp_path},bfm={tmp_path / 'kdef'},celeba={tmp_path}")
    assert list(with_model.folders) == ["300wlp", "celeba"] and with_model.models == {"bfm": tmp_path / "kdef"}
    with pytest.raises(DataError, match="'moon' is not a data set"):
        choice.open("moon")
    with pytest.raises(DataError, match="'bfm' is not a data set"):
        with_model.open("bfm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected world, world:ict=PATH or <data set>=<path>"),
        ("World", "expected world"),
        ("world:", "world:ict=PATH"),
        ("world:bfm=/x", "world:ict=PATH"),
        ("kdef", "expected world"),
        ("kdef=", "expected world"),
        ("kdef=.,bfm", "expected world"),
        ("lfw=/x", f"'lfw' is not a data set; known are {', '.join(READERS)}; and beside these the face model bfm"),
        ("kdef=/no/such/place", "there is nothing at /no/such/place"),
        ("kdef=.,bfm=/no/such/place", "there is nothing at /no/such/place"),
        ("bfm=.", "--data bfm=.: a face model belongs to a data set; add <data set>=<path> after a comma"),
    ],
)
def test_unclear_data_options(text, message):
    with pytest.raises(DataError) as error:
        parse_data(text)
    assert message in str(error.value)


def test_what_is_needed_and_not_named_is_said_in_one_sentence(tmp_path):
    choice = parse_data(f"kdef={tmp_path},bp4d={tmp_path},bfm={tmp_path}")
    choice.require("bp4d", "kdef")
    parse_data("world").require("bp4d", "kdef")
    sentence = rf"this needs disfa and sfew, but --data {choice.text} names kdef, bp4d; add disfa=PATH,sfew=PATH after"
    with pytest.raises(DataError, match=sentence):
        choice.require("disfa", "bp4d", "sfew")
    with pytest.raises(DataError, match=r"this needs bu3dfe, but .* names kdef, bp4d; add bu3dfe=PATH after a comma"):
        choice.open("bu3dfe")


def test_the_world_opens_as_a_twin():
    world = parse_data("world").open("kdef", subjects=1, image_size=32, sessions=1)
    assert len(world) == 35 and world.image_size == 32


def test_every_data_set_has_a_twin():
    assert set(DATASETS) == set(PROTOCOLS)
