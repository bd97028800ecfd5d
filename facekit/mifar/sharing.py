"""Making images of many scans in the processes of a run: each works on its share, and all get everything.

Nothing is exchanged through files, so that machines need no common file system.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

from facekit.training import gather, rank, world_size

Item = TypeVar("Item")

_LONGEST = timedelta(days=1)
"""A process that is done waits so long for the slowest one."""


def own_share(items: Sequence[Item]) -> Sequence[Item]:
    """The items that this process works on: a run of neighbours, in order of rank; all of them in a world of one."""
    first, last = (len(items) * place // world_size() for place in (rank(), rank() + 1))
    return items[first:last]


def from_everyone(images: Tensor, *lists: list) -> tuple[Tensor, *tuple[list, ...]]:
    """Rows (n, ...) of images and items of lists that the processes made of their shares, joined in order of rank.

    All processes call this. It waits for the slowest of them.
    """
    if world_size() == 1:
        return images, *lists
    dist.barrier(dist.new_group(backend="gloo", timeout=_LONGEST))
    parts: list = [None] * world_size()
    dist.all_gather_object(parts, lists)
    return gather(images), *([item for part in column for item in part] for column in zip(*parts, strict=True))
