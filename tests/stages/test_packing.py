"""Packing: no piece is cut, every row fits, and best fit leaves less empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages import windows
from premask.stages.packing import best_fit, in_order

from tests.stages.token_streams import (
    BARE,
    BERT,
    Documents,
    all_tokens,
    documents,
    even,
    run,
    segments_of,
    text_of,
    token_batches,
)

Pack = Callable[[list[int], int, int], list[list[int]]]
sizes_and_gap = st.tuples(st.lists(st.integers(1, 32), max_size=60), st.integers(0, 2))


def filled(row: list[int], sizes: list[int], gap: int) -> int:
    return sum(sizes[piece] for piece in row) + gap * (len(row) - 1)


def best_fit_by_hand(sizes: list[int], capacity: int, gap: int) -> list[list[int]]:
    rows: list[list[int]] = []
    for piece in sorted(range(len(sizes)), key=lambda piece: -sizes[piece]):
        room = [capacity - filled(row, sizes, gap) - gap - sizes[piece] for row in rows]
        fitting = [(left, -i) for i, left in enumerate(room) if left >= 0]
        if fitting:
            rows[-min(fitting)[1]].append(piece)
        else:
            rows.append([piece])
    return rows


@pytest.mark.parametrize("pack", [in_order, best_fit])
@given(sizes_and_gap)
def test_every_piece_is_in_one_row_and_every_row_fits(
    pack: Pack, given_sizes: tuple[list[int], int]
) -> None:
    sizes, gap = given_sizes
    rows = pack(sizes, 32, gap)
    assert sorted(piece for row in rows for piece in row) == list(range(len(sizes)))
    assert all(filled(row, sizes, gap) <= 32 for row in rows)


@given(sizes_and_gap)
def test_best_fit_needs_as_many_rows_as_a_search_by_hand(
    given_sizes: tuple[list[int], int],
) -> None:
    sizes, gap = given_sizes
    by_hand = best_fit_by_hand(sizes, 32, gap)
    found = best_fit(sizes, 32, gap)
    assert sorted(filled(r, sizes, gap) for r in found) == sorted(
        filled(r, sizes, gap) for r in by_hand
    )


def test_pieces_in_order_stay_in_order() -> None:
    assert in_order([3, 4, 2, 9, 1], 10, 1) == [[0, 1], [2], [3], [4]]
    assert in_order([3, 4, 2, 9, 1], 10, 0) == [[0, 1, 2], [3, 4]]


def lognormal_documents(count: int) -> Documents:
    rng = np.random.default_rng(3)
    sizes = np.clip(rng.lognormal(4.0, 1.0, count), 1, 3000).astype(int)
    return [even([int(size)]) for size in sizes]


def test_best_fit_beats_packing_in_order_and_both_beat_none() -> None:
    batches = token_batches(lognormal_documents(2000))
    used = {}
    for packing in ("none", "in_order", "best_fit"):
        rows, ledger = run(batches, arrangement="documents", packing=packing, max_length=256)
        used[packing] = sum(len(row["input_ids"]) for row in rows) / (256 * len(rows))
        if packing != "none":
            held, empty = (ledger.counters[f"{x}_tokens"] for x in ("packed", "padding"))
            assert held + empty == 254 * len(rows)
            assert abs(held / (held + empty) - used[packing]) < 0.01
    assert used["none"] < used["in_order"] < used["best_fit"]
    assert used["best_fit"] > 0.99


@settings(deadline=None, max_examples=30)
@given(documents, st.integers(8, 40), st.sampled_from(["in_order", "best_fit"]))
def test_packed_rows_hold_every_token_once_and_cut_no_document_that_fits(
    texts: Documents, max_length: int, packing: str
) -> None:
    rows, ledger = run(
        token_batches(texts), arrangement="documents", packing=packing, max_length=max_length
    )
    assert sorted(token for row in rows for token in text_of(row)) == all_tokens(texts)
    assert all(len(row["input_ids"]) <= max_length for row in rows)
    whole = [document["input_ids"] for document in token_batches(texts)[0].to_pylist()]
    pieces = [piece for row in rows for piece in segments_of(row)]
    assert all(document in pieces for document in whole if len(document) <= max_length - 2)
    assert not ledger.rejected


@settings(deadline=None, max_examples=30)
@given(documents, st.sampled_from(["documents", "document_sentences"]))
def test_the_borders_of_batches_have_no_influence_on_packing(
    texts: Documents, arrangement: str
) -> None:
    options: dict[str, Any] = {
        "arrangement": arrangement,
        "packing": "best_fit",
        "max_length": 20,
        "dupe_factor": 2,
    }
    found = [run(token_batches(texts, size), **options) for size in (1000, 1)]
    assert found[0] == found[1]


@pytest.mark.parametrize("per_batch", [1, 7, 1000])
def test_windows_depend_on_documents_alone(
    per_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW_TOKENS", 100)
    texts = lognormal_documents(60)
    options: dict[str, Any] = {"arrangement": "documents", "packing": "best_fit"}
    rows, _ = run(token_batches(texts, per_batch), BARE, max_length=64, **options)
    whole, _ = run(token_batches(texts), BARE, max_length=64, **options)
    assert rows == whole
    assert sorted(token for row in rows for token in text_of(row)) == all_tokens(texts)


def test_rows_tell_how_many_documents_share_them() -> None:
    texts = [even([3]), even([9]), even([2]), even([3])]
    rows, _ = run(
        token_batches(texts), BERT, arrangement="documents", packing="best_fit", max_length=12
    )
    assert [(row["document_id"], row["num_documents"]) for row in rows] == [
        ("d0", 3),
        ("d1", 1),
    ]
    assert rows[0]["input_ids"] == [1, 10, 11, 12, 2, 22, 23, 2, 24, 25, 26, 2]


def test_rows_that_are_too_short_are_dropped_after_packing() -> None:
    texts = [even([2]), even([2]), even([9])]
    rows, ledger = run(
        token_batches(texts),
        arrangement="documents",
        packing="best_fit",
        max_length=12,
        min_length=5,
    )
    assert [row["document_id"] for row in rows] == ["d2"]
    assert ledger.counters["dropped_tokens"] == 4
    assert [record["document_id"] for record in ledger.rejected] == ["d0", "d1"]
