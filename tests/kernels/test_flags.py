"""Flags eight at a time are what NumPy makes of them one at a time, for rows of any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

numba: Any = pytest.importorskip("numba")

SPARE = 72  # kernels have room for 64 places more, in whole eights


@pytest.fixture(scope="module")
def functions() -> dict[str, Any]:
    """The functions of `_flags` that kernels call, to be called from here."""
    from premask.kernels import _flags

    def entry(inner: Any) -> Any:
        return numba.njit(lambda *arguments: inner(*arguments))

    names = ("places_of", "ranks_of", "look_up_ranks", "odd_so_far", "pad_bounds")
    return {name: entry(getattr(_flags, name)) for name in names}


FLAGS = st.lists(st.integers(0, 1), max_size=150).map(lambda x: np.array(x, np.uint8))


def with_room(flags: np.ndarray) -> np.ndarray:
    """`flags`, followed by ones that do not count."""
    room = np.ones((len(flags) + SPARE) // 8 * 8, np.uint8)
    room[: len(flags)] = flags
    return room


@given(flags=FLAGS)
def test_places_are_listed_in_order(functions: dict[str, Any], flags: np.ndarray) -> None:
    places = np.empty(len(flags) + SPARE, np.int32)
    found = functions["places_of"](with_room(flags), len(flags), places)
    np.testing.assert_array_equal(places[:found], np.flatnonzero(flags))


@given(flags=FLAGS)
def test_ranks_count_the_flags_up_to_a_place(
    functions: dict[str, Any], flags: np.ndarray
) -> None:
    ranks = np.empty(len(flags) + SPARE, np.int32)
    functions["ranks_of"](with_room(flags), len(flags), ranks)
    np.testing.assert_array_equal(ranks[: len(flags)], np.cumsum(flags))


@given(flags=FLAGS)
def test_a_table_is_looked_up_at_the_ranks(
    functions: dict[str, Any], flags: np.ndarray
) -> None:
    table = np.random.default_rng(1).integers(0, 2**31, len(flags) + SPARE).astype(np.int32)
    found = np.empty(len(flags) + SPARE, np.int32)
    functions["look_up_ranks"](with_room(flags), len(flags), table, found)
    np.testing.assert_array_equal(found[: len(flags)], table[np.cumsum(flags)])


@given(flags=FLAGS, odd=st.integers(0, 1))
def test_flags_turn_where_an_odd_number_of_them_is_set(
    functions: dict[str, Any], flags: np.ndarray, odd: int
) -> None:
    turned = with_room(flags)
    functions["odd_so_far"](turned, len(flags), odd)
    np.testing.assert_array_equal(turned[: len(flags)], (odd + np.cumsum(flags)) % 2)


@given(bounds=FLAGS)
def test_padded_bounds_lie_between_specials(
    functions: dict[str, Any], bounds: np.ndarray
) -> None:
    padded = np.full(len(bounds) + SPARE, 9, np.uint8)
    functions["pad_bounds"](bounds, padded)
    expected = np.concatenate([[1], bounds, np.ones(64, np.uint8)])
    np.testing.assert_array_equal(padded[: len(expected)], expected)
