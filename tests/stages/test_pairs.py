"""Rows of a source and its target."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.masking._rows import Vocabulary

from tests.stages.token_streams import (
    BERT,
    GPT,
    T5,
    even,
    run,
    segments_of,
    text_of,
    token_batches,
)

sides = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=12)


def pairs(sizes: list[tuple[int, int]], vocabulary: Vocabulary = BERT, **rows: Any) -> Any:
    batches = token_batches([even(pair) for pair in sizes], with_parts=True)
    return run(batches, vocabulary, arrangement="pairs", **rows)


def test_both_sides_stand_in_the_template_of_one_text() -> None:
    rows, _ = pairs([(3, 2)], max_length=16)
    assert rows[0]["input_ids"] == [1, 10, 11, 12, 2, 1, 13, 14, 2]
    assert rows[0]["segment"] == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert (rows[0]["document_id"], rows[0]["num_documents"]) == ("d0", 1)
    rows, _ = pairs([(3, 2)], T5, max_length=16)
    assert rows[0]["input_ids"] == [10, 11, 12, 3, 13, 14, 3]
    assert rows[0]["segment"] == [0, 0, 0, 0, 1, 1, 1]


def test_without_a_template_each_side_has_its_end() -> None:
    rows, _ = pairs([(3, 2)], GPT, max_length=16)
    assert rows[0]["input_ids"] == [10, 11, 12, 3, 13, 14, 3]


@settings(deadline=None, max_examples=30)
@given(sides, st.sampled_from([BERT, GPT, T5]), st.integers(12, 40), st.integers(5, 8))
def test_each_side_keeps_what_fits_and_the_rest_is_counted(
    sizes: list[tuple[int, int]], vocabulary: Vocabulary, max_length: int, target_length: int
) -> None:
    rows, ledger = pairs(sizes, vocabulary, max_length=max_length, target_length=target_length)
    wrapped = len(vocabulary.prefix_ids) + max(1, len(vocabulary.suffix_ids))
    place = 10
    for row, (source, target) in zip(rows, sizes, strict=True):
        first, second = segments_of(row)
        size = min(source, max_length - target_length - wrapped)
        assert first == [*range(place, place + size)]
        place += source
        size = min(target, target_length - wrapped)
        assert second == [*range(place, place + size)]
        place += target
    held = sum(len(text_of(row)) for row in rows)
    assert held + ledger.counters["truncated_tokens"] == place - 10
    assert all(len(row["input_ids"]) <= max_length for row in rows)


def test_the_target_gets_half_of_a_row_if_nothing_is_said() -> None:
    rows, ledger = pairs([(30, 30)], max_length=20)
    assert [len(segment) for segment in segments_of(rows[0])] == [8, 8]
    assert ledger.counters == Counter(truncated_pairs=1, truncated_tokens=44)


def test_pairs_that_are_too_long_may_be_rejected() -> None:
    rows, ledger = pairs([(30, 3), (3, 3), (3, 30)], max_length=20, overflow="reject")
    assert [row["document_id"] for row in rows] == ["d1"]
    assert [(r["document_id"], r["reason"]) for r in ledger.rejected] == [
        ("d0", "too_long"),
        ("d2", "too_long"),
    ]
    assert ledger.counters["dropped_tokens"] == 66


def test_copies_of_a_pair_differ_in_their_seed_alone() -> None:
    rows, _ = pairs([(3, 2), (4, 4)], max_length=16, dupe_factor=2)
    assert len({row.pop("seed") for row in rows}) == 4
    assert rows[:2] == rows[2:]


def test_rows_without_room_for_text_are_refused() -> None:
    wide = Vocabulary(size=1000, prefix_ids=(1,) * 3, suffix_ids=(2,) * 3)
    with pytest.raises(RequestError, match=r"-2 tokens of text to a source .*rows\.max_length"):
        pairs([(3, 2)], wide, max_length=8)
