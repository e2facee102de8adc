from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest
from premask._format import Boundary
from premask.stages.ngrams import MAX_WORD_TOKENS, WORD, count_ngrams, merge_ngrams

SPECIAL = Boundary.SPECIAL
START = Boundary.WORD_START
DOCUMENT = Boundary.DOCUMENT_START

Word = tuple[int, ...]
Row = tuple[list[int], list[int]]


def table(rows: list[Row]) -> pa.Table:
    return pa.table(
        {
            "input_ids": pa.array([ids for ids, _ in rows], pa.list_(pa.uint16())),
            "boundaries": pa.array([bits for _, bits in rows], pa.list_(pa.uint8())),
        }
    )


def row(*words: Word) -> Row:
    """A row of whole words, between [CLS] and [SEP]."""
    ids, bits = [1], [int(SPECIAL)]
    for number, word in enumerate(words):
        ids += word
        bits += [int(START) | (int(DOCUMENT) if number == 0 else 0)] + [0] * (len(word) - 1)
    return [*ids, 2], [*bits, int(SPECIAL)]


def runs_of_words(rows: list[Row]) -> list[list[Word]]:
    """Words that stand side by side, token by token."""
    runs: list[list[Word]] = []
    for ids, bits in rows:
        runs.append([])
        word: list[int] = []
        for token, bit in [*zip(ids, bits, strict=True), (0, int(SPECIAL))]:
            if word and (bit & (SPECIAL | START | DOCUMENT)):
                if len(word) <= MAX_WORD_TOKENS:
                    runs[-1].append(tuple(word))
                else:
                    runs.append([])
                word = []
            if bit & (SPECIAL | DOCUMENT):
                runs.append([])
            if not bit & SPECIAL and (word or bit & START):
                word.append(token)
    return runs


def slow_counts(rows: list[Row], order: int) -> Counter[tuple[Word, ...]]:
    return Counter(
        tuple(run[i : i + order])
        for run in runs_of_words(rows)
        for i in range(len(run) - order + 1)
    )


def words_of(key: bytes) -> tuple[Word, ...]:
    tokens = [int.from_bytes(key[i : i + 4], "little") for i in range(0, len(key), 4)]
    starts = [i for i, token in enumerate(tokens) if token & WORD]
    return tuple(
        tuple(token & (WORD - 1) for token in tokens[a:b])
        for a, b in pairwise([*starts, len(tokens)])
    )


def counts_of(ngrams: pa.Table) -> dict[tuple[Word, ...], int]:
    return {words_of(r["key"]): r["count"] for r in ngrams.to_pylist()}


def random_rows(seed: int, num_rows: int = 60) -> list[Row]:
    rng = random.Random(seed)
    rows = []
    for _ in range(num_rows):
        ids = [rng.randint(3, 6) for _ in range(rng.randint(0, 40))]
        bits = [
            rng.choices([0, START, SPECIAL, START | DOCUMENT], [6, 10, 1, 1])[0] for _ in ids
        ]
        rows.append((ids, [int(bit) for bit in bits]))
    return rows


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_those_of_a_slow_reference(seed: int, order: int) -> None:
    rows = random_rows(seed)
    result = count_ngrams(table(rows), order, None)
    expected = slow_counts(rows, order)
    assert counts_of(result.table) == expected
    assert result.total == expected.total()


def test_counting_only_what_has_frequent_parts_finds_every_frequent_ngram() -> None:
    rows = random_rows(9, num_rows=300)
    pairs = count_ngrams(table(rows), 2, None).frequent(8)
    triples = count_ngrams(table(rows), 3, pairs.table.column("key")).frequent(8)
    expected = {gram: n for gram, n in slow_counts(rows, 3).items() if n >= 8}
    assert expected
    assert counts_of(triples.table) == expected


@pytest.mark.parametrize("num_units", [1, 2, 7])
def test_merged_counts_do_not_depend_on_the_units(num_units: int) -> None:
    rows = random_rows(4)
    whole = count_ngrams(table(rows), 2, None)
    units = [table(rows[i::num_units]) for i in range(num_units)]
    merged = merge_ngrams(count_ngrams(unit, 2, None) for unit in reversed(units))
    assert merged.table.equals(whole.table)
    assert merged.total == whole.total


def test_the_same_tokens_in_other_words_are_another_ngram() -> None:
    rows = [row((5, 6), (7,)), row((5,), (6, 7))]
    result = count_ngrams(table(rows), 2, None)
    assert counts_of(result.table) == {((5, 6), (7,)): 1, ((5,), (6, 7)): 1}


def test_no_ngram_crosses_a_special_token_a_document_or_a_row() -> None:
    ids, bits = row((5,), (6,))
    rows = [([*ids, *ids], [*bits, *bits]), ([5, 6], [int(START), int(START | DOCUMENT)])]
    result = count_ngrams(table(rows), 2, None)
    assert counts_of(result.table) == {((5,), (6,)): 2}


def test_a_row_that_begins_inside_a_word_gives_no_fragment() -> None:
    rows = [([5, 6, 7], [0, int(START), int(START)])]
    assert counts_of(count_ngrams(table(rows), 1, None).table) == {((6,),): 1, ((7,),): 1}


def test_a_very_long_word_ends_an_ngram() -> None:
    rows = [row((5,), (9,) * (MAX_WORD_TOKENS + 1), (6,))]
    assert counts_of(count_ngrams(table(rows), 2, None).table) == {}


def test_no_rows_have_no_ngrams() -> None:
    assert count_ngrams(table([]), 3, None).total == 0
