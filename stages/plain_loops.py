"""`premask.stages.loops` in NumPy: 1 to 8 ns per token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from premask._format import Boundary

Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]
Column = npt.NDArray[np.unsignedinteger[Any]]

_SPECIAL = np.uint8(Boundary.SPECIAL)  # the flag itself would make int64 of all bits
_LONG = 64  # tokens


def copy_pieces(
    starts_P: Int64,
    lengths_P: Int64,
    targets_P: Int64,
    columns: Iterable[tuple[Column, Column]],
) -> None:
    """As `premask.stages.loops.Loops` says: piece by piece if they are long, else by token."""
    num_tokens = int(lengths_P.sum())
    if num_tokens >= _LONG * len(lengths_P):
        borders = starts_P.tolist(), lengths_P.tolist(), targets_P.tolist()
        pieces = list(zip(*borders, strict=True))
        for source, target in columns:
            for start, length, place in pieces:
                target[place : place + length] = source[start : start + length]
        return
    place_N = np.arange(num_tokens)
    first_P = np.cumsum(lengths_P) - lengths_P
    source_N = place_N + np.repeat(starts_P - first_P, lengths_P)
    target_N = place_N + np.repeat(targets_P - first_P, lengths_P)
    for source, target in columns:
        target[target_N] = source[source_N]


def count_tokens(ids_T: Column, bits_T: Uint8, counts_V: Int64) -> None:
    """As `premask.stages.loops.Loops` says."""
    special_T = (bits_T & _SPECIAL) != 0
    counts_V += np.bincount(ids_T, minlength=len(counts_V))
    counts_V -= np.bincount(ids_T[special_T], minlength=len(counts_V))


def count_documents(ids_T: Column, bits_T: Uint8, lengths_D: Int64, counts_V: Int64) -> None:
    """As `premask.stages.loops.Loops` says: sorts the pairs of document and id."""
    id_bits = len(counts_V).bit_length()
    # 32 bits, where they suffice, sort three times as fast.
    kind: Any = np.uint32 if len(lengths_D) << id_bits <= 1 << 32 else np.uint64
    pairs_T = np.repeat(np.arange(len(lengths_D), dtype=kind) << kind(id_bits), lengths_D)
    pairs_T |= ids_T
    special_T = (bits_T & _SPECIAL) != 0
    if special_T.any():
        pairs_T = pairs_T[~special_T]
    pairs_T.sort()  # ten times as fast as the hashing `numpy.unique`
    is_first_T = np.ones(len(pairs_T), np.bool_)
    is_first_T[1:] = pairs_T[1:] != pairs_T[:-1]
    found = pairs_T[is_first_T] & kind((1 << id_bits) - 1)
    counts_V += np.bincount(found.astype(np.int64), minlength=len(counts_V))
