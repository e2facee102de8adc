"""Counts repeats among any number of 64-bit hashes, exactly on a sample of bounded size.

The sample keeps a hash if its lowest `level` bits are zero; when it grows beyond `LIMIT`, the
level rises. Equal hashes are kept or dropped together, so a repeat in the sample is a real
repeat, and its rate is that of the whole. Merging two samples gives the sample of the union:
the result does not depend on how rows were split among workers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

LIMIT = 1 << 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctSample:
    """A sample of hashes with how often each occurred.

    Attributes:
        level: hashes are kept whose lowest `level` bits are zero.
        hashes: uint64, sorted, distinct.
        counts: int64, how often each was seen.
    """

    level: int = 0
    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    counts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def num_seen(self) -> int:
        """Occurrences in the sample."""
        return int(self.counts.sum())

    @property
    def num_repeats(self) -> int:
        """Occurrences in the sample beyond the first of each hash."""
        return self.num_seen - len(self.hashes)

    def add(self, hashes: np.ndarray) -> DistinctSample:
        """The sample after some more hashes (uint64, any order)."""
        return self.merge(DistinctSample(hashes=hashes, counts=np.ones(len(hashes), np.int64)))

    def merge(self, other: DistinctSample) -> DistinctSample:
        """The sample of both."""
        level = max(self.level, other.level)
        hashes = np.concatenate([self.hashes, other.hashes])
        counts = np.concatenate([self.counts, other.counts])
        while True:
            kept = (hashes & np.uint64((1 << level) - 1)) == 0
            distinct, index = np.unique(hashes[kept], return_inverse=True)
            if len(distinct) <= LIMIT:
                break
            level += 1
        summed = np.zeros(len(distinct), np.int64)
        np.add.at(summed, index, counts[kept])
        return DistinctSample(level=level, hashes=distinct, counts=summed)


def mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of uint64 whose every output bit depends on x."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def mask_hashes(selected_BL: np.ndarray, lengths_B: np.ndarray) -> np.ndarray:
    """A hash of each row's length and selected positions, uint64 ``[B]``.

    Additive over positions (each has its own 64-bit word), so one matrix product's worth of
    work; two different masks collide with a probability of about ``2**-64``.
    """
    words_L = mix(np.arange(selected_BL.shape[1], dtype=np.uint64))
    summed_B = np.where(selected_BL, words_L, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    hashes: np.ndarray = mix(summed_B ^ mix(lengths_B.astype(np.uint64) + _GOLDEN))
    return hashes
