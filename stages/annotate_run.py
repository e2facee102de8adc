"""Runs spaCy over pieces of text and takes from its documents what is wanted, and nothing else.

Pieces are packed into batches by words, not by number: that is what `nlp.pipe` is fast with.
No `Doc` outlives its batch, and what a batch adds to spaCy's vocabulary is freed at its end
(`memory_zone`), so memory stays flat. Inside a zone spaCy's tokenizer remembers no new words,
so it is shown some text before the first one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from premask.stages.annotate_text import num_words
from premask.stages.gazetteer import TokenSpan, find_names

# One row per token of `Annotated.attributes`.
ATTRIBUTES = ("IDX", "LENGTH", "IS_SPACE", "POS", "ENT_IOB", "ENT_TYPE", "SENT_START", "HEAD")

_WARM_UP_TEXTS = 200
_WARM_UP_CHARACTERS = 1_000
_TOKENIZER_CACHE = 200_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the batch's document number `document`, from its character `start`."""

    document: int
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Annotated:
    """What spaCy said about a piece; tokens are counted from the piece's first.

    Attributes:
        attributes: uint64 ``[tokens, 8]``, columns as in `ATTRIBUTES`.
        phrases: noun phrases of the parser.
        names: what the gazetteers know, overlaps included.
    """

    piece: Piece
    attributes: npt.NDArray[np.uint64]
    phrases: Sequence[TokenSpan]
    names: Sequence[TokenSpan]


class Runner:
    """A loaded pipeline and what to read from its documents.

    Args:
        nlp: the pipeline.
        matcher: a `PhraseMatcher` of names, or None.
        label_codes: the code of each label, by its number in spaCy's string store.
        phrases: whether to read the parser's noun phrases.
        batch_words: about how many words go into one batch.
    """

    def __init__(
        self,
        nlp: Any,
        *,
        matcher: Any,
        label_codes: Mapping[int, int],
        phrases: bool,
        batch_words: int,
    ) -> None:
        self._nlp = nlp
        self._matcher = matcher
        self._label_codes = label_codes
        self._phrases = phrases
        self._batch_words = batch_words
        self._is_warm = False

    def run(self, pieces: Sequence[Piece]) -> tuple[list[Annotated], dict[int, str]]:
        """Annotates pieces, in order.

        Returns:
            The annotated pieces, and the error of each document on which spaCy failed.
        """
        self._warm_up(pieces)
        done: list[Annotated] = []
        failed: dict[int, str] = {}
        with self._nlp.memory_zone():
            docs: list[Any] = []
            for batch in _packed(pieces, self._batch_words):
                # `docs` keeps the batch before alive until this one is done. Were all freed in
                # between, the C library would hand the heap back to the system and fetch it
                # again page by page, which costs a tenth of the time.
                try:
                    docs = self._docs(batch)
                    done += list(map(self._read, batch, docs))
                except Exception:  # see _one_by_one
                    done += self._one_by_one(batch, failed)
            del docs
        return [x for x in done if x.piece.document not in failed], failed

    def _one_by_one(
        self, batch: Sequence[Piece], failed: dict[int, str]
    ) -> Iterator[Annotated]:
        for piece in batch:
            try:
                [doc] = self._docs([piece])
                yield self._read(piece, doc)
            # Any component of any pipeline runs here, and may raise anything: one document
            # must not end the run. It is reported with its reason.
            except Exception as error:
                failed[piece.document] = f"{type(error).__name__}: {error}"

    def _docs(self, batch: Sequence[Piece]) -> list[Any]:
        # spaCy's entity recogniser and parser take a quarter of `batch_size` at a time; with
        # this they step through all pieces at once.
        size = 4 * len(batch)
        docs = list(self._nlp.pipe([piece.text for piece in batch], batch_size=size))
        if len(docs) != len(batch):
            raise ValueError(f"the pipeline made {len(docs)} documents of {len(batch)}")
        return docs

    def _read(self, piece: Piece, doc: Any) -> Annotated:
        phrases: list[TokenSpan] = []
        if self._phrases:
            phrases = [(span.start, span.end, 0) for span in doc.noun_chunks]
        names: list[TokenSpan] = []
        if self._matcher is not None:
            names = find_names(self._matcher, doc, self._label_codes)
        return Annotated(piece, doc.to_array(list(ATTRIBUTES)), phrases, names)

    def _warm_up(self, pieces: Sequence[Piece]) -> None:
        if self._is_warm or not pieces:
            return
        self._is_warm = True
        if hasattr(self._nlp.tokenizer, "max_cache_size"):
            self._nlp.tokenizer.max_cache_size = _TOKENIZER_CACHE
        for piece in pieces[:_WARM_UP_TEXTS]:
            try:
                self._nlp.make_doc(piece.text[:_WARM_UP_CHARACTERS])
            except Exception:  # what spaCy cannot read is reported when its turn comes
                continue


def _packed(pieces: Sequence[Piece], batch_words: int) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    words = 0
    for piece in pieces:
        size = num_words(piece.text)
        if batch and words + size > batch_words:
            yield batch
            batch, words = [], 0
        batch.append(piece)
        words += size
    if batch:
        yield batch
