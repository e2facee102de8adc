"""Selections written the obvious way: one row at a time, plain loops, on the same random words.

They share the random words with the code under test (`threefry`, held by published vectors) and
nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from premask.masking import threefry
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows
from premask.masking.policy import Policy

from tests.masking.batches import DOCUMENT, SPECIAL, WORD

Unit = list[int]


def row_words(
    policy: Policy, rows: PaddedRows, row: int, stream: int, epoch: int = 0
) -> tuple[list[int], list[int]]:
    """Both words of every position, as unsigned integers."""
    key = threefry.mask_key(rows.keys[row : row + 1], policy.word, epoch)
    pair = threefry.words(key, rows.input_ids.shape[1], stream)
    first, second = ([int(word) & 0xFFFFFFFF for word in words[0]] for words in pair)
    return first, second


def text(rows: PaddedRows, row: int) -> list[int]:
    """Positions that hold text."""
    bits = rows.boundaries[row]
    return [i for i in range(int(rows.lengths[row])) if not bits[i] & SPECIAL]


def units(rows: PaddedRows, row: int, kind: str) -> list[Unit]:
    """The partition of a row's text, unit by unit."""
    bits, places = rows.boundaries[row], text(rows, row)
    found: list[Unit] = []
    opens, inside = {"entity": (16, 48), "phrase": (64, 192)}.get(kind, (0, 0))
    for i in places:
        here = int(bits[i])
        first = not found or found[-1][-1] != i - 1 or bool(here & DOCUMENT)
        within = bool(here & inside)
        was_within = i > 0 and bool(int(bits[i - 1]) & inside)
        if kind == "token":
            first = True
        elif kind == "sentence":
            first = first or bool(here & 4)
        elif within:
            first = first or bool(here & opens) or not was_within
        else:
            first = first or bool(here & WORD) or (bool(inside) and was_within)
        if first:
            found.append([i])
        else:
            found[-1].append(i)
    return found


def segments(rows: PaddedRows, row: int) -> list[list[int]]:
    """Stretches of text between special tokens and document borders."""
    found: list[list[int]] = []
    for i in text(rows, row):
        if not found or found[-1][-1] != i - 1 or rows.boundaries[row][i] & DOCUMENT:
            found.append([i])
        else:
            found[-1].append(i)
    return found


def budget(parameters: Mapping[str, Any], count: int) -> int:
    """The budget of a row with `count` countable tokens (no stochastic rounding)."""
    if count == 0:
        return 0
    wanted = count * parameters["rate"]
    rounded = {"nearest": round(wanted), "ceil": math.ceil(wanted), "floor": int(wanted)}
    value = max(parameters["at_least"], rounded[parameters["rounding"]])
    most = parameters["at_most"]
    return int(value if most is None else min(most, value))


def in_order(words: Iterable[int], bits: int) -> list[int]:
    """Indices in race order: by the upper ``31 - bits`` bits, then by place."""
    keyed = [(word >> (bits + 1), place) for place, word in enumerate(words)]
    return [place for _, place in sorted(keyed)]


def race_over_units(
    ordered: list[Unit], limit: int, *, overflow: str, fallback: str
) -> set[int]:
    """S2 by hand: the tokens taken."""
    taken: set[int] = set()
    for unit in ordered:
        left = limit - len(taken)
        if len(unit) <= left:
            taken.update(unit)
        elif overflow == "skip":
            continue
        elif overflow == "stop" or left == 0:
            break
        else:
            taken.update(unit if overflow == "under" else unit[:left])
            break
    if not taken and limit > 0 and ordered and fallback != "none":
        taken.update(ordered[0] if fallback == "whole" else ordered[0][:limit])
    return taken


def select_units(policy: Policy, rows: PaddedRows, row: int, binding: Binding) -> set[int]:
    """What ``mask_units`` with ``selection: race`` and equal weights selects in a row."""
    parameters = policy.parameters
    parts = units(rows, row, parameters["units"])
    first, _ = row_words(policy, rows, row, threefry.SELECT)
    if parameters["units"] == "token":
        words = [first[unit[0]] for unit in parts]
    else:
        words = first[: len(parts)]
    ordered = [parts[i] for i in in_order(words, binding.position_bits)]
    counted = int(rows.lengths[row]) if parameters["count_special"] else len(text(rows, row))
    return race_over_units(
        ordered,
        budget(parameters, counted),
        overflow=parameters["overflow"],
        fallback=parameters["fallback"],
    )


def draw_length(word: int, shares: list[float]) -> int:
    """Inverse CDF on 31 bits."""
    number, reached = word >> 1, 0.0
    for length, share in enumerate(shares[:-1], 1):
        reached += share
        if number < round(reached * 2**31):
            return length
    return len(shares)


def select_spans(
    policy: Policy, rows: PaddedRows, row: int, binding: Binding, shares: list[float]
) -> set[int]:
    """What ``mask_spans`` with ``overflow: cut`` selects: SpanBERT's loop."""
    words = units(rows, row, "word")
    of_token = {i: number for number, word in enumerate(words) for i in word}
    last_of_segment = {i: part[-1] for part in segments(rows, row) for i in part}
    first, _ = row_words(policy, rows, row, threefry.SELECT)
    drawn, _ = row_words(policy, rows, row, threefry.LENGTHS)
    places = text(rows, row)
    limit = min(budget(policy.parameters, len(places)), len(places))
    masked: set[int] = set()
    for index in in_order([first[i] for i in places], binding.position_bits):
        if len(masked) >= limit:
            break
        anchor = places[index]
        if anchor in masked:
            continue
        number = of_token[anchor]
        span = words[number : number + draw_length(drawn[number], shares)]
        for i in (i for word in span for i in word):
            if i <= last_of_segment[anchor] and len(masked) < limit:
                masked.add(i)
    return masked


def select_ngrams(
    policy: Policy, rows: PaddedRows, row: int, binding: Binding, shares: list[float]
) -> set[int]:
    """What ``mask_ngrams`` selects: ALBERT's loop, with borders."""
    words = units(rows, row, "word")
    last_of_segment = {i: part[-1] for part in segments(rows, row) for i in part}
    first, _ = row_words(policy, rows, row, threefry.SELECT)
    drawn, _ = row_words(policy, rows, row, threefry.LENGTHS)
    limit = budget(policy.parameters, len(text(rows, row)))
    masked: set[int] = set()
    order = in_order(first[: len(words)], binding.position_bits)
    for number in order:
        border = last_of_segment[words[number][0]]
        size = draw_length(drawn[number], shares)
        span = [word for word in words[number : number + size] if word[-1] <= border]
        while span and sum(map(len, span)) > limit - len(masked):
            span.pop()
        tokens = {i for word in span for i in word}
        if not tokens & masked:
            masked |= tokens
    if not masked and limit > 0 and words:
        masked = set(words[order[0]])
    return masked


def as_mask(chosen: list[set[int]], length: int) -> np.ndarray:
    """bool ``[B, L]``."""
    mask = np.zeros((len(chosen), length), bool)
    for row, places in enumerate(chosen):
        mask[row, sorted(places)] = True
    return mask
