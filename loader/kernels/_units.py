"""Selections S1 and S2 over units of a row: `premask.masking.selection`, one row at a time.

A selection is written as the keys of positions: 0 where selected, else `NEVER`.
"""

from __future__ import annotations

import numpy as np
from premask._format import Boundary
from premask.kernels._compile import NEVER, Integer, compiled, widest_vectors
from premask.kernels._flags import places_of
from premask.kernels._laws import Choice
from premask.kernels._race import (
    between,
    cost_up_to,
    sort_few,
)
from premask.kernels._weights import key_of
from premask.masking._backend import INT32_MAX
from premask.masking.weights import EXCLUDED, LIMIT

_SPECIAL = np.uint8(Boundary.SPECIAL)
_SKIP, _STOP, _UNDER, _CUT = 0, 1, 2, 3
_WHOLE, _PART = 0, 1
_GUESSES = 6
# Units are taken without sorting until about this much of the budget is left.
_SLACK = 6
# And as many of the next ones are sorted at a time.
_WINDOW = 6


@compiled
def find_units(
    law: Choice,
    bounds: np.ndarray,
    text: np.ndarray,
    num_text: Integer,
    opens: np.ndarray,
    closes: np.ndarray,
    firsts: np.ndarray,
    lasts: np.ndarray,
) -> Integer:
    """The units of a row, first and last positions, and where they open; their number."""
    widest_vectors()
    count: Integer = len(bounds)
    if count == 0:
        return 0
    opening, span = np.uint8(law.opening_bits), np.uint8(law.span_bits)
    outside = np.uint8(law.outside_bits)
    for place in range(1, count):
        bits, before = bounds[place], bounds[place - 1]
        inside, inside_before = (bits & span) != 0, (before & span) != 0
        border = (
            ((before & _SPECIAL) != 0) | ((bits & opening) != 0) | (inside != inside_before)
        )
        border = border | ((not inside) & ((bits & outside) != 0))
        opens[place] = text[place] & np.uint8(border)
    opens[0] = text[0]
    found = places_of(opens, count, firsts)
    end = count
    while end > 0 and text[end - 1] == 0:
        end -= 1
    if found > 0 and end - firsts[0] == num_text:
        # All text lies between specials at both ends: a unit ends where the next one opens.
        for unit in range(found - 1):
            lasts[unit] = np.int32(firsts[unit + 1] - np.int32(1))
        lasts[np.uint64(found - 1)] = np.int32(end - 1)
        return found
    for place in range(count - 1):
        after = np.uint8(opens[place + 1] | np.uint8(text[place + 1] ^ np.uint8(1)))
        closes[place] = text[place] & after
    closes[count - 1] = text[count - 1]
    places_of(closes, count, lasts)
    return found


@compiled
def _unit_weight(
    law: Choice, first: Integer, last: Integer, candidates: np.ndarray, weights: np.ndarray
) -> tuple[bool, Integer]:
    """Whether a unit has a candidate, and the highest weight of its tokens."""
    may = False
    best: Integer = np.int64(EXCLUDED)
    for place in range(first, last + 1):
        may = may or candidates[place] != 0
        if law.weighted and weights[place] > EXCLUDED // 2:
            weight: Integer = np.int64(weights[place])
            weight = min(max(weight, -LIMIT), LIMIT)
            best = weight if weight > best else best
    return may, best


@compiled
def race_units(
    law: Choice,
    num_units: Integer,
    words: np.ndarray,
    firsts: np.ndarray,
    lasts: np.ndarray,
    candidates: np.ndarray,
    weights: np.ndarray,
    keys: np.ndarray,
    costs: np.ndarray,
) -> Integer:
    """The keys and costs of units; how many run. Under S1 those run that are chosen."""
    widest_vectors()
    highest = np.int32((1 << (31 - law.bits)) - 2)
    if law.chosen_until == -2:
        for unit in range(num_units):
            size = np.int32(np.int32(lasts[unit] - firsts[unit]) + np.int32(1))
            costs[unit] = np.int32(1) if law.by_unit else size
    if law.candidate_bits == 0 and not law.weighted and law.chosen_until == -2:
        bits = np.int32(law.bits)
        for unit in range(num_units):
            key = np.int32(words[unit] >> bits)
            key = highest if key > highest else key
            keys[unit] = np.int32(np.int32(key << bits) | np.int32(unit))
        return num_units
    found: Integer = 0
    for unit in range(num_units):
        may, weight = _unit_weight(law, firsts[unit], lasts[unit], candidates, weights)
        if law.chosen_until > -2:
            may = may and words[unit] <= law.chosen_until
        chance = key_of(law, words[unit], weight) if law.weighted else words[unit] >> law.bits
        packed = (min(np.int64(chance), np.int64(highest)) << law.bits) | unit
        keys[unit] = np.int32(packed) if may else NEVER
        found += np.int64(may)
    return found


@compiled
def _take_cheapest(
    keys: np.ndarray, costs: np.ndarray, num_units: Integer, budget: Integer
) -> tuple[Integer, Integer]:
    """A level up to which units fit into the budget, and nearly fill it; what they cost."""
    low, high = np.int64(-1), np.int64(INT32_MAX)
    below = np.int64(0)
    above = np.int64(cost_up_to(keys, costs, num_units, np.int32(INT32_MAX - 1)))
    if above <= budget:
        return INT32_MAX - 1, above
    for _ in range(_GUESSES):
        if budget - below <= _SLACK:
            break
        level = between(low, high, below, above, 2 * budget - _SLACK)
        cost = np.int64(cost_up_to(keys, costs, num_units, np.int32(level)))
        if cost <= budget:
            low, below = level, cost
        else:
            high, above = level, cost
    return low, below


@compiled
def _select(first: Integer, last: Integer, chosen: np.ndarray) -> None:
    for place in range(first, last + 1):
        chosen[place] = np.int32(0)


@compiled
def select_up_to(
    keys: np.ndarray,
    num_units: Integer,
    level: Integer,
    firsts: np.ndarray,
    lasts: np.ndarray,
    marks: np.ndarray,
    places: np.ndarray,
    chosen: np.ndarray,
) -> Integer:
    """Selects the units whose keys do not exceed `level`; their number."""
    limit = np.int32(level)
    for unit in range(num_units):
        marks[unit] = np.uint8(keys[unit] <= limit)
    found = places_of(marks, num_units, places)
    for index in range(found):
        unit = places[index]
        _select(firsts[unit], lasts[unit], chosen)
    return found


@compiled
def _next_keys(
    keys: np.ndarray,
    num_units: Integer,
    low: Integer,
    high: Integer,
    marks: np.ndarray,
    places: np.ndarray,
) -> Integer:
    """The keys above `low` and up to `high`, in order, in `places`; their number."""
    above, until = np.int32(low), np.int32(high)
    for unit in range(num_units):
        marks[unit] = np.uint8((keys[unit] > above) & (keys[unit] <= until))
    found = places_of(marks, num_units, places)
    for index in range(found):
        places[index] = keys[places[index]]
    sort_few(places, found)
    return found


@compiled
def take_units(
    law: Choice,
    num_units: Integer,
    running: Integer,
    budget: Integer,
    firsts: np.ndarray,
    lasts: np.ndarray,
    keys: np.ndarray,
    costs: np.ndarray,
    marks: np.ndarray,
    places: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """S2 over units, in the order of their keys, under the rules of `law`.

    Whatever the rule, units are taken as long as they fit; only those about the level at which
    the budget ends are looked at one by one.
    """
    if budget <= 0 or running <= 0:
        return
    level, spent = _take_cheapest(keys, costs, num_units, budget)
    left: Integer = np.int64(budget - spent)
    place_bits = (1 << law.bits) - 1
    taken = np.int64(0)
    if level >= 0:
        taken = select_up_to(keys, num_units, level, firsts, lasts, marks, places, chosen)
    window: Integer = _WINDOW
    fallback: Integer = -1
    seen = taken
    while left > 0 and seen < running:
        high = level + (INT32_MAX - level) * window // (running - seen + 1)
        high = min(max(high, level + 1), INT32_MAX - 1)
        found = _next_keys(keys, num_units, level, high, marks, places)
        level, window, seen = high, 4 * window, seen + found
        for index in range(found):
            unit = places[index] & place_bits
            fallback = unit if fallback < 0 else fallback
            cost = np.int64(costs[unit])
            if left > 0 and (cost <= left or law.overflow == _UNDER or law.overflow == _CUT):
                last = lasts[unit]
                if cost > left and law.overflow == _CUT:
                    last = firsts[unit] + left - 1
                _select(firsts[unit], last, chosen)
                left, taken = left - min(cost, left), taken + 1
            elif law.overflow == _STOP:
                left = 0
    if taken == 0 and fallback >= 0 and law.fallback <= _PART:
        last = lasts[fallback]
        if law.fallback == _PART and not law.by_unit:
            last = min(last, firsts[fallback] + budget - 1)
        _select(firsts[fallback], last, chosen)
