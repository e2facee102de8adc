"""Encodes the documents of a unit: with a fast encoder where one holds, else plainly.

A fast encoder is put to the proof in every unit: on the first documents that it encodes, and on
one in `SAMPLE` after them, the tokenizer itself must give the same tokens. Where it does not,
this worker never uses it again, and ``encoder_differences`` counts it. If it happens at once,
the unit is encoded without it; later on the unit fails, and can be run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from premask._errors import UnitError
from premask.schemas.unit import Ledger
from premask.stages.tokenizer import LoadedTokenizer
from premask.stages.tokenizer_pieces import groups, pieces
from premask.stages.tokenizer_words import word_starts_of
from premask.stages.tokens import (
    BlockEncoder,
    Int64,
    Tokens,
    Uint8,
    buffers,
    flat_ids,
    flat_offsets,
)

# Shapes: D documents of a batch, T tokens of all of them.
BLOCK_BYTES = 1 << 22
LONGEST_BYTES = 1 << 24  # longer documents are encoded plainly, to bound memory
FIRST_BYTES = 1 << 16
SAMPLE = 1021


def encode_plainly(
    texts: list[str], tokenizer: LoadedTokenizer, *, with_offsets: bool
) -> Tokens:
    """The tokens as the tokenizer gives them, few encodings being alive at a time."""
    with_words = tokenizer.word_starts.rule == "word_ids"
    encode = tokenizer.encoder.encode_batch
    if not with_offsets and not with_words:
        encode = tokenizer.encoder.encode_batch_fast
    ids, spans, words = [], [], []
    lengths_D = np.zeros(len(texts), np.int64)
    for group in groups(pieces(texts, cut=tokenizer.can_be_cut)):
        encodings = encode([piece.text for piece in group], add_special_tokens=False)
        ids_T, lengths = flat_ids(encodings)
        ids.append(ids_T)
        np.add.at(lengths_D, [piece.document for piece in group], lengths)
        if with_offsets:
            shift_T = np.repeat([piece.start for piece in group], lengths)
            spans.append(flat_offsets(encodings, len(ids_T)) + shift_T)
        if with_words:
            words.append(word_starts_of(encodings))
    starts_T, ends_T = np.concatenate(spans, axis=1) if spans else np.zeros((2, 0), np.int64)
    return Tokens(
        ids_T=np.concatenate(ids),
        splits=np.concatenate([[0], np.cumsum(lengths_D)]),
        starts_T=starts_T,
        ends_T=ends_T,
        words_T=np.concatenate(words) if words else None,
    )


class UnitEncoder:
    """Encodes the batches of one unit in turn."""

    def __init__(self, tokenizer: LoadedTokenizer, ledger: Ledger) -> None:
        self._tokenizer = tokenizer
        self._ledger = ledger
        self._num_documents = 0  # of earlier batches
        self._proven: set[str] = set()  # encoders that gave what the tokenizer gives, once

    def encode(self, texts: pa.LargeStringArray, *, with_offsets: bool) -> Tokens:
        """The tokens of a batch, all offsets in code points.

        Raises:
            UnitError: a fast encoder gave other tokens than the tokenizer, after earlier
                batches.
        """
        splits, data = buffers(texts)
        parts = []
        for first, last in _blocks(splits):
            block = splits[first : last + 1] - splits[first]
            text = data[splits[first] : splits[last]]
            tokens = self._encode_fast(text, block, texts, first, with_offsets=with_offsets)
            if tokens is None:
                strings = texts.slice(first, last - first).to_pylist()
                tokens = encode_plainly(strings, self._tokenizer, with_offsets=with_offsets)
            parts.append(tokens)
        self._num_documents += len(texts)
        return _joined(parts)

    def _encode_fast(
        self,
        text: Uint8,
        block: Int64,
        texts: pa.LargeStringArray,
        first: int,
        *,
        with_offsets: bool,
    ) -> Tokens | None:
        """The tokens of a block that begins with document `first`; None if it must be plain."""
        if len(text) > LONGEST_BYTES:
            return None
        for encoder in self._tokenizer.fast.encoders:
            if not encoder.usable:
                continue
            tokens = encoder.encode(text, block, with_offsets=with_offsets)
            if tokens is None:
                continue
            wrong = self._difference(encoder, texts, tokens, first, block)
            if wrong is None:
                self._proven.add(encoder.name)
                return tokens
            self._refuse(encoder, texts[wrong].as_py(), wrong)
        return None

    def _difference(
        self,
        encoder: BlockEncoder,
        texts: pa.LargeStringArray,
        tokens: Tokens,
        first: int,
        block: Int64,
    ) -> int | None:
        """The first document of those to be checked whose tokens are not the tokenizer's."""
        number_D = self._num_documents + first + np.arange(len(block) - 1)
        check_D = number_D % SAMPLE == 0
        if encoder.name not in self._proven:
            check_D |= block[:-1] < FIRST_BYTES
        chosen = np.flatnonzero(check_D)
        if not len(chosen):
            return None
        with_offsets = bool(len(tokens.starts_T))
        strings = texts.take(pa.array(first + chosen)).to_pylist()
        plain = encode_plainly(strings, self._tokenizer, with_offsets=with_offsets)
        for i, document in enumerate(chosen):
            a, b = tokens.splits[document], tokens.splits[document + 1]
            c, d = plain.splits[i], plain.splits[i + 1]
            pairs: list[tuple[Any, Any]] = [(tokens.ids_T, plain.ids_T)]
            if with_offsets:
                pairs += [(tokens.starts_T, plain.starts_T), (tokens.ends_T, plain.ends_T)]
            if not all(np.array_equal(ours[a:b], theirs[c:d]) for ours, theirs in pairs):
                return first + int(document)
        return None

    def _refuse(self, encoder: BlockEncoder, text: str, document: int) -> None:
        """Never again takes an encoder that erred."""
        encoder.usable = False
        self._ledger.counters["encoder_differences"] += 1
        if encoder.name in self._proven:
            raise UnitError(
                f"the {encoder.name} and the tokenizer disagree on document "
                f"{self._num_documents + document} of the unit, which begins {text[:80]!r}; "
                "run the unit again, it will do without, and please report the text",
                location=self._ledger.unit,
            )


def _blocks(splits: Int64) -> Iterator[tuple[int, int]]:
    """Ranges of documents of about `BLOCK_BYTES`; a longer document is one alone."""
    first, count = 0, len(splits) - 1
    while first < count:
        last = int(np.searchsorted(splits, splits[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), count)
        yield first, last
        first = last


def _joined(parts: Sequence[Tokens]) -> Tokens:
    """Tokens of blocks, one after the other."""
    if len(parts) == 1:
        return parts[0]
    lengths = [np.diff(part.splits) for part in parts]
    words = [part.words_T for part in parts if part.words_T is not None]
    return Tokens(
        ids_T=np.concatenate([part.ids_T for part in parts]),
        splits=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]),
        starts_T=np.concatenate([part.starts_T for part in parts]),
        ends_T=np.concatenate([part.ends_T for part in parts]),
        words_T=np.concatenate(words) if words else None,
    )
