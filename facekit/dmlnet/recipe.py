"""The settings of a training run of DML-Net, and its update.

Liu et al. (2021), Section 4.1 and Table 1. The defaults are the paper's; ``PRESETS`` holds smaller runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.dmlnet.baselines import IslandLoss
from facekit.dmlnet.data import PROTOCOLS, Faces
from facekit.dmlnet.labelling import Effort
from facekit.dmlnet.losses import BatchLabels, DynamicWeights, ProgressWeights, metric_losses
from facekit.dmlnet.model import DENSE_STD, SOFTMAX_STD, DMLNet
from facekit.dmlnet.tuples import FiveTupleSampler
from facekit.nn import ENCODERS
from facekit.nn.encoders import WEIGHTS
from facekit.training import (
    ConfigError,
    EpochSampler,
    Step,
    StepSchedule,
    Stream,
    TrainingConfig,
    Update,
    load_weights,
    parse_config,
)

METRICS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "pose": ("pose",),
    "identity": ("identity",),
    "both": ("pose", "identity"),
    "expression": ("expression",),
    "island": (),
    "centre": (),
}
"""Setting ``metric`` -> the kinds of triplets that it takes."""
WEIGHTINGS = ("dynamic", "equal", "progress")


@dataclass
class Recipe(TrainingConfig):
    """What the paper says about its training, and what it does not."""

    out_dir: str = "runs/dmlnet"
    preset: str = "paper"
    """paper; or laptop: narrow networks on small faces, minutes on two cores."""
    data: str = "world"
    """world (the protocol twins), world:ict=PATH, or <data set>=<path>."""
    dataset: str = "kdef"
    """kdef, bu3dfe, multipie or sfew."""
    subjects: int = 0
    """People of the twin; 0 takes the published number."""
    face_size: int = 224
    """Side of the face in pixels."""
    encoder: str = "resnet50"
    weights: str = "cached"
    """Of the backbones: random, imagenet (downloaded), or cached (ImageNet where torch's cache has it)."""
    channels: int = 3
    """3 for face, eyes and mouth (MFE), 1 for the face alone."""
    fused: int = 512
    embedding: int = 128
    hidden: int = 256
    dense_std: float = DENSE_STD
    """Standard deviation of the initial weights of dense layers."""
    softmax_std: float = SOFTMAX_STD
    """The same for the layers before a softmax."""
    pose_branch: bool = True
    """Estimate the head pose as well (HPE)."""
    metric: str = "both"
    """Triplets of the joint embedding (JEFL): both, pose, identity or none; for baselines expression (an ordinary
    triplet network), centre or island."""
    weighting: str = "dynamic"
    """Of the three losses: dynamic (ADW, Eq. 8), equal, or progress (beyond the paper: what is known already)."""
    weight_total: float = 2.0
    """K of Eq. (8)."""
    temperature: float = 2.0
    """T of Eq. (8)."""
    window: int = 5
    """Mini-batches that the losses of Eq. (8) are averaged over."""
    margin: float = 0.5
    """m of Eq. (4) and (5), in squared distance between embeddings of length one."""
    hinge: bool = True
    """Cut the terms of Eq. (4) and (5) at zero; False is the printed form."""
    island_weight: float = 0.01
    tuples: bool = True
    """Batches of five-tuples; otherwise of samples in random order."""
    frozen_steps: int = 3000
    """Steps at the start in which the pose branch stands still and its loss does not count."""
    mirror: bool = False
    """Show half of the faces mirrored; the pose label follows."""
    batch_size: int = 15
    steps: int = 130_000
    """500 epochs of KDEF's 3,914 training pictures in batches of 15."""
    learning_rate: float = 0.01
    decay: float = 0.8
    decay_steps: int = 6500
    """Steps after which the learning rate is multiplied by ``decay``; the paper does not say, this is 25 epochs."""
    ema: float = 0.9999
    labelling: Effort = field(default_factory=Effort)
    """For SFEW, whose poses and identities are filled in."""

    def check(self) -> None:
        super().check()
        for name, known in (
            ("preset", PRESETS), ("dataset", PROTOCOLS), ("metric", METRICS), ("weighting", WEIGHTINGS),
            ("encoder", ENCODERS), ("weights", WEIGHTS),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")
        if self.channels not in (1, 3):
            raise ConfigError(f"channels is {self.channels}, expected 3 (face, eyes, mouth) or 1 (face)")
        if self.channels == 3 and not self.encoder.startswith("resnet"):
            raise ConfigError(f"encoder is {self.encoder!r}, expected a residual network where channels is 3")
        least = {"face_size": 3, "fused": 1, "embedding": 1, "hidden": 1, "window": 1, "decay_steps": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least {value}")
        for name in ("weight_total", "temperature"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a number above 0")
        if self.tuples and self.batch_size % 5:
            raise ConfigError(f"batch_size is {self.batch_size}, expected a multiple of 5: five-tuples stay whole")


@dataclass
class LaptopRecipe(Recipe):
    """A run that learns in minutes on two cores."""

    preset: str = "laptop"
    save_every: int = 100
    subjects: int = 40
    face_size: int = 48
    encoder: str = "resnet_tiny"
    weights: str = "random"
    fused: int = 128
    embedding: int = 64
    hidden: int = 64
    dense_std: float = 0.12
    softmax_std: float = 0.05
    mirror: bool = True
    batch_size: int = 40
    steps: int = 1000
    learning_rate: float = 3e-3
    decay_steps: int = 100
    frozen_steps: int = 50
    ema: float = 0.99
    labelling: Effort = field(default_factory=lambda: Effort(100, 80, 300, "resnet_tiny"))


PRESETS = {"paper": Recipe, "laptop": LaptopRecipe}
"""The recipes that ``--preset`` names: ``paper`` and ``laptop``."""


def build_network(recipe: Recipe, faces: Faces) -> DMLNet:
    """The network for a set of faces."""
    return DMLNet(
        len(faces.expressions), len(faces.yaws) if recipe.pose_branch else 0, recipe.encoder, recipe.channels,
        recipe.fused, recipe.embedding, recipe.hidden, recipe.weights, recipe.dense_std, recipe.softmax_std,
    )  # fmt: skip


class Objective(nn.Module):
    """L of Eq. (7): named terms of a batch, and their weights.

    The terms are ``expression`` (cross-entropy), ``pose`` (cross-entropy, where the network has the branch) and
    ``metric`` (Eq. (6), or a baseline's loss). A module, because the centres of the island loss are learned.
    """

    def __init__(self, recipe: Recipe, network: DMLNet, classes: int) -> None:
        super().__init__()
        self.recipe, self._network = recipe, [network]  # a list, so that the network's weights are not listed twice
        metric = recipe.metric != "none"
        self.tasks = ["expression", *["pose"] * recipe.pose_branch, *["metric"] * metric]
        if recipe.weighting == "progress":
            self.rule: DynamicWeights | ProgressWeights = ProgressWeights(self.tasks)
        else:
            self.rule = DynamicWeights(self.tasks, recipe.weight_total, recipe.temperature, recipe.window)
        spread = {"island": 10.0, "centre": 0.0}.get(recipe.metric)
        self.island = None if spread is None else IslandLoss(classes, recipe.embedding, spread)

    def forward(self, batch: Mapping[str, Tensor], step: Step) -> dict[str, Tensor]:
        """The terms for this process's part of a batch."""
        batch = self._mirrored(batch, step) if self.recipe.mirror else batch
        found = self._network[0](batch["image"])
        terms = {"expression": F.cross_entropy(found.expression.float(), batch["expression"])}
        if found.pose is not None:
            terms["pose"] = F.cross_entropy(found.pose.float(), batch["pose"])
        if self.recipe.metric != "none":
            terms["metric"] = self._metric(found.embedding, batch, step)
        return terms

    def weights(self, terms: Mapping[str, Tensor], step: Step) -> dict[str, float]:
        """lambda_1 to lambda_3; while the pose branch is frozen its loss does not count.

        With the paper's weights the other two then count alike, and Eq. (8) begins afterwards.
        """
        frozen = self.recipe.pose_branch and step.index < self.recipe.frozen_steps
        if frozen and self.recipe.weighting != "progress":
            return {task: float(task != "pose") for task in self.tasks}
        if self.recipe.weighting == "equal" or len(self.tasks) == 1:
            weights = dict.fromkeys(self.tasks, 1.0)
        else:
            weights = self.rule.weights
            self.rule.observe(terms)
        if frozen:
            return {**weights, "pose": 0.0}
        step.log(**{f"weight_{task}": weight for task, weight in weights.items()})
        return weights

    def _metric(self, embeddings: Tensor, batch: Mapping[str, Tensor], step: Step) -> Tensor:
        if self.island is not None:
            return self.recipe.island_weight * self.island(embeddings, batch["expression"])
        labels = BatchLabels(batch["expression"], batch["pose"], batch["subject"])
        found = metric_losses(embeddings, labels, METRICS[self.recipe.metric], self.recipe.margin, self.recipe.hinge)
        for kind, part in found.items():
            step.log(**{f"unused_{kind}": part.unused.float(), f"active_{kind}": part.active})
        return sum(part.loss for part in found.values())

    def _mirrored(self, batch: Mapping[str, Tensor], step: Step) -> dict[str, Tensor]:
        """Half of the faces mirrored; the class of the opposite yaw becomes theirs, as the yaws are symmetric."""
        chosen = step.uniform(len(batch["image"])) < 0.5
        image = torch.where(chosen[:, None, None, None], batch["image"].flip(-1), batch["image"])
        last = len(PROTOCOLS[self.recipe.dataset].yaws) - 1
        return {**batch, "image": image, "pose": torch.where(chosen, last - batch["pose"], batch["pose"])}


def network_update(recipe: Recipe, network: DMLNet, objective: Objective, faces: Faces) -> Update:
    """One step of Adam on the weighted sum of all terms, for a batch of five-tuples (or of samples in random order)."""
    if recipe.tuples:
        sampler = FiveTupleSampler(faces.labels, recipe.batch_size, recipe.seed)
    else:
        sampler = EpochSampler(len(faces), recipe.batch_size, recipe.seed)
    milestones = tuple(range(recipe.decay_steps, recipe.steps, recipe.decay_steps))
    branch = [network.pose_branch] if network.pose_branch is not None else []
    return Update(
        "network",
        torch.optim.Adam([*network.parameters(), *objective.parameters()], recipe.learning_rate),
        objective,
        objective.weights,
        {"lr": StepSchedule(recipe.learning_rate, milestones, recipe.decay)},
        frozen=lambda step: branch if step < recipe.frozen_steps else [],
        data=Stream(faces, recipe.batch_size, seed=recipe.seed, sampler=sampler),
    )


def load_run(out_dir: str | Path) -> tuple[DMLNet, Faces]:
    """The network (with averaged weights, where the run kept them) and the test faces of a finished run."""
    recipe = parse_config(Recipe, ["--config", str(Path(out_dir) / "config.yml")])
    faces = Faces.load(Path(out_dir) / "faces" / "test")
    network = build_network(recipe, faces)
    load_weights(Path(out_dir) / "weights.pt", {"network": network})
    return network.eval(), faces
