"""How many tokens of a row to mask: integer tables by row length, built on the host.

A rate is a float, a budget must not be: ``round(0.15 * n)`` on an accelerator may differ from
the same on a host. So each law is evaluated once, in Python, for every length that a row can
have, and the device gathers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask.masking._backend import Array, Table, clip, int32, lookup
from premask.masking._operation import Parameter
from premask.masking.threefry import ROW, shift_right_logical, words

ROUNDINGS = ("nearest", "ceil", "floor", "stochastic")

BUDGET: Mapping[str, Parameter] = {
    "rate": Parameter(
        default=0.15, minimum=0, maximum=1, help="share of the tokens that is selected"
    ),
    "rounding": Parameter(
        default="nearest",
        kind=(str,),
        choices=ROUNDINGS,
        help="how rate times the number of tokens becomes a whole budget",
    ),
    "count_special": Parameter(
        default=False,
        kind=(bool,),
        help="count special tokens into the budget, as BERT did; they are never selected",
    ),
    "at_least": Parameter(
        default=1, kind=(int,), minimum=0, help="the lowest budget of a row with text"
    ),
    "at_most": Parameter(
        default=None, kind=(int,), minimum=0, help="the highest budget of a row"
    ),
}

_ROUND: Mapping[str, Callable[[float], int]] = {
    "nearest": round,
    "ceil": math.ceil,
    "floor": math.floor,
    "stochastic": math.floor,
}
_ONE = 1 << 31


def threshold(probability: float) -> int:
    """The int32 `t` such that a 31-bit uniform word is ``<= t`` with this probability."""
    return round(min(max(probability, 0.0), 1.0) * _ONE) - 1


def budget_table(
    max_length: int, rate: float, rounding: str, at_least: int, at_most: int | None
) -> np.ndarray:
    """Budgets of rows with ``0 .. max_length`` countable tokens, int32 ``[max_length + 1]``.

    ``nearest`` rounds as Python does, half to even on binary floats, as BERT's program did;
    ``stochastic`` gives the floor. A row without tokens has budget 0.
    """
    budgets = [max(at_least, _ROUND[rounding](count * rate)) for count in range(max_length + 1)]
    capped = [value if at_most is None else min(at_most, value) for value in budgets]
    return np.array([0, *capped[1:]], np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget law, compiled.

    Attributes:
        table: budget by count.
        carry: ``stochastic``: 31-bit threshold, by count, of adding one; otherwise None.
    """

    table: Table
    carry: Table | None
    at_least: int
    at_most: int | None

    def __call__(self, count_B1: Array, key: Array) -> Array:
        """The budget of each row, int32 ``[B, 1]``, for counts ``[B, 1]`` and row keys."""
        count_B1 = clip(count_B1, 0, self.table.values.shape[0] - 1)
        budget_B1 = lookup(self.table(count_B1), count_B1)
        if self.carry is None:
            return budget_B1
        word_B1, _ = words(key, 1, ROW)
        carry = shift_right_logical(word_B1, 1) <= lookup(self.carry(count_B1), count_B1)
        budget_B1 = clip(budget_B1 + int32(carry), self.at_least, self.at_most)
        return budget_B1 * int32(count_B1 > 0)


def compile_budget(parameters: Mapping[str, Any], max_length: int) -> Budget:
    """Builds the tables of a budget law (`BUDGET`) for rows up to `max_length` tokens."""
    rate, rounding = parameters["rate"], parameters["rounding"]
    at_least, at_most = parameters["at_least"], parameters["at_most"]
    if rounding != "stochastic":
        table = budget_table(max_length, rate, rounding, at_least, at_most)
        return Budget(table=Table(table), carry=None, at_least=at_least, at_most=at_most)
    floor = budget_table(max_length, rate, "floor", 0, None)
    carry = [threshold(count * rate - math.floor(count * rate)) for count in range(len(floor))]
    return Budget(table=Table(floor), carry=Table(carry), at_least=at_least, at_most=at_most)
