"""New expressions by arithmetic on codes: replacing and adding.

Fernandez Abrevaya et al. (2019), Figure 4 and the supplement's "Latent space manipulation".
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from facekit.decoupled_gan.evaluation import FaceSampler
from facekit.decoupled_gan.judges import TripletJudge

Codes = Mapping[str, Tensor]


def replace_expression(target: Codes, source: Codes, factor: str = "expression") -> dict[str, Tensor]:
    """The target's codes with the source's code of one factor: G(z_id^target, z_exp^source, z_noise^target)."""
    return {**target, factor: source[factor]}


def add_expression(target: Codes, source: Codes, factor: str = "expression") -> dict[str, Tensor]:
    """The target's codes with the sum of both codes of one factor: G(z_id^target, z_exp^source + z_exp^target, ...)."""
    return {**target, factor: source[factor] + target[factor]}


@torch.no_grad()
def transfer(sampler: FaceSampler, judges: Mapping[str, TripletJudge], pairs: int, seed: int = 0) -> dict[str, float]:
    """Percentages of random pairs of source and target: ``<way>_person`` and ``<way>_expression``.

    The first counts results that the identity judge takes for the target's person, the second those that the expression
    judge takes for the source's expression; ``<way>`` is ``replaced`` or ``added``.
    """
    random = torch.Generator().manual_seed(seed)
    source, target = sampler.sample_codes(pairs, random), sampler.sample_codes(pairs, random)
    ways = {"replaced": replace_expression(target, source), "added": add_expression(target, source)}
    measured = {}
    for way, codes in ways.items():
        made = sampler(codes)
        person = judges["identity"].same(made, sampler(target))
        expression = judges["expression"].same(made, sampler(source))
        measured[f"{way}_person"] = 100 * person.float().mean().item()
        measured[f"{way}_expression"] = 100 * expression.float().mean().item()
    return measured
