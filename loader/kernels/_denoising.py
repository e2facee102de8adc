"""The kernel of ``denoising``: BART's noise, row by row.

Sentences change places, spans of words are hidden, masks are inserted, the row is rotated: the
steps of `premask.masking.objectives.denoising`, which says what each of them means.
Cost (one core with AVX-512): 13 ns per token, a fifth of it for four blocks of random words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from premask._format import Boundary
from premask.kernels._compile import NEVER, SOURCES, Integer, compiled, kernel
from premask.kernels._fill import fill, pad_row
from premask.kernels._laws import Noise
from premask.kernels._permute import permute_sentences
from premask.kernels._race import key_of_place, level_of, smallest_keys
from premask.kernels._random import fill_words, row_keys, word_of
from premask.kernels._rows import Batch, Flat, Scratch
from premask.masking.objectives._infilling import SPARE_DRAWS
from premask.masking.threefry import LENGTHS, REPLACE, ROW, SECOND, SELECT

_SPECIAL, _DOCUMENT = np.uint8(Boundary.SPECIAL), np.uint8(Boundary.DOCUMENT_START)
_OPENS_WORD = np.uint8(Boundary.WORD_START | Boundary.SENTENCE_START)

Kernel = Callable[[Flat, Batch, Scratch, int, Noise], None]


class Words(NamedTuple):
    """The random words of a row by position, int32; named by what they decide."""

    span: np.ndarray
    added_id: np.ndarray
    sentence: np.ndarray
    slot: np.ndarray
    length: np.ndarray
    added: np.ndarray
    shown: np.ndarray
    shown_id: np.ndarray


@compiled
def _mask_or_random(law: Noise, decision: Integer, identity: Integer) -> Integer:
    if law.mask_random < 0 or decision > law.mask_random:
        return np.int64(law.mask_id)
    index = np.int64(identity) % law.num_ordinary
    for part in range(len(law.range_sizes)):
        if index < law.range_sizes[part]:
            return np.int64(law.range_firsts[part]) + index
        index -= law.range_sizes[part]
    return np.int64(law.mask_id)


@compiled
def _find_text(
    law: Noise, bounds: np.ndarray, segments: np.ndarray, starts: np.ndarray
) -> tuple[Integer, Integer, Integer]:
    """Text tokens of the row, specials before the first, and the place after the last.

    `segments` becomes 0 at specials, 1 in text, and 2 where a segment opens; `starts` flags
    where words begin.
    """
    num_text, leading, end = np.int64(0), np.int64(len(bounds)), np.int64(len(bounds))
    inside = False
    for place in range(len(bounds)):
        bits = bounds[place]
        is_text = (bits & _SPECIAL) == 0
        opens = is_text and (not inside or (bits & _DOCUMENT) != 0)
        segments[place] = np.uint8(np.uint8(is_text) + np.uint8(opens))
        begins = is_text and (not law.whole_words or opens or (bits & _OPENS_WORD) != 0)
        starts[place] = np.uint8(begins)
        if is_text:
            leading = np.int64(place) if num_text == 0 else leading
            num_text, end = num_text + 1, np.int64(place) + 1
        inside = is_text
    return num_text, leading, end


@compiled
def _span_lengths(
    law: Noise, num_words: Integer, draws: np.ndarray, lengths: np.ndarray
) -> tuple[Integer, Integer]:
    """Span lengths in drawing order: the number of positive ones, and of zeros."""
    budget = np.int64(law.budgets[min(num_words, len(law.budgets) - 1)])
    if not law.draws_lengths:
        fill(lengths, 0, budget, np.int32(1))
        return budget, np.int64(0)
    found, zeros, before = np.int64(0), np.int64(0), np.int64(0)
    for turn in range(num_words + SPARE_DRAWS):
        if before >= budget:
            break
        length = np.int64(0)
        for limit in law.thresholds:
            length += np.int64(draws[turn] > limit)
        length = min(length, budget - before)
        lengths[np.uint64(found)] = np.int32(length)
        found, zeros = found + np.int64(length > 0), zeros + np.int64(length == 0)
        before += length
    return found, zeros


@compiled
def _draw_spans(
    law: Noise,
    count: Integer,
    starts: np.ndarray,
    words: Words,
    keys: np.ndarray,
    lengths: np.ndarray,
    spans: np.ndarray,
    histogram: np.ndarray,
    order: np.ndarray,
) -> Integer:
    """`spans`: the number of words hidden from each position on; the number of empty spans."""
    num_words: Integer = 0
    for place in range(count):
        spans[place] = np.int32(0)
        keys[np.uint64(num_words)] = key_of_place(words.span[place], place, law.bits)
        num_words += np.int64(starts[place])
    found, zeros = _span_lengths(law, num_words, words.length, lengths)
    known = smallest_keys(keys, num_words, found, histogram, order)
    for turn in range(min(found, known)):
        spans[order[turn] & ((1 << law.bits) - 1)] = lengths[turn]
    return zeros


@compiled
def _hide(
    law: Noise,
    count: Integer,
    segments: np.ndarray,
    starts: np.ndarray,
    spans: np.ndarray,
    words: Words,
    ids: np.ndarray,
) -> Integer:
    """Hides the spans in `ids`, in place; the number of tokens that are left."""
    gap = 1 + len(law.thresholds)
    kept, word, reach = np.int64(0), np.int64(0), np.int64(0)
    for place in range(count):
        word += np.int64(starts[place])
        if segments[place] == 2:
            word += gap
        covered = segments[place] != 0 and reach > word
        first = spans[place] > 0 and not covered
        if spans[place] > 0:
            reach = max(reach, word + np.int64(spans[place]))
        token = np.int64(ids[place])
        if first or (covered and law.replace_length < 0):
            token = _mask_or_random(law, words.shown[place], words.shown_id[place])
        gone = (covered and law.replace_length >= 0) or (first and law.replace_length == 0)
        ids[np.uint64(kept)] = np.int32(token)
        kept += np.int64(not gone)
    return kept


@compiled
def _write_inputs(
    law: Noise,
    kept: np.ndarray,
    leading: Integer,
    size: Integer,
    extra: Integer,
    turn: Integer,
    words: Words,
    keys: np.ndarray,
    ranks: np.ndarray,
    ids: np.ndarray,
) -> None:
    """`kept`, with `extra` tokens put into its body of then `size`, which is rotated."""
    level = np.int32(-1)
    if extra > 0:
        for place in range(size):
            keys[place] = key_of_place(words.slot[place], place, law.slot_bits)
        level = np.int32(NEVER)
        if extra < size:
            level = level_of(keys, size, size, extra)
    added = np.int64(0)
    for place in range(size):
        ranks[place] = np.int32(added)
        added += np.int64(extra > 0 and keys[place] <= level)
    for place in range(len(kept) + extra):
        inner = place - leading + turn
        inner = inner - size if inner >= size else inner
        if place < leading:
            ids[place] = kept[place]
        elif place >= leading + size:
            ids[place] = kept[place - extra]
        elif extra > 0 and keys[inner] <= level:
            ids[place] = _mask_or_random(law, words.added[inner], words.added_id[inner])
        else:
            ids[place] = kept[leading + inner - ranks[inner]]


@compiled
def _write_rest(
    law: Noise,
    tokens: np.ndarray,
    total: Integer,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    for place in range(len(tokens)):
        labels[place] = tokens[place]
    pad_row(total, len(tokens), law.pad_id, ids, attention, labels)


def _make(sources: str) -> Kernel:
    @kernel
    def denoise(rows: Flat, batch: Batch, scratch: Scratch, word: int, law: Noise) -> None:
        _ = sources
        numbers, flags = scratch.numbers, scratch.flags
        words = Words(
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            numbers[4],
            numbers[5],
            numbers[6],
            numbers[7],
        )
        keys, order, lengths, spans = numbers[8], numbers[9], numbers[10], numbers[11]
        ids, histogram, segments, starts = numbers[12], numbers[13], flags[0], flags[1]
        row_keys(rows.seeds, word, rows.epochs, scratch.keys)
        for row in range(len(rows.lengths)):
            count = rows.lengths[row]
            tokens, bounds = rows.input_ids[row, :count], rows.boundaries[row, :count]
            high, low = scratch.keys[0, row], scratch.keys[1, row]
            num_text, leading, end = _find_text(law, bounds, segments, starts)
            insert = np.int64(law.insertions[min(num_text, len(law.insertions) - 1)])
            wanted = count + max(insert, SPARE_DRAWS)
            fill_words(high, low, SELECT, wanted, words.span, words.added_id)
            fill_words(high, low, SECOND, wanted, words.sentence, words.slot)
            fill_words(high, low, LENGTHS, wanted, words.length, words.added)
            fill_words(high, low, REPLACE, count, words.shown, words.shown_id)
            permuting = segments, starts, words.sentence, keys, order, lengths, spans, histogram
            permute_sentences(law, tokens, bounds, *permuting, flags[2], ids)
            drawing = keys, lengths, spans, histogram, order
            zeros = _draw_spans(law, count, starts, words, *drawing)
            kept = _hide(law, count, segments, starts, spans, words, ids)
            extra = min(zeros, count - kept) + insert if num_text > 0 else np.int64(0)
            size = kept - leading - (count - end) + extra if num_text > 0 else np.int64(0)
            turned, amount = word_of(high, low, 0, ROW)
            turn = np.int64(amount) % max(size, 1) if turned <= law.rotate else np.int64(0)
            shape = leading, size, extra, turn, words, keys, order
            _write_inputs(law, ids[:kept], *shape, batch.input_ids[row])
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            _write_rest(law, tokens, kept + extra, *outputs)

    return denoise


denoise = _make(SOURCES)
