"""Puts annotated pieces together into the columns of a record batch.

Everything is NumPy over the whole batch; Python loops run over pieces, and over entities only
where gazetteers found some.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask.schemas.records import ANNOTATIONS
from premask.stages.annotate_columns import (
    Flags,
    Int64,
    Uint8,
    Words,
    depths,
    entity_token_spans,
    noun_phrases,
    saliences,
    sentence_first_words,
    to_words,
    words_of,
)
from premask.stages.annotate_run import ATTRIBUTES, Annotated
from premask.stages.gazetteer import TokenSpan, merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """What spaCy's numbers become.

    Attributes:
        pos: uint8, the code of each of spaCy's parts of speech.
        labels: the code of each entity label, by its number in spaCy's string store.
    """

    pos: Uint8
    labels: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spans:
    """S spans of words, disjoint and in order, with a code each."""

    first_S: Int64
    behind_S: Int64
    codes_S: Uint8


class _Tokens:
    """The tokens of all pieces, end to end."""

    def __init__(self, done: Sequence[Annotated]) -> None:
        sizes = np.array([len(x.attributes) for x in done], np.int64)
        self.base = np.cumsum(sizes) - sizes  # first token of each piece
        empty = np.zeros((0, len(ATTRIBUTES)), np.uint64)
        table = np.concatenate([empty, *(x.attributes for x in done)])
        self.raw: dict[str, npt.NDArray[np.uint64]] = dict(
            zip(ATTRIBUTES, table.T, strict=True)
        )
        self.document_T = np.repeat([x.piece.document for x in done], sizes).astype(np.int64)
        piece_starts_T = np.repeat([x.piece.start for x in done], sizes).astype(np.int64)
        borders_T = self.signed("SENT_START") == 1
        borders_T[self.base[sizes > 0]] = True
        self.words = words_of(
            starts_T=self.signed("IDX") + piece_starts_T,
            lengths_T=self.signed("LENGTH"),
            space_T=self.raw["IS_SPACE"] != 0,
            document_T=self.document_T,
            border_T=borders_T,
        )

    def signed(self, name: str) -> Int64:
        return np.ascontiguousarray(self.raw[name]).view(np.int64)

    def of_words(self, values_T: Any) -> Any:
        return values_T[self.raw["IS_SPACE"] == 0]


def annotation_columns(
    done: Sequence[Annotated],
    *,
    tracks: Collection[str],
    codes: Codes,
    num_documents: int,
    extra_sentences: Sequence[tuple[int, int]],
    phrases_from_parser: bool,
) -> dict[str, pa.Array]:
    """The columns of `ANNOTATIONS` that `tracks` ask for, one list per document.

    Args:
        done: pieces in order of their documents.
        extra_sentences: (document, character) where a sentence begins that spaCy never saw.
    """
    tokens = _Tokens(done)
    words = tokens.words
    lists = _Lists(num_documents)
    pos_W = tokens.of_words(codes.pos[np.minimum(tokens.signed("POS"), len(codes.pos) - 1)])
    if "sentences" in tracks:
        lists.add("sentence_starts", *_sentence_starts(words, extra_sentences))
    entities = None
    if "entities" in tracks or "salience" in tracks:
        entities = _entities(tokens, done, codes.labels)
    if "entities" in tracks and entities is not None:
        lists.add_spans("entity", words, entities.first_S, entities.behind_S)
        lists.add("entity_codes", entities.codes_S, words.document_W[entities.first_S])
    if "phrases" in tracks:
        spans = (
            _parser_phrases(tokens, done) if phrases_from_parser else noun_phrases(words, pos_W)
        )
        lists.add_spans("phrase", words, *spans)
    if {"pos", "depth", "salience"} & set(tracks):
        every = np.arange(len(pos_W))
        lists.add_spans("annotated_word", words, every, every + 1)
    if "pos" in tracks:
        lists.add("pos_tags", pos_W, words.document_W)
    if "depth" in tracks:
        heads_T = np.arange(len(tokens.document_T)) + tokens.signed("HEAD")
        lists.add("depth", depths(heads_T, words), words.document_W)
    if "salience" in tracks and entities is not None:
        inside_W = _covered(entities, len(pos_W))
        lists.add("salience", saliences(words, pos_W, inside_W), words.document_W)
    return lists.columns


class _Lists:
    """Columns under construction, one list per document."""

    def __init__(self, num_documents: int) -> None:
        self._num_documents = num_documents
        self.columns: dict[str, pa.Array] = {}

    def add(self, name: str, values: Int64 | Uint8, documents: Int64) -> None:
        """A column of `values`, each of its document; documents ascend."""
        counts = np.bincount(documents, minlength=self._num_documents)
        offsets = np.append(np.int64(0), np.cumsum(counts))
        type_ = ANNOTATIONS[name]
        self.columns[name] = pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()), pa.array(values).cast(type_.value_type), type=type_
        )

    def add_spans(self, kind: str, words: Words, first_S: Int64, behind_S: Int64) -> None:
        documents = words.document_W[first_S]
        self.add(f"{kind}_starts", words.starts_W[first_S], documents)
        self.add(f"{kind}_ends", words.ends_W[behind_S - 1], documents)


def _sentence_starts(words: Words, extra: Sequence[tuple[int, int]]) -> tuple[Int64, Int64]:
    """Where sentences begin, and in which document, in order."""
    first = sentence_first_words(words)
    more = np.array(extra, np.int64).reshape(-1, 2)
    document = np.append(words.document_W[first], more[:, 0])
    starts = np.append(words.starts_W[first], more[:, 1])
    order = np.lexsort((starts, document))
    return starts[order], document[order]


def _entities(
    tokens: _Tokens, done: Sequence[Annotated], label_codes: Mapping[int, int]
) -> _Spans:
    first, behind = entity_token_spans(tokens.signed("ENT_IOB"))
    labels = tokens.raw["ENT_TYPE"][first].tolist()
    found = [label_codes.get(label, 0) for label in labels]
    if any(x.names for x in done):
        model = list(zip(first.tolist(), behind.tolist(), found, strict=True))
        merged = np.array(merge(model, _shifted(tokens, [x.names for x in done])), np.int64)
        first, behind, codes = merged.reshape(-1, 3).T
    else:
        codes = np.array(found, np.int64)
    first_S, behind_S, held = to_words(tokens.words, first, behind)
    return _Spans(first_S=first_S, behind_S=behind_S, codes_S=codes[held].astype(np.uint8))


def _parser_phrases(tokens: _Tokens, done: Sequence[Annotated]) -> tuple[Int64, Int64]:
    spans = np.array(_shifted(tokens, [x.phrases for x in done]), np.int64).reshape(-1, 3)
    first_S, behind_S, _ = to_words(tokens.words, spans[:, 0], spans[:, 1])
    return first_S, behind_S


def _shifted(tokens: _Tokens, spans: Sequence[Sequence[TokenSpan]]) -> list[TokenSpan]:
    """Spans of each piece's tokens as spans of the batch's tokens."""
    return [
        (base + start, base + end, code)
        for base, part in zip(tokens.base.tolist(), spans, strict=True)
        for start, end, code in part
    ]


def _covered(spans: _Spans, num_words: int) -> Flags:
    change = np.zeros(num_words + 1, np.int64)
    np.add.at(change, spans.first_S, 1)
    np.add.at(change, spans.behind_S, -1)
    return np.asarray(np.cumsum(change[:-1]) > 0)
