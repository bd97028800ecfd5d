"""How hard a twin is: the accuracy of an ordinary supervised network under the twin's protocol.

A twin's nuisance settings are tuned until this number lies near the accuracy that was published for an ordinary
network on the data set.  The network knows nothing of any chapter's method; the settings are frozen before a method
is tried.

    world = twin("kdef", nuisance=replace(TWIN_NUISANCE["kdef"], confusion=0.3), outputs=BASELINE_OUTPUTS)
    plain_accuracy(world.split("train"), world.split("test"), PROTOCOLS["kdef"].expressions)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facekit.data.cache import load_all
from facekit.data.encodings import expression_ids
from facekit.data.sources import DataError, DataSource

BASELINE_OUTPUTS = ("image",)


def plain_network(num_classes: int, width: int = 24) -> nn.Sequential:
    """Four blocks of two 3 x 3 convolutions, each halving the image, then an average and a linear layer."""
    layers: list[nn.Module] = []
    channels = 3
    for block in range(4):
        for stride in (2, 1):
            following = width * 2**block
            layers += [nn.Conv2d(channels, following, 3, stride, 1, bias=False), nn.BatchNorm2d(following), nn.ReLU()]
            channels = following
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(channels, num_classes))
    return nn.Sequential(*layers, *head)


def plain_accuracy(
    train: DataSource,
    test: DataSource,
    classes: Sequence[str],
    epochs: int = 12,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> float:
    """Share of test pictures whose expression a `plain_network` trained on `train` names correctly.

    Rows whose expression is not in `classes` are left out.  AdamW with a one-cycle schedule, random mirroring and small
    shifts; all pictures are held in memory in 8 bits.

    Raises:
        DataError: if no row of a source has one of the classes.
    """
    pictures, labels = _labelled_pictures(train, classes)
    unseen, truth = _labelled_pictures(test, classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = plain_network(len(classes)).to(device)
        steps = epochs * -(-len(pictures) // batch_size)
        optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
        network.train()
        for _ in range(epochs):
            for rows in torch.randperm(len(pictures), generator=generator).split(batch_size):
                if len(rows) == 1:
                    continue
                scores = network(_augmented(pictures[rows].to(device), generator))
                optimizer.zero_grad()
                F.cross_entropy(scores, labels[rows].to(device), label_smoothing=0.05).backward()
                optimizer.step()
                schedule.step()
    network.eval()
    with torch.no_grad():
        found = torch.cat([network(_scaled(part.to(device))).argmax(dim=1).cpu() for part in unseen.split(256)])
    return (found == truth).float().mean().item()


def _labelled_pictures(source: DataSource, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
    """All pictures (N, 3, H, W) uint8 with one of the classes, and their class numbers (N,)."""
    labels = torch.from_numpy(expression_ids(source.table["expression"], classes))
    rows = (labels >= 0).nonzero()[:, 0]
    if len(rows) == 0:
        raise DataError(f"{source.name}: no row has an expression among {', '.join(classes)}")
    return load_all(source.select(rows.numpy()), ["image"])["image"], labels[rows]


def _scaled(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1.0


def _augmented(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the pictures mirrored, all moved by the same few pixels."""
    flipped = (torch.rand(len(pictures), generator=generator) < 0.5).to(pictures.device)
    pictures = torch.where(flipped[:, None, None, None], pictures.flip(-1), pictures)
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    return _scaled(pictures.roll(shift, dims=(-2, -1)))
