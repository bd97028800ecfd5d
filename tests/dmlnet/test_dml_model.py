"""The network: shapes, fusion, grouped channels, initial weights; the faces it is shown; labels that are filled in."""

import numpy as np
import pandas as pd
import pytest
import torch

from facekit.data import normalize, twin
from facekit.dmlnet import (
    PROTOCOLS,
    DMLDataError,
    DMLNet,
    Effort,
    FaceLabels,
    Faces,
    ParallelEncoders,
    TupleError,
    annotated,
    answer,
    bands,
    cluster_people,
    cut_faces,
    fit_reader,
    identity_clusters,
    load_faces,
    open_sources,
    recognition_rates,
    togetherness,
)
from facekit.nn import Encoder
from tests.data.readers.photo_trees import multipie_tree


def small(**settings) -> DMLNet:
    torch.manual_seed(0)
    return DMLNet(7, 5, **{"encoder": "resnet_tiny", "fused": 16, "embedding": 8, "hidden": 12, **settings})


def faces(count: int = 4, size: int = 24) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_answers_have_the_shapes_of_figure_4():
    found = small()(faces())
    assert found.embedding.shape == (4, 8) and found.expression.shape == (4, 7) and found.pose.shape == (4, 5)
    torch.testing.assert_close(found.embedding.norm(dim=1), torch.ones(4))
    assert DMLNet(6, encoder="resnet_tiny", channels=1)(faces()).pose is None
    with pytest.raises(ValueError, match="channels is 2"):
        small(channels=2)
    with pytest.raises(DMLDataError, match=r"\(4, 3, 24, 20\), expected \(B, 3, S, S\)"):
        small()(faces()[..., :20])


def test_the_paper_s_sizes_are_those_of_three_resnet50():
    network = DMLNet(7, 5)
    backbone = sum(p.numel() for p in Encoder("resnet50").parameters())
    channels = sum(p.numel() for part in (network.face, network.parts) for p in part.parameters())
    assert channels == 3 * backbone


def test_fusion_is_algorithm_2():
    network = small().eval()
    x = faces()
    seen = normalize(x)
    eyes, mouth = bands(seen)
    with torch.no_grad():
        v2, v3 = network.parts(torch.cat([eyes, mouth], 1)).chunk(2, dim=1)
        w1, w2 = network.fuse_parts[0], network.fuse[0]
        f1 = torch.relu(torch.cat([v2, v3], 1) @ w1.weight.T + w1.bias)
        f2 = torch.relu(torch.cat([network.face(seen), f1], 1) @ w2.weight.T + w2.bias)
        torch.testing.assert_close(network.fusion(x), f2)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["resnet_tiny", "resnet18"])
def test_parallel_encoders_are_encoders_side_by_side(name, training):
    """Outputs, and the running statistics that a training pass leaves."""
    torch.manual_seed(3)
    singles = [Encoder(name), Encoder(name)]
    torch.manual_seed(3)
    joined = ParallelEncoders(name, 2).train(training)
    regions = torch.rand(4, 6, 48, 64)
    expected = torch.cat(
        [single.train(training)(part) for single, part in zip(singles, regions.chunk(2, 1), strict=True)], 1
    )
    torch.testing.assert_close(joined(regions), expected, rtol=1e-4, atol=1e-5)
    assert joined.dim == 2 * singles[0].dim
    means = [single.early[1].running_mean for single in singles if hasattr(single.early[1], "running_mean")]
    if means:
        torch.testing.assert_close(joined.net.early[1].running_mean, torch.cat(means))
    with pytest.raises(ValueError, match="cannot be run in parallel"):
        ParallelEncoders("swin_t", 2)


def test_initial_weights_are_those_of_table_1():
    network = DMLNet(7, 5, "resnet_tiny")
    for layer, std in (
        (network.fuse[0], 0.04), (network.fuse_parts[0], 0.04), (network.embed, 0.04),
        (network.expression_branch[0], 0.04), (network.pose_branch[0], 0.04),
        (network.expression_branch[-1], 1 / 512), (network.pose_branch[-1], 1 / 512),
    ):  # fmt: skip
        assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.1) and layer.bias.abs().max() == 0


def test_bands_are_the_uppermost_and_the_lowest_third():
    rows = torch.arange(48.0).view(1, 1, 48, 1).expand(1, 3, 48, 48)
    eyes, mouth = bands(rows)
    assert eyes.shape == mouth.shape == (1, 3, 16, 48)
    assert (eyes.min(), eyes.max(), mouth.min(), mouth.max()) == (0, 15, 32, 47)


def test_eyes_and_mouth_of_a_frontal_face_lie_in_their_bands():
    size = 48
    world = twin("kdef", subjects=3, sessions=1, image_size=64, outputs=("landmarks",))
    frontal = np.flatnonzero(world.table["yaw"] == 0)
    points = world.batch(frontal)["landmarks"] - torch.tensor([(64 - size) // 2, round(0.11 * 64)])
    heights = points[..., 1].mean(0) / size
    assert heights[36:48].max() < 1 / 3, "eyes"
    assert heights[48:60].mean() > 2 / 3, "lips"


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(DMLDataError, match="have 30 x 40 pixels, expected at least 36 x 32 for faces of 32 x 32"):
        cut_faces(torch.zeros(2, 3, 30, 40), 32)
    assert cut_faces(torch.zeros(2, 3, 36, 32), 32).shape == (2, 3, 32, 32)
    world = twin("kdef", subjects=2, sessions=1, image_size=20, outputs=("image",))
    with pytest.raises(DMLDataError, match="pictures have 20 x 20 pixels"):
        load_faces(world, "kdef", 24)


@pytest.fixture(scope="module")
def kdef() -> tuple[Faces, Faces]:
    return tuple(load_faces(source, "kdef", 16) for source in open_sources("world", "kdef", 16, 6, sessions=1))


def test_faces_keep_people_apart_and_survive_the_disk(kdef, tmp_path):
    train, test = kdef
    assert len(train) + len(test) == 6 * 35 and train.images.dtype == np.uint8
    train.save(tmp_path)
    again = Faces.load(tmp_path)
    rows = torch.tensor([3, 1, 60])
    for name, value in train.batch(rows).items():
        assert torch.equal(value, again.batch(rows)[name])
    assert again.expressions == train.expressions and again.yaws == train.yaws
    with pytest.raises(DMLDataError, match="holds no saved faces"):
        Faces.load(tmp_path / "other")
    with pytest.raises(DMLDataError, match="'lfw' is none of kdef"):
        open_sources("world", "lfw", 16)


def test_the_weak_levels_and_neutral_are_in_bu3dfe_as_section_4_says():
    train, test = open_sources("world", "bu3dfe", 16)
    table = train.table
    assert table["expression"].nunique() == 6 and table["yaw"].nunique() == 9
    assert set(table["intensity"]) == {1, 2, 3, 4}
    assert train.table["subject"].nunique() + test.table["subject"].nunique() == 100
    assert set(train.table["subject"]).isdisjoint(test.table["subject"])


def test_multipie_takes_the_pictures_in_the_room_s_own_light(tmp_path):
    """The fixture holds every view twice, in the room's light (0) and with the frontal flash (7)."""
    parts = open_sources(f"multipie={multipie_tree(tmp_path)}", "multipie", 16)
    table = pd.concat([part.table for part in parts])
    assert set(table["lighting"]) == {0}
    assert len(table) == 2 * 4 * 2, "people, recordings, cameras"
    assert set(open_sources("world", "multipie", 16, subjects=4)[0].table["lighting"]) == {0}


def test_rates_are_shares_of_right_answers(kdef):
    network, (_, test) = small().eval(), kdef
    torch.nn.init.normal_(network.pose_branch[-1].weight)  # no two poses as likely as each other
    found = answer(network, test, block=10)
    scores = network(test.batch(np.arange(len(test)))["image"])
    assert torch.equal(found.pose, scores.pose.argmax(dim=1))
    share = float((found.pose.numpy() == test.labels.pose).mean())
    assert recognition_rates(found, test)["pose"] == pytest.approx(100 * share)


def test_people_are_told_apart_by_their_clusters():
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(4), 6)
    descriptors = random.normal(size=(4, 8))[people] + 0.05 * random.normal(size=(24, 8))
    found = cluster_people(descriptors, 4)
    assert togetherness(found, people) == 100.0 and len(np.unique(found)) == 4
    assert togetherness(np.arange(24) % 4, people) < 60.0
    with pytest.raises(TupleError, match="1 faces cannot be clustered"):
        cluster_people(descriptors[:1])


def test_a_reader_learns_numbers_and_classes():
    """Brightness stands for the yaw: the reader must find it."""
    random = np.random.default_rng(0)
    level = random.random(200)
    images = (255 * np.broadcast_to(level[:, None, None, None], (200, 3, 16, 16))).astype(np.uint8)
    effort = Effort(steps=60, encoder="resnet_tiny")
    yaw = fit_reader(images, level - 0.5, effort).read(images)[1][:, 0]
    assert np.corrcoef(yaw, level)[0, 1] > 0.9
    scores = fit_reader(images, (level > 0.5).astype(np.int64), effort).read(images)[1]
    assert (scores.argmax(1) == (level > 0.5)).mean() > 0.9
    elsewhere = fit_reader(images, level, Effort(steps=1, encoder="resnet_tiny"), device="meta")
    assert {parameter.device.type for parameter in elsewhere.parameters()} == {"meta"}


def test_identity_clusters_are_of_frontal_faces_taken_for_the_expression(kdef):
    _, test = kdef
    answers = answer(small().eval(), test)
    happy = answers._replace(expression=torch.full_like(answers.expression, test.expressions.index("happiness")))
    clusters = identity_clusters(happy, test, "happiness", 2)
    assert ((clusters >= 0) == (test.labels.pose == test.yaws.index(0.0))).all()
    with pytest.raises(ValueError, match="0 frontal faces were taken for fear"):
        identity_clusters(happy, test, "fear", 2)


def test_an_unknown_expression_is_named_before_labels_are_filled_in():
    """Multi-PIE's people smile and squint, which is none of SFEW's seven."""
    smiling, _ = open_sources("world", "multipie", 16, 4)
    row = int(np.flatnonzero(~smiling.table["expression"].isin(PROTOCOLS["sfew"].expressions))[0])
    with pytest.raises(TupleError, match=f"row {row} has expression '.*', which is not a class of this data"):
        annotated((smiling,), "world", 16)


def test_labels_must_fit_the_pictures():
    train, _ = open_sources("world", "kdef", 16, 3, sessions=1)
    with pytest.raises(TupleError, match="2 labels for"):
        load_faces(train, "kdef", 16, FaceLabels(*[np.zeros(2, int)] * 3))
