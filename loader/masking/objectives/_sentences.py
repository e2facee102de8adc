"""Sentences in rows: where they begin, and a new order of them as a gather.

A sentence begins at a marked token, and at the first token of every segment. Sentences change
places within their segment alone, so no text crosses a special or a document's start. Cost of a
new order: seven sorts.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from premask._format import Boundary
from premask.masking._backend import (
    INT32_MAX,
    Array,
    constant,
    cumsum,
    gather,
    lookup,
    namespace,
    positions,
    sort,
    total,
)
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip, order_kept_first, pack, unpack_low
from premask.masking.objectives._chance import first_by_key, race
from premask.masking.objectives._layout import Layout, has


def sentence_starts(rows: PaddedRows, where: Layout) -> Array:
    """The first token of every sentence; bool ``[B, L]``."""
    return where.text & (has(rows, Boundary.SENTENCE_START) | where.segment_start)


def ceil_table(max_length: int, share: float) -> np.ndarray:
    """``ceil(n * share)`` for n from 0 to `max_length`, `share` taken as a decimal; int32."""
    exact = Fraction(str(share))
    return np.array([math.ceil(n * exact) for n in range(max_length + 1)], np.int32)


def permuted(where: Layout, starts: Array, word: Array, counts: np.ndarray, bits: int) -> Array:
    """The row's positions after a shuffle of its sentences; a permutation int32 ``[B, L]``.

    Args:
        starts: bool ``[B, L]``, from `sentence_starts`.
        word: random words int32 ``[B, L]``, read by number of unit.
        counts: how many sentences take part, by number of sentences. Every subset, and every
            order of it within its segments, is equally likely.
        bits: `Binding.position_bits`.
    """
    xp = namespace(word)
    length = starts.shape[1]
    place = positions(word, length)
    # Units cover the row: sentences, and every special or padding position by itself.
    opens = starts | ~where.text
    begins = order_kept_first(opens)
    candidate = gather(starts, begins) & (place < total(opens))
    segment = gather(cumsum(where.segment_start), begins) - 1
    taking_part = lookup(constant(word, counts), clip(total(starts), 0, len(counts) - 1))
    keys = race(word, candidate, bits)
    chosen = first_by_key(keys, candidate, taking_part)
    is_slot = place < total(chosen)
    slots = order_kept_first(chosen)  # the units that take part, in row order
    drawn = xp.where(
        is_slot, sort(xp.where(chosen, keys, INT32_MAX)) & ((1 << bits) - 1), slots
    )
    # Stable by segment: segments keep their places, their sentences are in drawn order.
    grouped = pack(gather(segment, drawn), place, length)
    grouped = unpack_low(sort(xp.where(is_slot, grouped, INT32_MAX)), length)
    unit = xp.where(is_slot, gather(drawn, clip(grouped, 0, length - 1)), slots)
    new_place = unpack_low(sort(pack(unit, slots, length)), length)  # by unit
    moved = gather(new_place, cumsum(opens) - 1)
    return unpack_low(sort(pack(moved, place, length)), length)
