"""Registered meshes: what is refused, and under which name."""

from dataclasses import replace

import pytest
import torch

from facekit.decoupled_gan import MeshDataError, MeshDataset, flatten, from_files, from_meshes
from facekit.meshes import flipped_triangles, save_mesh
from tests.decoupled_gan.gan_sheets import sheet, sheet_dataset


def test_batch_holds_vertices_and_labels():
    data = sheet_dataset()
    batch = data.batch(torch.tensor([3, 0]))
    assert batch["vertices"].shape == (2, data.num_vertices, 3)
    assert torch.equal(batch["vertices"][1], data.vertices[0])
    assert batch["identity"].tolist() == [data.labels["identity"][3], data.labels["identity"][0]]
    assert data.num_labels == {"identity": 4, "expression": 3}


def test_mean_is_the_mean():
    data = sheet_dataset()
    torch.testing.assert_close(data.mean(), data.vertices.mean(dim=0))


def test_a_map_is_made_where_none_is_given():
    data = sheet_dataset()
    assert data.uv.shape == (data.num_vertices, 2)
    assert len(flipped_triangles(data.uv, data.faces)) == 0


def test_flatten_falls_back_to_a_map_without_flips():
    vertices, faces = sheet(8)
    vertices[:, 0] += 60 * torch.rand(len(vertices), generator=torch.Generator().manual_seed(0))
    assert len(flipped_triangles(flatten(vertices, faces), faces)) == 0


def test_subset_keeps_everything_together():
    data = sheet_dataset()
    part = data.subset(torch.tensor([5, 1]))
    assert len(part) == 2 and part.names == (data.names[5], data.names[1])
    assert part.labels["expression"].tolist() == [data.labels["expression"][5], data.labels["expression"][1]]
    assert part.sequence.tolist() == [data.sequence[5], data.sequence[1]]


def test_saved_meshes_come_back(tmp_path):
    data = sheet_dataset()
    data.save(tmp_path / "set")
    again = MeshDataset.load(tmp_path / "set")
    assert torch.equal(again.vertices, data.vertices) and torch.equal(again.faces, data.faces)
    assert torch.equal(again.labels["expression"], data.labels["expression"]) and again.names == data.names
    assert torch.equal(again.sequence, data.sequence) and again.label_names == data.label_names
    with pytest.raises(MeshDataError, match=r"vertices\.npy is missing"):
        MeshDataset.load(tmp_path)


def test_a_set_can_be_saved_over_itself(tmp_path):
    data = sheet_dataset()
    data.save(tmp_path)
    replace(MeshDataset.load(tmp_path), name="renamed").save(tmp_path)
    again = MeshDataset.load(tmp_path)
    assert torch.equal(again.vertices, data.vertices) and again.name == "renamed"
    assert {file.name for file in tmp_path.iterdir()} == {"vertices.npy", "labels.npz", "names.json"}


@pytest.mark.parametrize("broken, survives", [("save", True), ("savez", False)])
def test_a_save_that_is_broken_off_leaves_the_old_set_or_none(tmp_path, monkeypatch, broken, survives):
    data = sheet_dataset()
    data.save(tmp_path)

    def full(*_args, **_kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(f"numpy.{broken}", full)
    with pytest.raises(OSError, match="no space left"):
        replace(data, vertices=data.vertices + 1).save(tmp_path)
    if survives:
        assert torch.equal(MeshDataset.load(tmp_path).vertices, data.vertices)
    else:
        with pytest.raises(MeshDataError, match=r"names\.json is missing"):
            MeshDataset.load(tmp_path)


def changed(**changes):
    data = sheet_dataset()
    fields = {name: getattr(data, name) for name in ("vertices", "faces", "labels", "label_names", "uv", "names")}
    return MeshDataset(**fields | changes)


def test_a_label_out_of_range_names_the_sample():
    labels = {**sheet_dataset().labels, "expression": torch.tensor([0, -1, 3, 0, 0, 0, 0, 0])}
    with pytest.raises(MeshDataError, match=r"sheet 2: expression label is 3, expected 0 to 2, or -1"):
        changed(labels=labels)
    labels["expression"] = torch.tensor([0, -1, 1, 0, 0, -2, 0, 0])
    with pytest.raises(MeshDataError, match=r"sheet 5: expression label is -2"):
        changed(labels=labels)


def test_a_coordinate_that_is_not_finite_names_the_sample():
    vertices = sheet_dataset().vertices.clone()
    vertices[6, 2, 1] = float("nan")
    with pytest.raises(MeshDataError, match="sheet 6: has a coordinate that is not finite"):
        changed(vertices=vertices)
    with pytest.raises(MeshDataError, match="sample 6"):
        changed(vertices=vertices, names=())


def test_a_flipped_map_names_the_set():
    uv = sheet_dataset().uv.clone()
    uv[20] = uv[20] + torch.tensor([0.45, 0.45])
    with pytest.raises(MeshDataError, match=r"uv map of meshes: \d+ of \d+ triangles are turned over"):
        changed(uv=uv.clamp(0, 1))


def test_labels_of_the_wrong_length_are_refused():
    with pytest.raises(MeshDataError, match="identity has 7 entries for 8 meshes"):
        changed(labels={**sheet_dataset().labels, "identity": torch.zeros(7, dtype=torch.int64)})


def test_different_topology_names_the_mesh(tmp_path):
    vertices, faces = sheet(6)
    labels, names = {"identity": [0, 0]}, {"identity": ["one"]}
    larger = sheet(7)
    with pytest.raises(MeshDataError, match="bob: has 49 vertices, anna has 36"):
        from_meshes([(vertices, faces), larger], labels, names, ["anna", "bob"])
    with pytest.raises(MeshDataError, match="bob: its triangles differ from those of anna"):
        from_meshes([(vertices, faces), (vertices, faces.flip(0))], labels, names, ["anna", "bob"])
    save_mesh(tmp_path / "a.obj", vertices, faces)
    save_mesh(tmp_path / "b.obj", *larger)
    with pytest.raises(MeshDataError, match=r"b\.obj: has 49 vertices"):
        from_files([tmp_path / "a.obj", tmp_path / "b.obj"], labels, names)


def test_meshes_from_files(tmp_path):
    vertices, faces = sheet(6)
    for k in range(3):
        save_mesh(tmp_path / f"{k}.ply", vertices + k, faces)
    paths = [tmp_path / f"{k}.ply" for k in range(3)]
    data = from_files(paths, {"identity": [0, 1, -1]}, {"identity": ["a", "b"]})
    assert len(data) == 3 and data.labels["identity"].tolist() == [0, 1, -1]
    torch.testing.assert_close(data.vertices[2], vertices + 2, rtol=0, atol=1e-4)
    with pytest.raises(MeshDataError, match="found none"):
        from_meshes([], {}, {})
