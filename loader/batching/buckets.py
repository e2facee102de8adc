"""Brings rows of like length together, so that batches carry little padding.

The order is cut into windows. Within a window the rows are sorted by length and cut into
buckets, and the buckets come in a random order. Which rows meet depends on the order and on the
window alone, not on the batch size or the ranks, so a run still resumes on any number of them.
A window has 16 buckets; it should hold at least 64 global batches, or batches straddle buckets.
"""

from __future__ import annotations

import numpy as np
from premask.permutation import Permutation

_BUCKETS = 16
MIN_BUCKET_ROWS = 2 * _BUCKETS
# Sets the permutations of buckets apart from those of rows and blocks, which count from 0.
_PURPOSE = 1 << 30


def by_length(lengths: np.ndarray, *, seed: int, path: tuple[int, int]) -> np.ndarray:
    """The order of one window's rows: int64 ``[N]`` for lengths ``[N]``.

    Args:
        seed: of the run.
        path: epoch and number of the window.
    """
    ascending = np.argsort(lengths, kind="stable")
    buckets = np.array_split(ascending, _BUCKETS)
    epoch, window = path
    shuffled = Permutation(_BUCKETS, seed, (epoch, _PURPOSE + window))
    return np.concatenate([buckets[i] for i in shuffled(np.arange(_BUCKETS)).tolist()])
