"""The settings of a training run: Gao et al. (2020), Section 5.

The defaults are the paper's; ``LaptopRecipe`` is a run for two cores.
"""

from dataclasses import dataclass, field

from facekit.reconstruction.losses import LossWeights
from facekit.training import ConfigError, TrainingConfig

ENCODERS = ("resnet_tiny", "resnet18", "resnet50", "vgg16")
"""Encoders of ``facekit.nn`` whose maps begin at stride 2, as the skip connections ask; those of Swin-T begin at 4."""


@dataclass
class Recipe(TrainingConfig):
    """What the paper says about its training, and what it does not."""

    out_dir: str = "runs/reconstruction"
    preset: str = "paper"
    """paper, or laptop: a small mesh, a small encoder and small images."""
    data: str = "world"
    """world (the procedural face), world:ict=PATH (ICT-FaceKit's geometry), or licensed copies and the Basel model:
    300wlp=PATH,celeba=PATH,bfm=PATH."""
    level: int = 2
    """Resolution of the procedural face: 0, 1 or 2 for about 1,000, 5,000 or 20,000 vertices."""
    radius: float = 150.0
    """Millimetres around the nose tip that belong to the face; 0 keeps the whole head."""
    components: tuple[int, int, int] = (80, 30, 40)
    """Identity, expression and texture components of the linear 3DMM."""
    scanned: int = 300
    """People whose scans the linear 3DMM is built from."""
    people: int = 10_177
    """People in CelebA's twin."""
    photos: int = 0
    """Photographs of each; 0 for the published numbers."""
    sources: int = 3_837
    """Photographs that 300W-LP's twin starts from."""
    views: int = 0
    """Views of each; 0 for the published numbers."""
    in_memory: bool = False
    """Render all photographs before the training, instead of each batch when it is drawn."""
    image_size: int = 224
    """Side of the photographs in pixels; a multiple of 16."""
    encoder: str = "resnet50"
    """Backbone of the encoder: resnet_tiny, resnet18, resnet50 or vgg16."""
    encoder_weights: str = "cached"
    """random, imagenet (downloaded where they are missing), or cached: ImageNet's if torch has them, else random."""
    factors: tuple[int, ...] = (4, 4, 4, 4)
    """By how much each step of the mesh hierarchy divides the vertices."""
    widths: tuple[int, ...] = (128, 64, 32, 16)
    """Filters of the graph convolutions, coarsest first."""
    steps: int = 1_635_000
    """Of the whole run, the warm-up among them; the paper's are two times 100 epochs of 261,630 photographs."""
    warm_up: int = 0
    """First steps, in which a backbone without pre-trained weights reads landmarks of labelled photographs."""
    texture_from: int = 817_500
    """Step from which the convolutional albedo decoder replaces the graph albedo decoder."""
    batch_size: int = 32
    """Photographs in a batch, half of them labelled; over all processes and accumulated passes."""
    learning_rate: float = 1e-4
    """Of Adam, for the encoder and the decoders."""
    critic_rate: float = 5e-5
    """Of RMSprop, for the critic."""
    final_rate: float = 1.0
    """Share of both learning rates at which a cosine ends; 1 keeps them constant, as in the paper."""
    critic_every: int = 1
    """Steps between two updates of the critic."""
    from_prior: bool = False
    """Let the shape decoder add to faces of the linear 3DMM, whose coefficients begin the codes; not the paper's."""
    conventional_smoothing: bool = False
    """Smooth towards the mean of the neighbours instead of Eq. (9), the ablation of Section 5.2."""
    masked: bool = True
    """Compare pictures inside the face mask alone, Eq. (5)."""
    weights: LossWeights = field(default_factory=LossWeights)
    """Of the terms of the loss."""

    def check(self) -> None:
        super().check()
        if self.warm_up > self.steps:
            raise ConfigError(f"warm_up is {self.warm_up} and steps {self.steps}: the warm-up is part of the steps")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}, expected one of {', '.join(PRESETS)}")
        if len(self.factors) != len(self.widths):
            raise ConfigError(f"{len(self.factors)} factors and {len(self.widths)} widths, expected as many of each")
        if not self.factors or min(self.factors) < 2 or min(self.widths) < 1:
            raise ConfigError(
                f"factors are {self.factors} and widths {self.widths}; expected factors of at least 2 and widths of at "
                "least 1, one of each or more"
            )
        if self.encoder not in ENCODERS:
            raise ConfigError(f"encoder is {self.encoder!r}, expected one of {', '.join(ENCODERS)}")
        if self.image_size < 16 or self.image_size % 16:
            raise ConfigError(f"image_size is {self.image_size}, expected a multiple of 16")
        if self.critic_every < 1:
            raise ConfigError(f"critic_every is {self.critic_every}, expected at least 1")
        if self.batch_size % 4:
            raise ConfigError(f"batch_size is {self.batch_size}, expected a multiple of 4: half of it comes in pairs")

    def check_world(self, size: int) -> None:
        super().check_world(size)
        if self.batch_size // (size * self.accumulate) % 4:
            raise ConfigError(
                f"batch_size {self.batch_size} on {size} processes and {self.accumulate} passes: the share of each "
                "must be a multiple of 4, because half of it comes in pairs"
            )


@dataclass
class LaptopRecipe(Recipe):
    """A run of minutes on two cores."""

    preset: str = "laptop"
    save_every: int = 100
    level: int = 0
    components: tuple[int, int, int] = (40, 20, 20)
    scanned: int = 200
    people: int = 150
    photos: int = 8
    sources: int = 400
    views: int = 3
    in_memory: bool = True
    image_size: int = 48
    encoder: str = "resnet_tiny"
    encoder_weights: str = "random"
    factors: tuple[int, ...] = (4, 4)
    widths: tuple[int, ...] = (32, 16)
    steps: int = 4000
    warm_up: int = 1000
    texture_from: int = 3400
    batch_size: int = 16
    learning_rate: float = 1e-3
    critic_rate: float = 2e-4
    final_rate: float = 0.1
    critic_every: int = 2


PRESETS = {"paper": Recipe, "laptop": LaptopRecipe}
"""The recipes that ``--preset`` names: ``paper`` and ``laptop``."""
