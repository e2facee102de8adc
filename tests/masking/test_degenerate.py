"""Rows at the edge: empty, one token, all special, the longest, a unit beyond the budget."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from premask.masking._rows import PaddedRows
from premask.masking.composite import COMPOSITES
from premask.masking.policy import policy
from premask.masking.presets import PRESETS

from tests.masking.batches import (
    BACKENDS,
    BINDING,
    PAD,
    assert_same,
    on,
    pick,
    random_rows,
    selected,
    text_of,
    text_rows,
)

STRATEGIES = sorted(
    name
    for name, preset in PRESETS.items()
    if preset.operation.startswith("mask_") or preset.operation in COMPOSITES
)


def edge_rows() -> PaddedRows:
    """Empty, one special, one token, all special, one word, one entity, full, no word start."""
    rows = random_rows(np.random.default_rng(0), 8, 96, shortest=96)
    bits = rows.boundaries.copy()
    bits[1:3, 0] = [1, 2]
    bits[3] = 1
    bits[4] = np.where(np.arange(96) == 0, 2, 0)
    bits[5] = np.where(np.arange(96) == 0, 2 | 16 | 32 | 64 | 128, 2 | 32 | 128)
    bits[6] |= 2
    bits[7] = 0
    lengths = np.array([0, 1, 1, 96, 96, 96, 96, 96], np.int32)
    return dataclasses.replace(rows, boundaries=bits, lengths=lengths)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_edge_rows_give_documented_results_on_every_backend(name: str, backend: str) -> None:
    rows = edge_rows()
    function = policy(name).bind(BINDING)
    outputs = function(on(rows, backend))
    hits, text = selected(outputs), text_of(rows)
    assert not (hits & ~text).any()
    ids = np.asarray(outputs["input_ids"])
    np.testing.assert_array_equal(ids[~hits & text], rows.input_ids[~hits & text])
    inside = np.asarray(outputs["attention_mask"]) == 1
    np.testing.assert_array_equal(inside.sum(axis=1), rows.lengths)
    assert (ids[~inside] == PAD).all()
    if backend != "numpy":
        assert_same(function(rows), outputs)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["random", "whole_word", "span", "ngram", "pmi", "frequency"])
@pytest.mark.parametrize("length", [1, 2])
def test_batches_of_one_or_two_positions_work(name: str, backend: str, length: int) -> None:
    rows = text_rows(3, [2] * length)
    hits = selected(policy(name).bind(BINDING)(on(rows, backend)))
    np.testing.assert_array_equal(hits.sum(axis=1), 1)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["random", "whole_word", "span", "denoising", "mixture"])
def test_a_batch_of_empty_rows_alone_predicts_nothing(name: str, backend: str) -> None:
    none = np.zeros((2, 0), np.int32)
    rows = dataclasses.replace(
        random_rows(np.random.default_rng(0), 2, 20),
        input_ids=none,
        boundaries=none,
        tracks={"entity_labels": none, "pos_tags": none},
        lengths=np.zeros(2, np.int32),
    )
    outputs = policy(name).bind(BINDING)(on(rows, backend))
    assert (np.asarray(outputs["labels"]) == -100).all()


@pytest.mark.parametrize("name", ["random", "whole_word", "span", "ngram", "mixture"])
def test_a_batch_without_rows_gives_empty_arrays(name: str) -> None:
    rows = pick(random_rows(np.random.default_rng(0), 3, 20), slice(0, 0))
    outputs = policy(name).bind(BINDING)(rows)
    assert {array.shape for array in outputs.values()} == {(0, 20)}


@pytest.mark.parametrize(("fallback", "expected"), [("whole", 12), ("cut", 2), ("none", 0)])
def test_a_unit_beyond_the_budget_is_treated_as_the_policy_says(
    fallback: str, expected: int
) -> None:
    rows = text_rows(5, [2, *[0] * 11])
    hits = selected(policy("whole_word", fallback=fallback).bind(BINDING)(rows))
    assert (hits.sum(axis=1) == expected).all()


def test_an_entity_beyond_the_budget_is_passed_over_where_words_fit() -> None:
    rows = text_rows(300, [2 | 48, *[2 | 32] * 7, *[2] * 12])
    hits = selected(policy("entity").bind(BINDING)(rows))
    assert not hits[:, :8].any()
    assert (hits.sum(axis=1) == 3).all()


@pytest.mark.parametrize("name", ["random", "whole_word", "entity", "span", "ngram"])
def test_a_rate_of_one_masks_all_text_and_a_rate_of_zero_one_unit(name: str) -> None:
    rows = random_rows(np.random.default_rng(4), 20, 50)
    changes = {"longest": 1} if name == "ngram" else {}
    text = text_of(rows)
    all_ = selected(policy(name, rate=1.0, **changes).bind(BINDING)(rows))
    np.testing.assert_array_equal(all_, text)
    none = selected(policy(name, rate=0.0, at_least=0, **changes).bind(BINDING)(rows))
    assert not none.any()


def test_pitfall_21_a_span_policy_on_rows_without_entities_ends() -> None:
    rows = text_rows(4, [2] * 30)
    for changes in ({"candidates": "entity"}, {"candidates": "entity", "otherwise": "all"}):
        hits = selected(policy("entity", **changes).bind(BINDING)(rows))
        assert hits.any() == ("otherwise" in changes)


def test_pitfall_21_the_last_span_can_end_with_a_whole_word() -> None:
    rows = random_rows(np.random.default_rng(4), 300, 80, shortest=60)
    cut = selected(policy("span").bind(BINDING)(rows))
    whole = selected(policy("span", overflow="word").bind(BINDING)(rows))
    word = text_of(rows) & ((rows.boundaries & 2) == 0)
    word[:, 1:] &= text_of(rows)[:, :-1] & ((rows.boundaries & 8) == 0)[:, 1:]
    inner = word[:, 1:]
    assert (cut[:, 1:] != cut[:, :-1])[inner].any()
    split_rows = ((whole[:, 1:] != whole[:, :-1]) & inner).any(axis=1)
    # Only rows whose one word exceeds the budget are cut.
    assert split_rows.mean() < 0.05
    assert whole.any(axis=1).all()
    assert (whole.sum(axis=1) <= cut.sum(axis=1)).all()
