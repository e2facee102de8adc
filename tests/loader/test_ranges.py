"""Which of many ranges a number lies in: always what a binary search says."""

from __future__ import annotations

import numpy as np
import pytest
from premask.reading.ranges import Ranges

EVEN = np.full(50, 1000)
LAST_IS_SHORT = np.tile([1000, 1000, 1], 20)
LONE_ROWS = np.array([5000, *[1] * 300, 7000, 1, 1, 90_000])  # more steps than are tried


@pytest.mark.parametrize(
    "sizes", [EVEN, LAST_IS_SHORT, LONE_ROWS, np.array([1]), np.array([300])]
)
@pytest.mark.parametrize("begin", [0, 777])
def test_every_number_is_found_in_its_range(sizes: np.ndarray, begin: int) -> None:
    bounds = begin + np.cumsum([0, *sizes])
    numbers = np.random.default_rng(0).permutation(np.arange(begin, bounds[-1]))
    found = Ranges(bounds[:-1], int(bounds[-1]))(numbers)
    assert np.array_equal(found, np.searchsorted(bounds[:-1], numbers, side="right") - 1)


def test_ranges_may_have_gaps_that_nothing_is_asked_of() -> None:
    """As where only some shards of a remote set are open."""
    ranges = Ranges(np.array([0, 10_000, 900_000]), 900_500)
    assert ranges(np.array([900_499, 3, 10_100, 900_000])).tolist() == [2, 0, 1, 2]


def test_no_ranges_hold_no_numbers() -> None:
    assert Ranges(np.empty(0, np.int64), 0)(np.empty(0, np.int64)).tolist() == []


def test_memory_goes_with_the_ranges_not_with_the_numbers() -> None:
    ranges = Ranges(np.arange(0, 10**9, 10**6), 10**9)
    assert len(ranges._begins) <= 8 * 1000
