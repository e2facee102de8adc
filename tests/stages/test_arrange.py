from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask._format import Boundary
from premask.masking._rows import Vocabulary
from premask.schemas.job import Rows
from premask.schemas.records import TOKENS
from premask.schemas.shard import row_schema
from premask.schemas.unit import Ledger
from premask.stages.arrange import arrange
from premask.stages.row_identity import RowIdentity
from premask.stages.tokenize import tokens_schema

BERT = Vocabulary(size=1000, cls_id=1, sep_id=2, prefix_ids=(1,), suffix_ids=(2,))
GPT = Vocabulary(size=1000, eos_id=3)
T5 = Vocabulary(size=100_000, eos_id=3, suffix_ids=(3,))
XLNET = Vocabulary(size=1000, cls_id=1, sep_id=2, suffix_ids=(2, 1))
BARE = Vocabulary(size=1000)
VOCABULARIES = [BERT, GPT, T5, XLNET, BARE]
IDENTITY = RowIdentity(job_seed=1, unit_name="a.txt", unit_start=0)

WORD, DOCUMENT = int(Boundary.WORD_START), int(Boundary.DOCUMENT_START)


def token_batch(lengths: Sequence[int], first: int = 0) -> pa.RecordBatch:
    """Documents with ids 10, 11, ... counted through, and a word of two tokens each."""
    ids, bits = [], []
    next_id = 10
    for length in lengths:
        ids.append([10 + (next_id - 10 + i) % 900 for i in range(length)])
        bits.append(
            [(WORD if i % 2 == 0 else 0) | (0 if i else DOCUMENT) for i in range(length)]
        )
        next_id += length
    names = [f"d{first + i}" for i in range(len(lengths))]
    positions = list(range(first, first + len(lengths)))
    return pa.record_batch([names, positions, ids, bits], schema=TOKENS)


def run(
    batches: Sequence[pa.RecordBatch],
    vocabulary: Vocabulary,
    identity: RowIdentity = IDENTITY,
    **rows: Any,
) -> tuple[list[dict[str, Any]], Ledger]:
    ledger = Ledger(unit="a.txt:0")
    result = arrange(
        iter(batches),
        rows=Rows(**rows),
        vocabulary=vocabulary,
        identity=identity,
        ledger=ledger,
    )
    return [row for batch in result for row in batch.to_pylist()], ledger


def text_of(row: dict[str, Any]) -> list[int]:
    pairs = zip(row["input_ids"], row["boundaries"], strict=True)
    return [token for token, bits in pairs if not bits & Boundary.SPECIAL]


def all_tokens(batches: Sequence[pa.RecordBatch]) -> list[int]:
    return [
        token for batch in batches for ids in batch["input_ids"].to_pylist() for token in ids
    ]


lengths_of_documents = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@st.composite
def split_documents(draw: st.DrawFn) -> list[pa.RecordBatch]:
    """The same kind of documents, in one batch or several."""
    lengths = draw(lengths_of_documents)
    size = draw(st.integers(1, len(lengths)))
    starts = range(0, len(lengths), size)
    return [token_batch(lengths[start : start + size], start) for start in starts]


@settings(deadline=None)
@given(split_documents(), st.sampled_from(VOCABULARIES), st.integers(8, 30), st.booleans())
def test_full_rows_hold_every_token_once_and_in_order(
    batches: list[pa.RecordBatch], vocabulary: Vocabulary, max_length: int, short: bool
) -> None:
    probability = 0.5 if short else 0.0
    rows, ledger = run(
        batches, vocabulary, max_length=max_length, short_row_probability=probability
    )
    assert [token for row in rows for token in text_of(row)] == all_tokens(batches)
    assert all(len(row["input_ids"]) <= max_length for row in rows)
    assert not ledger.rejected
    assert not ledger.counters


@settings(deadline=None)
@given(split_documents(), st.sampled_from(VOCABULARIES), st.integers(8, 30), st.data())
def test_windows_of_documents_hold_every_token(
    batches: list[pa.RecordBatch], vocabulary: Vocabulary, max_length: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(0, max_length - 4))
    short = data.draw(st.sampled_from([0.0, 0.5]))
    rows, _ = run(
        batches,
        vocabulary,
        arrangement="documents",
        max_length=max_length,
        stride=stride,
        short_row_probability=short,
    )
    texts: dict[str, list[int]] = {}
    for row in rows:
        seen = texts.setdefault(row["document_id"], [])
        shared = stride if seen else 0
        text = text_of(row)
        assert seen[len(seen) - shared :] == text[:shared]
        assert len(text) > shared
        seen += text[shared:]
    wanted = {r["document_id"]: r["input_ids"] for batch in batches for r in batch.to_pylist()}
    assert texts == wanted


@settings(deadline=None)
@given(lengths_of_documents, st.sampled_from(VOCABULARIES), st.integers(8, 30), st.booleans())
def test_the_borders_of_batches_have_no_influence(
    lengths: list[int], vocabulary: Vocabulary, max_length: int, full: bool
) -> None:
    options: dict[str, Any] = {
        "max_length": max_length,
        "arrangement": "full" if full else "documents",
        "short_row_probability": 0.3,
    }
    whole = token_batch(lengths)
    apart = [whole.slice(i, 1) for i in range(len(lengths))]
    assert run([whole], vocabulary, **options) == run(apart, vocabulary, **options)


def test_the_template_stands_around_every_row() -> None:
    rows, _ = run([token_batch([10, 3])], BERT, max_length=8)
    assert [row["input_ids"] for row in rows] == [
        [1, 10, 11, 12, 13, 14, 15, 2],
        [1, 16, 17, 18, 19, 2, 20, 2],
        [1, 21, 22, 2],
    ]


def test_specials_have_their_bit_and_no_other() -> None:
    rows, _ = run([token_batch([3, 2])], BERT, max_length=12)
    assert rows[0]["boundaries"] == [1, WORD | DOCUMENT, 0, WORD, 1, WORD | DOCUMENT, 0, 1]


def test_a_separator_at_the_border_of_a_row_is_left_out() -> None:
    rows, _ = run([token_batch([6, 5, 6])], BERT, max_length=8)
    assert [row["input_ids"] for row in rows] == [
        [1, *range(10, 16), 2],
        [1, *range(16, 21), 2],
        [1, *range(21, 27), 2],
    ]


def test_without_a_template_every_document_keeps_its_end_token() -> None:
    rows, _ = run([token_batch([8, 3])], GPT, max_length=8)
    assert [row["input_ids"] for row in rows] == [[*range(10, 18)], [3, 18, 19, 20, 3]]


def test_without_a_separator_documents_follow_each_other() -> None:
    rows, _ = run([token_batch([3, 3])], BARE, max_length=8)
    assert rows[0]["input_ids"] == [*range(10, 16)]
    assert rows[0]["boundaries"][3] & DOCUMENT


def test_a_row_that_begins_inside_a_word_begins_a_word() -> None:
    rows, _ = run([token_batch([14])], T5, max_length=8)
    assert rows[1]["boundaries"][0] == WORD
    assert rows[0]["boundaries"][1] == 0


def test_rows_know_their_first_document_and_how_many_they_hold() -> None:
    rows, _ = run([token_batch([2, 2]), token_batch([9], 2)], BERT, max_length=8)
    assert [(r["document_id"], r["num_documents"]) for r in rows] == [
        ("d0", 2),
        ("d2", 1),
        ("d2", 1),
    ]


def test_windows_share_the_stride() -> None:
    rows, _ = run([token_batch([14])], BERT, max_length=8, arrangement="documents", stride=2)
    assert [text_of(row) for row in rows] == [
        [*range(10, 16)],
        [*range(14, 20)],
        [*range(18, 24)],
    ]


def test_tracks_travel_with_their_tokens() -> None:
    batch = token_batch([4, 3])
    track = [[token % 7 + 1 for token in ids] for ids in batch["input_ids"].to_pylist()]
    columns = [*batch.columns, pa.array(track, pa.large_list(pa.uint8()))]
    batch = pa.RecordBatch.from_arrays(columns, schema=tokens_schema(["pos_tags"]))
    rows, _ = run([batch], BERT, max_length=8)
    for row in rows:
        tokens = zip(row["input_ids"], row["boundaries"], row["pos_tags"], strict=True)
        assert all(tag == (0 if bits & 1 else token % 7 + 1) for token, bits, tag in tokens)


def test_the_last_row_is_dropped_only_when_it_is_too_short() -> None:
    rows, ledger = run(
        [token_batch([9]), token_batch([2], 1)], BERT, max_length=8, min_length=6
    )
    assert [len(row["input_ids"]) for row in rows] == [8, 8]  # 6, then 3 + separator + 2
    assert not ledger.rejected
    rows, ledger = run(
        [token_batch([7]), token_batch([1], 1)], BERT, max_length=8, min_length=5
    )
    assert len(rows) == 1
    assert ledger.counters == Counter(dropped_rows=1, dropped_tokens=2)
    assert [(r["document_id"], r["reason"]) for r in ledger.rejected] == [("d1", "too_short")]


def test_a_document_that_is_too_short_for_a_window_is_rejected() -> None:
    rows, ledger = run(
        [token_batch([3, 6, 8])], BERT, max_length=8, min_length=4, arrangement="documents"
    )
    assert [row["document_id"] for row in rows] == ["d1", "d2"]
    assert ledger.counters == Counter(dropped_rows=2, dropped_tokens=5)
    assert [(r["document_id"], r["position"], r["stage"]) for r in ledger.rejected] == [
        ("d0", 0, "arrange")
    ]


def short_lengths(low: int) -> list[int]:
    options: dict[str, Any] = {
        "max_length": 34,
        "min_length": low,
        "short_row_probability": 0.4,
    }
    rows, _ = run([token_batch([60_000])], BERT, **options)
    return [len(text_of(row)) for row in rows[:-1]]


def test_the_share_of_short_rows_is_the_one_asked_for() -> None:
    lengths = short_lengths(1)
    # A short row may have the full length, too: one of 32.
    expected = 0.4 * 31 / 32
    error = (expected * (1 - expected) / len(lengths)) ** 0.5
    assert abs(np.mean(np.array(lengths) < 32) - expected) < 4 * error


@pytest.mark.parametrize("low", [1, 9])
def test_short_lengths_are_uniform_over_all_lengths(low: int) -> None:
    lengths = Counter(length for length in short_lengths(low) if length < 32)
    observed = np.array([lengths[i] for i in range(low, 32)])
    expected = observed.sum() / len(observed)
    assert observed.sum() == sum(lengths.values())
    # Chi-square with 31 - low degrees of freedom, five standard deviations up.
    freedom = len(observed) - 1
    assert ((observed - expected) ** 2 / expected).sum() < freedom + 5 * (2 * freedom) ** 0.5


def seeds(identity: RowIdentity) -> list[int]:
    rows, _ = run([token_batch([400])], BERT, identity, max_length=8)
    return [row["seed"] for row in rows]


def test_seeds_are_distinct_in_every_word_of_a_rows_name() -> None:
    names = [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1), (1, "a0", 0)]
    found = [
        seed
        for job, name, start in names
        for seed in seeds(RowIdentity(job_seed=job, unit_name=name, unit_start=start))
    ]
    assert len(set(found)) == len(found) == 5 * 67


# Seeds of the first two rows; they may never change, or every mask changes with them.
GOLDEN = [0x9E327BC2B8F31BBC, 0x3399704DB024A70C]


def test_seeds_are_the_same_in_every_process() -> None:
    assert seeds(IDENTITY)[:2] == GOLDEN


def test_neighbouring_job_seeds_share_nothing() -> None:
    def bits(job_seed: int) -> np.ndarray:
        identity = RowIdentity(job_seed=job_seed, unit_name="a", unit_start=0)
        words = np.array([identity.seed(i) for i in range(2000)], np.uint64)
        return np.unpackbits(words.view(np.uint8))

    agreement = (bits(7)[64:] == bits(8)[:-64]).mean(), (bits(7) == bits(8)).mean()
    assert all(abs(share - 0.5) < 0.01 for share in agreement)


def test_dropping_rows_does_not_change_the_seeds_of_others() -> None:
    options: dict[str, Any] = {"max_length": 8, "arrangement": "documents"}
    batch = token_batch([3, 6, 2, 6])
    kept, _ = run([batch], BERT, **options, min_length=4)
    every, _ = run([batch], BERT, **options)
    assert [row["seed"] for row in kept] == [every[1]["seed"], every[3]["seed"]]


@pytest.mark.parametrize(("vocabulary", "kind"), [(BERT, pa.uint16()), (T5, pa.uint32())])
def test_rows_have_the_schema_of_shards(vocabulary: Vocabulary, kind: pa.DataType) -> None:
    ledger = Ledger(unit="u:0")
    batches: Iterator[pa.RecordBatch] = arrange(
        [token_batch([9])],
        rows=Rows(max_length=8),
        vocabulary=vocabulary,
        identity=IDENTITY,
        ledger=ledger,
    )
    for batch in batches:
        assert batch.schema == row_schema(vocabulary.size)
        assert batch.schema.field("input_ids").type == pa.list_(kind)
        batch.validate(full=True)


def test_a_template_that_leaves_no_room_is_refused() -> None:
    wide = Vocabulary(size=1000, prefix_ids=(1,) * 4, suffix_ids=(2,) * 4)
    with pytest.raises(RequestError, match=r"leaves 0 tokens .* at rows\.max_length"):
        run([token_batch([9])], wide, max_length=8)


def test_stretches_of_a_stream_do_not_overlap() -> None:
    rows, _ = run([token_batch([50, 50])], BARE, max_length=9)
    last_and_first = [(a["input_ids"][-1], b["input_ids"][0]) for a, b in pairwise(rows)]
    assert all(first == last + 1 for last, first in last_and_first)


def test_no_documents_make_no_rows() -> None:
    assert run([], BERT) == ([], Ledger(unit="a.txt:0"))
