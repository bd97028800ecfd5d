"""Generator, geometry-image discriminator and fixed codes of the decoupled 3D face model.

Fernandez Abrevaya et al., *A Decoupled 3D Facial Shape Model by Adversarial Training* (2019), Sections 4.1-4.2 and the
supplement's table of layers (Figure 11). A two-layer perceptron turns a code into displacements from a reference
mesh; the mesh becomes a 3-channel geometry image; a small convolutional network with one shared trunk and one branch
per question (real? who? which expression?) judges it.

The factors are named, not numbered: ``{"identity": 65, "expression": 15, "noise": 5}`` are the paper's codes, and a
third labelled factor (the supplement's viseme) is one more entry.
"""

import copy
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

CODE_SIZES = {"identity": 65, "expression": 15, "noise": 5}
"""Lengths of the parts of the code in the paper: identity 65, expression 15, noise 5."""
SLOPE = 0.2

Codes = dict[str, Tensor]
"""Factor to codes (B, length)."""


class Judgement(NamedTuple):
    """What the discriminator says of a batch.

    ``score (B,)`` is the critic's value (higher: more like the data), ``logits[factor] (B, labels)`` and
    ``features[factor] (B, 2048)`` come from the factor's own branch; the features are the input of its last layer.
    """

    score: Tensor
    logits: dict[str, Tensor]
    features: dict[str, Tensor]


class Generator(nn.Module):
    """Codes to face meshes: ``Linear(codes, 512)``, leaky ReLU, ``Linear(512, 3V)``, added to a reference mesh.

    Args:
        reference: the mesh that displacements are added to, (V, 3) in millimetres.
        code_sizes: length of each part of the code, in the order in which they are joined.
        hidden: width of the hidden layer.
        unit: millimetres in one unit of the network's output, so that its weights see values of order one.
        initial_scale: factor on the usual initial weights of the last layer; small: training starts near the reference.

    Attributes:
        spread: standard deviation of the codes that ``sample_codes`` draws; 1, except after ``truncated``.
    """

    def __init__(
        self,
        reference: Tensor,
        code_sizes: Mapping[str, int] = CODE_SIZES,
        hidden: int = 512,
        unit: float = 1.0,
        initial_scale: float = 0.1,
    ) -> None:
        super().__init__()
        if reference.ndim != 2 or reference.shape[1] != 3:
            raise ValueError(f"reference must be (V, 3), found {tuple(reference.shape)}")
        if unit <= 0:
            raise ValueError(f"unit must be positive millimetres, found {unit}")
        self.code_sizes = dict(code_sizes)
        self.unit = float(unit)
        self.spread = 1.0
        self.register_buffer("reference", reference.detach().clone())
        self.layers = nn.Sequential(
            nn.Linear(sum(code_sizes.values()), hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, 3 * reference.shape[0]),
        )
        with torch.no_grad():
            for parameter in self.layers[2].parameters():
                parameter.mul_(initial_scale)

    @property
    def num_vertices(self) -> int:
        return self.reference.shape[0]

    def sample_codes(self, count: int, generator: torch.Generator) -> Codes:
        """Draw every part of ``count`` codes from N(0, spread² I), on the random generator's device."""
        draws = {
            name: torch.randn(count, size, generator=generator, device=generator.device)
            for name, size in self.code_sizes.items()
        }
        return {name: self.spread * draw.to(self.reference) for name, draw in draws.items()}

    def truncated(self, spread: float) -> "Generator":
        """The same networks, drawing codes with the standard deviation ``spread``: below 1 for milder faces than it was
        trained to make, above 1 for stronger ones. The weights are shared.

        Raises:
            ValueError: ``spread`` is not positive.
        """
        if spread <= 0:
            raise ValueError(f"spread must be positive, found {spread}")
        milder = copy.copy(self)
        milder.spread = float(spread)
        return milder

    def join(self, codes: Codes) -> Tensor:
        """Concatenate the parts into z (B, sum of sizes).

        Raises:
            ValueError: a part is missing, unknown, or of another length than the generator was built for.
        """
        found = {name: code.shape[-1] for name, code in codes.items()}
        if found != self.code_sizes:
            raise ValueError(f"codes have the parts {found}, the generator takes {self.code_sizes}")
        return torch.cat([codes[name] for name in self.code_sizes], dim=-1)

    def difference(self, first: Codes, second: Codes) -> Tensor:
        """G(first) - G(second), (B, V, 3) in millimetres.

        The last layer, which is nearly all of the work, is linear: it is asked once about the difference of the hidden
        layers, instead of twice.
        """
        first_hidden, second_hidden = (self.layers[:2](self.join(codes)) for codes in (first, second))
        difference = torch.nn.functional.linear(first_hidden - second_hidden, self.layers[2].weight)
        return self.unit * difference.unflatten(-1, (self.num_vertices, 3))

    def displacements(self, codes: Codes) -> Tensor:
        """Displacements v = G(z) from the reference mesh, (B, V, 3), in units of ``unit`` millimetres."""
        return self.layers(self.join(codes)).unflatten(-1, (self.num_vertices, 3))

    def forward(self, codes: Codes) -> Tensor:
        """Face meshes (B, V, 3) in millimetres."""
        return self.reference + self.unit * self.displacements(codes)


def convolutions(channels: Iterable[int]) -> nn.Sequential:
    """3x3 convolutions of stride 2, each followed by a leaky ReLU; every one halves the image."""
    widths = list(channels)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


class Discriminator(nn.Module):
    """Critic and auxiliary classifiers on geometry images, with a common trunk and one branch each.

    Args:
        mapping: geometry-image layer of the topology, (B, V, 3) -> (B, 3, n, n), Eq. (5).
        num_labels: number of distinct labels of each classified factor.
        offset: what is taken from the vertices before they are mapped, (V, 3) or (1, 3), in millimetres.
        unit: millimetres that become 1 in the geometry image.
        channels: widths of the four convolutions; the first two are shared.
    """

    def __init__(
        self,
        mapping: nn.Module,
        num_labels: Mapping[str, int],
        offset: Tensor,
        unit: float,
        channels: tuple[int, int, int, int] = (16, 32, 64, 128),
    ) -> None:
        super().__init__()
        if mapping.size % 16:
            raise ValueError(f"the four strided convolutions need an image size divisible by 16, found {mapping.size}")
        self.mapping = mapping
        self.unit = float(unit)
        self.register_buffer("offset", offset.detach().clone())
        self.num_features = channels[3] * (mapping.size // 16) ** 2
        self.common = convolutions((3, *channels[:2]))
        self.critic = self._branch(channels, 1)
        self.classifiers = nn.ModuleDict({name: self._branch(channels, n) for name, n in num_labels.items()})

    def _branch(self, channels: tuple[int, int, int, int], outputs: int) -> nn.ModuleDict:
        features = nn.Sequential(*convolutions(channels[1:]), nn.Flatten())
        return nn.ModuleDict({"features": features, "last": nn.Linear(self.num_features, outputs)})

    def images(self, vertices: Tensor) -> Tensor:
        """Geometry images (B, 3, n, n) of meshes (B, V, 3), shifted and scaled to about unit variance."""
        return self.mapping((vertices - self.offset) / self.unit)

    def score(self, images: Tensor) -> Tensor:
        """The critic alone: D(x), (B,)."""
        return self.critic["last"](self.critic["features"](self.common(images))).squeeze(-1)

    def forward(self, images: Tensor) -> Judgement:
        """Judge geometry images (B, 3, n, n) with every branch."""
        shared = self.common(images)
        score = self.critic["last"](self.critic["features"](shared)).squeeze(-1)
        features = {name: branch["features"](shared) for name, branch in self.classifiers.items()}
        logits = {name: branch["last"](features[name]) for name, branch in self.classifiers.items()}
        return Judgement(score, logits, features)


class FixedCodes(nn.Module):
    """The sets T_id and T_exp: one code for each label, drawn once from N(0, I) and kept for the whole training.

    Like the networks' weights, the codes are drawn from PyTorch's global generator and travel with the checkpoint.

    Args:
        num_labels: number of labels of each labelled factor.
        code_sizes: length of the code of each factor; there may be factors without labels.

    Raises:
        ValueError: a labelled factor has no code.
    """

    def __init__(self, num_labels: Mapping[str, int], code_sizes: Mapping[str, int]) -> None:
        super().__init__()
        missing = sorted(set(num_labels) - set(code_sizes))
        if missing:
            raise ValueError(f"factor {missing[0]!r} has labels but no code among {sorted(code_sizes)}")
        self.num_labels = dict(num_labels)
        for name, count in num_labels.items():
            self.register_buffer(name, torch.randn(count, code_sizes[name]))

    def forward(self, factor: str, labels: Tensor) -> Tensor:
        """Codes (B, d) of the labels (B,) of one factor."""
        return getattr(self, factor)[labels]
