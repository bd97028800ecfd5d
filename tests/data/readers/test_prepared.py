"""Prepared folders: complete, resumed, damaged, foreign."""

import json
import pickle
import threading
import time

import numpy as np
import pytest
import torch

from facekit.data import DataError, load_all, open_prepared, parse_data, prepare
from facekit.data.prepared import _smaller
from facekit.data.readers import emotionet, kdef, multipie, own, wlp300
from facekit.data.sources import OutputError
from tests.data.readers import photo_trees as trees
from tests.data.readers.photo_trees import cut_off, write_picture, write_text


def about(name="kdef", image_size=16):
    return {"name": name, "image_size": image_size}


def test_what_is_prepared_comes_back(tmp_path):
    source = wlp300.open_dataset(trees.wlp300_tree(tmp_path / "data"), image_size=16)
    assert prepare(source, tmp_path / "out", about("300wlp")) == {}
    prepared = parse_data(f"300wlp={tmp_path / 'out'}").open("300wlp", image_size=16)
    assert len(prepared) == len(source) and list(prepared.table) == list(source.table)
    for name in source.table:
        assert prepared.table[name].tolist() == source.table[name].tolist(), name
    for key, value in source[:].items():
        torch.testing.assert_close(prepared[:][key], value, equal_nan=True)
    assert prepared[[3, 1]]["row"].tolist() == [3, 1] and list(load_all(prepared, ["image"])) == ["image"]
    again = pickle.loads(pickle.dumps(prepared))
    assert again.select([2])[0]["row"] == 2 and "300wlp" in json.dumps(again.describe()).lower() + again.name


def test_prepared_pictures_serve_smaller_sizes(tmp_path):
    """Nearly as if they had been cut out of the photographs with fewer pixels, with all that is measured in pixels."""
    copy = trees.wlp300_tree(tmp_path / "data")
    prepare(wlp300.open_dataset(copy, image_size=48), tmp_path / "out", about("300wlp", 48))
    found, expected = open_prepared(tmp_path / "out", image_size=20)[:], wlp300.open_dataset(copy, image_size=20)[:]
    assert found["image"].shape == expected["image"].shape and found.keys() == expected.keys()
    assert (found["image"] - expected["image"]).abs().mean() < 0.01
    for key in ("landmarks", "pose", "shape_para", "published_angles", "row"):
        torch.testing.assert_close(found[key], expected[key], atol=1e-3, rtol=1e-4, msg=key)
    mask = torch.zeros(2, 1, 48, 48, dtype=torch.bool)
    mask[..., 24:] = True
    assert (
        _smaller({"mask": mask}, 48, 12)["mask"][..., 6:].all()
        and not _smaller({"mask": mask}, 48, 12)["mask"][..., :6].any()
    )


def test_text_stays_text_and_missing_stays_missing(tmp_path):
    source = multipie.open_dataset(trees.multipie_tree(tmp_path / "data"), image_size=16, cameras=None)
    prepare(source, tmp_path / "out", about("multipie"))
    prepared = open_prepared(tmp_path / "out")
    assert prepared.table["subject"].tolist() == source.table["subject"].tolist() and "001" in set(
        prepared.table["subject"]
    )
    np.testing.assert_array_equal(prepared.table["yaw"], source.table["yaw"])
    annotated = emotionet.open_dataset(trees.emotionet_tree(tmp_path / "more"), image_size=16)
    prepare(annotated, tmp_path / "out2", about("emotionet"))
    np.testing.assert_array_equal(open_prepared(tmp_path / "out2").table["AU1"], annotated.table["AU1"])


def test_damage_that_shows_when_decoding(tmp_path):
    """Headers and ends are sound, what lies between is not: the row is left out, and a second run still knows."""
    for number in range(5):
        write_picture(tmp_path / f"{number}.png", 90, 90)
    for number in (0, 3):
        path = tmp_path / f"{number}.png"
        content = bytearray(path.read_bytes())
        content[50:60] = bytes(10)
        path.write_bytes(content)
    write_text(tmp_path / "manifest.csv", ["path,subject", *[f"{number}.png,p{number}" for number in range(5)]])
    source = own.open_dataset(tmp_path, image_size=16)
    assert len(source) == 5
    for _ in range(2):
        damaged = prepare(source, tmp_path / "out", about("own"))
        assert list(damaged) == ["0", "3"] and all("png: is damaged" in reason for reason in damaged.values())
    prepared = open_prepared(tmp_path / "out")
    assert prepared.table["subject"].tolist() == ["p1", "p2", "p4"]
    expected = source[[1, 2, 4]]
    assert torch.equal(prepared[:]["image"], expected["image"]) and prepared[:]["row"].tolist() == [0, 1, 2]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "0.png").write_bytes((tmp_path / "0.png").read_bytes())
    write_text(tmp_path / "only" / "manifest.csv", ["path", "0.png"])
    with pytest.raises(DataError, match="none of the 1 samples can be loaded"):
        prepare(own.open_dataset(tmp_path / "only"), tmp_path / "out3", about("own"))


def test_a_file_that_was_mended_is_looked_at_again(tmp_path):
    for number in range(3):
        write_picture(tmp_path / f"{number}.png", 90, 90)
    sound = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(sound[:50] + bytes(10) + sound[60:])
    write_text(tmp_path / "manifest.csv", ["path", "0.png", "1.png", "2.png"])
    source = own.open_dataset(tmp_path, image_size=16)
    assert list(prepare(source, tmp_path / "out", about("own"))) == ["1"]
    (tmp_path / "1.png").write_bytes(sound)
    assert prepare(source, tmp_path / "out", about("own")) == {}
    assert torch.equal(open_prepared(tmp_path / "out")[:]["image"], source[:]["image"])


def test_two_processes_know_of_the_same_damage(tmp_path, monkeypatch):
    """The second begins while the first has not yet met the damaged picture."""
    for number in range(3):
        write_picture(tmp_path / f"{number}.png", 90, 90)
    content = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(content[:50] + bytes(10) + content[60:])
    write_text(tmp_path / "manifest.csv", ["path", "0.png", "1.png", "2.png"])
    first, second = (own.open_dataset(tmp_path, image_size=16) for _ in range(2))
    found = {}
    other = threading.Thread(target=lambda: found.update(prepare(second, tmp_path / "out", about("own"))))
    load = first.load

    def slow(rows):
        if len(rows) == 3 and not other.ident:
            other.start()
            time.sleep(0.5)
        return load(rows)

    monkeypatch.setattr(first, "load", slow)
    assert list(prepare(first, tmp_path / "out", about("own"))) == ["1"]
    other.join(60)
    assert list(found) == ["1"] and len(open_prepared(tmp_path / "out")) == 2


def test_an_output_that_does_not_exist_is_not_damage(tmp_path):
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}.png", 90, 90)
    write_text(tmp_path / "manifest.csv", ["path", "a.png", "b.png"])
    for options in ({}, {"outputs": ("image", "colour")}):
        source = own.open_dataset(tmp_path, image_size=16, **options)
        with pytest.raises(OutputError, match="own data has no output 'colour'; it has image"):
            prepare(source, tmp_path / "out", about("own"), outputs=("image", "colour"))
        assert not (tmp_path / "out").exists()
    assert prepare(own.open_dataset(tmp_path, image_size=16), tmp_path / "out", about("own")) == {}
    assert len(open_prepared(tmp_path / "out")) == 2


def test_another_box_in_the_manifest_is_another_source(tmp_path):
    write_picture(tmp_path / "a.png", 90, 90)
    write_text(tmp_path / "manifest.csv", ["path,left,top,side", "a.png,0,0,40"])
    prepare(own.open_dataset(tmp_path, image_size=16), tmp_path / "out", about("own"))
    write_text(tmp_path / "manifest.csv", ["path,left,top,side", "a.png,40,40,40"])
    with pytest.raises(DataError, match="was built from another source"):
        prepare(own.open_dataset(tmp_path, image_size=16), tmp_path / "out", about("own"))


def test_a_folder_prepared_from_another_data_set(tmp_path):
    prepare(kdef.open_dataset(trees.kdef_tree(tmp_path / "data"), image_size=16), tmp_path / "out", about())
    with pytest.raises(DataError, match=r"out: was prepared from kdef, not from sfew; name it kdef=.*out"):
        parse_data(f"sfew={tmp_path / 'out'}").open("sfew")


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    source = kdef.open_dataset(trees.kdef_tree(tmp_path / "data"), image_size=16)
    out = tmp_path / "out"

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, about(), progress=stop)
    assert not (out / "prepared.json").exists()
    with pytest.raises(DataError, match="out: is not finished; the `data prepare` that began it goes on"):
        parse_data(f"kdef={out}").open("kdef")
    loaded = []
    load = source.load
    monkeypatch.setattr(source, "load", lambda rows: loaded.append(len(rows)) or load(rows))
    prepare(source, out, about())
    assert sum(loaded) == len(source) - 128  # the first block was done
    assert torch.equal(open_prepared(out)[:]["image"], source[:]["image"])


def test_folders_that_hold_something_else(tmp_path):
    source = kdef.open_dataset(trees.kdef_tree(tmp_path / "data"), image_size=16)
    write_text(tmp_path / "full" / "thesis.tex", ["precious"])
    with pytest.raises(DataError, match="neither empty nor prepared data"):
        prepare(source, tmp_path / "full", about())
    with pytest.raises(DataError, match="found a file there"):
        prepare(source, tmp_path / "full" / "thesis.tex", about())
    prepare(source, tmp_path / "out", about())
    with pytest.raises(DataError, match="built from another source"):
        prepare(kdef.open_dataset(tmp_path / "data", image_size=24), tmp_path / "out", about())
    with pytest.raises(DataError, match="pictures of 16 pixels, asked for 24"):
        open_prepared(tmp_path / "out", image_size=24)
    with pytest.raises(DataError, match="without the output 'depth'"):
        open_prepared(tmp_path / "out", outputs=["depth"])
    assert list(open_prepared(tmp_path / "out", outputs=["image"], subjects=1)[0]) == ["image"]
    cut_off(tmp_path / "out" / "samples" / "image.npy")
    with pytest.raises(DataError, match=r"image\.npy: is damaged"):
        open_prepared(tmp_path / "out")[0]
    np.save(tmp_path / "out" / "samples" / "image.npy", np.zeros((3, 3, 16, 16), dtype=np.uint8))
    with pytest.raises(DataError, match="holds 3 samples, the manifest has place 139"):
        open_prepared(tmp_path / "out")[0]
    cut_off(tmp_path / "out" / "prepared.json")
    with pytest.raises(DataError, match="is no finished prepared folder"):
        open_prepared(tmp_path / "out")
