"""Budget tables: the laws of the sources, and the rate that a row gets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from premask.masking.budget import budget_table, threshold
from premask.masking.policy import policy

from tests.masking.batches import BINDING, random_rows, selected, text_of

BERT = {10: 2, 30: 4, 50: 8, 70: 10, 90: 14, 110: 16, 128: 19, 512: 77}


@pytest.mark.parametrize(("length", "expected"), BERT.items())
def test_budgets_are_those_of_bert_by_length(length: int, expected: int) -> None:
    assert budget_table(512, 0.15, "nearest", 1, None)[length] == expected


@pytest.mark.parametrize(("length", "expected"), [(3, 1), (128, 19), (133, 20), (512, 20)])
def test_the_bert_preset_counts_special_tokens_and_stops_at_twenty(
    length: int, expected: int
) -> None:
    rows = random_rows(np.random.default_rng(length), 3, 512)
    rows = dataclasses.replace(rows, lengths=np.full(3, length, np.int32))
    boundaries = np.full((3, 512), 2, np.int32)
    boundaries[:, [0, length - 1]] = 1
    rows = dataclasses.replace(rows, boundaries=boundaries)
    hits = selected(policy("bert").bind(dataclasses.replace(BINDING, max_length=512))(rows))
    assert (hits.sum(axis=1) == expected).all()


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("nearest", [0, 1, 1, 1, 2, 2]),
        ("ceil", [0, 1, 1, 2, 2, 2]),
        ("floor", [0, 1, 1, 1, 1, 2]),
    ],
)
def test_each_rounding_does_what_it_says(rounding: str, expected: list[int]) -> None:
    assert budget_table(5, 0.4, rounding, 1, None).tolist() == expected


def test_a_row_without_text_has_no_budget_even_with_a_minimum() -> None:
    assert budget_table(3, 0.15, "nearest", 2, None).tolist() == [0, 2, 2, 2]


def test_the_maximum_beats_the_minimum() -> None:
    assert budget_table(3, 0.15, "nearest", 5, 1).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(0.0, -1), (1.0, 2**31 - 1), (0.5, 2**30 - 1), (7.0, 2**31 - 1)],
)
def test_thresholds_stay_within_int32(probability: float, expected: int) -> None:
    assert threshold(probability) == expected


@pytest.mark.parametrize("name", ["random", "whole_word", "entity", "span", "ngram"])
def test_pitfall_14_the_realised_rate_is_the_rate_at_every_length(name: str) -> None:
    binding = dataclasses.replace(BINDING, max_length=400)
    for length in (40, 120, 400):
        rows = random_rows(np.random.default_rng(length), 60, length, shortest=length)
        hits = selected(policy(name).bind(binding)(rows))
        per_row = hits.sum(axis=1) / text_of(rows).sum(axis=1)
        assert abs(float(per_row.mean()) - 0.15) < 0.015


@pytest.mark.parametrize("name", ["random", "whole_word", "entity", "phrase", "span", "ngram"])
def test_pitfall_16_a_row_with_text_always_has_a_target(name: str) -> None:
    rows = random_rows(np.random.default_rng(6), 400, 10)
    hits = selected(policy(name).bind(BINDING)(rows))
    with_text = text_of(rows).any(axis=1)
    assert 200 < with_text.sum() < 400
    np.testing.assert_array_equal(hits.any(axis=1), with_text)


def test_quirk_9_independent_draws_leave_short_rows_empty_as_often_as_declared() -> None:
    rows = random_rows(np.random.default_rng(6), 20_000, 7, shortest=7)
    boundaries = np.full((20_000, 7), 2, np.int32)
    boundaries[:, [0, 6]] = 1
    rows = dataclasses.replace(rows, boundaries=boundaries)
    hits = selected(policy("bernoulli").bind(BINDING)(rows))
    assert float((~hits.any(axis=1)).mean()) == pytest.approx(0.85**5, abs=0.012)
