"""RoBERTa's FULL-SENTENCES and DOC-SENTENCES, lines, copies of rows."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.masking._rows import Vocabulary

from tests.stages.token_streams import (
    BARE,
    BERT,
    DOCUMENT,
    GPT,
    T5,
    Documents,
    all_tokens,
    borders_of,
    documents,
    even,
    run,
    segments_of,
    size_of,
    text_of,
    token_batches,
)

vocabularies = st.sampled_from([BERT, GPT, T5, BARE])
of_sentences = st.sampled_from(["sentences", "document_sentences"])


def packed_by_hand(sentences: list[int], capacity: int) -> list[int]:
    """Sizes of rows: sentences while they fit; one that never fits fills rows of its own."""
    rows, row = [], 0
    for size in sentences:
        left = size
        if row and row + left > capacity:
            rows.append(row)
            row = 0
        while left > capacity:
            rows.append(capacity)
            left -= capacity
        row += left
    return [*rows, row] if row else rows


@settings(deadline=None, max_examples=30)
@given(documents, st.integers(8, 24))
def test_doc_sentences_are_those_packed_by_hand(texts: Documents, max_length: int) -> None:
    rows, _ = run(token_batches(texts), arrangement="document_sentences", max_length=max_length)
    expected = [
        (f"d{number}", size)
        for number, document in enumerate(texts)
        for size in packed_by_hand([sum(s) for s in document], max_length - 2)
    ]
    assert [(row["document_id"], len(text_of(row))) for row in rows] == expected


@settings(deadline=None, max_examples=30)
@given(documents, st.integers(8, 24))
def test_full_sentences_are_those_packed_by_hand(texts: Documents, max_length: int) -> None:
    rows, _ = run(token_batches(texts), BARE, arrangement="sentences", max_length=max_length)
    sentences = [sum(s) for document in texts for s in document]
    assert [len(text_of(row)) for row in rows] == packed_by_hand(sentences, max_length)


@settings(deadline=None, max_examples=30)
@given(documents, vocabularies, st.integers(8, 24), of_sentences, st.sampled_from([0.0, 0.6]))
def test_rows_of_sentences_hold_every_token_once_and_in_order(
    texts: Documents, vocabulary: Vocabulary, max_length: int, arrangement: str, short: float
) -> None:
    rows, ledger = run(
        token_batches(texts),
        vocabulary,
        arrangement=arrangement,
        max_length=max_length,
        short_row_probability=short,
    )
    assert [token for row in rows for token in text_of(row)] == all_tokens(texts)
    assert all(len(row["input_ids"]) <= max_length for row in rows)
    assert not ledger.rejected


@settings(deadline=None, max_examples=30)
@given(documents, vocabularies, st.integers(8, 24), of_sentences)
def test_a_row_ends_inside_a_sentence_only_where_it_is_too_long_for_any_row(
    texts: Documents, vocabulary: Vocabulary, max_length: int, arrangement: str
) -> None:
    rows, ledger = run(
        token_batches(texts), vocabulary, arrangement=arrangement, max_length=max_length
    )
    borders = {place for document in borders_of(texts) for place in document}
    ends = [text[-1] + 1 for row in rows if (text := text_of(row))]
    capacity = max_length - len(vocabulary.prefix_ids) - len(vocabulary.suffix_ids)
    cuts = [end for end in ends if end not in borders]
    long = [
        place
        for a in borders_of(texts)
        for place in pairwise(a)
        if place[1] - place[0] > capacity
    ]
    assert all(any(first < cut < last for first, last in long) for cut in cuts)
    assert ledger.counters == Counter({"sentence_cuts": len(cuts)} if cuts else {})


@settings(deadline=None, max_examples=30)
@given(documents, vocabularies, st.integers(8, 24), of_sentences, st.integers(1, 3))
def test_the_borders_of_batches_have_no_influence_on_sentences(
    texts: Documents, vocabulary: Vocabulary, max_length: int, arrangement: str, copies: int
) -> None:
    options: dict[str, Any] = {
        "arrangement": arrangement,
        "max_length": max_length,
        "short_row_probability": 0.4,
        "dupe_factor": copies,
    }
    found = [run(token_batches(texts, size), vocabulary, **options) for size in (1000, 1)]
    order = [sorted(rows, key=lambda row: row["seed"]) for rows, _ in found]
    assert order[0] == order[1]
    assert found[0][1] == found[1][1]


def test_documents_that_share_a_row_are_separated() -> None:
    texts = [even([3, 3]), even([3])]
    rows, _ = run(token_batches(texts), arrangement="sentences", max_length=14)
    assert segments_of(rows[0]) == [[*range(10, 16)], [16, 17, 18]]
    assert rows[0]["input_ids"][7] == 2
    assert rows[0]["boundaries"][8] & DOCUMENT


def test_a_separator_at_the_end_of_a_full_row_takes_no_room() -> None:
    texts = [even([3, 3]), even([6])]
    rows, _ = run(token_batches(texts), arrangement="sentences", max_length=8)
    found = [row["input_ids"] for row in rows]
    assert found == [[1, *range(10, 16), 2], [1, *range(16, 22), 2]]


@pytest.mark.parametrize("with_lines", [True, False])
def test_every_line_is_a_row(with_lines: bool) -> None:
    texts = [even([3, 2]), even([1]), even([9])]
    batches = token_batches(texts, with_parts=with_lines)
    rows, _ = run(batches, arrangement="lines", max_length=8)
    expected = [3, 2, 1, 6, 3] if with_lines else [5, 1, 6, 3]
    assert [len(text_of(row)) for row in rows] == expected


def test_short_lines_are_dropped_and_counted_but_their_document_stays() -> None:
    texts = [even([2, 4, 1]), even([1, 2])]
    batches = token_batches(texts, with_parts=True)
    rows, ledger = run(batches, arrangement="lines", max_length=8, min_length=3)
    assert [text_of(row) for row in rows] == [[12, 13, 14, 15]]
    assert ledger.counters == Counter(dropped_rows=4, dropped_tokens=6)
    assert [(r["document_id"], r["reason"]) for r in ledger.rejected] == [("d1", "too_short")]


@pytest.mark.parametrize("arrangement", ["full", "documents", "sentences", "lines"])
def test_copies_are_the_same_rows_with_other_seeds(arrangement: str) -> None:
    batches = token_batches([even([4, 5, 7]), even([3])], 1, with_parts=arrangement == "lines")
    once, _ = run(batches, arrangement=arrangement, max_length=10)
    rows, ledger = run(batches, arrangement=arrangement, max_length=10, dupe_factor=3)
    assert len({row["seed"] for row in rows}) == len(rows) == 3 * len(once)
    copies = Counter(tuple(row["input_ids"]) for row in rows)
    assert copies == {
        ids: 3 * n for ids, n in Counter(tuple(r["input_ids"]) for r in once).items()
    }
    # The first copy is what a job without copies makes.
    assert {row["seed"] for row in once} <= {row["seed"] for row in rows}
    assert not ledger.rejected


def test_short_rows_are_drawn_anew_for_each_copy() -> None:
    texts = [even([400])]
    rows, _ = run(token_batches(texts), max_length=20, short_row_probability=0.5, dupe_factor=2)
    texts_of_rows = [text_of(row) for row in rows]
    assert sum(map(len, texts_of_rows)) == 2 * size_of(texts[0])
    starts = Counter(text[0] for text in texts_of_rows)
    assert min(starts.values()) == 1
