"""Selections S1 and S2 inside a kernel: `premask.masking.selection`, one row at a time."""

from __future__ import annotations

import numpy as np
from premask._format import Boundary
from premask.kernels._compile import Integer, compiled
from premask.kernels._laws import Budgets, Choice
from premask.kernels._race import key_of_rank, smallest_keys
from premask.kernels._random import word_of
from premask.kernels._weights import key_of
from premask.masking._backend import INT32_MAX
from premask.masking.threefry import ROW
from premask.masking.weights import EXCLUDED, LIMIT

_SPECIAL = np.uint8(Boundary.SPECIAL)
_NEVER = np.int32(INT32_MAX)
_SKIP, _STOP, _UNDER, _CUT = 0, 1, 2, 3
_WHOLE, _PART = 0, 1


@compiled
def mark_text(bounds: np.ndarray, text: np.ndarray) -> Integer:
    """Flags the positions that hold text; their number."""
    total = np.int64(0)
    for place in range(len(bounds)):
        is_text = np.uint8((bounds[place] & _SPECIAL) ^ np.uint8(1))
        text[place] = is_text
        total += np.int64(is_text)
    return total


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
    for place in range(count):
        may = text[place] != 0
        if law.candidate_bits != 0:
            may = may and (bounds[place] & law.candidate_bits) != 0
        if law.weighted:
            weight = 0
            if len(law.id_weights) > 0:
                code = np.int64(tokens[place]) if text[place] else 0
                weight += law.id_weights[min(code, len(law.id_weights) - 1)]
            if len(law.track_weights) > 0:
                code = np.int64(codes[place]) if text[place] else 0
                weight += law.track_weights[min(code, len(law.track_weights) - 1)]
            weights[place] = weight
            may = may and weight > EXCLUDED // 2
        candidates[place] = may
        total += np.int64(may)
    if total == 0 and law.otherwise:
        candidates[:count] = text[:count]
        weights[:count] = 0
        for place in range(count):
            total += np.int64(text[place])
    return total


@compiled
def choose_tokens(
    law: Choice,
    count: Integer,
    num_candidates: Integer,
    budget: Integer,
    words: np.ndarray,
    candidates: np.ndarray,
    weights: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    eights: np.ndarray,
    spare: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """S1 or S2 over single tokens; `eights` is `chosen` seen as 64-bit numbers."""
    if law.chosen_until > -2:
        until = np.int32(law.chosen_until)
        for place in range(count):
            chosen[place] = candidates[place] & np.uint8(words[place] <= until)
        return
    if budget <= 0 or budget >= num_candidates:
        for place in range(count):
            chosen[place] = candidates[place] & np.uint8(budget > 0)
        return
    if law.weighted:
        for place in range(count):
            key = key_of(law, words[place], weights[place])
            packed = np.int32((key << law.bits) | place)
            keys[place] = packed if candidates[place] else _NEVER
    else:
        upper = np.int32(-1 << law.bits)
        for place in range(count):
            packed = np.int32((words[place] & upper) | np.int32(place))
            keys[place] = packed if candidates[place] != 0 else _NEVER
    last = key_of_rank(keys, count, budget - 1, counts, chosen, eights, spare)
    for place in range(count):
        chosen[place] = candidates[place] & np.uint8(keys[place] <= last)


@compiled
def find_units(
    law: Choice,
    bounds: np.ndarray,
    text: np.ndarray,
    opens: np.ndarray,
    firsts: np.ndarray,
    lasts: np.ndarray,
) -> Integer:
    """The units of a row, first and last positions, and where they open; their number."""
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
    firsts[0] = 0
    found: Integer = np.int64(opens[0])
    closed: Integer = 0
    for place in range(1, count):
        # What is written where no unit opens or ends is written over by the next that does.
        firsts[found] = place
        lasts[closed] = place - 1
        found += np.int64(opens[place])
        closed += np.int64(text[place - 1] & (opens[place] | (text[place] ^ np.uint8(1))))
    lasts[closed] = count - 1
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
) -> Integer:
    """The keys of the units that run; their number. Under S1: of those that are chosen."""
    found: Integer = 0
    weight: Integer
    plain = law.candidate_bits == 0 and not law.weighted
    highest = (1 << (31 - law.bits)) - 1
    for unit in range(num_units):
        may, weight = True, np.int64(0)
        if not plain:
            may, weight = _unit_weight(law, firsts[unit], lasts[unit], candidates, weights)
        if law.chosen_until > -2:
            may = may and words[unit] <= law.chosen_until
        key = key_of(law, words[unit], weight) if law.weighted else words[unit] >> law.bits
        keys[found] = np.int32((min(key, highest - 1) << law.bits) | unit)
        found += np.int64(may)
    return found


@compiled
def take_units(
    law: Choice,
    num_running: Integer,
    budget: Integer,
    guess: Integer,
    firsts: np.ndarray,
    lasts: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    order: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """S2 over units, in the order of their keys, under the rules of `law`."""
    left, taken, place, known = budget, 0, 0, 0
    place_bits = (1 << law.bits) - 1
    while left > 0 and place < num_running:
        if place == known:
            guess = max(guess, known)
            known = smallest_keys(keys, num_running, guess, counts, order)
            guess *= 2
        unit = order[place] & place_bits
        first, last = firsts[unit], lasts[unit]
        cost = 1 if law.by_unit else last - first + 1
        place += 1
        if cost > left:
            if law.overflow == _SKIP:
                continue
            if law.overflow == _STOP:
                break
            if law.overflow == _CUT:
                last = first + left - 1
            cost = left
        chosen[first : last + 1] = 1
        left, taken = left - cost, taken + 1
    if taken == 0 and budget > 0 and num_running > 0 and law.fallback <= _PART:
        unit = order[0] & place_bits
        first, last = firsts[unit], lasts[unit]
        if law.fallback == _PART and not law.by_unit:
            last = min(last, first + budget - 1)
        chosen[first : last + 1] = 1
