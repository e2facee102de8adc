"""Tokens of whole batches from a cache of their pieces: faster than the tokenizer, same ids.

Words repeat. The bytes of a batch are cut where the tokenizer provably cuts too (see
`piece_borders`), Arrow encodes the pieces as a dictionary, each piece never met before goes
through the tokenizer once, and NumPy writes out the tokens of all. Where more than half of a
block is new, as in scripts without spaces, the caller encodes it plainly.

The result never depends on what is in the cache; it only gets faster. The cache is emptied when
it holds `max_pieces` pieces or `max_bytes` bytes of them, so it stays below about 300 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask.stages.piece_borders import Family, find_borders
from tokenizers import Tokenizer

# Shapes: D documents, U pieces of a block, N new pieces, T tokens.
Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]
Uint32 = npt.NDArray[np.uint32]

MAX_PIECES = 1 << 20
MAX_BYTES = 1 << 25
PLAIN_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceTokens:
    """Tokens of a block; offsets are code points of a document, empty if not asked for."""

    ids_T: Uint32
    lengths_D: Int64
    starts_T: Int64
    ends_T: Int64


@dataclass(slots=True)
class _Store:
    """Pieces by their bytes, and the tokens of all of them end to end."""

    with_offsets: bool = False  # spans cost as much again as the ids
    index: dict[bytes, int] = field(default_factory=dict)
    num_bytes: int = 0
    splits: Int64 = field(default_factory=lambda: np.zeros(1, np.int64))
    ids_S: Uint32 = field(default_factory=lambda: np.zeros(0, np.uint32))
    spans_2S: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((2, 0), np.int32))


class PieceCache:
    """The pieces of one tokenizer, kept by a worker across its units.

    Attributes:
        usable: cleared for good when the tokenizer was seen to give other tokens.
    """

    __slots__ = (
        "_encoder",
        "_family",
        "_max_bytes",
        "_max_pieces",
        "_share",
        "_store",
        "usable",
    )

    def __init__(
        self,
        encoder: Tokenizer,
        family: Family,
        *,
        max_pieces: int = MAX_PIECES,
        max_bytes: int = MAX_BYTES,
        plain_share: float = PLAIN_SHARE,
    ) -> None:
        self._encoder = encoder
        self._family = family
        self._max_pieces = max_pieces
        self._max_bytes = max_bytes
        self._share = plain_share
        self._store = _Store()
        self.usable = True

    def __len__(self) -> int:
        return len(self._store.index)

    def encode(self, text: Uint8, splits: Int64, *, with_offsets: bool) -> PieceTokens | None:
        """The tokens of a block of documents; None where too much of it is new to the cache.

        `text` is UTF-8, documents end to end; `splits` are int64 ``[D + 1]`` positions in it.
        """
        if with_offsets and not self._store.with_offsets:
            self._store = _Store(with_offsets=True)
        borders = find_borders(text, self._family)
        borders[splits] = True
        cuts = np.flatnonzero(borders)
        pieces = _as_pieces(text, cuts).dictionary_encode()
        found = self._look_up(pieces.dictionary.to_pylist(), len(text))
        if found is None:
            return None
        store = self._store
        piece_U = found[pieces.indices.to_numpy()]
        first_U = store.splits[piece_U]
        length_U = store.splits[piece_U + 1] - first_U
        total_U = np.concatenate([[0], np.cumsum(length_U)])
        source_T = np.arange(total_U[-1]) + np.repeat(first_U - total_U[:-1], length_U)
        spans_2T: Int64 = np.zeros((2, 0), np.int64)
        if with_offsets:
            begins_U = _code_points(text, splits, cuts)
            spans_2T = store.spans_2S[:, source_T].astype(np.int64) + np.repeat(
                begins_U, length_U
            )
        return PieceTokens(
            ids_T=store.ids_S[source_T],
            lengths_D=np.diff(total_U[np.searchsorted(cuts, splits)]),
            starts_T=spans_2T[0],
            ends_T=spans_2T[1],
        )

    def _look_up(self, distinct: Sequence[bytes], num_bytes: int) -> Int64 | None:
        """Where the pieces stand in the store, after new ones were encoded."""
        index = self._store.index
        found = np.fromiter(
            (index.get(piece, -1) for piece in distinct), np.int64, len(distinct)
        )
        new = [distinct[i] for i in np.flatnonzero(found < 0).tolist()]
        size = sum(map(len, new))
        if size > self._share * num_bytes:
            return None
        full = len(index) + len(new) > self._max_pieces
        if index and (full or self._store.num_bytes + size > self._max_bytes):
            self._store = _Store(with_offsets=self._store.with_offsets)
            new = list(distinct)
            size = sum(map(len, new))
            found[:] = -1
        found[found < 0] = np.arange(len(self._store.index), len(self._store.index) + len(new))
        if new:
            self._add(new, size)
        return found

    def _add(self, new_N: Sequence[bytes], size: int) -> None:
        """Puts pieces into the store, with the tokens that the tokenizer gives them."""
        store = self._store
        fast, full = self._encoder.encode_batch_fast, self._encoder.encode_batch
        encode = full if store.with_offsets else fast
        encodings = encode([piece.decode() for piece in new_N], add_special_tokens=False)
        ids_N = [encoding.ids for encoding in encodings]
        lengths_N = [len(ids) for ids in ids_N]
        ids = _flat(ids_N, np.uint32, sum(lengths_N))
        if store.with_offsets:
            pairs = chain.from_iterable(encoding.offsets for encoding in encodings)
            spans = _flat(pairs, np.int32, 2 * sum(lengths_N)).reshape(-1, 2).T
            store.spans_2S = np.concatenate([store.spans_2S, spans], axis=1)
        ends_N = store.splits[-1] + np.cumsum(lengths_N)
        store.index.update(zip(new_N, count(len(store.index)), strict=False))
        store.num_bytes += size
        store.splits = np.concatenate([store.splits, ends_N])
        store.ids_S = np.concatenate([store.ids_S, ids])


def _flat(parts: Any, dtype: Any, count: int) -> npt.NDArray[Any]:
    return np.fromiter(chain.from_iterable(parts), dtype, count)


def _as_pieces(text: Uint8, cuts: Int64) -> pa.Array:
    """The pieces between cuts, without a copy of the text."""
    buffers = [None, pa.py_buffer(cuts.astype(np.int32)), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.binary(), len(cuts) - 1, buffers)


def _code_points(text: Uint8, splits: Int64, cuts: Int64) -> Int64:
    """Where each piece begins, in code points of its document."""
    begins = (text & 0xC0) != 0x80
    total = np.concatenate([[0], np.cumsum(begins)])
    document_U = np.searchsorted(splits, cuts[:-1], side="right") - 1
    return np.asarray(total[cuts[:-1]] - total[splits[document_U]])
