"""Selections S1 and S2 over single tokens: `premask.masking.selection`, one row at a time.

A selection is handed on as keys and a level: the selected positions are those whose key does
not exceed it. `NEVER` is the key of what cannot be selected.
"""

from __future__ import annotations

import numpy as np
from premask.kernels._compile import NEVER, Integer, compiled
from premask.kernels._flags import has, rounded
from premask.kernels._laws import Budgets, Choice
from premask.kernels._race import level_of
from premask.kernels._random import word_of
from premask.kernels._weights import key_of
from premask.masking.threefry import ROW
from premask.masking.weights import EXCLUDED


@compiled
def budget_of(law: Budgets, high: Integer, low: Integer, counted: Integer) -> Integer:
    """The budget of a row with so many countable tokens."""
    counted = min(max(counted, 0), len(law.table) - 1)
    budget: Integer = np.int64(law.table[counted])
    if len(law.carry) == 0:
        return budget
    if counted == 0:
        return np.int64(0)
    budget += np.int64(word_of(high, low, 0, ROW)[0] <= law.carry[counted])
    budget = budget if budget > law.at_least else law.at_least
    return budget if budget < law.at_most else law.at_most


@compiled
def mark_candidates(
    law: Choice,
    tokens: np.ndarray,
    bounds: np.ndarray,
    codes: np.ndarray,
    text: np.ndarray,
    candidates: np.ndarray,
    weights: np.ndarray,
) -> Integer:
    """Flags the tokens that may be selected and weighs them; their number."""
    total, count = np.int64(0), len(tokens)
    bits = np.uint8(law.candidate_bits)
    last_id, last_code = len(law.id_weights) - 1, len(law.track_weights) - 1
    for place in range(count):
        may = text[place]
        if bits != 0:
            may = may & has(bounds[place], bits)
        if law.weighted:
            weight = np.int32(0)
            if last_id >= 0:
                known: Integer = min(np.int64(tokens[place]), last_id)
                weight += law.id_weights[np.uint64(known)]
            if last_code >= 0:
                code: Integer = min(np.int64(codes[place]), last_code)
                weight += law.track_weights[np.uint64(code)]
            weights[place] = weight
            may = may & np.uint8(weight > EXCLUDED // 2)
        candidates[place] = may
        total += np.int64(may)
    if total == 0 and law.otherwise:
        for place in range(count):
            candidates[place], weights[place] = text[place], 0
            total += np.int64(text[place])
    return total


@compiled
def upper_bits(law: Choice) -> Integer:
    """Which bits of a random word make the key: those above a place, or all under S1."""
    return np.int32(-1 << law.bits) if law.chosen_until == -2 else np.int32(-1)


@compiled
def choose_tokens(
    law: Choice,
    count: Integer,
    running: Integer,
    budget: Integer,
    candidates: np.ndarray,
    weights: np.ndarray,
    keys: np.ndarray,
) -> Integer:
    """S1 or S2 over tokens, of which `running` are candidates; the level of the selection.

    `keys` come from `draw_words`, and are those of the race but for weights and candidates.
    """
    races = law.chosen_until == -2
    if law.chosen_until == NEVER or (races and budget >= running):
        for place in range(count):
            keys[place] = np.int32(0) if candidates[place] else NEVER
        return np.int32(0)
    if races and budget <= 0:
        return np.int32(-1)
    if law.weighted:
        for place in range(count):
            key = (key_of(law, keys[place], weights[place]) << law.bits) | place
            keys[place] = np.int32(key) if candidates[place] else NEVER
    elif law.candidate_bits != 0:
        for place in range(count):
            keys[place] = keys[place] if candidates[place] != 0 else NEVER
    if not races:
        return np.int32(law.chosen_until)
    return level_of(keys, rounded(count), running, budget)
