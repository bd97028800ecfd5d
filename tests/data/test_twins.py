"""The tables of the twins: sizes, labels, splits and what stays the same when the size changes."""

import time

import numpy as np
import pytest

from facekit.data.folds import split_rows
from facekit.data.manifest import SYNTHETIC_COLUMNS, au_columns, check_manifest, missing_labels
from facekit.data.sources import DataError
from facekit.data.world import PROTOCOLS, TWIN_NUISANCE, twin_table

SMALL = {name: {"subjects": 4} | ({"frames": 5} if p.extent_name == "frames" else {}) for name, p in PROTOCOLS.items()}
PUBLISHED_ROWS = {
    "bu3dfe": 100 * 25 * 9, "bosphorus": 4_666, "bu4dfe": 606 * 100, "bp4d": 146_847, "disfa": 27 * 4_845,
    "kdef": 4_900, "sfew": 958 + 436 + 372, "celeba": 202_599, "300wlp": 122_450, "aflw2000": 2_000,
    "micc": 53 * (1 + 3 * 30),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
def test_tables_are_manifests_with_the_protocols_labels(name):
    table, protocol = twin_table(name, **SMALL[name]), PROTOCOLS[name]
    check_manifest(table)
    assert set(SYNTHETIC_COLUMNS) <= set(table.columns)
    assert set(table["expression"].unique()) <= {"", *protocol.expressions}
    if protocol.yaws:
        assert set(table["yaw"]) == set(protocol.yaws)
    assert tuple(au_columns(table)) == protocol.units
    shared = 2 if name == "300wlp" else 1  # a mirrored copy is made of the same numbers
    assert table["seed"].nunique() * shared == len(table)
    assert set(split_rows(table) if "split" in table else []) <= {"train", "val", "test"}
    assert name in TWIN_NUISANCE


@pytest.mark.parametrize("name", PUBLISHED_ROWS)
def test_full_tables_have_the_published_size(name):
    begun = time.process_time()
    table = twin_table(name)
    assert time.process_time() - begun < 4.0
    assert len(table) == PUBLISHED_ROWS[name]
    known = PROTOCOLS[name].subjects
    assert name == "sfew" or table["subject"].nunique() == known


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "sfew"])
def test_a_larger_twin_holds_the_same_people_doing_the_same(name):
    small, sizes = twin_table(name, **SMALL[name]), dict(SMALL[name], subjects=9)
    large = twin_table(name, **sizes)
    kept = large[large["person"].isin(small["person"].unique())].reset_index(drop=True)
    columns = [c for c in small.columns if c != "split"]
    for column in columns:
        assert small[column].astype(str).tolist() == kept[column].astype(str).tolist(), column


def test_people_are_in_one_twin_and_follow_the_seed():
    tables = [twin_table(name, **SMALL[name]) for name in PROTOCOLS]
    people = np.concatenate([table["person"].unique() for table in tables])
    assert len(np.unique(people)) == len(people)
    assert set(twin_table("kdef", 4)["person"]).isdisjoint(twin_table("kdef", 4, seed=1)["person"])
    assert twin_table("kdef", 4).equals(twin_table("kdef", 4))


def test_bu3dfe_scans_are_seen_from_nine_sides():
    table = twin_table("bu3dfe", subjects=3)
    assert (table.groupby("take")["yaw"].nunique() == 9).all()
    scans = table.groupby("subject", observed=True)["take"].nunique()
    assert (scans == 25).all()
    neutral = table[table["expression"] == "neutral"]
    assert (neutral["intensity"] == 0).all() and (neutral["activation"] == 0).all()
    levels = table[table["expression"] == "anger"].groupby("intensity")["activation"].first()
    assert levels.index.tolist() == [1, 2, 3, 4] and levels.is_monotonic_increasing


def test_bosphorus_people_who_posed_everything():
    table = twin_table("bosphorus")
    six = table[table["expression"].isin(["anger", "disgust", "fear", "happiness", "sadness", "surprise"])]
    assert six["subject"].nunique() == 65 and (six.groupby("subject", observed=True).size() == 6).all()
    assert missing_labels(six, "AU12").all()
    single = table[(table["AU12"] == 1) & (table["AU15"] == 0)]
    assert set(single["performed"]) == {"AU12", "AU12+26"}
    assert set(table["occluder"].unique()) == {"", "glasses", "hair", "hand"}


def test_multipie_sessions_and_lights():
    table = twin_table("multipie", subjects=60)
    assert set(table["lighting"]) == set(range(20))
    pairs = set(zip(table["session"], table["recording"], table["expression"], strict=True))
    assert (4, 3, "scream") in pairs and (2, 3, "squint") in pairs and len(pairs) == 11
    assert table.groupby("subject", observed=True)["session"].nunique().between(1, 4).all()
    assert table["subject"].nunique() == 60


def test_wild_labels_are_withheld():
    sfew = twin_table("sfew")
    assert missing_labels(sfew, "subject").all() and missing_labels(sfew, "yaw").all()
    assert missing_labels(sfew[sfew["split"] == "test"], "expression").all()
    assert not missing_labels(sfew[sfew["split"] == "train"], "expression").any()
    emotionet = twin_table("emotionet", subjects=1000)
    assert missing_labels(emotionet, "expression").all() and not missing_labels(emotionet, "performed").any()


def test_mirrored_copies_of_300wlp():
    table = twin_table("300wlp", subjects=20)
    original, copy = table[~table["mirrored"]], table[table["mirrored"]]
    assert len(original) == len(copy)
    paired = original.merge(copy, on="seed", suffixes=("", "_copy"))
    assert len(paired) == len(original)
    np.testing.assert_array_equal(paired["yaw"], -paired["yaw_copy"])
    np.testing.assert_array_equal(paired["pitch"], paired["pitch_copy"])
    widest = original["yaw"].abs().groupby(original["subject"], observed=True).max()
    np.testing.assert_allclose(widest, 90.0, atol=1e-3)


def test_aflw_yaw_bins():
    yaw = twin_table("aflw2000")["yaw"].abs()
    shares = np.histogram(yaw, [0, 30, 60, 90])[0] / 2000
    np.testing.assert_allclose(shares, np.array([1306, 462, 232]) / 2000, atol=0.03)


def test_bu4dfe_and_fewer_frames():
    full, few = twin_table("bu4dfe", subjects=2), twin_table("bu4dfe", subjects=2, frames=10)
    assert few["frame"].unique().tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    merged = few.merge(full, on=["sequence", "frame"], suffixes=("", "_full"))
    assert (merged["activation"] == merged["activation_full"]).all() and (merged["seed"] == merged["seed_full"]).all()
    assert (full.groupby("sequence", observed=True)["activation"].max() == 1.0).all()


def test_fanelli_labels_and_split():
    table = twin_table("fanelli", frames=20)
    assert abs((~missing_labels(table, "viseme")).mean() - 0.68) < 0.02
    assert abs((~missing_labels(table, "expression")).mean() - 0.03) < 0.01
    assert set(table["subject"][table["split"] == "train"]) == {"F2", "F3", "F4", "M3", "M4", "M5"}


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("lfw", {}, "'lfw' has no twin; known are bu3dfe"),
        ("kdef", {"subjects": 0}, "must be positive"),
        ("kdef", {"frames": 3}, "no size named 'frames'; it takes subjects and sessions"),
        ("aflw2000", {"frames": 3}, "it takes subjects only"),
        ("bu4dfe", {"frames": 101}, "1 to 100 of them, asked for 101"),
        ("bu3dfe", {"views": 10}, "gives 1 to 9"),
    ],
)
def test_sizes_that_do_not_exist(name, sizes, message):
    with pytest.raises(DataError, match=message):
        twin_table(name, **sizes)
