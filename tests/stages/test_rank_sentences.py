"""Sentence ranks of rows: the same as the reference's, whatever batch a row is in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from premask._format import Boundary
from premask.masking.objectives.rouge import sentence_ranks
from premask.schemas.shard import row_schema
from premask.stages.rank_sentences import rank_sentences, row_ranks

SPECIAL, SENTENCE, DOCUMENT = Boundary.SPECIAL, Boundary.SENTENCE_START, Boundary.DOCUMENT_START


def one_row(sentences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """``[CLS]``, the sentences, ``[SEP]``: ids and boundaries."""
    ids = np.array([1, *(i for s in sentences for i in s), 2], np.uint16)
    bits = np.zeros(len(ids), np.uint8)
    starts = np.cumsum([1, *map(len, sentences)])[:-1]
    bits[starts] = SENTENCE
    bits[[0, -1]] = SPECIAL
    return ids, bits


def ranks_of(sentences: list[list[int]]) -> list[int]:
    """The rank of each sentence."""
    ids, bits = one_row(sentences)
    ranks = row_ranks(ids, bits, np.array([len(ids)]))
    starts = np.cumsum([1, *map(len, sentences)])[:-1]
    assert ranks[0] == ranks[-1] == 0
    return [int(rank) for rank in ranks[starts]]


def test_ranks_are_those_of_the_reference() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        sentences = [
            rng.integers(10, 22, rng.integers(1, 9)).tolist() for _ in range(rng.integers(1, 9))
        ]
        assert ranks_of(sentences) == sentence_ranks(sentences)


def test_the_sentence_that_shares_most_with_the_others_is_first() -> None:
    assert ranks_of([[10, 11], [10, 11, 12, 13], [12, 13, 14]]) == [3, 1, 2]


def test_all_tokens_of_a_sentence_carry_its_rank_and_rows_are_apart() -> None:
    rows = [one_row([[10, 11, 12], [10, 13]]), one_row([[10, 11], [20], [20, 21]])]
    ids, bits = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    lengths = np.array([len(row[0]) for row in rows])
    together = row_ranks(ids, bits, lengths)
    apart = [row_ranks(i, b, np.array([len(i)])) for i, b in rows]
    np.testing.assert_array_equal(together, np.concatenate(apart))
    assert together.tolist() == [0, 2, 2, 2, 1, 1, 0, 0, 3, 3, 2, 1, 1, 0]


def test_a_document_and_a_text_behind_a_special_token_begin_a_sentence() -> None:
    ids = np.array([10, 11, 2, 10, 12, 13], np.uint16)
    bits = np.array([0, 0, SPECIAL, 0, 0, DOCUMENT], np.uint8)
    assert row_ranks(ids, bits, np.array([6])).tolist() == [2, 2, 0, 1, 1, 3]


def test_rows_without_text_and_empty_batches_have_no_rank() -> None:
    assert row_ranks(np.array([1, 2]), np.array([1, 1]), np.array([2, 0])).tolist() == [0, 0]
    assert row_ranks(np.array([], int), np.array([], int), np.array([], int)).tolist() == []


def test_more_sentences_than_codes_leave_the_worst_without_a_rank() -> None:
    ranks = ranks_of([[10 + k] for k in range(300)])
    # All score 0: the last is the first, and the 45 first ones get none.
    assert ranks[-1] == 1
    assert ranks[45] == 255
    assert set(ranks[:45]) == {0}


def test_the_track_stands_in_its_place_of_the_schema() -> None:
    ids, bits = one_row([[10, 11], [11, 12]])
    plain, ranked = row_schema(100), row_schema(100, ["sentence_ranks"])
    values = [[ids.tolist()], [bits.tolist()], [7], ["d"], [1]]
    arrays = [pa.array(v, f.type) for v, f in zip(values, plain, strict=True)]
    (batch,) = rank_sentences([pa.RecordBatch.from_arrays(arrays, schema=plain)], ranked)
    assert batch.schema == ranked
    assert batch.column("sentence_ranks").to_pylist() == [[0, 2, 2, 1, 1, 0]]
    assert batch.column("seed").to_pylist() == [7]
