"""Chances of being selected that are proportional to weights: for Pareto and Bernoulli.

A weighted race includes a candidate less than proportionally to its weight. Where a policy
means rates, `pareto_probability` gives every candidate the inclusion that its weight asks for
under its row's budget, and `bernoulli_thresholds` one probability per token id, such that the
corpus as a whole has the policy's rate.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from premask.masking._backend import (
    INT32_MAX,
    Array,
    Table,
    clip,
    highest,
    int32,
    lookup,
    namespace,
    total,
)
from premask.masking.budget import threshold
from premask.masking.weights import EXCLUDED, FRACTION_BITS

_SHARE_BITS = 14  # 2**14 times the longest row, 65536, is 2**30
_QUOTIENT_BITS = 24


def exp2(fixed: int) -> float:
    """``2 ** (fixed / 256)`` in IEEE basic operations alone, the same on every machine."""
    whole, fraction = fixed >> FRACTION_BITS, fixed & ((1 << FRACTION_BITS) - 1)
    x = fraction * 0.6931471805599453 / (1 << FRACTION_BITS)
    series = 1.0
    for order in range(20, 0, -1):
        series = 1.0 + series * x / order
    return math.ldexp(series, whole)


@cache
def _shares() -> Table:
    """By octaves below a row's highest weight: the weight, as an integer of 14 bits."""
    octaves = _SHARE_BITS + 1
    shares = [exp2((_SHARE_BITS << FRACTION_BITS) - d) for d in range(octaves << FRACTION_BITS)]
    return Table([max(1, round(share)) for share in shares])


def pareto_probability(
    log2_weight: Array, candidate: Array, cost: Array, budget_B1: Array
) -> Array:
    """The inclusion that each candidate's weight asks for, 31-bit.

    ``budget * weight / sum(weight * cost)``; where that is 1 or more, ``2**31 - 1``.

    Args:
        log2_weight: int32 with 8 fraction bits.
        candidate: bool.
        cost: int32, what a candidate takes of the budget.
        budget_B1: int32.
    """
    xp = namespace(log2_weight)
    table = _shares()
    top = highest(xp.where(candidate, log2_weight, EXCLUDED))
    below = clip(top - log2_weight, 0, len(table.values) - 1)
    share = xp.where(candidate, lookup(table(below), below), 0)
    whole = clip(total(share * cost), 1, None)
    rest = budget_B1 * share
    certain = rest >= whole
    rest = xp.where(certain, 0, rest)
    quotient = rest * 0
    for _ in range(_QUOTIENT_BITS):
        rest = rest + rest
        fits = rest >= whole
        rest = rest - xp.where(fits, whole, 0)
        quotient = quotient + quotient + int32(fits)
    return xp.where(certain, INT32_MAX, quotient << (31 - _QUOTIENT_BITS))


def bernoulli_thresholds(
    log2_weights: np.ndarray, counts: np.ndarray, rate: float
) -> np.ndarray:
    """Per class, the 31-bit threshold of the probability ``min(1, scale * weight)``.

    `scale` is such that a corpus with these class counts has the rate `rate`, or as near as
    classes of weight 0 let it come.

    Args:
        log2_weights: int ``[classes]`` with 8 fraction bits, `EXCLUDED` for weight 0.
        counts: int64 ``[classes]``.
    """
    levels, level_of = np.unique(log2_weights, return_inverse=True)
    weights = [exp2(int(level)) if level > EXCLUDED // 2 else 0.0 for level in levels]
    sizes = np.zeros(len(levels), np.int64)
    np.add.at(sizes, level_of, counts)
    wanted = rate * int(sizes.sum())

    def reached(scale: float) -> float:
        chances = (min(1.0, scale * weight) for weight in weights)
        return math.fsum(
            int(size) * chance for size, chance in zip(sizes, chances, strict=True)
        )

    low, high = 0.0, 1.0
    while reached(high) < wanted and high < 2.0**60:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < wanted else (low, middle)
    thresholds = [threshold(min(1.0, high * weight)) for weight in weights]
    return np.array(thresholds, np.int64)[level_of].astype(np.int32)
