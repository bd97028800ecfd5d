"""Meshes for figures: which there are, that they survive a file, and the explorer's sliders."""

import runpy
import sys

import torch

from facekit.decoupled_gan import Setting, explorer, figure_meshes, load_meshes, meshes_of, walk
from tests.decoupled_gan.test_fitting import waves  # noqa: F401


def test_meshes_of_every_figure_come_back_from_the_scripts_file(tmp_path, repository, monkeypatch):
    setting = Setting("world", "smoke", 0)
    made = figure_meshes(setting)
    monkeypatch.setattr(sys, "argv", ["figures.py", "--scale", "smoke", "--out", str(tmp_path / "figures.npz")])
    runpy.run_path(str(repository / "book" / "decoupled_gan" / "figures.py"), run_name="__main__")
    again, faces = load_meshes(tmp_path / "figures.npz")
    assert torch.equal(faces, meshes_of(setting).faces) and set(again) == set(made)
    for name, mesh in made.items():
        torch.testing.assert_close(again[name], mesh, rtol=0, atol=0.0051)
    assert made["COMA/samples"].shape == (15, 300, 3) and made["MAE/transfer"].shape == (8, 300, 3)
    assert made["fit/decoupled GAN"].shape == (4, 300, 3) and made["fit/landmarks"].shape == (1, 85, 3)
    assert made["walk"].shape == (7, 3, 300, 3)


def test_each_column_of_a_walk_moves_one_part(waves):  # noqa: F811
    columns = walk(waves, steps=5)
    assert columns.shape == (5, 2, 144, 3)
    moved = (columns[-1] - columns[0])[..., 2]
    by_identity = moved[0] / torch.sin(columns[0, 0, :, 0] / 20)
    torch.testing.assert_close(by_identity, by_identity[:1].expand(144), rtol=1e-2, atol=1e-2)
    assert (moved[1].view(12, 12) - moved[1].view(12, 12)[:, :1]).abs().max() < 1e-3


def test_a_slider_redraws_the_face(waves):  # noqa: F811
    faces = torch.tensor([[0, 1, 12], [1, 13, 12]]).repeat(1, 1)
    box = explorer(waves, faces, directions=2, size=32)
    columns, picture = box.children
    assert [slider.description for group in columns.children for slider in group.children] == [
        "identity 1", "identity 2", "expression 1", "expression 2",
    ]  # fmt: skip
    before = bytes(picture.value)
    assert before.startswith(b"\x89PNG")
    columns.children[0].children[0].value = 3.0
    assert bytes(picture.value) != before
