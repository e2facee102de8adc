"""Units of the PMI strategy: collocations from a table, found while masking.

The table ``collocations`` of a shard set holds n-grams of token ids, one per row, filled up
with -1. It is made on the host (`collocation_table`, from n-grams that `pmi_score` ranked) and
read here: rows need no track of their own, and a new table needs no new shards. (Collocations
that an annotator wrote into the phrase bits are used by ``units: phrase`` instead.)

A match begins and ends with a word and crosses no border. A longer match beats one that it
contains; among matches that overlap one is kept at random, keyed by the row.

Cost: for each n-gram length two multiplications and a binary search per token: about 5 million
tokens per second (NumPy, one core, 100 thousand entries of one length).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from premask._errors import PolicyError
from premask.masking._backend import (
    INT32_MAX,
    Array,
    Table,
    clip,
    cummax,
    cumsum,
    full,
    lookup,
    namespace,
    positions,
    searchsorted,
    shift_left,
    shift_right,
    while_loop,
)
from premask.masking._layout import closes_unit
from premask.masking._operation import Binding
from premask.masking.race import log2
from premask.masking.threefry import SECOND, shift_right_logical, signed, words

TABLE = "collocations"

# Odd multipliers of two polynomial hashes modulo 2**32; together they tell n-grams apart.
_MULTIPLIERS = (signed(0x9E3779B1), signed(0x85EBCA6B))


def pmi_score(
    ngram: Sequence[tuple[int, ...]], counts: Mapping[tuple[tuple[int, ...], ...], int]
) -> float:
    """How much a word n-gram is more than its parts, in bits; higher is better.

    The lowest ``log2(p(ngram)**2 / product of p(part))`` over all ways to split it into at
    least two parts (Levine et al. 2021), each `p` a share of the n-grams of that length.

    Args:
        ngram: its words, each the tuple of its token ids.
        counts: corpus counts of this n-gram and of all that it contains; totals by length
            stand under the empty n-gram of that length, ``((),) * n``.
    """
    words_ = tuple(ngram)

    def bits(part: tuple[tuple[int, ...], ...]) -> float:
        share = counts[part] / counts[((),) * len(part)]
        return float(log2(np.array([share]))[0])

    scores = []
    for cuts in range(1, 1 << (len(words_) - 1)):
        places = [0, *(i + 1 for i in range(len(words_) - 1) if cuts >> i & 1), len(words_)]
        scores.append(sum(bits(words_[start:stop]) for start, stop in pairwise(places)))
    return 2 * bits(words_) - max(scores)


def collocation_table(ngrams: Sequence[Sequence[tuple[int, ...]]]) -> np.ndarray:
    """The table of these word n-grams: int32 ``[N, longest]``, one row each, filled with -1."""
    flat = [[token for word in ngram for token in word] for ngram in ngrams]
    table = np.full((len(flat), max(map(len, flat), default=1)), -1, np.int32)
    for row, tokens in zip(table, flat, strict=True):
        row[: len(tokens)] = tokens
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Length:
    """The n-grams of one length: two hashes each, sorted by the first."""

    tokens: int
    first: Table
    second: Table
    repeats: int  # the most entries that share a first hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Collocations:
    """A collocation table, compiled."""

    lengths: tuple[_Length, ...]

    def unit_starts(
        self, ids_BL: Array, text_BL: Array, word_BL: Array, segment_BL: Array, key: Array
    ) -> Array:
        """bool ``[B, L]``: the position opens a collocation or a word outside of any.

        Args:
            ids_BL: int32 token ids.
            text_BL, word_BL, segment_BL: bool: text, word starts, segment starts.
            key: int32 ``[B, 2]``, of the rows' masks.
        """
        xp = namespace(text_BL)
        match_BL = self._longest_matches(ids_BL, text_BL, word_BL, segment_BL)
        place = positions(text_BL, text_BL.shape[1])
        kept_BL = _resolve(_outermost(match_BL), self.longest, key)
        reach_BL = cummax(xp.where(kept_BL > 0, place + kept_BL, 0))
        return word_BL & (shift_right(reach_BL, 1, 0) <= place)

    @property
    def longest(self) -> int:
        return max((length.tokens for length in self.lengths), default=1)

    def _longest_matches(
        self, ids_BL: Array, text_BL: Array, word_BL: Array, segment_BL: Array
    ) -> Array:
        """int32 ``[B, L]``: tokens of the longest match that begins here, or 0."""
        xp = namespace(ids_BL)
        ids_BL = xp.where(text_BL, ids_BL, -1)
        ends_BL = closes_unit(text_BL, word_BL)
        segment = cumsum(segment_BL)
        first, second = ids_BL, ids_BL
        longest_BL = ids_BL * 0
        tables = {length.tokens: length for length in self.lengths}
        for tokens in range(1, self.longest + 1):
            if tokens > 1:
                following = shift_left(ids_BL, tokens - 1, -1)
                first = first * _MULTIPLIERS[0] + following
                second = second * _MULTIPLIERS[1] + following
            if tokens not in tables:
                continue
            fits_BL = shift_left(ends_BL, tokens - 1, False) & (
                shift_left(segment, tokens - 1, -1) == segment
            )
            found_BL = word_BL & fits_BL & _contains(tables[tokens], first, second)
            longest_BL = xp.where(found_BL, tokens, longest_BL)
        return longest_BL


def compile_collocations(binding: Binding) -> Collocations:
    """Compiles the table ``collocations`` of a binding.

    Raises:
        PolicyError: there is none, or it is not a table of n-grams.
    """
    table = binding.tables.get(TABLE)
    if table is None or np.ndim(table) != 2:
        raise PolicyError(
            "units: collocation needs the table 'collocations', which this set lacks; build "
            "with collocations: {}, or use units: phrase",
            location="policy.units",
        )
    ngrams = np.asarray(table, np.int32)
    sizes = (ngrams >= 0).sum(axis=1)
    compiled = [
        _compile_length(ngrams[sizes == size, :size]) for size in np.unique(sizes[sizes > 0])
    ]
    return Collocations(lengths=tuple(compiled))


def _compile_length(ngrams: np.ndarray) -> _Length:
    ngrams = np.unique(ngrams, axis=0)
    hashes = []
    for multiplier in _MULTIPLIERS:
        value = ngrams[:, 0].copy()
        for column in ngrams.T[1:]:
            value = value * np.int32(multiplier) + column
        hashes.append(value)
    order = np.lexsort(hashes[::-1])
    first, second = hashes[0][order], hashes[1][order]
    return _Length(
        tokens=ngrams.shape[1],
        first=Table(first),
        second=Table(second),
        repeats=int(np.unique(first, return_counts=True)[1].max()),
    )


def _contains(length: _Length, first: Array, second: Array) -> Array:
    keys, others = length.first(first), length.second(first)
    index = searchsorted(keys, first)
    found = first != first
    for offset in range(length.repeats):
        entry = clip(index + offset, 0, len(length.first.values) - 1)
        found = found | ((lookup(keys, entry) == first) & (lookup(others, entry) == second))
    return found


def _outermost(match_BL: Array) -> Array:
    """`match_BL` without the matches that lie within one that begins before them."""
    xp = namespace(match_BL)
    end_BL = xp.where(match_BL > 0, positions(match_BL, match_BL.shape[1]) + match_BL, 0)
    reach_BL = shift_right(cummax(end_BL), 1, 0)
    return xp.where(reach_BL >= end_BL, 0, match_BL)


def _resolve(match_BL: Array, longest: int, key: Array) -> Array:
    """`match_BL` without overlaps: in random order, each match is kept if it still can be."""
    xp = namespace(match_BL)
    num_rows, length = match_BL.shape
    # 14 random bits over 17 of the place: unique, and the same under any padding.
    word_BL = shift_right_logical(words(key, length, SECOND)[0], 18) << 17
    order_BL = word_BL | positions(match_BL, length)

    def undecided(state: tuple[Array, ...]) -> Array:
        return xp.any(state[0])

    def decide(state: tuple[Array, ...]) -> tuple[Array, ...]:
        open_BL, kept_BL = state
        waiting_BL = xp.where(open_BL, order_BL, INT32_MAX)
        rival_BL, beaten_BL = full(match_BL, (num_rows, length), INT32_MAX), open_BL & False
        for distance in range(1, longest):
            left_BL = shift_right(match_BL, distance, 0) > distance
            right_BL = match_BL > distance
            left = xp.where(left_BL, shift_right(waiting_BL, distance, INT32_MAX), INT32_MAX)
            right = xp.where(right_BL, shift_left(waiting_BL, distance, INT32_MAX), INT32_MAX)
            nearest = xp.where(left < right, left, right)
            rival_BL = xp.where(nearest < rival_BL, nearest, rival_BL)
        wins_BL = open_BL & (waiting_BL < rival_BL)
        for distance in range(1, longest):
            left_BL = shift_right(match_BL, distance, 0) > distance
            right_BL = match_BL > distance
            beaten_BL = beaten_BL | (left_BL & shift_right(wins_BL, distance, False))
            beaten_BL = beaten_BL | (right_BL & shift_left(wins_BL, distance, False))
        return open_BL & ~wins_BL & ~beaten_BL, kept_BL | wins_BL

    _, kept_BL = while_loop(undecided, decide, (match_BL > 0, match_BL < 0))
    return xp.where(kept_BL, match_BL, 0)
