"""The order in which an epoch visits the rows of a shard set.

An order is arithmetic on positions: nothing is stored, and any stretch of any epoch is found
without the ones before it. `Permutation` does the shuffling.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from premask._errors import RequestError
from premask._numbers import whole
from premask.permutation import Permutation

Shuffle = bool | Literal["block"]
BLOCK_ROWS = 1024
WINDOW = 16


def check_shuffle(shuffle: object, block_rows: object, window: object) -> None:
    """Raises `RequestError` for what `RowOrder` cannot be made of."""
    if not (isinstance(shuffle, bool) or shuffle == "block"):
        raise RequestError(f"unknown shuffle {shuffle!r}; use True, False or 'block'")
    whole("block_rows", block_rows, least=1)
    whole("window", window, least=1)


class RowOrder:
    """Which row stands at each position of one epoch.

    Args:
        num_rows: rows of the set.
        seed: 64 bits.
        epoch: every epoch has another order.
        shuffle: True visits the rows in a random order of the whole set. ``"block"`` reads
            nearly in sequence, for cold disks, compressed and remote shards: blocks of
            `block_rows` neighbouring rows come in a random order, and within every `window`
            of them the rows are shuffled. False is the stored order.
        block_rows, window: as above. The rows of a batch come from `window` places of the
            set, so where neighbouring rows resemble each other, more is better.
    """

    def __init__(
        self,
        num_rows: int,
        *,
        seed: int,
        epoch: int,
        shuffle: Shuffle = True,
        block_rows: int = BLOCK_ROWS,
        window: int = WINDOW,
    ) -> None:
        check_shuffle(shuffle, block_rows, window)
        self.num_rows = num_rows
        self._seed, self._epoch, self._shuffle = seed, epoch, shuffle
        self._block_rows = block_rows
        self._window_rows = block_rows * window
        # The last block may be short; it keeps its place at the end of the epoch.
        self._num_blocks = num_rows // block_rows
        self._whole = Permutation(
            self._num_blocks if shuffle == "block" else num_rows, seed, (epoch, 0)
        )

    def __call__(self, positions: npt.ArrayLike) -> np.ndarray:
        """The rows at `positions`: int64 ``[B]`` for integers ``[B]`` in ``[0, num_rows)``."""
        at = np.asarray(positions, np.int64)
        if self._shuffle is False:
            return at
        if self._shuffle is True:
            return self._whole(at)
        inner = self._within_windows(at, forward=True)
        block, place = np.divmod(inner, self._block_rows)
        moved = block < self._num_blocks
        block[moved] = self._whole(block[moved])
        rows: np.ndarray = block * self._block_rows + place
        return rows

    def inverse(self, rows: npt.ArrayLike) -> np.ndarray:
        """The positions of `rows`: when an epoch meets them."""
        numbers = np.asarray(rows, np.int64)
        if self._shuffle is False:
            return numbers
        if self._shuffle is True:
            return self._whole.inverse(numbers)
        block, place = np.divmod(numbers, self._block_rows)
        moved = block < self._num_blocks
        block[moved] = self._whole.inverse(block[moved])
        return self._within_windows(block * self._block_rows + place, forward=False)

    def _within_windows(self, positions: np.ndarray, *, forward: bool) -> np.ndarray:
        """Shuffles positions inside their windows; a stretch touches few of them."""
        windows = positions // self._window_rows
        first = int(windows.flat[0]) if windows.size else 0
        if (windows == first).all():
            return self._within_window(first, positions, forward=forward)
        moved = np.empty_like(positions)
        for window in np.unique(windows).tolist():
            here = windows == window
            moved[here] = self._within_window(window, positions[here], forward=forward)
        return moved

    def _within_window(
        self, window: int, positions: np.ndarray, *, forward: bool
    ) -> np.ndarray:
        first = window * self._window_rows
        size = min(self._window_rows, self.num_rows - first)
        # Path 0 orders the blocks, window w has path w + 1.
        shuffle = _within(size, self._seed, self._epoch, window + 1)
        apply = shuffle if forward else shuffle.inverse
        return first + apply(positions - first)


@lru_cache(maxsize=64)
def _within(size: int, seed: int, epoch: int, path: int) -> Permutation:
    """The shuffle of a window. A window is met several times, by batches or by ranks."""
    return Permutation(size, seed, (epoch, path))
