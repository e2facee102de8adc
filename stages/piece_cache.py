"""Tokens of whole blocks from a cache of their pieces: faster than the tokenizer, same ids.

Words repeat. The bytes of a block are cut where the tokenizer provably cuts too (see
`premask.stages.piece_borders`), each piece never met before goes through the tokenizer once,
and the tokens of all are written out. Pieces of up to 15 bytes, nearly all, are looked up in
compiled loops (`premask.stages.piece_loops`) and cost no Python object. Where more than half
of a block is new, as in scripts without spaces, the caller encodes it plainly.

Known text costs about 6 ns per byte, a new piece about 5 microseconds, nearly all of them in
the tokenizer; for BERT a plain word costs a fifth of one (`premask.stages.word_pieces`). The
result never depends on what is in the cache; it only gets faster. The cache is emptied when it
holds `max_pieces` pieces or `max_bytes` bytes of them, so it stays below about 350 MB.
"""

from __future__ import annotations

import json
import re

import numpy as np
import numpy.typing as npt
from premask.stages.piece_borders import LEFT, RIGHT, Family
from premask.stages.piece_loops import COUNT, COUNT_BITS, cut_text, write_tokens
from premask.stages.piece_table import PADDING, PieceTable, distinct
from premask.stages.tokens import Int64, Tokens, Uint8, flat_ids, flat_offsets
from premask.stages.word_pieces import WordPieces
from tokenizers import Tokenizer

# Shapes: D documents, U pieces of a block, M of them unknown, N new and distinct, T tokens.

MAX_PIECES = 1 << 21
MAX_BYTES = 1 << 26
PLAIN_SHARE = 0.5
_GROUP = 1024  # new pieces in an encoding
_CALL_BYTES = 1 << 20  # and in a call, to bound the memory of `tokenizers`
# Controls that the normaliser of a SentencePiece model removes. Ids do not see it, but offsets
# behind them are counted in another way in a piece than in the whole text.
_REMOVED = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")


class _Store:
    """The tokens of all pieces end to end, and where those of each begin."""

    def __init__(self, *, with_offsets: bool) -> None:
        self.with_offsets = with_offsets  # spans cost twice as much as the ids
        self.places = PieceTable()
        self.num_bytes = 0
        self.num_tokens = 0
        self.ids_S = np.zeros(1 << 12, np.uint32)
        self.spans_2S = np.zeros((2, 1 << 12 if with_offsets else 0), np.int32)

    def __len__(self) -> int:
        return len(self.places)

    def append(
        self, ids: npt.NDArray[np.uint32], spans_2: npt.NDArray[np.int32], counts_N: Int64
    ) -> Int64:
        """Puts the tokens of new pieces behind all others; gives the places of the pieces."""
        begin_N = self.num_tokens + np.cumsum(counts_N) - counts_N
        stop = self.num_tokens + len(ids)
        if stop > len(self.ids_S):  # room doubles
            more = max(stop, 2 * len(self.ids_S)) - len(self.ids_S)
            self.ids_S = np.append(self.ids_S, np.zeros(more, np.uint32))
            room = ((0, 0), (0, more if self.with_offsets else 0))
            self.spans_2S = np.pad(self.spans_2S, room)
        self.ids_S[self.num_tokens : stop] = ids
        if self.with_offsets:
            self.spans_2S[:, self.num_tokens : stop] = spans_2
        self.num_tokens = stop
        return begin_N << COUNT_BITS | counts_N


class PieceCache:
    """The pieces of one tokenizer, kept by a worker across its units: a `BlockEncoder`.

    Attributes:
        plain_share: where more of a block is new, the tokenizer itself is as fast.
    """

    def __init__(
        self,
        encoder: Tokenizer,
        family: Family,
        *,
        max_pieces: int = MAX_PIECES,
        max_bytes: int = MAX_BYTES,
        plain_share: float = PLAIN_SHARE,
    ) -> None:
        self.name = "piece cache"
        self.usable = True
        self._encoder = encoder
        self._family = family
        self._words = _word_pieces(encoder) if family == "bert" else None
        self._max_pieces = max_pieces
        self._max_bytes = max_bytes
        self.plain_share = plain_share
        self._store = _Store(with_offsets=False)

    def __len__(self) -> int:
        return len(self._store)

    def encode(self, text: Uint8, splits: Int64, *, with_offsets: bool) -> Tokens | None:
        """The tokens of a block of documents; None where the tokenizer itself must encode it.

        That is where too much of it is new to the cache, or offsets are not those of pieces.
        """
        if with_offsets and self._family == "white_space" and _REMOVED.search(text.data):
            return None
        if with_offsets and not self._store.with_offsets:
            self._store = _Store(with_offsets=True)
        padded = b"".join((text.data, PADDING))
        if self._words is not None:
            padded = padded.translate(self._words.fold)
        text = np.frombuffer(padded, np.uint8)
        cuts = _cut(text, splits, self._family)
        place_U = self._places(text, cuts)
        if place_U is None:
            return None
        count_U = place_U & COUNT
        ends = np.zeros(len(cuts), np.int64)
        ids_T = np.empty(int(count_U.sum()), np.uint32)
        write_tokens(place_U, self._store.ids_S, ends[1:], ids_T)
        spans_2T: Int64 = np.zeros((2, 0), np.int64)
        if with_offsets:
            source_T = np.repeat((place_U >> COUNT_BITS) - ends[:-1], count_U)
            source_T += np.arange(len(ids_T))
            spans_2T = self._store.spans_2S[:, source_T].astype(np.int64)
            spans_2T += np.repeat(_code_points(text, splits, cuts), count_U)
        return Tokens(
            ids_T=ids_T,
            splits=ends[np.searchsorted(cuts, splits)],
            starts_T=spans_2T[0],
            ends_T=spans_2T[1],
        )

    def _places(self, text: Uint8, cuts: Int64) -> Int64 | None:
        """Where the tokens of each piece stand, after those of new ones were found."""
        starts_U, stops_U = cuts[:-1], cuts[1:]
        place_U, unknown_M = self._store.places.find(text, starts_U, stops_U)
        number_M, first_N = distinct(text, starts_U[unknown_M], stops_U[unknown_M])
        starts_N, stops_N = starts_U[unknown_M[first_N]], stops_U[unknown_M[first_N]]
        size = int((stops_N - starts_N).sum())
        if size > self.plain_share * cuts[-1]:
            return None
        if self._is_full(len(starts_N), size):
            self._store = _Store(with_offsets=self._store.with_offsets)
            return self._places(text, cuts)
        if len(starts_N):
            place_N = self._add(text, starts_N, stops_N)
            place_U[unknown_M] = place_N[number_M]
        return place_U

    def _is_full(self, more_pieces: int, more_bytes: int) -> bool:
        store = self._store
        full = len(store) + more_pieces > self._max_pieces
        return len(store) > 0 and (full or store.num_bytes + more_bytes > self._max_bytes)

    def _add(self, text: Uint8, starts_N: Int64, stops_N: Int64) -> Int64:
        """Puts the tokens of new pieces into the store; gives their places."""
        store = self._store
        place_N = np.zeros(len(starts_N), np.int64)
        others = np.arange(len(starts_N))
        if self._words is not None:
            ids, spans_2, counts_N = self._words.encode(text, starts_N, stops_N)
            place_N = store.append(ids, spans_2, counts_N)
            others = np.flatnonzero(counts_N == 0)
        for part in _calls(others, (stops_N - starts_N)[others]):
            pieces = [text[starts_N[i] : stops_N[i]].tobytes().decode() for i in part.tolist()]
            place_N[part] = store.append(
                *_encode_each(self._encoder, pieces, with_offsets=store.with_offsets)
            )
        store.places.add(text, starts_N, stops_N, place_N)
        store.num_bytes += int((stops_N - starts_N).sum())
        return place_N


def _word_pieces(encoder: Tokenizer) -> WordPieces | None:
    content = json.loads(encoder.to_str())
    return WordPieces(content) if content["model"]["type"] == "WordPiece" else None


def _cut(text: Uint8, splits: Int64, family: Family) -> Int64:
    """Where the pieces of documents begin, and where the last ends: int64 ``[U + 1]``."""
    cuts = np.empty(int(splits[-1]) + 1, np.int64)
    count = cut_text(text, splits, LEFT, RIGHT[family], family == "byte_level", cuts)
    return cuts[: count + 1]


def _calls(chosen: Int64, sizes: Int64) -> list[Int64]:
    """The chosen pieces, about `_CALL_BYTES` of them at a time."""
    calls = np.cumsum(sizes) // _CALL_BYTES
    return np.split(chosen, np.flatnonzero(np.diff(calls)) + 1) if len(chosen) else []


def _encode_each(
    encoder: Tokenizer, pieces: list[str], *, with_offsets: bool
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32], Int64]:
    """Ids, spans and numbers of tokens of pieces, each encoded by itself.

    A text that is given in pieces is normalised and cut piece by piece, and says of which piece
    each token is; an encoding serves many pieces then.
    """
    groups = [pieces[i : i + _GROUP] for i in range(0, len(pieces), _GROUP)]
    encodings = encoder.encode_batch(groups, is_pretokenized=True, add_special_tokens=False)
    numbers = [encoding.word_ids for encoding in encodings]
    ids, _ = flat_ids(encodings)
    counts = [
        np.bincount(np.array(of_group, np.int64), minlength=len(group))
        for of_group, group in zip(numbers, groups, strict=True)
    ]
    spans_2 = np.zeros((2, 0), np.int32)
    if with_offsets:
        spans_2 = flat_offsets(encodings, len(ids))
    return ids, spans_2, np.concatenate(counts)


def _code_points(text: Uint8, splits: Int64, cuts: Int64) -> Int64:
    """Where each piece begins, in code points of its document."""
    begins = (text & 0xC0) != 0x80
    total = np.concatenate([[0], np.cumsum(begins)])
    document_U = np.searchsorted(splits, cuts[:-1], side="right") - 1
    return np.asarray(total[cuts[:-1]] - total[splits[document_U]])
