"""Tokenizes whole documents: DOCUMENTS, with or without annotations, to TOKENS.

Documents are never truncated and get no special tokens here. Every token has its boundary
bits: where words and the document begin and, from annotations, sentences, entities and phrases;
annotated words give per-token tracks. A document that yields no token is rejected.

Words that were met before cost no call of the tokenizer, see `premask.stages.piece_cache`, and
nothing is made per token or per document in Python. Long documents are encoded in pieces where
that makes no difference, so memory is a few times the batch (150 MB), whatever the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._format import TRACKS, Boundary
from premask.schemas.records import ANNOTATIONS, TOKENS
from premask.schemas.unit import Ledger
from premask.stages.align import align
from premask.stages.encode import Tokens, UnitEncoder
from premask.stages.tokenizer import LoadedTokenizer
from premask.stages.tokenizer_text import text_only_column

# Shapes: D documents of a batch, T tokens of all of them.

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


def tokens_schema(tracks: Iterable[str]) -> pa.Schema:
    """TOKENS with these tracks behind it."""
    fields = [pa.field(name, pa.large_list(pa.uint8()), nullable=False) for name in tracks]
    return pa.schema([*TOKENS, *fields])


def tokenize(
    documents: Iterable[pa.RecordBatch], tokenizer: LoadedTokenizer, ledger: Ledger
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
            tokens = _tokenize_batch(batch, tokenizer, ledger, encoder)
            if tokens.num_rows:
                yield tokens


def _tokenize_batch(
    batch: pa.RecordBatch, tokenizer: LoadedTokenizer, ledger: Ledger, encoder: UnitEncoder
) -> pa.RecordBatch:
    annotations = {
        name: batch.column(name) for name in ANNOTATIONS if name in batch.schema.names
    }
    texts = text_only_column(batch.column("text"))
    tokens = encoder.encode(texts, with_offsets=bool(annotations))
    starts_D = tokens.splits[:-1][np.diff(tokens.splits) > 0]
    words_T = tokens.words_T
    if words_T is None:
        words_T = tokenizer.word_starts.find(tokens.ids_T, starts_D)
    bits_T = words_T * np.uint8(Boundary.WORD_START)
    bits_T[starts_D] |= np.uint8(Boundary.DOCUMENT_START)
    tracks: Mapping[str, npt.NDArray[np.uint8]] = {}
    if annotations:
        aligned = align(
            texts.to_pylist(), tokens.starts_T, tokens.ends_T, tokens.splits, annotations
        )
        bits_T |= aligned.boundaries
        tracks = aligned.tracks
        ledger.counters.update(aligned.counters)
    unknown = tokenizer.vocabulary.unk_id
    if unknown is not None and (count := int(np.count_nonzero(tokens.ids_T == unknown))):
        ledger.counters["unknown_tokens"] += count
    return _without_empty(_record(batch, tokens, bits_T, tracks), ledger)


def _record(
    batch: pa.RecordBatch,
    tokens: Tokens,
    bits_T: npt.NDArray[np.uint8],
    tracks: Mapping[str, npt.NDArray[np.uint8]],
) -> pa.RecordBatch:
    names = tracks_of(batch.schema.names)
    values = [tokens.ids_T, bits_T, *(tracks[name] for name in names)]
    offsets = pa.array(tokens.splits)
    lists = [pa.LargeListArray.from_arrays(offsets, pa.array(value)) for value in values]
    columns = [batch.column("document_id"), batch.column("position"), *lists]
    return pa.RecordBatch.from_arrays(columns, schema=tokens_schema(names))


def _without_empty(tokens: pa.RecordBatch, ledger: Ledger) -> pa.RecordBatch:
    """Rejects the documents without tokens."""
    lengths_D = tokens.column("input_ids").value_lengths().to_numpy()
    if lengths_D.all():
        return tokens
    for row in np.flatnonzero(lengths_D == 0):
        ledger.reject(
            document_id=tokens.column("document_id")[row].as_py(),
            position=tokens.column("position")[row].as_py(),
            stage="tokenize",
            reason="no_tokens",
            detail="the tokenizer makes nothing of the text",
        )
    return tokens.filter(pa.array(lengths_D > 0))
