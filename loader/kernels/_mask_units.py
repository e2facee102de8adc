"""The kernels of ``mask_units``: stored rows to a finished batch, in one pass over the rows.

Cost (one core): about 400 million tokens per second for tokens, 200 for words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask.kernels._choose import (
    budget_of,
    choose_tokens,
    find_units,
    mark_candidates,
    mark_text,
    race_units,
    take_units,
)
from premask.kernels._compile import SOURCES, kernel
from premask.kernels._laws import Budgets, Choice, Corruption
from premask.kernels._race import BUCKETS
from premask.kernels._random import fill_words, row_key
from premask.kernels._rows import Batch, Flat
from premask.kernels._substitute import share_decisions, write_row
from premask.masking.threefry import SELECT

Kernel = Callable[[Flat, int, Budgets, Choice, Corruption, Batch], None]


def _make_tokens(sources: str) -> Kernel:
    @kernel
    def mask_tokens(
        rows: Flat, word: int, limits: Budgets, law: Choice, corrupt: Corruption, batch: Batch
    ) -> None:
        _ = sources
        width = batch.input_ids.shape[1]
        eight = (width + 15) & ~7
        numbers, flags = np.empty((6, width + 8), np.int32), np.empty((4, eight), np.uint8)
        # Indexed, not unpacked: Numba takes unpacked rows for strided ones, 10 times slower.
        first, second, keys, spare = numbers[0], numbers[1], numbers[2], numbers[3]
        weights, decisions = numbers[4], numbers[5]
        text, candidates, chosen, marks = flags[0], flags[1], flags[2], flags[3]
        eights = flags.view(np.uint64)
        chosen_eights, marked_eights = eights[2], eights[3]
        counts = np.empty(BUCKETS, np.int32)
        plain = law.candidate_bits == 0 and not law.weighted
        for row in range(len(rows.lengths)):
            start, count = rows.starts[row], rows.lengths[row]
            tokens = rows.input_ids[start : start + count]
            bounds = rows.boundaries[start : start + count]
            high, low = row_key(rows.seeds[row], word, rows.epochs[row])
            fill_words(high, low, SELECT, count, first, second)
            counted = found = mark_text(bounds, text)
            runs = text
            if not plain:
                codes = rows.codes[start : start + count]
                found = mark_candidates(law, tokens, bounds, codes, text, candidates, weights)
                runs = candidates
            if law.by_unit:
                counted = found
            elif limits.count_special:
                counted = count
            budget = budget_of(limits, high, low, counted)
            choose_tokens(
                law,
                count,
                found,
                budget,
                first,
                runs,
                weights,
                keys,
                counts,
                chosen_eights,
                spare,
                chosen,
            )
            deciding = second
            if corrupt.coherence > 0:
                share_decisions(corrupt, count, chosen, text, second, decisions)
                deciding = decisions
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            spares = marks, marked_eights, spare
            write_row(corrupt, high, low, tokens, chosen, second, deciding, *spares, *outputs)

    return mask_tokens


def _make_units(sources: str) -> Kernel:
    @kernel
    def mask_units(
        rows: Flat, word: int, limits: Budgets, law: Choice, corrupt: Corruption, batch: Batch
    ) -> None:
        _ = sources
        width = batch.input_ids.shape[1]
        eight = (width + 15) & ~7
        numbers, flags = np.empty((8, width + 8), np.int32), np.empty((5, eight), np.uint8)
        first, second, keys, order = numbers[0], numbers[1], numbers[2], numbers[3]
        weights, decisions, firsts, lasts = numbers[4], numbers[5], numbers[6], numbers[7]
        text, candidates, chosen, opens = flags[0], flags[1], flags[2], flags[3]
        marks, marked_eights = flags[4], flags.view(np.uint64)[4]
        counts = np.empty(BUCKETS, np.int32)
        plain = law.candidate_bits == 0 and not law.weighted
        for row in range(len(rows.lengths)):
            start, count = rows.starts[row], rows.lengths[row]
            tokens = rows.input_ids[start : start + count]
            bounds = rows.boundaries[start : start + count]
            high, low = row_key(rows.seeds[row], word, rows.epochs[row])
            fill_words(high, low, SELECT, count, first, second)
            counted = num_text = mark_text(bounds, text)
            if not plain:
                codes = rows.codes[start : start + count]
                mark_candidates(law, tokens, bounds, codes, text, candidates, weights)
            units = find_units(law, bounds, text, opens, firsts, lasts)
            running = race_units(law, units, first, firsts, lasts, candidates, weights, keys)
            for place in range(count):
                chosen[place] = 0
            if law.chosen_until > -2:
                for place in range(running):
                    unit = keys[place] & ((1 << law.bits) - 1)
                    chosen[firsts[unit] : lasts[unit] + 1] = 1
            else:
                if law.by_unit:
                    counted = running
                elif limits.count_special:
                    counted = count
                budget = budget_of(limits, high, low, counted)
                guess = budget if law.by_unit else budget * units // max(num_text, 1)
                guess += guess // 4 + 2
                take_units(
                    law, running, budget, guess, firsts, lasts, keys, counts, order, chosen
                )
            deciding = second
            if corrupt.coherence > 0:
                share_decisions(corrupt, count, chosen, opens, second, decisions)
                deciding = decisions
            outputs = batch.input_ids[row], batch.attention_mask[row], batch.labels[row]
            spares = marks, marked_eights, order
            write_row(corrupt, high, low, tokens, chosen, second, deciding, *spares, *outputs)

    return mask_units


mask_tokens = _make_tokens(SOURCES)
mask_units = _make_units(SOURCES)
