"""Beyond the paper: how much of what two codes do together is more than what each does alone, as a loss.

Take two people and two expressions: four faces. Statisticians split the differences between the corners of such a
2 x 2 table into what the person does, what the expression does, and their *interaction* (analysis of variance). Where
there is none, an expression moves everybody's vertices in the same way, and two people differ in the same way under all
expressions: neither code meddles with the other, and no classifier had to be asked. Some interaction there must be,
people smile differently, so it is not forbidden but priced.
"""

import torch
from torch import Tensor

from facekit.decoupled_gan.model import Codes, Generator


def interaction_share(corners: Tensor) -> Tensor:
    """Interaction's share of the variation in a 2 x 2 table of shapes, (B,) in [0, 1].

    With a, b, c, d the shapes of (person, expression) = (1, 1), (2, 1), (1, 2), (2, 2), the sums of squares are

        person       |(a + c) - (b + d)|^2
        expression   |(a + b) - (c + d)|^2
        interaction  |(a + d) - (b + c)|^2

    up to a common factor, and add up to the variation of the four shapes about their mean. The share does not change
    when all shapes are scaled, so that a generator cannot lower it by making people more alike.

    Args:
        corners: a, b, c, d, stacked as (4, B, V, 3), in any unit.

    Returns:
        (B,); 0 where the four shapes are one.

    Raises:
        ValueError: there are not four corners.
    """
    if len(corners) != 4:
        raise ValueError(f"two people with two expressions make four shapes, found {len(corners)}")
    a, b, c, d = corners
    contrasts = torch.stack([a + c - b - d, a + b - c - d, a + d - b - c])
    person, expression, both = contrasts.square().sum(dim=(2, 3))
    return both / (person + expression + both).clamp(min=torch.finfo(corners.dtype).tiny)


def interaction_loss(generator: Generator, codes: Codes, others: Codes) -> Tensor:
    """Mean ``interaction_share`` of two factors over a batch, a scalar in [0, 1].

    Args:
        generator: the face model.
        codes: all parts of the codes, (B, length) each.
        others: a second code (B, length) for each of the two factors that are crossed; the other parts stay.

    Raises:
        ValueError: ``others`` does not hold two factors.
    """
    if len(others) != 2:
        raise ValueError(f"two factors are crossed, found {len(others)}: {', '.join(others)}")
    one, two = ({name: code} for name, code in others.items())
    corners = [codes, codes | one, codes | two, codes | one | two]
    joined = {name: torch.cat([corner[name] for corner in corners]) for name in codes}
    return interaction_share(generator.displacements(joined).unflatten(0, (4, -1))).mean()
