"""Held-out rows, chosen by a hash of each row's seed.

A row's seed comes from its document's place in the corpus, so a row keeps its side when the
set is built again, grows, or is read in another order. Membership costs one pass over the
seeds (8 bytes a row) when a loader is made, and memory for the rows of the smaller side alone.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from premask._errors import RequestError
from premask._format import SEED
from premask.masking.threefry import signed, threefry2x32
from premask.rows import seed_words
from premask.shards import ShardSet

Part = Literal["train", "heldout"]
_PURPOSE = 0x73706C69  # tells this hash of a seed from the keys of its masks
_CHUNK_ROWS = 1 << 16


def held_out(seed: np.ndarray, share: float) -> np.ndarray:
    """Whether each row is held out: bool ``[B]`` for seeds uint64 ``[B]``."""
    words = seed_words(seed)
    purpose = np.array([signed(_PURPOSE)], np.int32)
    word, _ = threefry2x32((words[:, 0], words[:, 1]), (purpose, np.zeros(1, np.int32)))
    below: np.ndarray = word.view(np.uint32) < np.uint64(round(share * 2**32))
    return below


class Split:
    """The rows of one side, in the order of the set.

    Args:
        shards: a set whose rows carry seeds.
        holdout: share of the rows that is held out, between 0 and 1.
        part: ``train`` or ``heldout``.
        num_rows: takes the first rows alone; None takes all.

    Raises:
        RequestError: `holdout` or `part` is none of these, or the rows have no seeds.
    """

    def __init__(
        self, shards: ShardSet, *, holdout: float, part: Part, num_rows: int | None = None
    ) -> None:
        if not 0 < holdout < 1:
            raise RequestError(f"holdout must lie between 0 and 1, got {holdout}")
        if part not in ("train", "heldout"):
            raise RequestError(f"unknown part {part!r}; use 'train' or 'heldout'")
        if SEED not in shards.manifest.columns:
            raise RequestError("holdout needs rows with seeds, which this set has not")
        size = len(shards) if num_rows is None else num_rows
        wanted = part == "heldout"
        is_minor = holdout <= 0.5
        found = [
            rows[held_out(_seeds(shards, rows), holdout) == is_minor] for rows in _chunks(size)
        ]
        self._minor = np.concatenate([*found, np.empty(0, np.int64)]).astype(np.int64)
        self._holds_minor = wanted == is_minor
        # How many rows of the other side stand before each row of the minor side.
        self._before = self._minor - np.arange(len(self._minor))
        minor = len(self._minor)
        self.num_rows = minor if self._holds_minor else size - minor

    def __call__(self, index: npt.ArrayLike) -> np.ndarray:
        """The row numbers of the `index`-th rows of this side: int64 ``[B]``."""
        at = np.asarray(index, np.int64)
        if self._holds_minor:
            rows: np.ndarray = self._minor[at]
            return rows
        return at + np.searchsorted(self._before, at, side="right")


def _chunks(num_rows: int) -> list[np.ndarray]:
    return [
        np.arange(first, min(first + _CHUNK_ROWS, num_rows))
        for first in range(0, num_rows, _CHUNK_ROWS)
    ]


def _seeds(shards: ShardSet, rows: np.ndarray) -> np.ndarray:
    return shards.rows(rows, columns=[SEED]).seed
