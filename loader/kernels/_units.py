"""Selections S1 and S2 over units of a row: `premask.masking.selection`, one row at a time.

A selection is handed on as keys of units and a level: selected are the units whose key does
not exceed it. `NEVER` is the key of what cannot be selected.
"""

from __future__ import annotations

import numpy as np
from premask._format import Boundary
from premask.kernels._compile import NEVER, Integer, compiled, widest_vectors
from premask.kernels._flags import has, look_up_ranks, places_of, ranks_of, rounded
from premask.kernels._laws import Choice
from premask.kernels._race import between, cost_up_to, key_of_place
from premask.kernels._weights import key_of
from premask.masking._backend import INT32_MAX
from premask.masking.weights import EXCLUDED, LIMIT

_SPECIAL, _ONE = np.uint8(Boundary.SPECIAL), np.uint8(1)
_SKIP, _STOP, _CUT = 0, 1, 3
_PART = 1
# Units are taken together until about this much of the budget is left.
_SLACK = 2
# Interpolated guesses before halving: keys of unequal weights may lie unevenly.
_GUESSES = 8


@compiled
def find_units(
    law: Choice,
    padded: np.ndarray,
    count: Integer,
    text: np.ndarray,
    num_text: Integer,
    opens: np.ndarray,
    closes: np.ndarray,
    firsts: np.ndarray,
    sizes: np.ndarray,
) -> Integer:
    """The units of a row, first positions and sizes, and where they open; their number.

    `padded` are the row's boundaries (`pad_bounds`), `text` is what `draw_words` writes.
    """
    widest_vectors()
    opening, span = np.uint8(law.opening_bits), np.uint8(law.span_bits)
    outside = np.uint8(law.outside_bits)
    for place in range(rounded(count)):
        bits, before = padded[np.uint64(place + 1)], padded[place]
        inside = has(bits, span)
        inside_before = has(before, span)
        border = has(before, _SPECIAL) | has(bits, opening) | (inside ^ inside_before)
        opens[place] = text[place] & (border | (has(bits, outside) & (inside ^ _ONE)))
    found = places_of(opens, count, firsts)
    end = count
    while end > 0 and text[end - 1] == 0:
        end -= 1
    if found > 0 and end - firsts[0] == num_text:
        # All text lies between specials at both ends: a unit ends where the next one opens.
        firsts[np.uint64(found)] = np.int32(end)
        for unit in range(found):
            sizes[unit] = np.int32(firsts[unit + 1] - firsts[unit])
        return found
    for place in range(count - 1):
        after = np.uint8(opens[place + 1] | np.uint8(text[place + 1] ^ np.uint8(1)))
        closes[place] = text[place] & after
    closes[count - 1] = text[count - 1]
    places_of(closes, count, sizes)
    for unit in range(found):
        sizes[unit] = np.int32(np.int32(sizes[unit] - firsts[unit]) + np.int32(1))
    return found


@compiled
def rank_text(opens: np.ndarray, text: np.ndarray, count: Integer, ranks: np.ndarray) -> None:
    """`ranks`: the unit of each text token, counted from 1; 0 at specials."""
    widest_vectors()
    ranks_of(opens, count, ranks)
    for place in range(count):
        ranks[place] = np.int32(ranks[place] & np.int32(-np.int32(text[place])))


@compiled
def race_units(
    law: Choice,
    num_units: Integer,
    words: np.ndarray,
    keys: np.ndarray,
) -> None:
    """The keys of units of equal weight."""
    widest_vectors()
    for unit in range(num_units):
        keys[unit] = key_of_place(words[unit], unit, law.bits)


@compiled
def race_some_units(
    law: Choice,
    num_units: Integer,
    words: np.ndarray,
    ranks: np.ndarray,
    candidates: np.ndarray,
    weights: np.ndarray,
    count: Integer,
    may: np.ndarray,
    best: np.ndarray,
    keys: np.ndarray,
    costs: np.ndarray,
) -> tuple[Integer, Integer]:
    """The keys of units that have a candidate, by their highest weight; how many, at what cost.

    Under S1 those run that are chosen. `may` and `best` are by rank.
    """
    for fresh in range(num_units + 1):
        may[fresh], best[fresh] = np.uint8(0), np.int32(EXCLUDED)
    for place in range(count):
        rank = np.uint64(ranks[place])
        may[rank] = may[rank] | candidates[place]
        if law.weighted:
            weight: Integer = weights[place]
            heard = min(max(weight, np.int32(-LIMIT)), np.int32(LIMIT))
            heard = heard if weight > EXCLUDED // 2 else np.int32(EXCLUDED)
            best[rank] = max(best[rank], heard)
    highest = np.int64((1 << (31 - law.bits)) - 2)
    found, total = np.int64(0), np.int64(0)
    for unit in range(num_units):
        runs = may[unit + 1] != 0
        if law.chosen_until > -2:
            runs = runs and words[unit] <= law.chosen_until
        chance = words[unit] >> law.bits
        if law.weighted:
            chance = key_of(law, words[unit], best[unit + 1])
        packed = (min(np.int64(chance), highest) << law.bits) | unit
        keys[unit] = np.int32(packed) if runs else NEVER
        found += np.int64(runs)
        total += np.int64(costs[unit]) if runs else np.int64(0)
    return found, total


@compiled
def _take_cheapest(
    keys: np.ndarray, costs: np.ndarray, num_units: Integer, total: Integer, budget: Integer
) -> tuple[Integer, Integer]:
    """A level up to which units fit into the budget, and nearly fill it; what they cost."""
    if total <= budget:
        return np.int32(INT32_MAX - 1), np.int64(total)
    low, high = np.int64(-1), np.int64(INT32_MAX)
    below, above, turn = np.int64(0), np.int64(total), 0
    while budget - below > _SLACK and high - low > 1:
        level = (low + high) >> 1
        if turn < _GUESSES:
            level = between(low, high, below, above, 2 * budget - _SLACK)
        turn += 1
        cost = np.int64(cost_up_to(keys, costs, num_units, np.int32(level)))
        if cost <= budget:
            low, below = level, cost
        else:
            high, above = level, cost
    return np.int32(low), below


@compiled
def _next_key(
    keys: np.ndarray, costs: np.ndarray, num_units: Integer, level: Integer, most: Integer
) -> Integer:
    """The lowest key above `level` of a unit that costs at most `most`; else `NEVER`."""
    widest_vectors()
    found, above, limit = NEVER, np.int32(level), np.int32(most)
    for unit in range(num_units):
        # In numbers, as LLVM makes no vectors of the choice between a key and `NEVER`.
        beyond = np.int32(keys[unit] <= above) | np.int32(costs[unit] > limit)
        bits = np.int32(-beyond)
        key = np.int32(np.int32(keys[unit] & np.int32(~bits)) | np.int32(NEVER & bits))
        found = key if key < found else found
    return found


@compiled
def take_units(
    law: Choice,
    num_units: Integer,
    total: Integer,
    budget: Integer,
    firsts: np.ndarray,
    keys: np.ndarray,
    costs: np.ndarray,
) -> tuple[Integer, Integer, Integer]:
    """S2 over units that cost `total`, in the order of their keys, under the rules of `law`.

    Whatever the rule, units are taken as long as they fit; only those about the level at which
    the budget ends are looked at one by one, and get the key -1 if they are taken.

    Returns:
        the level up to which units are taken; the first place, and the one after the last, of
        what is taken of a unit that exceeds the budget.
    """
    begin, until = np.int64(0), np.int64(0)
    if budget <= 0:
        return np.int32(-1), begin, until
    place_bits = (1 << law.bits) - 1
    level, spent = _take_cheapest(keys, costs, num_units, total, budget)
    left, reached = np.int64(budget - spent), level
    while left > 0:
        most = left if law.overflow == _SKIP else np.int64(INT32_MAX)
        reached = _next_key(keys, costs, num_units, reached, most)
        if reached == NEVER:
            break
        unit = np.uint64(reached & place_bits)
        cost = np.int64(costs[unit])
        if law.overflow == _STOP and cost > left:
            break
        if law.overflow == _CUT and cost > left:
            begin, until = np.int64(firsts[unit]), np.int64(firsts[unit]) + left
        else:
            keys[unit] = np.int32(-1)
        left -= min(cost, left)
    if left == budget and law.fallback <= _PART:
        reached = _next_key(keys, costs, num_units, np.int32(-1), np.int64(INT32_MAX))
        if reached != NEVER:
            unit = np.uint64(reached & place_bits)
            if law.fallback == _PART and costs[unit] > budget:
                begin, until = np.int64(firsts[unit]), np.int64(firsts[unit]) + budget
            else:
                keys[unit] = np.int32(-1)
    return level, begin, until


@compiled
def keys_of_places(
    opens: np.ndarray, text: np.ndarray, count: Integer, keys: np.ndarray, chosen: np.ndarray
) -> None:
    """`chosen`: the key of each text token's unit; those of units are at 1 and up in `keys`."""
    widest_vectors()
    keys[0] = NEVER
    look_up_ranks(opens, count, keys, chosen)
    for place in range(count):
        special = np.int32(np.int32(text[place]) - np.int32(1))
        key = np.int32(chosen[place] & np.int32(~special))
        chosen[place] = np.int32(key | np.int32(NEVER & special))
