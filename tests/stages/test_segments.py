"""Next-sentence pairs as BERT makes them and sentence order as ALBERT does, against their laws.

The published procedures are written down here once more, as plain loops over sentences with a
random generator of their own, and the distributions of both are compared.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.masking._rows import Vocabulary
from premask.stages import windows
from premask.stages.row_frame import segments_frame, sequences_frame
from premask.stages.row_identity import RowIdentity
from tokenizers import Tokenizer, models, processors

from tests.stages.token_streams import (
    BARE,
    BERT,
    DOCUMENT,
    FIRST_ID,
    GPT,
    T5,
    Documents,
    borders_of,
    documents,
    even,
    run,
    segments_of,
    size_of,
    text_of,
    token_batches,
)

Row = dict[str, Any]
ARRANGEMENTS = ["segment_pairs", "sentence_order"]
COPIES = 40
# Sentences of 3 to 9 tokens; documents of 1 to 12 of them.
RNG = np.random.default_rng(11)
CORPUS: Documents = [even(RNG.integers(3, 10, RNG.integers(1, 13)).tolist()) for _ in range(60)]


def label_of(row: Row) -> int:
    names = [name for name in row if name.endswith("_label")]
    return int(row[names[0]])


def documents_of(ids: list[int], texts: Documents) -> set[int]:
    ends = np.cumsum([size_of(document) for document in texts]) + FIRST_ID
    return {int(np.searchsorted(ends, token, side="right")) for token in ids}


def assert_share(hits: int, total: int, expected: float) -> None:
    """Within five standard deviations."""
    error = (expected * (1 - expected) / total) ** 0.5
    assert abs(hits / total - expected) < 5 * error, (hits / total, expected)


# What google-research/bert and ALBERT do, without their truncation, as (A, B, label).
def published(texts: Documents, capacity: int, rng: random.Random, *, order: bool) -> list[Any]:
    found = []
    for number, document in enumerate(texts):
        sizes = [sum(sentence) for sentence in document]
        i, chunk, length = 0, [], 0
        while i < len(sizes):
            chunk.append(i)
            length += sizes[i]
            if i == len(sizes) - 1 or length >= capacity:
                a_end = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
                forced = len(chunk) == 1
                if forced or (not order and rng.random() < 0.5):
                    other = rng.choice([d for d in range(len(texts)) if d != number])
                    i -= len(chunk) - a_end
                    label, b_document = 1, other
                elif order and rng.random() < 0.5:
                    label, b_document = 1, number
                else:
                    label, b_document = 0, number
                found.append((a_end, len(chunk), label, forced, b_document))
                chunk, length = [], 0
            i += 1
    return found


@pytest.fixture(scope="module")
def nsp() -> tuple[list[Row], Counter[str]]:
    rows, ledger = run(
        token_batches(CORPUS), arrangement="segment_pairs", max_length=35, dupe_factor=COPIES
    )
    return rows, ledger.counters


@pytest.fixture(scope="module")
def sop() -> tuple[list[Row], Counter[str]]:
    rows, ledger = run(
        token_batches(CORPUS), arrangement="sentence_order", max_length=35, dupe_factor=COPIES
    )
    return rows, ledger.counters


def test_half_of_the_pairs_that_may_follow_each_other_do(
    nsp: tuple[list[Row], Counter[str]],
) -> None:
    rows, counters = nsp
    ones = sum(map(label_of, rows))
    assert ones == counters["random_next"]
    free = len(rows) - counters["forced_random_next"]
    assert_share(ones - counters["forced_random_next"], free, 0.5)


def test_the_share_of_random_pairs_is_that_of_the_published_procedure(
    nsp: tuple[list[Row], Counter[str]],
) -> None:
    rows, counters = nsp
    rng = random.Random(5)
    theirs = [x for _ in range(COPIES) for x in published(CORPUS, 32, rng, order=False)]
    share = sum(x[2] for x in theirs) / len(theirs)
    forced = sum(x[3] for x in theirs) / len(theirs)
    assert_share(sum(map(label_of, rows)), len(rows), share)
    assert_share(counters["forced_random_next"], len(rows), forced)
    # As many rows come of the corpus.
    assert abs(len(rows) / len(theirs) - 1) < 0.02


def test_labels_are_true_by_construction(nsp: tuple[list[Row], Counter[str]]) -> None:
    for row in nsp[0]:
        first, second = segments_of(row)
        own, other = documents_of(first, CORPUS), documents_of(second, CORPUS)
        assert len(own) == len(other) == 1
        assert row["document_id"] == f"d{own.copy().pop()}"
        assert row["num_documents"] == 1 + label_of(row)
        assert (own != other) == bool(label_of(row))


def test_a_second_segment_that_follows_begins_where_the_first_one_ends() -> None:
    # Rows large enough that nothing is cut off.
    rows, ledger = run(
        token_batches(CORPUS), arrangement="segment_pairs", max_length=200, dupe_factor=4
    )
    assert not ledger.counters["truncated_tokens"]
    starts = {place for document in borders_of(CORPUS) for place in document}
    for row in rows:
        first, second = segments_of(row)
        assert first == [*range(first[0], first[-1] + 1)]
        assert {first[0], second[0]} <= starts
        assert label_of(row) or second[0] == first[-1] + 1


def test_the_first_segment_ends_at_a_uniform_sentence() -> None:
    # Eight sentences of four tokens: the first segment of a row takes 1 to 7 of them.
    texts = [even([4] * 8) for _ in range(30)]
    rows, _ = run(
        token_batches(texts), arrangement="sentence_order", max_length=35, dupe_factor=40
    )
    firsts = [min(segments_of(row)) for row in rows]
    counts = Counter(len(first) // 4 for first in firsts)
    expected = len(rows) / 7
    assert sorted(counts) == [*range(1, 8)]
    chi_square = sum((counts[n] - expected) ** 2 / expected for n in range(1, 8))
    assert chi_square < 6 + 5 * 12**0.5


def test_random_seconds_are_uniform_over_the_other_documents() -> None:
    texts = [even([4, 4]) for _ in range(9)]
    rows, _ = run(
        token_batches(texts), arrangement="segment_pairs", max_length=35, dupe_factor=400
    )
    pairs: Counter[tuple[int, int]] = Counter()
    for row in rows:
        if label_of(row):
            first, second = (documents_of(x, texts).pop() for x in segments_of(row))
            pairs[first, second] += 1
    assert len(pairs) == 9 * 8
    expected = sum(pairs.values()) / 72
    chi_square = sum((n - expected) ** 2 / expected for n in pairs.values())
    assert chi_square < 71 + 5 * 142**0.5


def test_sentences_that_a_random_second_displaces_are_not_lost(
    nsp: tuple[list[Row], Counter[str]],
) -> None:
    rows, counters = nsp
    held = sum(len(text_of(row)) for row in rows)
    whole = COPIES * sum(map(size_of, CORPUS))
    lost = counters["truncated_tokens"] + counters["dropped_tokens"]
    assert held == whole - lost + counters["borrowed_tokens"]
    # No more than the end of one sentence of each row is cut off.
    assert counters["truncated_tokens"] < 0.15 * whole


def test_half_of_the_rows_are_in_order(sop: tuple[list[Row], Counter[str]]) -> None:
    rows, counters = sop
    assert_share(sum(map(label_of, rows)), len(rows), 0.5)
    assert not counters["random_next"]


def test_order_labels_are_true_and_rows_stay_in_their_document(
    sop: tuple[list[Row], Counter[str]],
) -> None:
    for row in sop[0]:
        first, second = segments_of(row)
        assert len(documents_of(first + second, CORPUS)) == row["num_documents"] == 1
        assert (first[0] > second[0]) == bool(label_of(row))


def test_rows_of_sentence_order_are_those_of_the_published_procedure(
    sop: tuple[list[Row], Counter[str]],
) -> None:
    theirs = published(CORPUS, 32, random.Random(1), order=True)
    # One sentence alone gets a random second there, and is parted at a word here.
    assert len(sop[0]) == COPIES * len(theirs)
    parted = sum(x[3] for x in theirs)
    in_two = sum(
        len(text_of(row)) in {sum(s) for document in CORPUS for s in document[-1:]}
        for row in sop[0][: len(theirs)]
    )
    assert parted
    assert in_two >= parted


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@settings(deadline=None, max_examples=40)
@given(documents, st.sampled_from([BERT, GPT, T5]), st.integers(8, 30), st.integers(1, 3))
def test_no_token_of_segments_is_lost_in_silence(
    arrangement: str, texts: Documents, vocabulary: Vocabulary, max_length: int, copies: int
) -> None:
    rows, ledger = run(
        token_batches(texts),
        vocabulary,
        arrangement=arrangement,
        max_length=max_length,
        dupe_factor=copies,
        short_row_probability=0.3,
    )
    counters = ledger.counters
    held = sum(len(text_of(row)) for row in rows)
    lost = counters["truncated_tokens"] + counters["dropped_tokens"]
    assert held == copies * sum(map(size_of, texts)) - lost + counters["borrowed_tokens"]
    assert all(len(row["input_ids"]) <= max_length for row in rows)
    assert all(len(segments_of(row)) == 2 for row in rows)
    in_rows = {number for row in rows for number in documents_of(text_of(row), texts)}
    rejected = {int(record["document_id"][1:]) for record in ledger.rejected}
    assert in_rows | rejected == set(range(len(texts)))
    assert not in_rows & rejected
    # Only a single word cannot be parted.
    assert all(len(texts[n]) == 1 and len(texts[n][0]) == 1 for n in rejected)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("window", [20, 1 << 20])
@settings(deadline=None, max_examples=20)
@given(documents)
def test_the_borders_of_batches_have_no_influence_on_segments(
    arrangement: str, window: int, texts: Documents
) -> None:
    options: dict[str, Any] = {
        "arrangement": arrangement,
        "max_length": 16,
        "dupe_factor": 2,
        "short_row_probability": 0.3,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_TOKENS", window)
        whole, apart = (run(token_batches(texts, size), **options) for size in (1000, 1))
    assert whole == apart


def test_a_corpus_of_one_document_has_no_random_second() -> None:
    # The published code takes the second segment from the same document and calls it random.
    rows, ledger = run(
        token_batches([even([5] * 40)]), arrangement="segment_pairs", max_length=35
    )
    assert {label_of(row) for row in rows} == {0}
    assert not ledger.counters["random_next"]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_sentences_longer_than_a_row_are_not_lost(arrangement: str) -> None:
    texts = [even([100, 100]), even([70])]
    rows, ledger = run(token_batches(texts), arrangement=arrangement, max_length=20)
    own = {token for row in rows for token in text_of(row)}
    lost = ledger.counters["truncated_tokens"] + ledger.counters["dropped_tokens"]
    assert len(own) >= 270 - lost
    assert lost < 40
    assert not ledger.rejected


def test_one_sentence_alone_is_parted_at_a_word() -> None:
    texts = [[[2, 2, 2, 2]] for _ in range(50)]
    rows, ledger = run(token_batches(texts), arrangement="sentence_order", max_length=20)
    assert len(rows) == 50
    assert {len(segment) for row in rows for segment in segments_of(row)} == {2, 4, 6}
    assert not ledger.rejected


def test_types_and_template_are_those_of_bert() -> None:
    rows, _ = run(
        token_batches([even([2, 3]), even([3])]), arrangement="sentence_order", max_length=20
    )
    row = next(row for row in rows if row["document_id"] == "d0")
    first, second = segments_of(row)
    assert row["input_ids"] == [1, *first, 2, *second, 2]
    assert row["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert sum(bits & DOCUMENT != 0 for bits in row["boundaries"]) == 1


def tokenizer_with(pair: str, special: dict[str, int]) -> Tokenizer:
    vocabulary = {"a": 0, "b": 1} | special
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair=pair, special_tokens=[*special.items()]
    )
    return tokenizer


def test_the_template_is_read_off_the_tokenizer() -> None:
    tokenizer = tokenizer_with("<s> $A </s> </s> $B:0 </s>", {"<s>": 5, "</s>": 6})
    frame = segments_frame(BERT, tokenizer)
    assert (frame.before, frame.between, frame.behind) == ((5,), (6, 6), (6,))
    assert frame.kinds == (0, 0)
    tokenizer = tokenizer_with("$A [SEP] $B:1 [SEP]:1 [CLS]:2", {"[SEP]": 5, "[CLS]": 6})
    frame = segments_frame(BERT, tokenizer)
    assert (frame.before, frame.between, frame.behind) == ((), (5,), (5, 6))
    assert (frame.kinds, frame.between_kinds, frame.behind_kinds) == ((0, 1), (0,), (1, 2))


def test_a_tokenizer_without_a_template_for_two_gets_a_separator() -> None:
    tokenizer = tokenizer_with("$A $B:1", {})
    assert segments_frame(BERT, tokenizer) == segments_frame(BERT)
    assert segments_frame(GPT).between == (3,)


def test_two_parts_without_anything_between_them_are_refused() -> None:
    for frame in (segments_frame, sequences_frame):
        with pytest.raises(RequestError, match=r"end token.* at rows\.arrangement"):
            frame(BARE)


def test_tosses_of_a_row_are_fair_and_apart() -> None:
    identity = RowIdentity(job_seed=3, unit_name="x", unit_start=0)
    heads = [identity.heads(row, 0, 700) for row in range(300)]
    assert abs(np.mean(heads) - 350) < 5 * (700 / 4 / 300) ** 0.5
    for row in range(20):
        parts = identity.heads(row, 0, 600) + identity.heads(row, 600, 100)
        assert parts == heads[row]


def test_both_ends_of_a_segment_are_cut_alike() -> None:
    texts = [even([30, 30]) for _ in range(400)]
    rows, _ = run(token_batches(texts), arrangement="sentence_order", max_length=43)
    first_tokens = np.arange(400) * 60 + FIRST_ID
    off = []
    for row in rows:
        first, second = sorted(segments_of(row))
        start = first_tokens[int(row["document_id"][1:])]
        assert (len(first), len(second)) == (20, 20)
        off += [first[0] - start, second[0] - start - 30]
    # Of ten tokens off each, the front's share is binomial.
    assert abs(np.mean(off) - 5) < 5 * (2.5 / len(off)) ** 0.5
    assert abs(np.var(off) - 2.5) < 0.5
