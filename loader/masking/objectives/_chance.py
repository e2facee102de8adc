"""Random decisions from random words: integers only, so equal on every backend.

A probability becomes a threshold on 31 bits when a policy is compiled. A uniform integer is a
remainder of 31 bits: its bias is at most ``bound / 2**31``, 3e-5 for 65536 values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from premask._errors import PolicyError
from premask.masking._backend import (
    INT32_MAX,
    Array,
    gather,
    int32,
    namespace,
    positions,
    sort,
    total,
)
from premask.masking._rows import Vocabulary
from premask.masking.objectives._arrays import clip, order_kept_first
from premask.masking.threefry import shift_right_logical


def threshold(probability: float) -> int:
    """The largest 31-bit word that counts as a hit; -1 for never."""
    return round(min(max(probability, 0.0), 1.0) * 2**31) - 1


def happens(word: Array, limit: int) -> Array:
    """True with the probability that `threshold` made `limit` of; bool, shaped as `word`."""
    return shift_right_logical(word, 1) <= limit


def uniform(word: Array, bound: Array | int) -> Array:
    """A uniform integer in ``0 .. bound-1``; `bound` is at least 1."""
    return shift_right_logical(word, 1) % bound


def cumulative(weights: Sequence[float]) -> tuple[int, ...]:
    """Thresholds for `pick`, one fewer than the `weights` that the law is proportional to."""
    whole = float(sum(weights))
    return tuple(threshold(part / whole) for part in accumulate(weights[:-1]))


def pick(word: Array, thresholds: Sequence[int]) -> Array:
    """An index drawn by the law that `cumulative` made `thresholds` of; int32."""
    uniform_word = shift_right_logical(word, 1)
    index = uniform_word * 0
    for limit in thresholds:
        index = index + int32(uniform_word > limit)
    return index


def race(word: Array, candidates: Array, bits: int) -> Array:
    """Unique sort keys, ``random bits << bits | position``; the largest int32 for no candidate.

    `bits` must not depend on a batch's padding: it is `Binding.position_bits`, or derived from
    the parameters.
    """
    xp = namespace(word)
    key = shift_right_logical(word, bits + 1)
    key = xp.where(key > (1 << (31 - bits)) - 2, (1 << (31 - bits)) - 2, key)
    packed = (key << bits) | positions(word, word.shape[1])
    return xp.where(candidates, packed, INT32_MAX)


def choose(word: Array, candidates: Array, count: Array, bits: int) -> Array:
    """Exactly `count` (int32 ``[B, 1]``) of the candidates, or all if there are fewer.

    Every subset is equally likely. Returns bool ``[B, L]``.
    """
    keys = race(word, candidates, bits)
    return first_by_key(keys, candidates, count)


def first_by_key(keys: Array, candidates: Array, count: Array) -> Array:
    """The `count` candidates with the smallest of the unique `keys`; bool ``[B, L]``."""
    last = gather(sort(keys), clip(count - 1, 0, keys.shape[1] - 1))
    return candidates & (keys <= last) & (count > 0)


def shuffled(word: Array, candidates: Array, bits: int) -> Array:
    """Positions: the candidates in uniformly random order, then the others in row order."""
    xp = namespace(word)
    ordered = sort(race(word, candidates, bits)) & ((1 << bits) - 1)
    place = positions(word, word.shape[1])
    return xp.where(place < total(candidates), ordered, order_kept_first(candidates))


def ordinary_id(word: Array, ranges: Sequence[tuple[int, int]]) -> Array:
    """A token id, uniform over half-open `ranges` of ids; int32."""
    sizes = [high - low for low, high in ranges]
    index = uniform(word, sum(sizes))
    token = index + ranges[0][0]
    for k, start in enumerate(accumulate(sizes[:-1]), 1):
        token = token + int32(index >= start) * (ranges[k][0] - ranges[k - 1][1])
    return token


def replacement_ranges(vocabulary: Vocabulary, location: str) -> tuple[tuple[int, int], ...]:
    """The vocabulary's replacement ranges.

    Raises:
        PolicyError: there are none.
    """
    ranges = tuple((low, high) for low, high in vocabulary.replacement_ranges if high > low)
    if not ranges:
        raise PolicyError(
            "random replacements need ordinary token ids, but the vocabulary lists none; "
            "set the random share to 0, or write the shards again",
            location=location,
        )
    return ranges
