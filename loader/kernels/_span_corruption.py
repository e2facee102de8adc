"""The kernel of ``span_corruption``: T5's noise, its inputs and its targets, row by row.

The two compositions are those of `premask.masking.objectives._composition`: which items open a
segment is an exact choice by key; the mask is then written segment by segment.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask._format import IGNORE_LABEL, Boundary
from premask.kernels._compile import SOURCES, Integer, compiled, kernel
from premask.kernels._laws import Spans
from premask.kernels._race import level_of
from premask.kernels._random import fill_words, row_keys, word_of
from premask.kernels._rows import Batch, Flat, Scratch
from premask.masking.threefry import ROW, SELECT

_SPECIAL, _DOCUMENT = int(Boundary.SPECIAL), int(Boundary.DOCUMENT_START)

Kernel = Callable[[Flat, Batch, Scratch, int, Spans], None]


@compiled
def _choose_openings(
    words: np.ndarray,
    items: Integer,
    wanted: Integer,
    bits: Integer,
    keys: np.ndarray,
    opens: np.ndarray,
) -> None:
    """Flags `wanted` of the items ``1 .. items-1``, all sets equally likely."""
    highest = np.int32((1 << (31 - bits)) - 2)
    opens[0] = 0
    for item in range(1, items):
        key = np.int32(words[item] >> bits)
        key = highest if key > highest else key
        keys[item - 1] = np.int32(np.int32(key << bits) | np.int32(item))
        opens[item] = 0
    if wanted <= 0 or items <= 1:
        return
    last = np.int32(2**31 - 1)
    if wanted < items - 1:
        last = level_of(keys, items - 1, items - 1, wanted)
    for item in range(1, items):
        opens[item] = keys[item - 1] <= last


@compiled
def _interleave(
    noise: Integer,
    kept: Integer,
    noise_opens: np.ndarray,
    kept_opens: np.ndarray,
    mask: np.ndarray,
) -> None:
    """Kept and noise segments in turn, a kept one first; `mask` flags the noise."""
    place, hidden, shown = 0, 0, 0
    while shown < kept or hidden < noise:
        begins = True
        while shown < kept and (begins or not kept_opens[shown]):
            mask[place] = 0
            place, shown, begins = place + 1, shown + 1, False
        begins = True
        while hidden < noise and (begins or not noise_opens[hidden]):
            mask[place] = 1
            place, hidden, begins = place + 1, hidden + 1, False


@compiled
def _write_pair(
    law: Spans,
    tokens: np.ndarray,
    bounds: np.ndarray,
    mask: np.ndarray,
    offset: Integer,
    num_text: Integer,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    """One row of inputs and of targets; `mask` is by rank of text, rolled by `offset`."""
    width, target_width = len(ids), len(labels)
    rank, runs, shown, told = 0, 0, 0, 0
    shown_all, told_all, noise_before = 0, 0, False
    for place in range(len(tokens)):
        bits, token = np.int64(bounds[place]), np.int64(tokens[place])
        is_noise = False
        if (bits & _SPECIAL) == 0:
            source = rank - offset
            is_noise = mask[source if source >= 0 else source + num_text] != 0
            rank += 1
        opens = is_noise and (not noise_before or (bits & _DOCUMENT) != 0)
        runs += opens
        noise_before = is_noise
        if not is_noise or runs > law.limit or opens:
            hidden = opens and runs <= law.limit
            if shown_all < width:
                ids[shown_all] = law.sentinels[runs - 1] if hidden else token
            shown_all += 1
        if is_noise and runs <= law.limit:
            if opens:
                if told_all < target_width:
                    labels[told_all] = law.sentinels[runs - 1]
                told_all += 1
            if told_all < target_width:
                labels[told_all] = token
            told_all += 1
    if law.final_sentinel:
        if told_all < target_width:
            labels[told_all] = law.sentinels[min(runs, law.final_limit)]
        told_all += 1
    shown, told = min(shown_all, width), min(told_all, target_width)
    open_end = len(tokens) == 0 or (np.int64(bounds[len(tokens) - 1]) & _SPECIAL) == 0
    if law.end_id >= 0:
        if (open_end and law.closes) or shown_all > width:
            at = min(shown, width - 1)
            ids[at] = law.end_id
            shown = at + 1
        at = min(told, target_width - 1)
        labels[at] = law.end_id
        told = at + 1
    for place in range(width):
        attention[place] = place < shown
        if place >= shown:
            ids[place] = law.pad_id
    for place in range(told, target_width):
        labels[place] = IGNORE_LABEL


def _make(sources: str) -> Kernel:
    @kernel
    def corrupt_spans(
        rows: Flat, batch: Batch, scratch: Scratch, word: int, law: Spans
    ) -> None:
        _ = sources
        numbers, flags = scratch.numbers, scratch.flags
        row_keys(rows.seeds, word, rows.epochs, scratch.keys)
        for row in range(len(rows.lengths)):
            count = rows.lengths[row]
            tokens, bounds = rows.input_ids[row, :count], rows.boundaries[row, :count]
            high, low = scratch.keys[0, row], scratch.keys[1, row]
            num_text: Integer = np.int64(0)
            for place in range(count):
                num_text += 1 - np.int64(bounds[place] & np.uint8(_SPECIAL))
            fill_words(high, low, SELECT, num_text, numbers[0], numbers[1])
            cell = min(num_text, len(law.noise) - 1)
            noise, spans = np.int64(law.noise[cell]), np.int64(law.spans[cell])
            kept = num_text - noise
            _choose_openings(numbers[0], noise, spans - 1, law.bits, numbers[2], flags[0])
            _choose_openings(numbers[1], kept, spans - 1, law.bits, numbers[2], flags[1])
            _interleave(noise, kept, flags[0], flags[1], flags[2])
            offset = np.int64(0)
            if law.roll[cell]:
                word_31: Integer = np.int64(word_of(high, low, 0, ROW)[1])
                offset = word_31 % (num_text if num_text > 0 else 1)
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            _write_pair(law, tokens, bounds, flags[2], offset, num_text, *outputs)

    return corrupt_spans


corrupt_spans = _make(SOURCES)
