"""A training step of every paper on a device other than the CPU, on machines that have none.

Torch's fake tensors carry a device and a shape, but no numbers: an operation that mixes the devices of its operands
fails as it would on a GPU. Code that asks for a number's value (the rasterizer's list of fragments) cannot run on them.
"""

import contextlib

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from facekit import decoupled_gan, dmlnet, mifar, rrl
from facekit.morphable import ProceduralFace

DEVICE = torch.device("lazy", 0)  # autograd asks no driver about it


def tensor(like):
    """A tensor of the same shape and type there; its numbers do not exist."""
    return torch.empty(like.shape, dtype=like.dtype, device=DEVICE)


def moved(module):
    """The module with its weights and buffers there, as ``module.to(device)`` leaves it."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, value in tensors.items():
                if isinstance(value, nn.Parameter):
                    tensors[name] = nn.Parameter(tensor(value), value.requires_grad)
                elif value is not None:
                    tensors[name] = tensor(value)
    return module


@contextlib.contextmanager
def elsewhere():
    """Tensors without numbers; and without autocast, which does not know the device."""
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "autocast", lambda *args, **options: contextlib.nullcontext())
        yield


class Step:
    """What a loss asks of the step it is in."""

    index, repeat = 0, 0

    def normal(self, *shape):
        return torch.randn(shape, device=DEVICE)

    def uniform(self, *shape):
        return torch.rand(shape, device=DEVICE)

    def log(self, **values):
        pass


def check_gradients(terms, module):
    """All terms lie on the device, and their gradient reaches the weights there."""
    assert terms and all(term.device.type == DEVICE.type for term in terms.values())
    sum(terms.values()).backward()
    assert any(weight.grad is not None and weight.grad.device.type == DEVICE.type for weight in module.parameters())


def sheets():
    """Eight bent sheets of two people, as training meshes."""
    across = torch.linspace(-50, 50, 6)
    points = torch.stack([*torch.meshgrid(across, across, indexing="xy"), torch.zeros(6, 6)], dim=2).reshape(36, 3)
    corner = torch.arange(36).view(6, 6)[:-1, :-1].flatten()
    faces = torch.cat(
        [torch.stack([corner, corner + 1, corner + 6], 1), torch.stack([corner + 1, corner + 7, corner + 6], 1)]
    )
    bent = points.repeat(8, 1, 1)
    bent[..., 2] += torch.arange(8.0)[:, None] * torch.sin(points[:, 0] / 30)
    turns = torch.arange(8)
    return decoupled_gan.MeshDataset(
        vertices=bent, faces=faces, labels={"identity": turns % 2, "expression": turns // 2 % 2},
        label_names={"identity": ("A", "B"), "expression": ("flat", "bent")}, sequence=turns,
        names=tuple(f"sheet {turn}" for turn in range(8)),
    )  # fmt: skip


def test_mixed_devices_do_not_pass():
    with elsewhere(), pytest.raises(RuntimeError, match="same device"):
        tensor(torch.zeros(3)) + torch.zeros(3)


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_decoupled_gan(side):
    data = sheets()
    gan = decoupled_gan.DecoupledGAN(data, 32, {"identity": 4, "expression": 4, "noise": 2}, hidden=8)
    game = decoupled_gan.Adversaries(gan, data, 4)
    with elsewhere():
        moved(gan)
        batch = {"vertices": tensor(data.vertices[:4])}
        batch |= {name: tensor(labels[:4]) for name, labels in data.labels.items()}
        check_gradients(getattr(game, side)(batch, Step()), getattr(gan, side))


@pytest.mark.parametrize("method", ["mifar", "barlow", "simclr"])
def test_mifar(method):
    recipe = mifar.LaptopRecipe(method=method, image_size=32, projector=(16, 16))
    channels = sum(mifar.CHANNELS[name] for name in recipe.channels)
    model = mifar.build_model(recipe)
    with elsewhere():
        images = tensor(torch.zeros(4, 3, channels, 32, 32))
        check_gradients(mifar.self_supervised_loss(recipe, moved(model))({"images": images}, Step()), model)


@pytest.mark.parametrize("metric", ["both", "expression"])
def test_dmlnet(metric):
    recipe = dmlnet.LaptopRecipe(metric=metric, tuples=metric == "both", face_size=32)
    network = dmlnet.DMLNet(7, 5, "resnet_tiny", 3, 16, recipe.embedding, 8, "random")
    objective = dmlnet.Objective(recipe, network, 7)
    with elsewhere():
        moved(network), moved(objective)
        batch = {"image": tensor(torch.zeros(10, 3, 32, 32))}
        batch |= {name: tensor(torch.zeros(10).long()) for name in ("expression", "pose", "subject")}
        check_gradients(objective(batch, Step()), network)


def test_rrl():
    """Without the relation loss, whose transport stops at a number."""
    recipe = rrl.LaptopRecipe(image_size=32, hidden=16, projection=8, weights=rrl.LossWeights(relation=0.0))
    model = rrl.build_model(recipe)
    units = rrl.UNIT_PROTOCOLS["bp4d"].units
    with elsewhere():
        moved(model)
        batch = {}
        for view in ("1", "2"):
            batch[f"image_{view}"] = tensor(torch.zeros(4, 3, 32, 32))
            batch[f"attention_{view}"] = tensor(torch.zeros(4, len(units), 14, 14))
            batch[f"valid_{view}"] = tensor(torch.zeros(4, len(units)).bool())
        cost = torch.zeros(len(units), len(units))
        check_gradients(rrl.rrl_terms(model, batch, cost, recipe.weights, recipe.regularisation), model)


def test_procedural_face():
    face = ProceduralFace(0)
    identity, expression = torch.zeros(2, face.num_identity), face.neutral_expression()
    with elsewhere():
        shape = moved(face).shape(tensor(identity), tensor(expression))
        assert shape.device.type == DEVICE.type and shape.shape == (2, face.num_vertices, 3)
