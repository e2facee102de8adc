"""A new order of a row's sentences: `premask.masking.objectives._sentences`, row by row."""

from __future__ import annotations

import numpy as np
from premask._format import Boundary
from premask.kernels._compile import Integer, compiled
from premask.kernels._laws import Noise
from premask.kernels._race import key_of_place, smallest_keys

_SENTENCE = np.uint8(Boundary.SENTENCE_START)


@compiled
def _list_units(
    law: Noise,
    bounds: np.ndarray,
    segments: np.ndarray,
    words: np.ndarray,
    firsts: np.ndarray,
    keys: np.ndarray,
) -> tuple[Integer, Integer]:
    """Sentences, and every special by itself: their number, and that of the sentences.

    `keys` are those of the sentences, one after the other.
    """
    units, sentences = np.int64(0), np.int64(0)
    for place in range(len(bounds)):
        opens = segments[place] == 2 or (
            segments[place] == 1 and (bounds[place] & _SENTENCE) != 0
        )
        if opens:
            keys[sentences] = key_of_place(words[units], units, law.bits)
            sentences += 1
        if opens or segments[place] == 0:
            firsts[units] = np.int32(place)
            units += 1
    firsts[units] = np.int32(len(bounds))
    return units, sentences


@compiled
def _shuffle_slots(
    moving: Integer,
    segments: np.ndarray,
    firsts: np.ndarray,
    units: Integer,
    place_bits: Integer,
    order: np.ndarray,
    moves: np.ndarray,
    slots: np.ndarray,
) -> None:
    """`slots`: the units that move, in their new order; each stays in its segment.

    `order` holds the keys of the `moving` units in drawing order; `moves` is set to flag them.
    """
    for unit in range(units):
        moves[unit] = np.uint8(0)
    for turn in range(moving):
        order[turn] = np.int32(order[turn] & place_bits)
        moves[order[turn]] = np.uint8(1)
    # Slots are filled segment by segment, within one in drawing order.
    begin: Integer = np.int64(0)
    filled: Integer = np.int64(0)
    while begin < units:
        end = begin + 1
        while end < units and segments[firsts[end]] == 1:
            end += 1
        waiting = np.int64(0)
        for unit in range(begin, end):
            waiting += np.int64(moves[unit])
        looked_at = np.int64(0)
        while waiting > 0:
            drawn = np.int64(order[looked_at])
            if begin <= drawn < end:
                slots[filled] = np.int32(drawn)
                filled, waiting = filled + 1, waiting - 1
            looked_at += 1
        begin = end


@compiled
def permute_sentences(
    law: Noise,
    tokens: np.ndarray,
    bounds: np.ndarray,
    segments: np.ndarray,
    starts: np.ndarray,
    words: np.ndarray,
    keys: np.ndarray,
    order: np.ndarray,
    slots: np.ndarray,
    firsts: np.ndarray,
    histogram: np.ndarray,
    moves: np.ndarray,
    ids: np.ndarray,
) -> None:
    """The tokens of a row in `ids`, its sentences in a new order; `starts` goes with them."""
    count = len(tokens)
    for place in range(count):
        ids[place] = np.int32(tokens[place])
    if len(law.sentences) == 0 or count == 0:
        return
    units, sentences = _list_units(law, bounds, segments, words, firsts, keys)
    moving = np.int64(law.sentences[min(sentences, len(law.sentences) - 1)])
    moving = min(moving, sentences)
    if moving < 2:
        return
    smallest_keys(keys, sentences, moving, histogram, order)
    place_bits = (1 << law.bits) - 1
    _shuffle_slots(moving, segments, firsts, units, place_bits, order, moves, slots)
    for place in range(count):
        # The old flags are kept in the second bit until all are moved.
        starts[place] = np.uint8(starts[place] << 1)
    target: Integer = np.int64(0)
    slot: Integer = np.int64(0)
    for unit in range(units):
        source: Integer = np.int64(unit)
        if moves[unit]:
            source, slot = np.int64(slots[slot]), slot + 1
        for old in range(firsts[source], firsts[source + 1]):
            ids[target] = np.int32(tokens[old])
            starts[target] = starts[target] | np.uint8((starts[old] >> 1) & 1)
            target += 1
    for place in range(count):
        starts[place] = np.uint8((starts[place] & 1) | np.uint8(segments[place] == 2))
