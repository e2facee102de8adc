"""Exact selections by unique int32 keys, without sorting what is not selected.

Keys are 31 bits. Those of equal weights are uniform, so the level below which a wanted number
of them lies is found by interpolation: three to five counts of the keys, each a loop that
becomes vector instructions. Any level with the wanted number of keys up to it gives the same
set as a full sort. Cost: 0.1 to 0.5 ns per key, the more the shorter the row.
"""

from __future__ import annotations

import numpy as np
from premask.kernels._compile import Integer, compiled, widest_vectors
from premask.masking._backend import INT32_MAX

# Interpolated guesses before halving: keys of unequal weights may lie unevenly.
_GUESSES = 8
_KEY_BITS = 31
_FEW = 256


@compiled
def key_of_place(word: Integer, place: Integer, bits: Integer) -> Integer:
    """The key of a race of equals: `premask.masking.objectives._chance.race`."""
    # As min(word >> bits, 2**(31 - bits) - 2) << bits, without shifts of 64 bits.
    highest, upper = np.int32(2**31 - (2 << bits)), np.int32(-1 << bits)
    key = np.int32(word & upper)
    key = highest if key > highest else key
    return np.int32(key | np.int32(place))


@compiled
def count_up_to(keys: np.ndarray, count: Integer, level: Integer) -> Integer:
    """How many of the first `count` keys are at most `level`."""
    widest_vectors()
    found = np.int32(0)
    for place in range(count):
        found = np.int32(found + np.int32(keys[place] <= level))
    return found


@compiled
def cost_up_to(keys: np.ndarray, costs: np.ndarray, count: Integer, level: Integer) -> Integer:
    """What those of the first `count` keys that are at most `level` cost together."""
    widest_vectors()
    found = np.int32(0)
    for place in range(count):
        found = np.int32(found + (costs[place] if keys[place] <= level else np.int32(0)))
    return found


@compiled
def between(
    low: Integer, high: Integer, below: Integer, above: Integer, aim: Integer
) -> Integer:
    """The level in ``low+1 .. high-1`` at which about `aim` is reached (counted in halves)."""
    level = low + ((high - low) * (aim - 2 * below)) // (2 * (above - below) + 2)
    level = level if level > low else low + 1
    return level if level < high else high - 1


@compiled
def level_of(keys: np.ndarray, count: Integer, running: Integer, wanted: Integer) -> Integer:
    """A level that exactly `wanted` of the first `count` keys do not exceed.

    `running` keys are below `NEVER`, and ``0 < wanted < running``.
    """
    low, high = np.int64(-1), np.int64(INT32_MAX)
    below, above, turn = np.int64(0), np.int64(running), 0
    while True:
        level = (low + high) >> 1
        if turn < _GUESSES:
            level = between(low, high, below, above, 2 * wanted + 1)
        turn += 1
        found = np.int64(count_up_to(keys, count, np.int32(level)))
        if found == wanted:
            return np.int32(level)
        if found < wanted:
            low, below = level, found
        else:
            high, above = level, found


@compiled
def sort_few(keys: np.ndarray, count: Integer) -> None:
    """Sorts the first `count` keys by insertion."""
    for right in range(1, count):
        key, left = keys[right], right - 1
        while left >= 0 and keys[left] > key:
            keys[left + 1] = keys[left]
            left -= 1
        keys[left + 1] = key


@compiled
def smallest_keys(
    keys: np.ndarray, count: Integer, wanted: Integer, counts: np.ndarray, spare: np.ndarray
) -> Integer:
    """More than `wanted` (or all) of the smallest keys, in order, in `spare`; their number.

    A histogram over the top bits puts every key near its place; an insertion sort does the
    rest. Short rows get few buckets: emptying 512 would cost more than it saves.
    """
    shift, bucket, below = _KEY_BITS - 7 if count <= _FEW else _KEY_BITS - 9, 0, 0
    for home in range(1 << (_KEY_BITS - shift)):
        counts[home] = 0
    for place in range(count):
        counts[keys[place] >> shift] += 1
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
    sort_few(spare, below)
    return below
