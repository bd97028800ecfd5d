"""The networks of a run and how its optimisers move them: Gao et al. (2020), Section 5."""

from pathlib import Path

import torch
from torch import nn

from facekit.morphable import LinearFaceModel
from facekit.reconstruction.decoders import MeshCritic
from facekit.reconstruction.material import Material, build_models
from facekit.reconstruction.model import build_reconstructor
from facekit.reconstruction.objective import Objective, Recognizer, WarmUp
from facekit.reconstruction.prior import Prior, spread
from facekit.reconstruction.recipe import Recipe
from facekit.training import CosineSchedule, Stream, Update, load_checkpoint, load_weights, parse_config


class Networks(nn.Module):
    """The model, the recognition head, the critic and the warm-up head of a run."""

    def __init__(self, recipe: Recipe, prior: LinearFaceModel, people: int) -> None:
        super().__init__()
        self.model, hierarchy = build_reconstructor(
            prior,
            recipe.image_size,
            recipe.encoder,
            recipe.encoder_weights,
            recipe.factors,
            recipe.widths,
            from_prior=recipe.from_prior,
        )
        self.recognizer = Recognizer(self.model.encoder.heads["identity"].out_features, people)
        self.critic = MeshCritic(hierarchy, prior.mean, spread(prior), recipe.widths)
        self.warm_up = WarmUp(self.model.encoder.backbone.dim)


def objective(recipe: Recipe, networks: Networks, prior: LinearFaceModel) -> Objective:
    """The losses that ``recipe`` asks for."""
    return Objective(
        networks.model, networks.recognizer, networks.critic if recipe.weights.adversarial else None, prior,
        recipe.weights, recipe.texture_from, recipe.conventional_smoothing, recipe.masked,
    )  # fmt: skip


def updates(recipe: Recipe, material: Material, networks: Networks, prior: LinearFaceModel) -> list[Update]:
    """A step: one update of the critic, one of the encoder and decoders, each on a hybrid batch of its own.

    The first ``recipe.warm_up`` steps have one of the backbone instead. The gradient of the encoder and decoders is cut
    to a norm of 10, which is not the paper's.

    ``prior`` is the material's face region on the device of the networks.
    """
    game = objective(recipe, networks, prior)
    half = recipe.batch_size // 2
    data = {
        "labelled": Stream(material.labelled, half, seed=recipe.seed),
        "unlabelled": Stream(material.unlabelled, half, seed=recipe.seed + 1),
    }
    names = [name for name in vars(recipe.weights) if name != "divergence"]
    trained = [*networks.model.parameters(), *networks.recognizer.parameters()]

    def weights(terms, _step):
        return {name: getattr(recipe.weights, name) for name in names if name in terms}

    def schedules(rate):
        return {"lr": CosineSchedule(rate, recipe.final_rate * rate, recipe.steps)}

    def begun(step):
        return step >= recipe.warm_up

    generator = Update(
        "generator", torch.optim.Adam(trained, recipe.learning_rate), game.generator, weights,
        schedules(recipe.learning_rate), active=begun, clip_norm=10.0, data=data,
    )  # fmt: skip
    chosen = [generator]
    if game.critic is not None:
        critic = Update(
            "critic", torch.optim.RMSprop(networks.critic.parameters(), recipe.critic_rate), game.critic_terms,
            {"distance": 1.0, "divergence": recipe.weights.divergence}, schedules(recipe.critic_rate),
            active=lambda step: begun(step) and step % recipe.critic_every == 0, data=data,
        )  # fmt: skip
        chosen = [critic, generator]
    if recipe.warm_up:
        chosen.insert(0, _warm_up(recipe, material, networks, game))
    return chosen


def _warm_up(recipe: Recipe, material: Material, networks: Networks, game: Objective) -> Update:
    """The first steps, on labelled photographs alone."""
    head = networks.warm_up
    parameters = [*networks.model.encoder.backbone.parameters(), *head.parameters()]
    return Update(
        "warm_up", torch.optim.Adam(parameters, recipe.learning_rate),
        lambda batch, step: game.warm_up(batch, step, head), active=lambda step: step < recipe.warm_up,
        data=Stream(material.labelled, recipe.batch_size, seed=recipe.seed + 2),
    )  # fmt: skip


def load_run(out_dir: str | Path) -> tuple[Recipe, Networks, Prior]:
    """The settings, the networks (with averaged weights, where the run kept them) and the prior of a finished run.

    Raises:
        CheckpointError, ConfigError: the folder holds no finished run.
        DataError, FaceModelError: the face model or the copies of the run are no longer where they were.
    """
    recipe = parse_config(Recipe, ["--config", str(Path(out_dir) / "config.yml")])
    _, _, prior = build_models(recipe)
    state = load_checkpoint(Path(out_dir) / "weights.pt", kind="weights")["models"]["networks"]
    networks = Networks(recipe, prior.model, len(state["recognizer.centers"]))
    load_weights(Path(out_dir) / "weights.pt", {"networks": networks})
    return recipe, networks.eval(), prior
