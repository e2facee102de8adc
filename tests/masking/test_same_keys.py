"""Every selection equals an obvious per-row reference on the same random words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.masking import threefry
from premask.masking.policy import policy
from premask.masking.span_lengths import length_shares

from tests.masking import references
from tests.masking.batches import BINDING, random_rows, selected, text_rows

WIDTH = 60
seeds = given(seed=st.integers(0, 10_000))
few = settings(max_examples=12, deadline=None, derandomize=True)


@pytest.mark.parametrize("overflow", ["skip", "stop", "under", "cut"])
@pytest.mark.parametrize("units", ["token", "word", "entity", "phrase", "sentence"])
@few
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.05, 0.15, 0.4, 1.0]))
def test_a_race_over_units_equals_the_loop(
    units: str, overflow: str, seed: int, rate: float
) -> None:
    rows = random_rows(np.random.default_rng(seed), 12, WIDTH)
    chosen = policy("random", units=units, overflow=overflow, rate=rate)
    expected = [references.select_units(chosen, rows, row, BINDING) for row in range(12)]
    actual = selected(chosen.bind(BINDING)(rows))
    np.testing.assert_array_equal(actual, references.as_mask(expected, WIDTH))


@pytest.mark.parametrize("fallback", ["whole", "cut", "none"])
@few
@seeds
def test_what_is_done_where_no_unit_fits_equals_the_loop(fallback: str, seed: int) -> None:
    rows = random_rows(np.random.default_rng(seed), 12, WIDTH)
    chosen = policy("random", units="sentence", fallback=fallback)
    expected = [references.select_units(chosen, rows, row, BINDING) for row in range(12)]
    actual = selected(chosen.bind(BINDING)(rows))
    np.testing.assert_array_equal(actual, references.as_mask(expected, WIDTH))


@few
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.1, 0.15, 0.5, 1.0]))
def test_spans_equal_the_loop_of_spanbert(seed: int, rate: float) -> None:
    rows = random_rows(np.random.default_rng(seed), 12, WIDTH)
    chosen = policy("span", rate=rate)
    shares = length_shares(chosen.parameters)
    expected = [
        references.select_spans(chosen, rows, row, BINDING, shares) for row in range(12)
    ]
    actual = selected(chosen.bind(BINDING)(rows))
    np.testing.assert_array_equal(actual, references.as_mask(expected, WIDTH))


@few
@given(seed=st.integers(0, 10_000), name=st.sampled_from(["ngram", "macbert"]))
def test_ngrams_equal_the_loop_of_albert(seed: int, name: str) -> None:
    rows = random_rows(np.random.default_rng(seed), 12, WIDTH)
    chosen = policy(name)
    shares = length_shares(chosen.parameters)
    expected = [
        references.select_ngrams(chosen, rows, row, BINDING, shares) for row in range(12)
    ]
    actual = selected(chosen.bind(BINDING)(rows))
    np.testing.assert_array_equal(actual, references.as_mask(expected, WIDTH))


@few
@seeds
def test_independent_draws_follow_the_first_word_of_each_unit(seed: int) -> None:
    rows = random_rows(np.random.default_rng(seed), 12, WIDTH)
    chosen = policy("ernie", rate=0.3)
    expected = []
    for row in range(12):
        words, _ = references.row_words(chosen, rows, row, threefry.SELECT)
        parts = references.units(rows, row, "entity")
        hits = [u for u, word in zip(parts, words, strict=False) if word >> 1 < 0.3 * 2**31]
        expected.append({i for unit in hits for i in unit})
    actual = selected(chosen.bind(BINDING)(rows))
    np.testing.assert_array_equal(actual, references.as_mask(expected, WIDTH))


@few
@given(seed=st.integers(0, 10_000), coherence=st.sampled_from(["token", "unit", "run"]))
def test_corruption_follows_the_second_word_of_whatever_decides(
    seed: int, coherence: str
) -> None:
    rows = random_rows(np.random.default_rng(seed), 12, WIDTH)
    chosen = policy("whole_word", coherence=coherence, rate=0.4)
    outputs = chosen.bind(BINDING)(rows)
    hits = selected(outputs)
    for row in range(12):
        _, second = references.row_words(chosen, rows, row, threefry.SELECT)
        first_of_unit = {
            i: unit[0] for unit in references.units(rows, row, "word") for i in unit
        }
        for i in np.flatnonzero(hits[row]):
            decides = int(i)
            if coherence == "unit":
                decides = first_of_unit[decides]
            while coherence == "run" and decides and hits[row, decides - 1]:
                decides -= 1
            share = (second[decides] >> 1) / 2**31
            after, before = outputs["input_ids"][row, i], rows.input_ids[row, i]
            if share < 0.8:
                assert after == 4
            elif share < 0.9:
                assert after != 4
            else:
                assert after == before


def test_long_rows_have_more_bits_for_places_and_still_equal_the_loop() -> None:
    rng = np.random.default_rng(8)
    rows = random_rows(rng, 2, 3000, shortest=2990)
    binding = type(BINDING)(vocabulary=BINDING.vocabulary, max_length=40_000)
    chosen = policy("whole_word", overflow="cut")
    expected = [references.select_units(chosen, rows, row, binding) for row in range(2)]
    actual = selected(chosen.bind(binding)(rows))
    np.testing.assert_array_equal(actual, references.as_mask(expected, 3000))


def test_the_reference_finds_units_that_span_more_than_one_token() -> None:
    rows = text_rows(1, [2, 0, 2, 1, 0, 0, 2, 0])
    assert references.units(rows, 0, "word") == [[0, 1], [2], [4, 5], [6, 7]]
