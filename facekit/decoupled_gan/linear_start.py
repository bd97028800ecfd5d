"""Beyond the paper: a generator that starts as the linear model it has to beat.

The paper's generator starts as the mean face with random dents, and has to find from the critic's gradients alone that
people differ and mouths open. Two layers with leaky ReLUs between them can be *any* linear map exactly, because

    lrelu(x) - lrelu(-x) = (1 + slope) x,

so that a pair of hidden units passes a number of the code on unchanged. Written into the weights before training, the
additive 3DMM of the training meshes gives the generator the data's diversity and a split between person and expression
from the first step; what is left to learn is what the linear model cannot do.
"""

import torch
from torch import Tensor

from facekit.decoupled_gan.data import MeshDataset
from facekit.decoupled_gan.linear_models import CodedFaces, additive_linear
from facekit.decoupled_gan.model import SLOPE, Generator


@torch.no_grad()
def start_linearly(generator: Generator, dataset: MeshDataset, spread: float = 0.6) -> CodedFaces:
    """Write the additive linear model of ``dataset`` into the weights of ``generator``; return the model.

    Codes are scaled by ``spread``: below 1 the first samples lie where the data are dense, and the critic widens them.

    The identity and expression codes drive two hidden units for each number that the linear model uses. The remaining
    hidden units keep their weights, and so their small random share of the faces.

    Raises:
        ValueError: the hidden layer is too narrow.
        MeshDataError: somebody has no neutral mesh.
    """
    sizes = generator.code_sizes
    model = additive_linear(dataset, sizes["identity"], sizes["expression"])
    first, last = generator.layers[0], generator.layers[2]
    used = {name: len(model.parts[name].basis) for name in model.parts}
    if 2 * sum(used.values()) > first.out_features:
        raise ValueError(f"{sum(used.values())} numbers need twice as many hidden units, found {first.out_features}")
    mean = model(_codes(used, 0, "identity", 0.0))[0]
    last.bias.copy_(((mean - generator.reference) / generator.unit).flatten())
    unit, column = 0, 0
    for name, size in sizes.items():
        for number in range(used.get(name, 0)):
            field = (model(_codes(used, number, name, spread))[0] - mean) / (generator.unit * (1 + SLOPE))
            for sign in (1.0, -1.0):
                first.weight[unit] = 0
                first.weight[unit, column + number] = sign
                first.bias[unit] = 0
                last.weight[:, unit] = sign * field.flatten()
                unit += 1
        column += size
    return model


def _codes(sizes: dict[str, int], number: int, name: str, value: float) -> dict[str, Tensor]:
    """Codes of zeros (1, D) with one number of one part set."""
    codes = {part: torch.zeros(1, size) for part, size in sizes.items()}
    codes[name][0, number] = value
    return codes
