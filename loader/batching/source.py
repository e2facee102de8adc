"""Where a loader's rows come from: positions of an epoch turned into rows.

`Source` is what `Loader` and the adapters ask of a shard set or a mixture of sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from premask.batching.buckets import by_length
from premask.masking._operation import Binding
from premask.order import BLOCK_ROWS, WINDOW, RowOrder, Shuffle
from premask.rows import Rows
from premask.shards import ShardSet
from premask.split import Split

# Rows that are located at once: enough to make the arithmetic free, few enough to stay cheap.
_LOCATED_ROWS = 16_384

Span = tuple[int, int]
Epochs = int | np.ndarray


class Source(Protocol):
    """Rows in the order of an epoch."""

    @property
    def num_rows(self) -> int:
        """Rows of one epoch."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 that names the rows."""

    @property
    def binding(self) -> Binding:
        """What a policy needs to know of the rows."""

    def row_ids(self, epoch: int, positions: np.ndarray) -> tuple[np.ndarray, Epochs]:
        """The rows at `positions` of `epoch`, and the mask epoch of each."""

    def fetch(self, row_ids: np.ndarray) -> Rows:
        """Rows by their numbers."""

    def lengths_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """The lengths of the rows at `positions` of `epoch`: int64 ``[N]``."""

    def stream(self, epoch: int, spans: Iterable[Span]) -> Iterator[tuple[Rows, Epochs]]:
        """The rows of each span of positions, and their mask epochs."""


@dataclass(frozen=True, kw_only=True)
class SetSource:
    """The rows of one shard set, or of one side of it.

    Attributes:
        shards: the set.
        seed, shuffle, block_rows, window: see `premask.order.RowOrder`.
        split: the rows that take part; None is all of them.
        columns: the columns that are read; None is all of them.
        bucket_rows: see `premask.batching.buckets`; None leaves the order as it is.
        stored_epochs: how often the set holds its rows, masked for the epochs 0, 1, ...; an
            epoch then delivers its own, and they come round. None delivers the whole set.
    """

    shards: ShardSet
    seed: int
    shuffle: Shuffle = True
    block_rows: int = BLOCK_ROWS
    window: int = WINDOW
    split: Split | None = None
    columns: tuple[str, ...] | None = None
    bucket_rows: int | None = None
    stored_epochs: int | None = None
    _windows: dict[Span, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def num_rows(self) -> int:
        if self.split is not None:
            return self.split.num_rows
        return len(self.shards) // (self.stored_epochs or 1)

    @property
    def fingerprint(self) -> str:
        return self.shards.manifest.sha256

    @property
    def binding(self) -> Binding:
        return self.shards.binding

    def row_ids(self, epoch: int, positions: np.ndarray) -> tuple[np.ndarray, Epochs]:
        stored = epoch if self.stored_epochs is None else epoch % self.stored_epochs
        if self.bucket_rows is None:
            return self._ordered(epoch, positions), stored
        rows = np.empty(len(positions), np.int64)
        windows = positions // self.bucket_rows
        for window in np.unique(windows).tolist():
            here = windows == window
            found = self._window(epoch, window)
            rows[here] = found[positions[here] - window * self.bucket_rows]
        return rows, stored

    def _ordered(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        order = _order(
            self.num_rows, self.seed, epoch, self.shuffle, self.block_rows, self.window
        )
        index = order(positions)
        rows = index if self.split is None else self.split(index)
        if self.stored_epochs is None:
            return rows
        return rows + epoch % self.stored_epochs * (len(self.shards) // self.stored_epochs)

    def _window(self, epoch: int, window: int) -> np.ndarray:
        """The rows of one window of `bucket_rows` positions, by length; the last is kept."""
        key = (epoch, window)
        if key not in self._windows:
            first = window * (self.bucket_rows or 1)
            last = min(first + (self.bucket_rows or 1), self.num_rows)
            rows = self._ordered(epoch, np.arange(first, last))
            order = by_length(self.shards.lengths(rows), seed=self.seed, path=key)
            self._windows.clear()
            self._windows[key] = rows[order]
        return self._windows[key]

    def fetch(self, row_ids: np.ndarray) -> Rows:
        return self.shards.rows(row_ids, columns=self.columns)

    def lengths_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        return self.shards.lengths(self.row_ids(epoch, positions)[0])

    def stream(self, epoch: int, spans: Iterable[Span]) -> Iterator[tuple[Rows, Epochs]]:
        for group in _groups(spans):
            positions = _positions(group)
            rows, epochs = self.row_ids(epoch, positions)
            read = self.shards.located(rows, self.columns)
            begin = 0
            for first, last in group:
                end = begin + last - first
                yield read(begin, end), epochs
                begin = end


@lru_cache(maxsize=8)
def _order(
    num_rows: int, seed: int, epoch: int, shuffle: Shuffle, block_rows: int, window: int
) -> RowOrder:
    return RowOrder(
        num_rows,
        seed=seed,
        epoch=epoch,
        shuffle=shuffle,
        block_rows=block_rows,
        window=window,
    )


def _positions(group: list[Span]) -> np.ndarray:
    """The positions of all spans, one after another; one rank's usually lie end to end."""
    firsts, lasts = zip(*group, strict=True)
    if firsts[1:] == lasts[:-1]:
        return np.arange(firsts[0], lasts[-1])
    return np.concatenate([np.arange(first, last) for first, last in group])


def _groups(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Consecutive spans of about `_LOCATED_ROWS` rows together."""
    group: list[Span] = []
    size = 0
    for first, last in spans:
        group.append((first, last))
        size += last - first
        if size >= _LOCATED_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group
