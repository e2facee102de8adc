"""Which of how many processes this one is."""

from __future__ import annotations

import os
import sys

from premask._errors import RequestError


def rank_and_world(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """The rank and the number of ranks.

    What is given wins; else `torch.distributed` if it is initialised, else the variables
    ``RANK`` and ``WORLD_SIZE`` that launchers set, else a single process.

    Raises:
        RequestError: only one of the two is given, or the rank is out of range.
    """
    if (rank is None) != (world_size is None):
        raise RequestError(
            f"give rank and world_size together, got rank={rank} and world_size={world_size}"
        )
    if rank is None or world_size is None:
        rank, world_size = _detect()
    if not 0 <= rank < world_size:
        raise RequestError(f"rank must lie in [0, {world_size}), got {rank}")
    return rank, world_size


def _detect() -> tuple[int, int]:
    torch = sys.modules.get("torch")
    if torch is not None:
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return int(distributed.get_rank()), int(distributed.get_world_size())
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
