"""The kernel of ``mask_spans``: SpanBERT's spans, row by row.

Anchors are tried in the order of their keys, of which as many are sorted as are looked at; see
`premask.masking.cover.cover_by_anchors`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask._format import Boundary
from premask.kernels._choose import budget_of
from premask.kernels._compile import NEVER, SOURCES, Integer, compiled, kernel
from premask.kernels._fill import fill
from premask.kernels._flags import pad_bounds
from premask.kernels._laws import Anchors, Budgets, Choice, Corruption
from premask.kernels._race import smallest_keys
from premask.kernels._random import draw_words, row_keys, word_of
from premask.kernels._rows import Batch, Flat, Scratch
from premask.kernels._substitute import share_decisions, write_row
from premask.kernels._units import find_units
from premask.masking.threefry import LENGTHS

_SPECIAL = np.uint8(Boundary.SPECIAL)

Kernel = Callable[[Flat, Batch, Scratch, int, Budgets, Choice, Anchors, Corruption], None]


@compiled
def _list_anchors(
    law: Choice,
    num_units: Integer,
    words: np.ndarray,
    firsts: np.ndarray,
    sizes: np.ndarray,
    unit_of: np.ndarray,
    keys: np.ndarray,
) -> Integer:
    """The key of every text token and the word that it lies in; their number."""
    found: Integer = 0
    upper = np.int32(-1 << law.bits)
    for unit in range(num_units):
        for place in range(firsts[unit], firsts[unit] + sizes[unit]):
            unit_of[place] = unit
            keys[found] = np.int32((words[place] & upper) | np.int32(place))
            found += 1
    return found


@compiled
def _last_word(
    law: Anchors,
    high: Integer,
    low: Integer,
    unit: Integer,
    num_units: Integer,
    bounds: np.ndarray,
    firsts: np.ndarray,
) -> Integer:
    """The last word of the span that `unit` opens; a span ends with its segment."""
    number, last = word_of(high, low, unit, LENGTHS)[0], unit
    for level in law.thresholds:
        if number <= level or last + 1 >= num_units:
            break
        first = firsts[last + 1]
        if (bounds[first - 1] & _SPECIAL) != 0 or (bounds[first] & law.border_bits) != 0:
            break
        last += 1
    return last


@compiled
def _cut_span(
    law: Anchors,
    budget: Integer,
    left: Integer,
    unit: Integer,
    last: Integer,
    firsts: np.ndarray,
    sizes: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """Of the span that exceeds the budget: its first tokens, or the whole words of them."""
    begin, until = firsts[unit], firsts[unit]
    room = left
    while room > 0:
        room -= np.int64(chosen[until] != 0)
        until += 1
    if law.whole_words and not (left == budget and firsts[unit] + sizes[unit] > until):
        while last >= unit and firsts[last] + sizes[last] > until:
            last -= 1
        until = firsts[last] + sizes[last] if last >= unit else begin
    for place in range(begin, until):
        chosen[place] = np.int32(0)


@compiled
def _cover(
    law: Choice,
    anchors: Anchors,
    high: Integer,
    low: Integer,
    budget: Integer,
    num_anchors: Integer,
    num_units: Integer,
    bounds: np.ndarray,
    firsts: np.ndarray,
    sizes: np.ndarray,
    unit_of: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    order: np.ndarray,
    chosen: np.ndarray,
) -> None:
    left: Integer = budget
    turn, known, guess = 0, 0, budget // 2 + 4
    while left > 0 and turn < num_anchors:
        if turn == known:
            guess = max(guess, known)
            known = smallest_keys(keys, num_anchors, guess, counts, order)
            guess *= 2
        place = order[turn] & ((1 << law.bits) - 1)
        turn += 1
        if chosen[place] == 0:
            continue
        unit = unit_of[place]
        last = _last_word(anchors, high, low, unit, num_units, bounds, firsts)
        size: Integer = np.int64(0)
        end = firsts[last] + sizes[last]
        for inside in range(firsts[unit], end):
            size += np.int64(chosen[inside] != 0)
        if size > left:
            _cut_span(anchors, budget, left, unit, last, firsts, sizes, chosen)
            return
        for inside in range(firsts[unit], end):
            chosen[inside] = np.int32(0)
        left -= size


def _make(sources: str) -> Kernel:
    @kernel
    def mask_spans(
        rows: Flat,
        batch: Batch,
        scratch: Scratch,
        word: int,
        limits: Budgets,
        law: Choice,
        anchors: Anchors,
        corrupt: Corruption,
    ) -> None:
        _ = sources
        numbers, flags, counts = scratch.numbers, scratch.flags, scratch.numbers[9]
        first, second, keys, places = numbers[0], numbers[1], numbers[2], numbers[3]
        unit_of, decisions, firsts, sizes = numbers[4], numbers[5], numbers[6], numbers[7]
        chosen, text, opens, marks = numbers[8], flags[0], flags[1], flags[2]
        closes, padded, words = flags[3], flags[4], (first, second, text)
        row_keys(rows.seeds, word, rows.epochs, scratch.keys)
        for row in range(len(rows.lengths)):
            count = rows.lengths[row]
            tokens, bounds = rows.input_ids[row, :count], rows.boundaries[row, :count]
            high, low = scratch.keys[0, row], scratch.keys[1, row]
            pad_bounds(bounds, padded)
            num_text = draw_words(high, low, padded, count, -1, False, *words)
            edges = opens, closes, firsts, sizes
            units = find_units(law, padded, count, text, num_text, *edges)
            fill(chosen, 0, count, NEVER)
            found = _list_anchors(law, units, first, firsts, sizes, unit_of, keys)
            counted = count if limits.count_special else num_text
            budget = min(budget_of(limits, high, low, counted), num_text)
            table = bounds, firsts, sizes, unit_of, keys, counts, places, chosen
            _cover(law, anchors, high, low, budget, found, units, *table)
            deciding = second
            if corrupt.coherence > 0:
                share_decisions(corrupt, count, chosen, 0, opens, second, decisions)
                deciding = decisions
            drawn = chosen, np.int32(0), second, deciding
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            write_row(corrupt, high, low, tokens, *drawn, marks, places, *outputs)

    return mask_spans


mask_spans = _make(SOURCES)
