"""Counting: against obvious loops, and in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from premask._format import IGNORE_LABEL, Boundary
from premask.masking.policy import policy
from premask.pipeline.audit.inputs import source_rows
from premask.pipeline.audit.measure import measure
from premask.pipeline.audit.observation import observe_aligned, observe_sequences
from premask.pipeline.audit.statistics import Statistics
from premask.rows import Rows

from tests.pipeline.audit.material import (
    FIRST_SENTINEL,
    MAX_LENGTH,
    SIZE,
    VOCABULARY,
    audit_rows,
)


@pytest.fixture(scope="module")
def few(rows: Rows) -> Rows:
    return rows.take(range(60))


def _masked(rows: Rows, name: str, epoch: int = 0) -> dict[str, Any]:
    return policy(name).bind(rows.binding)(rows.pad(), epoch)


def test_masked_tokens_by_id_equal_a_plain_count(few: Rows) -> None:
    labels = _masked(few, "random")["labels"]
    counts = np.bincount(labels[labels != IGNORE_LABEL], minlength=SIZE)
    tokens = audit_rows(few, policy("random"), epochs=(0,)).statistics.tokens
    np.testing.assert_array_equal(tokens[1], counts)


def test_words_masked_in_part_equal_a_plain_count(few: Rows) -> None:
    labels = _masked(few, "random")["labels"]
    table = [0, 0, 0]
    for row in range(len(few)):
        bits, length = few.row(row, "boundaries"), int(few.lengths["boundaries"][row])
        words: list[list[bool]] = []
        for place in range(1, length - 1):
            if place == 1 or bits[place] & (Boundary.WORD_START | Boundary.DOCUMENT_START):
                words.append([])
            words[-1].append(bool(labels[row, place] != IGNORE_LABEL))
        for word in words:
            table[0 if all(word) else 1 if any(word) else 2] += 1
    units = audit_rows(few, policy("random"), epochs=(0,)).statistics.units
    assert units["word"].tolist() == table


def test_runs_equal_a_plain_count(few: Rows) -> None:
    labels = _masked(few, "span")["labels"]
    runs = np.zeros(65, np.int64)
    for row in labels != IGNORE_LABEL:
        text = "".join("x" if flag else " " for flag in row)
        for run in text.split():
            runs[min(len(run), 64)] += 1
    found = audit_rows(few, policy("span"), epochs=(0,)).statistics.runs
    np.testing.assert_array_equal(found, runs)


def test_coverage_counts_epochs_per_token(few: Rows) -> None:
    masks = [_masked(few, "random", epoch)["labels"] != IGNORE_LABEL for epoch in range(3)]
    times = sum(mask.astype(int) for mask in masks)
    text = source_rows(few).text_BL
    found = audit_rows(few, policy("random"), epochs=(0, 1, 2)).statistics.coverage
    assert found.tolist() == np.bincount(times[text], minlength=4).tolist()


def test_parts_add_up_to_the_whole(few: Rows) -> None:
    def count(rows: Rows) -> Statistics:
        return audit_rows(rows, policy("entity")).statistics

    whole, parts = count(few), count(few.take(range(23)))
    parts.merge(count(few.take(range(23, 60))))
    assert parts.counters == whole.counters
    np.testing.assert_array_equal(parts.tokens, whole.tokens)
    np.testing.assert_array_equal(parts.tracks["pos_tags"], whole.tracks["pos_tags"])
    np.testing.assert_array_equal(parts.by_text.least, whole.by_text.least)
    np.testing.assert_array_equal(parts.masks.hashes, whole.masks.hashes)


def test_hidden_positions_are_recovered_from_inputs_and_targets() -> None:
    rows = _t5_row()
    source = source_rows(rows)
    first, second = SIZE - 1, SIZE - 2
    outputs = {
        "input_ids": np.array([[2, 11, first, 14, second, 3, 0]], np.int32),
        "attention_mask": np.array([[1, 1, 1, 1, 1, 1, 0]], np.int32),
        "labels": np.array([[first, 12, 13, second, 15, 3, -100]], np.int32),
    }
    found = observe_sequences(source, outputs, VOCABULARY)
    assert found.selected_BL is not None
    assert found.selected_BL[0].tolist() == [False, False, True, True, False, True, False]
    assert found.num_inputs_B is not None
    assert found.num_inputs_B.tolist() == [6]
    assert found.num_targets_B is not None
    assert found.num_targets_B.tolist() == [6]


def test_sequences_that_do_not_add_up_hide_nothing() -> None:
    source = source_rows(_t5_row())
    outputs = {
        "input_ids": np.array([[2, 11, FIRST_SENTINEL, 14, 3]], np.int32),
        "attention_mask": np.ones((1, 5), np.int32),
        "labels": np.array([[FIRST_SENTINEL, 12, 3]], np.int32),
    }
    found = observe_sequences(source, outputs, VOCABULARY)
    assert found.selected_BL is not None
    assert not found.selected_BL.any()


def test_hidden_positions_of_span_corruption_meet_its_budget(few: Rows) -> None:
    audited = audit_rows(few, policy("span_corruption"))
    assert audited.findings["budget"].passed
    assert audited.statistics.counters["selected"] > 0


def test_rows_without_text_are_counted_and_do_no_harm() -> None:
    from premask.rows import make_rows

    rows = make_rows(
        _t5_row().binding,
        {"input_ids": [[2, 3], [2, 9, 3]], "boundaries": [[1, 1], [1, 2, 1]]},
        seed=[1, 2],
    )
    source = source_rows(rows)
    statistics = Statistics(max_length=MAX_LENGTH, vocabulary_size=SIZE, num_epochs=1)
    labels = np.array([[-100, -100, -100], [-100, 9, -100]])
    ids = np.array([[2, 3, 0], [2, 4, 3]])
    measure(statistics, source, [observe_aligned(source, ids, labels)], VOCABULARY)
    assert statistics.counters["empty_rows"] == 0
    assert statistics.counters["masked"] == 1


def _t5_row() -> Rows:
    from premask.masking._operation import Binding
    from premask.rows import make_rows

    return make_rows(
        Binding(vocabulary=VOCABULARY, max_length=MAX_LENGTH),
        {
            "input_ids": [[2, 11, 12, 13, 14, 15, 3]],
            "boundaries": [[1, 2, 2, 2, 2, 2, 1]],
        },
        seed=[1],
    )
