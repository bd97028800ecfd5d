"""The two learnt models that the paper compares with, on the same meshes: COMA and MAE.

COMA, in the form that its authors call DeepFLAME (Ranjan et al. 2018; Fernandez Abrevaya et al. 2019, Section 5.5): a
linear model of the people's neutral faces, and a convolutional mesh autoencoder of expression displacements. MAE
(Fernandez Abrevaya et al. 2018): an encoder to identity and expression weights and a multilinear tensor as decoder,
which starts from the tensor of labelled data.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor, nn

from facekit.decoupled_gan.data import CHUNK, MeshDataset
from facekit.decoupled_gan.linear_models import (
    CodedFaces,
    GaussianCode,
    MultilinearModel,
    expression_displacements,
    linear_basis,
    neutral_faces,
)
from facekit.decoupled_gan.losses import UNLABELLED
from facekit.decoupled_gan.model import convolutions
from facekit.meshes import GeometryImage, MeshHierarchy, SparseOperator, chebyshev_laplacian
from facekit.nn import ChebyshevConv, MeshPool, MeshUnpool
from facekit.training import CosineSchedule, TrainingConfig, TrainingLoop, Update, distributed_run

NUM_IDENTITY, NUM_EXPRESSION = 65, 20
FEWEST_VERTICES = 3.9


@dataclass
class AutoencoderRecipe(TrainingConfig):
    """Training of an autoencoder; the sizes of its codes are those of Section 5.5."""

    steps: int = 95_500
    """200 epochs of 30,559 meshes in batches of 64."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    image_size: int = 64
    """Side of the geometry images that MAE's encoder sees."""
    agreement: float = 0.3
    """MAE: weight of the distance between a mesh's weights and those of its label."""
    progress: bool = False


class MeshAutoencoder(nn.Module):
    """Chebyshev convolutions over a quadric hierarchy: signals (B, V, 3) to codes (B, K) and back.

    Four times a convolution with K = 6 and 16, 16, 16, 32 filters, a ReLU and a pooling that keeps a quarter of the
    vertices; one linear layer to the code; and all of it mirrored. (Ranjan et al. 2018, Tables 1 and 2.)
    """

    def __init__(
        self, vertices: Tensor, faces: Tensor, size: int, filters: tuple[int, ...] = (16, 16, 16, 32), order: int = 6
    ) -> None:
        super().__init__()
        filters = filters[: int(log(len(vertices) / FEWEST_VERTICES, 4))]
        hierarchy = MeshHierarchy.build(vertices, faces, [4] * len(filters))
        operators = [SparseOperator(chebyshev_laplacian(level.faces, level.num_vertices)) for level in hierarchy.levels]
        self.coarsest = (hierarchy.levels[-1].num_vertices, filters[-1])
        widths = (3, *filters)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for level, (few, many) in enumerate(zip(widths, filters, strict=False)):
            down += [ChebyshevConv(few, many, order, operators[level]), nn.ReLU(), MeshPool(hierarchy, level)]
            width = filters[max(level - 1, 0)]
            up = [MeshUnpool(hierarchy, level), ChebyshevConv(many, width, order, operators[level]), nn.ReLU(), *up]
        numbers = self.coarsest[0] * self.coarsest[1]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(numbers, size))
        self.expand = nn.Linear(size, numbers)
        self.decoder = nn.Sequential(*up, ChebyshevConv(filters[0], 3, order, operators[0]))

    def decode(self, codes: Tensor) -> Tensor:
        """Signals (B, V, 3) of codes (B, K)."""
        return self.decoder(torch.relu(self.expand(codes)).unflatten(1, self.coarsest))

    def forward(self, signals: Tensor) -> Tensor:
        return self.decode(self.encoder(signals))


class MultilinearAutoencoder(nn.Module):
    """Geometry images to weights of two modes by convolutions, weights to meshes by a multilinear tensor.

    Args:
        dataset: the meshes, whose labelled tensor the decoder starts from.
        image_size: side of the geometry images.

    Attributes:
        centres: weights of each label, learnt; those of the labelled tensor start as its decomposition has them.

    Raises:
        MeshDataError: too few labelled samples for the tensor.
    """

    def __init__(self, dataset: MeshDataset, image_size: int) -> None:
        super().__init__()
        start = MultilinearModel.fit(dataset, NUM_IDENTITY, NUM_EXPRESSION)
        self.unit = (start.mean - start.mean.mean(dim=0)).square().mean().sqrt().item()
        self.mapping = GeometryImage(dataset.uv, dataset.faces, image_size)
        features = 64 * (image_size // 8) ** 2
        self.encoder = nn.Sequential(
            *convolutions((3, 16, 32, 64)), nn.Flatten(), nn.Linear(features, NUM_IDENTITY + NUM_EXPRESSION)
        )
        self.register_buffer("mean", start.mean)
        core = start.core / self.unit
        grown = 0.1 * core.std() * torch.randn(NUM_IDENTITY, NUM_EXPRESSION, core.shape[2])
        grown[: core.shape[0], : core.shape[1]] = core
        self.core = nn.Parameter(grown)
        people = torch.zeros(dataset.num_labels["identity"], NUM_IDENTITY)
        people[start.people, : core.shape[0]] = start.identity
        labels = torch.zeros(len(start.expression), NUM_EXPRESSION)
        labels[:, : core.shape[1]] = start.expression
        self.labelled = {name: (label != UNLABELLED).float().mean().item() for name, label in dataset.labels.items()}
        self.centres = nn.ParameterDict({"identity": people, "expression": labels})

    def weights(self, vertices: Tensor) -> dict[str, Tensor]:
        """Weights ``identity (B, 65)`` and ``expression (B, 20)`` of meshes (B, V, 3)."""
        joined = self.encoder(self.mapping((vertices - self.mean) / self.unit))
        identity, expression = joined.split([NUM_IDENTITY, NUM_EXPRESSION], dim=1)
        return {"identity": identity, "expression": expression}

    def decode(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Meshes (B, V, 3) in millimetres."""
        model = MultilinearModel(self.mean, self.unit * self.core, torch.empty(0), *self.centres.values())
        return model(weights)

    def loss(self, batch: Mapping[str, Tensor], _step: object) -> dict[str, Tensor]:
        """``reconstruction`` and ``exchange`` in squared units; ``agreement``.

        The second reconstructs a mesh with the identity weights of its person in place of its own, so that nothing of
        the person is left for the expression weights to say. The third is the squared distance of the weights from
        those of their labels, in the mean over the labelled meshes.
        """
        weights, centres = self.weights(batch["vertices"]), self.centres["identity"]
        person = torch.where(batch["identity"][:, None] >= 0, centres[batch["identity"]], weights["identity"])
        terms = {
            "reconstruction": self._error(weights, batch["vertices"]),
            "exchange": self._error({**weights, "identity": person}, batch["vertices"]),
        }
        terms["agreement"] = sum(
            _of_label(weights[factor] - centres[batch[factor]], batch[factor]) / self.labelled[factor]
            for factor, centres in self.centres.items()
        )
        return terms

    def _error(self, weights: Mapping[str, Tensor], vertices: Tensor) -> Tensor:
        return ((self.decode(weights) - vertices) / self.unit).square().sum(dim=2).mean()


def _of_label(differences: Tensor, labels: Tensor) -> Tensor:
    """Mean square of differences (B, K), counting those of samples without a label as zero."""
    return (differences.square().mean(dim=1) * (labels != UNLABELLED)).mean()


def train_coma(dataset: MeshDataset, recipe: AutoencoderRecipe) -> CodedFaces:
    """COMA in its DeepFLAME form: a code of 65 numbers for the person, one of 20 for the expression.

    Raises:
        MeshDataError: somebody has no neutral mesh.
    """
    neutrals = neutral_faces(dataset)
    of_people, mean, axes = linear_basis(neutrals, NUM_IDENTITY)
    rows = torch.arange(len(dataset))
    some = expression_displacements(dataset, neutrals, rows[:: max(1, len(rows) // CHUNK)])
    unit = some.square().mean().sqrt()
    torch.manual_seed(recipe.seed)
    network = MeshAutoencoder(dataset.mean(), dataset.faces, NUM_EXPRESSION)

    def loss(batch: Mapping[str, Tensor], _step: object) -> dict[str, Tensor]:
        person = neutrals.to(batch["vertices"])[batch["identity"]]
        moves = (batch["vertices"] - person) / unit.item()
        return {"absolute": (network(moves) - moves).abs().mean()}

    _train(network, loss, {}, dataset, recipe)
    with torch.no_grad():
        codes = [network.encoder(expression_displacements(dataset, neutrals, part) / unit) for part in rows.split(256)]
    of_moves = GaussianCode.fit(torch.cat(codes), NUM_EXPRESSION)

    def decode(weights: dict[str, Tensor]) -> Tensor:
        person = mean + torch.einsum("bk,kvc->bvc", weights["identity"], axes)
        return person + unit * network.decode(weights["expression"])

    return CodedFaces({"identity": of_people, "expression": of_moves}, decode)


def train_mae(dataset: MeshDataset, recipe: AutoencoderRecipe) -> CodedFaces:
    """The multilinear autoencoder, with Gaussians over the weights that it gives to the training meshes.

    Raises:
        MeshDataError: too few labelled samples for the tensor that it starts from.
    """
    torch.manual_seed(recipe.seed)
    network = MultilinearAutoencoder(dataset, recipe.image_size)
    _train(network, network.loss, {"agreement": recipe.agreement}, dataset, recipe)
    with torch.no_grad():
        found = [network.weights(dataset.vertices[rows]) for rows in torch.arange(len(dataset)).split(256)]
    parts = {
        name: GaussianCode.fit(torch.cat([weights[name] for weights in found]), size)
        for name, size in (("identity", NUM_IDENTITY), ("expression", NUM_EXPRESSION))
    }
    return CodedFaces(parts, network.decode)


def _train(
    network: nn.Module, loss: Callable, weights: Mapping[str, float], dataset: MeshDataset, recipe: AutoencoderRecipe
) -> None:
    """Run the loop in a folder that is not kept, and freeze the network."""
    with tempfile.TemporaryDirectory() as folder, distributed_run(recipe) as world:
        network.to(world.device)
        adam = torch.optim.Adam(network.parameters(), recipe.learning_rate)
        schedules = {"lr": CosineSchedule(recipe.learning_rate, recipe.final_learning_rate, recipe.steps)}
        update = Update("autoencoder", adam, loss, weights, schedules)
        TrainingLoop(replace(recipe, out_dir=folder), world, {"network": network}, [update], dataset).run()
    network.eval().cpu().requires_grad_(False)
