"""Batches of as many rows as a budget of tokens allows.

A batch takes the next rows of the order as long as its width times its rows, padding included,
stays within the budget on every rank. Where batches begin depends on the rows before them, so a
loader finds them going forward, and counts them by going once through the lengths of the epoch
(0.1 µs per row; no token is read). Every rank finds the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from premask._errors import RequestError
from premask.batching.spans import Cut, share

# Lengths that are looked up at once.
_AHEAD_ROWS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBudget:
    """The batches of one rank, as `premask.batching.spans.Spans` gives them.

    Attributes:
        num_rows, batch_size, rank, world_size, drop_last: as there; `batch_size` is the most
            rows that a batch may have.
        max_tokens: the most positions that a batch of one rank may have.
        longest: tokens of the set's longest row.
        multiple: what widths are rounded up to.
        lengths_at: (epoch, positions) to the lengths of the rows that stand there.
    """

    num_rows: int
    batch_size: int
    rank: int
    world_size: int
    drop_last: bool
    max_tokens: int
    longest: int
    multiple: int
    lengths_at: Callable[[int, np.ndarray], np.ndarray]
    _counts: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        widest = -(-self.longest // self.multiple) * self.multiple
        if self.max_tokens < widest:
            raise RequestError(
                f"max_tokens {self.max_tokens} is less than the longest row takes; give at "
                f"least {widest}"
            )
        if self.batch_size < 1 or self.is_over(0):
            raise RequestError(
                f"{self.num_rows} rows make no batch of up to {self.batch_size} on "
                f"{self.world_size} ranks"
            )

    def is_over(self, start: int) -> bool:
        """Whether no batch is left from `start` on."""
        return self.num_rows - start < (self.world_size if self.drop_last else 1)

    def count(self, epoch: int, start: int = 0) -> int:
        """Batches from `start` to the end of `epoch`. Goes through their lengths."""
        if start:
            return sum(1 for _ in self.cuts(epoch, start))
        if epoch not in self._counts:
            self._counts.clear()
            self._counts[epoch] = sum(1 for _ in self.cuts(epoch, 0))
        return self._counts[epoch]

    def cuts(self, epoch: int, start: int) -> Iterator[Cut]:
        """This rank's batches from `start` to the end of `epoch`."""
        most = self.batch_size * self.world_size
        known, ahead = start, np.empty(0, np.int64)
        while not self.is_over(start):
            if len(ahead) < most and known < self.num_rows:
                stop = min(known + max(most, _AHEAD_ROWS), self.num_rows)
                found = self.lengths_at(epoch, np.arange(known, stop))
                known, ahead = stop, np.concatenate([ahead, found])
            size = self._leaving(self._fitting(ahead[:most]), self.num_rows - start)
            yield share(start, start + size, self)
            start, ahead = start + size, ahead[size:]

    def _leaving(self, size: int, rest: int) -> int:
        """`size`, or less where the next batch would have too few rows for all the ranks."""
        missing = self.world_size - (rest - size)
        if self.drop_last or size == rest or missing <= 0 or size - missing < self.world_size:
            return size
        return size - missing

    def _fitting(self, lengths: np.ndarray) -> int:
        """How many of the next rows make a global batch: as many on each rank, if they last."""
        if self.drop_last:
            lengths = lengths[: len(lengths) // self.world_size * self.world_size]
        # Rows of a global batch whose largest part has 1, 2, ... rows.
        sizes = np.arange(self.world_size, len(lengths) + self.world_size, self.world_size)
        sizes = np.minimum(sizes, len(lengths))
        longest = np.maximum.accumulate(lengths)[sizes - 1]
        widths = -(-longest // self.multiple) * self.multiple
        costs = widths * np.arange(1, len(sizes) + 1)
        return int(sizes[np.searchsorted(costs, self.max_tokens, side="right") - 1])

    def cut(self, index: int, epoch: int) -> Cut:
        """This rank's batch `index` of `epoch`; goes through the lengths before it."""
        return next(islice(self.cuts(epoch, 0), index, None))
