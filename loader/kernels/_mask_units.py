"""The kernels of ``mask_units``: stored rows to a finished batch, in one pass over the rows.

Cost (one core with AVX-512): 1.8 ns per token for tokens, 2.3 for words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask.kernels._choose import budget_of, choose_tokens, mark_candidates, upper_bits
from premask.kernels._compile import NEVER, SOURCES, kernel
from premask.kernels._fill import fill
from premask.kernels._flags import pad_bounds
from premask.kernels._laws import Budgets, Choice, Corruption
from premask.kernels._random import draw_words, row_keys
from premask.kernels._rows import Batch, Flat, Scratch
from premask.kernels._substitute import share_decisions, write_row
from premask.kernels._units import (
    find_units,
    keys_of_places,
    race_some_units,
    race_units,
    rank_text,
    take_units,
)

Kernel = Callable[[Flat, Batch, Scratch, int, Budgets, Choice, Corruption], None]


def _make_tokens(sources: str) -> Kernel:
    @kernel
    def mask_tokens(
        rows: Flat,
        batch: Batch,
        scratch: Scratch,
        word: int,
        limits: Budgets,
        law: Choice,
        corrupt: Corruption,
    ) -> None:
        _ = sources
        numbers, flags = scratch.numbers, scratch.flags
        # Indexed, not unpacked: Numba takes unpacked rows for strided ones, 10 times slower.
        keys, second, places = numbers[0], numbers[1], numbers[2]
        weights, decisions = numbers[3], numbers[4]
        text, candidates, marks, padded = flags[0], flags[1], flags[2], flags[3]
        words = keys, second, text
        plain = law.candidate_bits == 0 and not law.weighted
        upper = -1 if law.weighted else upper_bits(law)
        row_keys(rows.seeds, word, rows.epochs, scratch.keys)
        for row in range(len(rows.lengths)):
            count = rows.lengths[row]
            tokens, bounds = rows.input_ids[row, :count], rows.boundaries[row, :count]
            high, low = scratch.keys[0, row], scratch.keys[1, row]
            pad_bounds(bounds, padded)
            counted = running = draw_words(high, low, padded, count, upper, True, *words)
            runs = text
            if not plain:
                codes = rows.codes[row, :count]
                running = mark_candidates(law, tokens, bounds, codes, text, candidates, weights)
                runs = candidates
            if law.by_unit:
                counted = running
            elif limits.count_special:
                counted = count
            budget = budget_of(limits, high, low, counted)
            level = choose_tokens(law, count, running, budget, runs, weights, keys)
            deciding = second
            if corrupt.coherence > 0:
                share_decisions(corrupt, count, keys, level, text, second, decisions)
                deciding = decisions
            drawn = keys, level, second, deciding
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            write_row(corrupt, high, low, tokens, *drawn, marks, places, *outputs)

    return mask_tokens


def _make_units(sources: str) -> Kernel:
    @kernel
    def mask_units(
        rows: Flat,
        batch: Batch,
        scratch: Scratch,
        word: int,
        limits: Budgets,
        law: Choice,
        corrupt: Corruption,
    ) -> None:
        _ = sources
        numbers, flags = scratch.numbers, scratch.flags
        first, second, ranked, places = numbers[0], numbers[1], numbers[2], numbers[3]
        weights, decisions, firsts, costs = numbers[4], numbers[5], numbers[6], numbers[7]
        ranks, best, keys = numbers[8], numbers[9], ranked[1:]
        chosen = first  # the random words of units are spent by then
        text, candidates, opens, closes = flags[0], flags[1], flags[2], flags[3]
        marks, padded, words = flags[4], flags[5], (first, second, text)
        plain = law.candidate_bits == 0 and not law.weighted and law.chosen_until == -2
        row_keys(rows.seeds, word, rows.epochs, scratch.keys)
        for row in range(len(rows.lengths)):
            count = rows.lengths[row]
            tokens, bounds = rows.input_ids[row, :count], rows.boundaries[row, :count]
            high, low = scratch.keys[0, row], scratch.keys[1, row]
            pad_bounds(bounds, padded)
            num_text = counted = draw_words(high, low, padded, count, -1, False, *words)
            if not plain:
                codes = rows.codes[row, :count]
                mark_candidates(law, tokens, bounds, codes, text, candidates, weights)
            edges = opens, closes, firsts, costs
            running = units = find_units(law, padded, count, text, num_text, *edges)
            total = num_text
            if law.by_unit:
                total = units
                fill(costs, 0, units, 1)
            if plain:
                race_units(law, units, first, keys)
            else:
                rank_text(opens, text, count, ranks)
                heard = ranks, candidates, weights, count, closes, best
                running, total = race_some_units(law, units, first, *heard, keys, costs)
            level, begin, until = np.int32(NEVER - 1), np.int64(0), np.int64(0)
            if law.chosen_until == -2:
                if law.by_unit:
                    counted = running
                elif limits.count_special:
                    counted = count
                budget = budget_of(limits, high, low, counted)
                raced = firsts, keys, costs
                level, begin, until = take_units(law, units, total, budget, *raced)
            keys_of_places(opens, text, count, ranked, chosen)
            for place in range(begin, until):
                chosen[place] = np.int32(-1)
            deciding = second
            if corrupt.coherence > 0:
                share_decisions(corrupt, count, chosen, level, opens, second, decisions)
                deciding = decisions
            drawn = chosen, level, second, deciding
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            write_row(corrupt, high, low, tokens, *drawn, marks, places, *outputs)

    return mask_units


mask_tokens = _make_tokens(SOURCES)
mask_units = _make_units(SOURCES)
