from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import FormatError
from premask._format import Boundary
from premask.masking._rows import Vocabulary
from premask.schemas.job import Rows
from premask.schemas.records import TOKENS
from premask.schemas.unit import Ledger
from premask.stages.arrange import arrange
from premask.stages.count import Counter, Counts, count_tokens, merge_counts
from premask.stages.row_identity import RowIdentity
from premask.stages.write import write_shard

VOCABULARY = Vocabulary(size=30, cls_id=1, sep_id=2, prefix_ids=(1,), suffix_ids=(2,))

texts = st.lists(st.lists(st.integers(3, 29), min_size=1, max_size=30), max_size=8)


def tokens(documents: list[list[int]]) -> pa.RecordBatch:
    names = [f"d{i}" for i in range(len(documents))]
    bits = [[int(Boundary.WORD_START)] * len(ids) for ids in documents]
    columns = [names, range(len(names)), documents, bits]
    arrays = [pa.array(list(c), t) for c, t in zip(columns, TOKENS.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=TOKENS)


def count(documents: list[list[int]], **rows: object) -> tuple[Counts, list[pa.RecordBatch]]:
    counter = Counter(VOCABULARY.size)
    arranged = arrange(
        counter.tap_tokens([tokens(documents)]),
        rows=Rows.model_validate({"max_length": 8, **rows}),
        vocabulary=VOCABULARY,
        identity=RowIdentity(job_seed=0, unit_name="u", unit_start=0),
        ledger=Ledger(unit="u:0"),
    )
    batches = list(counter.tap_rows(arranged))
    return counter.counts(), batches


@settings(deadline=None)
@given(texts)
def test_counts_are_those_of_a_plain_recount(documents: list[list[int]]) -> None:
    counts, _ = count(documents)
    flat = [token for ids in documents for token in ids]
    for token in range(VOCABULARY.size):
        assert counts.counts_V[token] == flat.count(token)
        assert counts.document_counts_V[token] == sum(token in ids for ids in documents)
    assert counts.num_documents == len(documents)


def test_special_tokens_are_not_counted() -> None:
    counts, batches = count([[5, 6], [7]])
    assert batches[0]["input_ids"].to_pylist() == [[1, 5, 6, 2, 7, 2]]
    assert counts.counts_V[:5].tolist() == [0] * 5


def test_overlapping_windows_count_tokens_twice_and_documents_once() -> None:
    counts, _ = count([list(range(3, 13))], arrangement="documents", stride=2)
    assert counts.counts_V[7:9].tolist() == [2, 2]
    assert counts.document_counts_V[7:9].tolist() == [1, 1]


@settings(deadline=None)
@given(texts, texts, texts)
def test_merging_is_exact_in_any_order(
    a: list[list[int]], b: list[list[int]], c: list[list[int]]
) -> None:
    parts = [count(documents)[0] for documents in (a, b, c)]
    whole = count(a + b + c)[0]
    for order in (parts, parts[::-1]):
        merged = merge_counts(order, VOCABULARY.size)
        assert merged.to_bytes() == whole.to_bytes()


def test_merging_nothing_gives_zeros() -> None:
    merged = merge_counts([], 4)
    assert merged.counts_V.tolist() == merged.document_counts_V.tolist() == [0] * 4


def test_counts_survive_their_file() -> None:
    counts, _ = count([[5, 5, 6], [6]])
    again = Counts.from_bytes(counts.to_bytes(), location="counts.arrow")
    assert again.to_bytes() == counts.to_bytes()
    assert again.num_documents == 2
    assert again.counts_V.dtype == np.int64


def test_a_recount_of_the_shard_gives_the_counts(tmp_path: Path) -> None:
    counts, batches = count([[5, 6, 7] * 9, [8] * 20, [9]])
    write_shard(batches, tmp_path / "x.arrow", metadata={})
    stored = pa.ipc.open_stream((tmp_path / "x.arrow").read_bytes())
    recount = sum(count_tokens(batch, VOCABULARY.size) for batch in stored)
    assert np.array_equal(recount, counts.counts_V)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff\xff\xff\xff\x00\x00\x00\x00"])
def test_a_damaged_table_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"not a table of counts.*counts\.arrow"):
        Counts.from_bytes(data, location="counts.arrow")


def test_words_and_entities_are_counted_where_they_begin() -> None:
    word, entity = int(Boundary.WORD_START), int(Boundary.ENTITY_START | Boundary.IN_ENTITY)
    rows = pa.RecordBatch.from_pydict(
        {
            "input_ids": pa.array([[1, 5, 6, 7, 2], [1, 8, 2]], pa.list_(pa.uint16())),
            "boundaries": pa.array(
                [[1, word | entity, 32, word, 1], [1, word | entity, 1]], pa.list_(pa.uint8())
            ),
            "entity_labels": pa.array([[0, 1, 1, 0, 0], [0, 3, 0]], pa.list_(pa.uint8())),
        }
    )
    counter = Counter(VOCABULARY.size)
    assert list(counter.tap_rows([rows, rows])) == [rows, rows]
    names = ("", "PER", "ORG", "LOC")
    assert counter.tallies(names) == {"words": 6, "entities_PER": 2, "entities_LOC": 2}


def test_an_id_beyond_the_vocabulary_is_refused() -> None:
    (rows,) = count([[5, 29]])[1]
    with pytest.raises(ValueError, match=r"ids up to 29 .* the vocabulary has 29 ids"):
        count_tokens(rows, 29)
