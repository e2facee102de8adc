"""Tokenizes whole documents: DOCUMENTS, with or without annotations, to TOKENS.

Documents are never truncated and get no special tokens here but the sentinels of
`premask.stages.parts`. Every token has its boundary bits: where words and the document begin
and, from annotations, sentences, entities and phrases; annotated words give per-token tracks. A
document that yields no token is rejected.

Words that were met before cost no call of the tokenizer, see `premask.stages.piece_cache`, and
nothing is made per token or per document in Python. Long documents are encoded in pieces where
that makes no difference, so memory is a few times the batch (150 MB), whatever the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._format import BOUNDARIES, INPUT_IDS, TRACKS, Boundary
from premask.schemas.records import ANNOTATIONS, PARTS, PARTS_FIELD, TOKENS
from premask.schemas.unit import Ledger
from premask.stages.align import align
from premask.stages.encode import UnitEncoder
from premask.stages.parts import NO_OFFSETS, Divide, Divided, whole
from premask.stages.tokenizer import LoadedTokenizer
from premask.stages.tokenizer_text import text_only_column
from premask.stages.tokens import Tokens

# Shapes: D documents of a batch, their P parts, T tokens of all of them.
Int64 = npt.NDArray[np.int64]

# Which annotation a track needs; other tracks are made of rows.
TRACK_ANNOTATIONS = {
    "entity_labels": "entity_codes",
    "pos_tags": "pos_tags",
    "depth": "depth",
    "salience": "salience",
}


def tracks_of(columns: Iterable[str]) -> tuple[str, ...]:
    """The tracks, in their fixed order, that come from annotation columns of these names."""
    present = frozenset(columns)
    return tuple(track for track in TRACKS if TRACK_ANNOTATIONS.get(track) in present)


def tokens_schema(tracks: Iterable[str], *, with_parts: bool = False) -> pa.Schema:
    """TOKENS with these tracks, and the lengths of parts, behind it."""
    fields = [pa.field(name, pa.large_list(pa.uint8()), nullable=False) for name in tracks]
    return pa.schema([*TOKENS, *fields, *([PARTS_FIELD] if with_parts else [])])


def tokenize(
    documents: Iterable[pa.RecordBatch],
    tokenizer: LoadedTokenizer,
    ledger: Ledger,
    divide: Divide = whole,
) -> Iterator[pa.RecordBatch]:
    """Tokenizes batches of documents, one output batch per input batch.

    Counts ``unknown_tokens`` and what the alignment of annotations counts; rejects documents
    without tokens as ``no_tokens``.

    Raises:
        UnitError: see `premask.stages.encode`.
    """
    encoder = UnitEncoder(tokenizer, ledger)
    for batch in documents:
        if batch.num_rows:
            tokens = _tokenize_batch(batch, tokenizer, ledger, encoder, divide(batch))
            if tokens.num_rows:
                yield tokens


def _tokenize_batch(
    batch: pa.RecordBatch,
    tokenizer: LoadedTokenizer,
    ledger: Ledger,
    encoder: UnitEncoder,
    divided: Divided,
) -> pa.RecordBatch:
    annotations = {
        name: batch.column(name) for name in ANNOTATIONS if name in batch.schema.names
    }
    texts = text_only_column(divided.texts)
    tokens = encoder.encode(texts, with_offsets=bool(annotations))
    starts_P = tokens.splits[:-1][np.diff(tokens.splits) > 0]
    splits_D = tokens.splits[divided.splits]
    words_T = tokens.words_T
    if words_T is None:
        words_T = tokenizer.word_starts.find(tokens.ids_T, starts_P)
    bits_T = words_T * np.uint8(Boundary.WORD_START)
    bits_T[splits_D[:-1][np.diff(splits_D) > 0]] |= np.uint8(Boundary.DOCUMENT_START)
    columns: dict[str, npt.NDArray[Any]] = {INPUT_IDS: tokens.ids_T, BOUNDARIES: bits_T}
    if annotations:
        whole_texts = text_only_column(batch.column("text")).to_pylist()
        spans = _in_documents(tokens, divided)
        aligned = align(whole_texts, *spans, splits_D, annotations)
        bits_T |= aligned.boundaries
        columns |= aligned.tracks
        ledger.counters.update(aligned.counters)
    unknown = tokenizer.vocabulary.unk_id
    if unknown is not None and (count := int(np.count_nonzero(tokens.ids_T == unknown))):
        ledger.counters["unknown_tokens"] += count
    columns, splits_D = _with_sentinels(columns, tokens.splits, divided)
    record = _record(batch, columns, splits_D, tokens.splits, divided)
    return _without_empty(record, tokens.splits, divided, ledger)


def _in_documents(tokens: Tokens, divided: Divided) -> tuple[Int64, Int64]:
    """Starts and ends of tokens in the texts of their documents; equal for other texts."""
    if divided.starts_P is None:
        return tokens.starts_T, tokens.ends_T
    start_T = np.repeat(divided.starts_P, np.diff(tokens.splits))
    inside_T = start_T != NO_OFFSETS
    return inside_T * (tokens.starts_T + start_T), inside_T * (tokens.ends_T + start_T)


def _with_sentinels(
    columns: dict[str, npt.NDArray[Any]], splits_P: Int64, divided: Divided
) -> tuple[dict[str, npt.NDArray[Any]], Int64]:
    """The columns with the special tokens of parts, and where documents then begin: [D + 1]."""
    if divided.sentinels_P is None:
        return columns, splits_P[divided.splits]
    counts_P = np.array([len(tokens) for tokens in divided.sentinels_P], np.int64)
    splits_D = (splits_P + np.append(0, np.cumsum(counts_P)))[divided.splits]
    places = np.repeat(splits_P[:-1], counts_P)
    ids = [token for tokens in divided.sentinels_P for token in tokens]
    added: dict[str, npt.ArrayLike] = {INPUT_IDS: ids, BOUNDARIES: int(Boundary.SPECIAL)}
    found = {
        name: np.insert(values, places, added.get(name, 0)) for name, values in columns.items()
    }
    return found, splits_D


def _record(
    batch: pa.RecordBatch,
    columns: Mapping[str, npt.NDArray[Any]],
    splits_D: Int64,
    splits_P: Int64,
    divided: Divided,
) -> pa.RecordBatch:
    schema = tokens_schema(tracks_of(batch.schema.names), with_parts=divided.told)
    offsets = pa.array(splits_D)
    arrays = [batch.column("document_id"), batch.column("position")]
    for name in schema.names[len(arrays) :]:
        if name == PARTS:
            lengths, starts = pa.array(np.diff(splits_P)), pa.array(divided.splits)
            arrays.append(pa.LargeListArray.from_arrays(starts, lengths))
        else:
            arrays.append(pa.LargeListArray.from_arrays(offsets, pa.array(columns[name])))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _without_empty(
    tokens: pa.RecordBatch, splits_P: Int64, divided: Divided, ledger: Ledger
) -> pa.RecordBatch:
    """Rejects the documents without text tokens, and pairs without some on both sides."""
    reduce = np.minimum.reduceat if divided.needs_all else np.add.reduceat
    empty_D = reduce(np.diff(splits_P), divided.splits[:-1]) == 0
    if not empty_D.any():
        return tokens
    sides = "text or the target" if divided.needs_all else "text"
    for row in np.flatnonzero(empty_D):
        ledger.reject(
            document_id=tokens.column("document_id")[row].as_py(),
            position=tokens.column("position")[row].as_py(),
            stage="tokenize",
            reason="no_tokens",
            detail=f"the tokenizer makes nothing of the {sides}",
        )
    return tokens.filter(pa.array(~empty_D))
