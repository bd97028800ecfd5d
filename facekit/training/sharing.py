"""Work that the processes of a run share: each does its part of a list, and waits for the slowest one.

Results travel through the group, not through files, so that machines need no common file system.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from facekit.training.collectives import rank, world_size

_LONGEST = timedelta(days=1)
"""A process that is done waits so long for the slowest one."""


def own_share(items: Sequence) -> Sequence:
    """The items that this process works on: a run of neighbours, in order of rank; all of them in a world of one."""
    first, last = (len(items) * place // world_size() for place in (rank(), rank() + 1))
    return items[first:last]


def wait_for_all() -> None:
    """Go on once every process is here, be it after hours, for which other collectives are not patient enough."""
    if world_size() > 1:
        dist.barrier(dist.new_group(backend="gloo", timeout=_LONGEST))


def gather_items(items: list) -> list:
    """The items of every process's list, joined in order of rank; a tensor's rows are joined by ``gather``.

    All processes call this. It waits for the slowest of them.
    """
    wait_for_all()
    if world_size() == 1:
        return items
    parts: list[Any] = [None] * world_size()
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]
