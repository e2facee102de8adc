"""Selections: which tokens or units of a row are chosen. Integers only, one row at a time.

- S1 `bernoulli`: each candidate on its own, with its own probability.
- S2 `race_tokens`, `race_units`: candidates in the order of their keys, under a budget.

A race sorts one int32 per candidate, ``key << bits | place``: keys are unique, so ties, the
stability of a sort and argsort do not matter. `bits` comes from the longest row that a policy
is bound to, never from a batch, so padding does not change a mask.

Arrays: ``BL`` per position, ``BU`` per unit (in the order of the row), ``B1`` per row.
Cost: one sort for tokens; two sorts, two gathers and a few cumulative sums for units.
"""

from __future__ import annotations

from premask.masking._backend import (
    INT32_MAX,
    Array,
    clip,
    cumsum,
    gather,
    int32,
    namespace,
    positions,
    sort,
    total,
    while_loop,
)
from premask.masking.threefry import shift_right_logical

OVERFLOWS = ("skip", "stop", "under", "cut")
FALLBACKS = ("whole", "cut", "none")


def uniform_key(word: Array, bits: int) -> Array:
    """The race key of equal weights: the top ``31 - bits`` bits of `word`."""
    return shift_right_logical(word, bits + 1)


def bernoulli(word: Array, threshold: int | Array) -> Array:
    """S1: bool, True where the 31 upper bits of `word` are at most `threshold`.

    `threshold` comes from `premask.masking.budget.threshold`; -1 never, ``2**31 - 1`` always.
    """
    return shift_right_logical(word, 1) <= threshold


def race_tokens(key_BL: Array, candidate_BL: Array, budget_B1: Array, bits: int) -> Array:
    """S2 over single tokens: the `budget_B1` candidates with the lowest keys, exactly.

    Args:
        key_BL: int32 below ``2**(31 - bits)``.
        candidate_BL: bool.
        budget_B1: int32; above the number of candidates, all are taken.

    Returns:
        bool ``[B, L]``.
    """
    xp = namespace(key_BL)
    length = key_BL.shape[1]
    place = positions(key_BL, length)
    packed = xp.where(candidate_BL, (key_BL << bits) | place, INT32_MAX)
    last = gather(sort(packed), clip(budget_B1 - 1, 0, length - 1))
    return candidate_BL & (packed <= last) & (budget_B1 > 0)


def race_units(
    key_BU: Array,
    candidate_BU: Array,
    cost_BU: Array,
    budget_B1: Array,
    bits: int,
    *,
    overflow: str,
    fallback: str,
) -> Array:
    """S2 over units: candidates in key order, under a budget of costs.

    Args:
        key_BU: int32 below ``2**(31 - bits)``.
        candidate_BU: bool; their `cost_BU` (int32) is at least 1.
        bits: bits of a unit's ordinal.
        overflow: the unit that does not fit is left out and the next one tried (``skip``, as
            BERT), left out (``stop``), taken whole (``under``) or in part (``cut``).
        fallback: the first unit of a row in which nothing fits is taken ``whole``, in part
            (``cut``), or not (``none``).

    Returns:
        int32 ``[B, U]``: how much of each unit's cost is taken: 0, part (cut) or all of it.
    """
    xp = namespace(key_BU)
    width = key_BU.shape[1]
    highest = (1 << (31 - bits)) - 1
    ordinal = positions(key_BU, width)
    # The highest key is kept for those that do not run: all entries stay a permutation.
    key_BU = xp.where(candidate_BU, clip(key_BU, None, highest - 1), highest)
    order_BU = sort((key_BU << bits) | ordinal)
    runs_BU = order_BU < (highest << bits)
    order_BU = order_BU & ((1 << bits) - 1)
    ran_BU = xp.where(runs_BU, gather(cost_BU, order_BU), 0)
    taken_BU = _TAKE[overflow](ran_BU, runs_BU, budget_B1)
    if fallback != "none":
        rescued = (total(taken_BU) == 0) & (budget_B1 > 0) & (ordinal == 0)
        whole = ran_BU if fallback == "whole" else clip(ran_BU, None, budget_B1)
        taken_BU = xp.where(rescued, whole, taken_BU)
    return _in_row_order(order_BU, ran_BU, taken_BU, cost_BU)


def _in_row_order(order_BU: Array, ran_BU: Array, taken_BU: Array, cost_BU: Array) -> Array:
    """`taken_BU`, which stands in the order of the race, in the order of the row."""
    xp = namespace(order_BU)
    # At most one unit of a row is taken in part, so two bits per unit and one number per row
    # are enough, and an entry fits 31 bits whatever the longest row.
    partly_BU = (taken_BU > 0) & (taken_BU < ran_BU)
    part_B1 = total(xp.where(partly_BU, taken_BU, 0))
    state_BU = sort((order_BU << 2) | (int32(taken_BU > 0) + int32(partly_BU))) & 3
    return xp.where(state_BU == 2, part_B1, xp.where(state_BU == 1, cost_BU, 0))


def _take_skip(cost_BU: Array, runs_BU: Array, budget_B1: Array) -> Array:
    xp = namespace(cost_BU)

    def has_candidates(state: tuple[Array, ...]) -> Array:
        return xp.any(state[0])

    def accept_prefix(state: tuple[Array, ...]) -> tuple[Array, ...]:
        # Those that fit now run in order until one does not: it never will, as what is left
        # only shrinks. Each pass decides at least one unit of every row that has any.
        open_BU, accepted_BU, left_B1 = state
        cost = xp.where(open_BU, cost_BU, 0)
        fits_BU = open_BU & (cumsum(cost) <= left_B1)
        left_B1 = left_B1 - total(xp.where(fits_BU, cost, 0))
        open_BU = open_BU & ~fits_BU & (cost_BU <= left_B1)
        return open_BU, accepted_BU | fits_BU, left_B1

    start = (runs_BU & (cost_BU <= budget_B1), runs_BU & False, budget_B1)
    _, accepted_BU, _ = while_loop(has_candidates, accept_prefix, start)
    return xp.where(accepted_BU, cost_BU, 0)


def _take_stop(cost_BU: Array, runs_BU: Array, budget_B1: Array) -> Array:
    return namespace(cost_BU).where(runs_BU & (cumsum(cost_BU) <= budget_B1), cost_BU, 0)


def _take_under(cost_BU: Array, runs_BU: Array, budget_B1: Array) -> Array:
    before_BU = cumsum(cost_BU) - cost_BU
    return namespace(cost_BU).where(runs_BU & (before_BU < budget_B1), cost_BU, 0)


def _take_cut(cost_BU: Array, runs_BU: Array, budget_B1: Array) -> Array:
    xp = namespace(cost_BU)
    left_BU = budget_B1 - (cumsum(cost_BU) - cost_BU)
    return xp.where(runs_BU & (left_BU > 0), clip(cost_BU, None, left_BU), 0)


_TAKE = {"skip": _take_skip, "stop": _take_stop, "under": _take_under, "cut": _take_cut}
