"""The vectorised pieces, each against its obvious definition."""

from __future__ import annotations

import numpy as np
import pytest
from premask.masking.objectives._arrays import (
    append,
    compact,
    inverse,
    order_kept_first,
    pack,
    run_starts,
    running_max,
    unpack_low,
)
from premask.masking.objectives._chance import (
    choose,
    cumulative,
    happens,
    ordinary_id,
    pick,
    shuffled,
    threshold,
    uniform,
)

RANDOM = np.random.default_rng(1)
WORDS = RANDOM.integers(-(2**31), 2**31, (40, 50)).astype(np.int32)
EXTREMES = np.array([[-(2**31), -1, 0, 1, 2**31 - 1]], np.int32)


@pytest.mark.parametrize("width", [1, 20, 50, 70])
def test_compaction_keeps_the_order_and_cuts_what_does_not_fit(width: int) -> None:
    keep = WORDS > 0
    found, count = compact(WORDS, keep, width=width, fill=-7)
    for i in range(40):
        expected = WORDS[i][keep[i]][:width].tolist()
        assert found[i].tolist() == expected + [-7] * (width - len(expected))
        assert count[i, 0] == len(expected)


@pytest.mark.parametrize("size", [2, 50, 32_768, 32_769, 65_536])
def test_inverse_permutations_fit_32_bits_up_to_65536_positions(size: int) -> None:
    permutation = RANDOM.permutation(size).astype(np.int32)[None]
    expected = np.empty(size, np.int32)
    expected[permutation[0]] = np.arange(size)
    assert (inverse(permutation)[0] == expected).all()


def test_packing_orders_by_the_high_number_and_returns_the_low_one() -> None:
    high = np.array([[0, 1, 32_767, 32_768, 65_535]], np.int32)
    low = np.array([[65_535, 0, 5, 6, 65_534]], np.int32)
    packed = pack(high, low, 65_536)
    assert packed.dtype == np.int32
    assert (np.diff(packed.astype(np.int64)) > 0).all()
    assert (unpack_low(packed, 65_536) == low).all()


def test_running_maxima_and_run_starts() -> None:
    assert running_max(np.array([[3, 1, 4, 1, 5]], np.int32)).tolist() == [[3, 3, 4, 4, 5]]
    mask = np.array([[True, True, False, True]])
    assert run_starts(mask).tolist() == [[True, False, False, True]]


def test_appending_to_a_full_row_takes_its_last_column() -> None:
    x, count = np.array([[1, 2, 0], [1, 2, 3], [4, 0, 0]], np.int32), [[2], [3], [1]]
    where = np.array([[True], [True], [False]])
    found, sizes = append(x, np.array(count, np.int32), 9, where=where)
    assert found.tolist() == [[1, 2, 9], [1, 2, 9], [4, 0, 0]]
    assert sizes.tolist() == [[3], [3], [1]]


def test_kept_columns_come_first_in_order() -> None:
    keep = np.array([[False, True, False, True]])
    assert order_kept_first(keep).tolist() == [[1, 3, 0, 2]]


def test_thresholds_reach_both_ends_without_overflow() -> None:
    assert not happens(EXTREMES, threshold(0.0)).any()
    assert happens(EXTREMES, threshold(1.0)).all()
    half = happens(WORDS, threshold(0.5)).mean()
    assert abs(half - 0.5) < 0.05


def test_choosing_takes_the_exact_number_or_all_there_are() -> None:
    candidates = WORDS % 3 == 0
    for count in (0, 1, 5, 60):
        chosen = choose(WORDS, candidates, np.full((40, 1), count, np.int32), 9)
        assert not (chosen & ~candidates).any()
        assert (chosen.sum(1) == np.minimum(count, candidates.sum(1))).all()


def test_equal_and_extreme_words_still_choose_the_exact_number() -> None:
    for value in (-1, 0, 2**31 - 1):
        word = np.full((3, 50), value, np.int32)
        chosen = choose(word, word == word, np.full((3, 1), 7, np.int32), 9)
        assert (chosen.sum(1) == 7).all()


def test_a_shuffle_is_a_permutation_with_the_candidates_in_front() -> None:
    candidates = WORDS % 2 == 0
    order = shuffled(WORDS, candidates, 9)
    for i in range(40):
        n = int(candidates[i].sum())
        assert sorted(order[i, :n]) == np.flatnonzero(candidates[i]).tolist()
        assert order[i, n:].tolist() == np.flatnonzero(~candidates[i]).tolist()


def test_picks_stay_inside_the_law_at_both_ends() -> None:
    thresholds = cumulative([1, 1, 2])
    assert pick(EXTREMES, thresholds).min() >= 0
    assert pick(EXTREMES, thresholds).max() <= 2
    assert (pick(WORDS, cumulative([0, 1, 0])) == 1).all()


def test_ordinary_ids_cover_every_range_and_nothing_else() -> None:
    ranges = ((5, 7), (10, 11), (20, 23))
    found = ordinary_id(WORDS, ranges)
    assert set(np.unique(found)) == {5, 6, 10, 20, 21, 22}
    counts = [int((found == x).sum()) for x in (5, 6, 10, 20, 21, 22)]
    assert max(counts) - min(counts) < 120


def test_uniform_numbers_lie_below_their_bound() -> None:
    bound = np.arange(1, 41, dtype=np.int32)[:, None]
    found = uniform(WORDS, bound)
    assert (found >= 0).all()
    assert (found < bound).all()
