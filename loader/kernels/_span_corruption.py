"""The kernel of ``span_corruption``: T5's noise, its inputs and its targets, row by row.

The two compositions are those of `premask.masking.objectives._composition`: which items open a
segment is an exact choice by key. Where a span begins or ends, a flag turns; noise is where an
odd number of them has turned. From there on a row is lists of places, made and followed without
a branch. Cost (one core with AVX-512): 2.5 ns per token.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask._format import IGNORE_LABEL, Boundary
from premask.kernels._compile import NEVER, SOURCES, Integer, compiled, kernel, widest_vectors
from premask.kernels._fill import fill, pad_row
from premask.kernels._flags import has, odd_so_far, places_of, rounded
from premask.kernels._laws import Spans
from premask.kernels._race import key_of_place, level_of
from premask.kernels._random import block, row_keys, word_of
from premask.kernels._rows import Batch, Flat, Scratch
from premask.masking.threefry import ROW, SELECT

_SPECIAL, _DOCUMENT = np.uint8(Boundary.SPECIAL), np.uint8(Boundary.DOCUMENT_START)
_IGNORE = np.int32(IGNORE_LABEL)

Kernel = Callable[[Flat, Batch, Scratch, int, Spans], None]


@compiled
def _draw_keys(
    high: Integer,
    low: Integer,
    bits: Integer,
    count: Integer,
    noise_keys: np.ndarray,
    kept_keys: np.ndarray,
) -> None:
    """The keys of two races: of noise items, and of kept items."""
    widest_vectors()
    for item in range(count):
        x, y = block(high, low, np.uint32(item), np.uint32(SELECT))
        noise_keys[item] = key_of_place(np.int32(x >> np.uint32(1)), item, bits)
        kept_keys[item] = key_of_place(np.int32(y >> np.uint32(1)), item, bits)


@compiled
def _list_borders(
    keys: np.ndarray, items: Integer, segments: Integer, flags: np.ndarray, borders: np.ndarray
) -> None:
    """`borders`: 0, the starts of all `segments` but the first, and the number of items."""
    widest_vectors()
    borders[0] = np.int32(0)
    wanted = segments - 1
    if wanted > 0:
        keys[0] = NEVER  # the first item opens the first segment anyway
        level = np.int32(NEVER - 1)
        if wanted < items - 1:
            level = level_of(keys, items, items - 1, wanted)
        for item in range(items):
            flags[item] = np.uint8(keys[item] <= level)
        places_of(flags, items, borders[1:])
    borders[np.uint64(segments)] = np.int32(items)


@compiled
def _find_text(
    bounds: np.ndarray, text: np.ndarray, places: np.ndarray
) -> tuple[Integer, Integer]:
    """Flags text; its tokens, and the place of the first where it is one stretch, else -1.

    Where it is not, `places` lists it.
    """
    widest_vectors()
    count, total, first = len(bounds), np.int32(0), np.int64(0)
    for place in range(count):
        is_text = np.uint8(has(bounds[place], _SPECIAL) ^ np.uint8(1))
        text[place] = is_text
        total = np.int32(total + np.int32(is_text))
    num_text, end = np.int64(total), np.int64(count)
    while first < end and text[first] == 0:
        first += 1
    while end > first and text[end - 1] == 0:
        end -= 1
    if end - first == num_text:
        return num_text, first
    places_of(text, count, places)
    return num_text, np.int64(-1)


@compiled
def _turn_flags(
    spans: Integer,
    offset: Integer,
    num_text: Integer,
    first: Integer,
    noise_borders: np.ndarray,
    kept_borders: np.ndarray,
    places: np.ndarray,
    turns: np.ndarray,
) -> Integer:
    """Flags in `turns` where noise begins and ends; whether the rolled mask begins with it."""
    odd = np.int64(0)
    for edge in range(2 * spans):
        span = np.uint64(edge >> 1)
        hidden = noise_borders[span + np.uint64(edge & 1)]
        rank = np.int64(kept_borders[span + np.uint64(1)]) + np.int64(hidden) + offset
        if offset > 0 and rank >= num_text:
            rank, odd = rank - num_text, odd ^ 1
        place = np.uint64(first + rank)
        if first < 0:
            if rank == num_text:
                continue
            place = np.uint64(places[rank])
        turns[place] = turns[place] ^ np.uint8(1)
    return odd


@compiled
def _flag_noise(
    law: Spans, bounds: np.ndarray, text: np.ndarray, noise: np.ndarray, opens: np.ndarray
) -> Integer:
    """Takes specials from `noise` and flags where its runs open; the number of runs.

    Runs beyond the last sentinel are no noise: they stay visible.
    """
    widest_vectors()
    count, runs = len(bounds), np.int32(0)
    for place in range(count):
        noise[place] = noise[place] & text[place]
    if count > 0:
        opens[0] = noise[0]
        runs = np.int32(noise[0])
    for place in range(1, count):
        border = has(bounds[place], _DOCUMENT)
        begins = noise[place] & ((noise[place - 1] ^ np.uint8(1)) | border)
        opens[place] = begins
        runs = np.int32(runs + np.int32(begins))
    if runs <= law.limit:
        return np.int64(runs)
    seen = np.int64(0)
    for place in range(count):
        seen += np.int64(opens[place])
        if seen > law.limit:
            noise[place], opens[place] = np.uint8(0), np.uint8(0)
    return np.int64(law.limit)


@compiled
def _tell(
    law: Spans,
    tokens: np.ndarray,
    noise: np.ndarray,
    opens: np.ndarray,
    places: np.ndarray,
    shown: np.ndarray,
    told: np.ndarray,
) -> Integer:
    """`told`: sentinels and the tokens of their runs; `shown`: the row with sentinels in it."""
    widest_vectors()
    count = len(tokens)
    for at in range(count):
        shown[at] = np.int32(tokens[at])
    size, run = np.int64(0), np.int64(0)
    for index in range(places_of(noise, count, places)):
        place: Integer = np.uint64(places[index])
        token, begins = shown[place], np.int64(opens[place])
        # A sentinel that opens nothing is written over, and its place in `shown` is left out.
        ordinal = run if run < law.limit else np.int64(law.limit - 1)
        sentinel = law.sentinels[np.uint64(ordinal)]
        told[np.uint64(size)] = shown[place] = sentinel
        size, run = size + begins, run + begins
        told[np.uint64(size)] = token
        size += 1
    return size


@compiled
def _write_pair(
    law: Spans,
    open_end: bool,
    shown: np.ndarray,
    places: np.ndarray,
    num_shown: Integer,
    told: np.ndarray,
    num_told: Integer,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    """One row of inputs (`shown` at `places`) and targets (`told`), cut, closed and padded."""
    widest_vectors()
    width, target_width = len(ids), len(labels)
    size, target_size = min(num_shown, width), min(num_told, target_width)
    for place in range(size):
        ids[place] = shown[np.uint64(places[place])]
    for place in range(target_size):
        labels[place] = told[place]
    if law.end_id >= 0:
        if (open_end and law.closes) or num_shown > width:
            at = min(size, width - 1)
            ids[at] = law.end_id
            size = at + 1
        at = min(target_size, target_width - 1)
        labels[at] = law.end_id
        target_size = at + 1
    pad_row(size, target_size, law.pad_id, ids, attention, labels)


def _make(sources: str) -> Kernel:
    @kernel
    def corrupt_spans(
        rows: Flat, batch: Batch, scratch: Scratch, word: int, law: Spans
    ) -> None:
        _ = sources
        numbers, flags = scratch.numbers, scratch.flags
        first_keys, second_keys, places, shown = numbers[0], numbers[1], numbers[2], numbers[3]
        noise_borders, kept_borders = numbers[4], numbers[5]
        told = numbers[6:8].reshape(-1)  # every noise token may have a sentinel
        text, noise, opens, kept = flags[0], flags[1], flags[2], flags[3]
        row_keys(rows.seeds, word, rows.epochs, scratch.keys)
        for row in range(len(rows.lengths)):
            count = rows.lengths[row]
            tokens, bounds = rows.input_ids[row, :count], rows.boundaries[row, :count]
            high, low = scratch.keys[0, row], scratch.keys[1, row]
            num_text, first = _find_text(bounds, text, places)
            cell = min(num_text, len(law.noise) - 1)
            hidden, spans = np.int64(law.noise[cell]), np.int64(law.spans[cell])
            visible = num_text - hidden
            _draw_keys(
                high, low, law.bits, rounded(max(hidden, visible)), first_keys, second_keys
            )
            _list_borders(first_keys, hidden, spans, noise, noise_borders)
            _list_borders(second_keys, visible, spans, noise, kept_borders)
            offset = np.int64(0)
            if law.roll[cell]:
                word_31: Integer = np.int64(word_of(high, low, 0, ROW)[1])
                offset = word_31 % (num_text if num_text > 0 else 1)
            fill(noise, 0, count + 1, 0)
            borders = noise_borders, kept_borders
            odd = _turn_flags(spans, offset, num_text, first, *borders, places, noise)
            odd_so_far(noise, count, odd)
            runs = _flag_noise(law, bounds, text, noise, opens)
            size = _tell(law, tokens, noise, opens, places, shown, told)
            if law.final_sentinel:
                told[size] = law.sentinels[min(runs, law.final_limit)]
                size += 1
            for place in range(count):
                kept[place] = (noise[place] ^ np.uint8(1)) | opens[place]
            num_shown = places_of(kept, count, places)
            open_end = count == 0 or text[count - 1] != 0
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            _write_pair(law, open_end, shown, places, num_shown, told, size, *outputs)

    return corrupt_spans


corrupt_spans = _make(SOURCES)
