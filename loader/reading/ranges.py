"""Which of K ranges, laid end to end, a number lies in.

A binary search does it, but guesses every turn wrong half the time, and for shuffled rows costs
a tenth of copying them. So the numbers are cut into equal buckets, a table has the range in
which each bucket begins, and from there one or two steps reach the right one. Where ranges are
so uneven that more are needed, the binary search does it after all.

Memory: at most 64 bytes per range.
"""

from __future__ import annotations

import numpy as np

_BUCKETS_PER_RANGE = 8
_STEPS = 3


class Ranges:
    """Range ``k`` holds the numbers from ``firsts[k]`` up to ``firsts[k + 1]``.

    Args:
        firsts: int64 ``[K]``, rising.
        end: the last range holds the numbers below it.
    """

    def __init__(self, firsts: np.ndarray, end: int) -> None:
        self.firsts = firsts
        self._nexts = np.append(firsts[1:], np.iinfo(np.int64).max)
        most = _BUCKETS_PER_RANGE * len(firsts)
        self._shift = max(0, (end - 1).bit_length() - max(most, 1).bit_length() + 1)
        bounds = np.arange((max(end, 1) - 1 >> self._shift) + 1) << self._shift
        self._begins = np.maximum(np.searchsorted(firsts, bounds, side="right") - 1, 0)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """The ranges of `numbers` (int64 ``[N]``, each in one of them): int64 ``[N]``."""
        found: np.ndarray = self._begins[numbers >> self._shift]
        for _ in range(_STEPS):
            short = numbers >= self._nexts[found]
            if not short.any():
                return found
            found += short
        searched: np.ndarray = np.searchsorted(self.firsts, numbers, side="right") - 1
        return searched
