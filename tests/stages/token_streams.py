"""Made-up token streams, and rows arranged from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from premask._format import Boundary
from premask.masking._rows import Vocabulary
from premask.schemas.job import Rows
from premask.schemas.records import PARTS_FIELD, TOKENS
from premask.schemas.unit import Ledger
from premask.stages.arrange import arrange
from premask.stages.row_identity import RowIdentity

BERT = Vocabulary(size=60_000, cls_id=1, sep_id=2, prefix_ids=(1,), suffix_ids=(2,))
GPT = Vocabulary(size=60_000, eos_id=3)
T5 = Vocabulary(size=60_000, eos_id=3, suffix_ids=(3,))
BARE = Vocabulary(size=60_000)
IDENTITY = RowIdentity(job_seed=1, unit_name="a.txt", unit_start=0)
FIRST_ID = 10
WORD, SENTENCE = int(Boundary.WORD_START), int(Boundary.SENTENCE_START)
DOCUMENT, SPECIAL = int(Boundary.DOCUMENT_START), int(Boundary.SPECIAL)

# Documents as lists of sentences, sentences as lists of words, words as numbers of tokens.
Documents = Sequence[Sequence[Sequence[int]]]
documents = st.lists(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=9), min_size=1, max_size=9),
    min_size=1,
    max_size=9,
)


def even(sentences: Sequence[int], word: int = 1) -> list[list[int]]:
    """A document whose sentences have so many tokens, in words of `word` tokens."""
    return [[word] * (size // word) for size in sentences]


def token_batches(
    texts: Documents, per_batch: int = 1000, *, with_parts: bool = False
) -> list[pa.RecordBatch]:
    """TOKENS of documents whose ids count through, so that every token is told apart.

    `with_parts` makes every sentence a part.
    """
    records = []
    next_id = FIRST_ID
    for number, document in enumerate(texts):
        bits: list[int] = []
        for sentence in document:
            for place, word in enumerate(sentence):
                bits += [WORD | (0 if place else SENTENCE)] + [0] * (word - 1)
        bits[0] |= DOCUMENT
        ids = list(range(next_id, next_id + len(bits)))
        next_id += len(bits)
        record = {"document_id": f"d{number}", "position": number, "input_ids": ids}
        record["boundaries"] = bits
        if with_parts:
            record["parts"] = [sum(sentence) for sentence in document]
        records.append(record)
    schema = TOKENS.append(PARTS_FIELD) if with_parts else TOKENS
    return [
        pa.RecordBatch.from_pylist(records[start : start + per_batch], schema=schema)
        for start in range(0, len(records), per_batch)
    ]


def run(
    batches: Sequence[pa.RecordBatch],
    vocabulary: Vocabulary = BERT,
    identity: RowIdentity = IDENTITY,
    **rows: Any,
) -> tuple[list[dict[str, Any]], Ledger]:
    """Rows as plain values, and the ledger."""
    ledger = Ledger(unit="a.txt:0", documents_read=sum(batch.num_rows for batch in batches))
    found = arrange(
        iter(batches),
        rows=Rows(**rows),
        vocabulary=vocabulary,
        identity=identity,
        ledger=ledger,
    )
    return [row for batch in found for row in batch.to_pylist()], ledger


def text_of(row: dict[str, Any]) -> list[int]:
    """The ids of a row that are no special tokens."""
    pairs = zip(row["input_ids"], row["boundaries"], strict=True)
    return [token for token, bits in pairs if not bits & SPECIAL]


def segments_of(row: dict[str, Any]) -> list[list[int]]:
    """The runs of text between special tokens."""
    found: list[list[int]] = [[]]
    for token, bits in zip(row["input_ids"], row["boundaries"], strict=True):
        if bits & SPECIAL:
            found.append([])
        else:
            found[-1].append(token)
    return [run for run in found if run]


def all_tokens(texts: Documents) -> list[int]:
    """Every text token of the documents, in order."""
    return list(range(FIRST_ID, FIRST_ID + sum(map(size_of, texts))))


def size_of(document: Sequence[Sequence[int]]) -> int:
    """Tokens of a document."""
    return sum(map(sum, document))


def borders_of(texts: Documents) -> list[list[int]]:
    """For each document the ids at which its sentences begin, and the one behind its last."""
    found, place = [], FIRST_ID
    for document in texts:
        starts = [place]
        for sentence in document:
            place += sum(sentence)
            starts.append(place)
        found.append(starts)
    return found
