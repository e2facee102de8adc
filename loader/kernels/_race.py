"""Exact selections by unique int32 keys, without sorting what is not selected.

A histogram over the top bits of the keys tells in which bucket the last selected key lies; only
that bucket, or what lies below it, is looked at again. Same sets as a full sort. Keys of equal
weights fill the buckets evenly, those of a weighted race to about a twentieth in one bucket;
so an insertion sort is enough for what is left.
"""

from __future__ import annotations

import numpy as np
from premask.kernels._compile import Integer, compiled

BUCKETS = 512
_KEY_BITS = 31
_FEW = 256


@compiled
def _shift_for(count: Integer) -> Integer:
    """Short rows get few buckets: emptying 512 would cost more than it saves."""
    return _KEY_BITS - 7 if count <= _FEW else _KEY_BITS - 9


@compiled
def _sort(keys: np.ndarray, count: Integer) -> None:
    for right in range(1, count):
        key, left = keys[right], right - 1
        while left >= 0 and keys[left] > key:
            keys[left + 1] = keys[left]
            left -= 1
        keys[left + 1] = key


@compiled
def _count_buckets(
    keys: np.ndarray, count: Integer, shift: Integer, counts: np.ndarray
) -> None:
    for bucket in range(1 << (_KEY_BITS - shift)):
        counts[bucket] = 0
    for place in range(count):
        counts[keys[place] >> shift] += 1


@compiled
def marked_places(
    marks: np.ndarray, eights: np.ndarray, count: Integer, places: np.ndarray
) -> Integer:
    """The places of the few that are marked, in order; their number.

    `eights` is `marks` seen as 64-bit numbers, so that eight unmarked places cost one look.
    """
    found: Integer = 0
    whole = (count + 7) >> 3
    for place in range(count, whole << 3):
        marks[place] = 0
    for eight in range(whole):
        if eights[eight] != 0:
            for place in range(eight << 3, (eight + 1) << 3):
                places[found] = place
                found += np.int64(marks[place])
    return found


@compiled
def key_of_rank(
    keys: np.ndarray,
    count: Integer,
    rank: Integer,
    counts: np.ndarray,
    marks: np.ndarray,
    eights: np.ndarray,
    spare: np.ndarray,
) -> Integer:
    """The key of `rank` (from 0, below `count`) among the first `count` of `keys`."""
    shift = _shift_for(count)
    _count_buckets(keys, count, shift, counts)
    below, bucket = 0, 0
    while below + counts[bucket] <= rank:
        below += counts[bucket]
        bucket += 1
    wanted, shift_ = np.int32(bucket), np.int32(shift)
    for place in range(count):
        marks[place] = np.uint8(np.int32(keys[place] >> shift_) == wanted)
    found = marked_places(marks, eights, count, spare)
    for index in range(found):
        spare[index] = keys[spare[index]]
    _sort(spare, found)
    return spare[rank - below]


@compiled
def smallest_keys(
    keys: np.ndarray, count: Integer, wanted: Integer, counts: np.ndarray, spare: np.ndarray
) -> Integer:
    """More than `wanted` (or all) of the smallest keys, in order, in `spare`; their number."""
    shift, bucket, below = _shift_for(count), 0, 0
    _count_buckets(keys, count, shift, counts)
    while below <= wanted and below < count:
        size = counts[bucket]
        counts[bucket] = below  # from here on: where the bucket's next key goes
        below += size
        bucket += 1
    for place in range(count):
        key = keys[place]
        home = key >> shift
        if home < bucket:
            spare[counts[home]] = key
            counts[home] += 1
    _sort(spare, below)
    return below
