"""A hash table from pieces of text to numbers, looked up by whole arrays.

The layout and the loops are those of `premask.stages.piece_loops`. Pieces of more than
`LONGEST` bytes, one in a thousand of most texts, are kept in a dict.
"""

from __future__ import annotations

import numpy as np
from premask.stages.piece_loops import (
    LONGEST,
    Int64,
    Uint8,
    Uint64,
    add_pieces,
    find_pieces,
    move_pieces,
    number_pieces,
)

# Shapes: U pieces, N distinct ones. A piece is a stretch of a text with `PADDING` behind it.

PADDING = bytes(16)
_FIRST_BITS = 12


def _room_for(size: int) -> Uint64:
    """Free slots, at least twice as many as pieces."""
    bits = max(_FIRST_BITS, (2 * size - 1).bit_length())
    return np.zeros((1 << bits, 4), np.uint64)


class PieceTable:
    """Numbers (int64, not negative) by pieces. Never shrinks.

    Attributes:
        slots: the short pieces as the loops take them; another array once some were added.
    """

    __slots__ = ("_long", "_num_short", "slots")

    def __init__(self) -> None:
        self._num_short = 0
        self._long: dict[bytes, int] = {}
        self.slots = _room_for(0)

    def __len__(self) -> int:
        return self._num_short + len(self._long)

    def find(self, text: Uint8, starts_U: Int64, stops_U: Int64) -> tuple[Int64, Int64]:
        """The number of each piece, or `UNKNOWN`, and the indices of those unknown."""
        numbers_U, unknown_U = np.empty((2, len(starts_U)), np.int64)
        count = find_pieces(text, starts_U, stops_U, self.slots, numbers_U, unknown_U)
        unknown = unknown_U[:count]
        long = stops_U[unknown] - starts_U[unknown] > LONGEST
        for piece in unknown[long].tolist():
            content = text[starts_U[piece] : stops_U[piece]].tobytes()
            numbers_U[piece] = self._long.get(content, numbers_U[piece])
        return numbers_U, unknown[numbers_U[unknown] < 0]

    def add(self, text: Uint8, starts_N: Int64, stops_N: Int64, numbers_N: Int64) -> None:
        """Adds pieces that are not in it, each once."""
        short = stops_N - starts_N <= LONGEST
        for start, stop, number in zip(
            *(column[~short].tolist() for column in (starts_N, stops_N, numbers_N)), strict=True
        ):
            self._long[text[start:stop].tobytes()] = number
        self._num_short += int(np.count_nonzero(short))
        if 2 * self._num_short > len(self.slots):
            slots = _room_for(2 * self._num_short)
            move_pieces(self.slots, slots)
            self.slots = slots
        add_pieces(text, starts_N[short], stops_N[short], numbers_N[short], self.slots)


def distinct(text: Uint8, starts_U: Int64, stops_U: Int64) -> tuple[Int64, Int64]:
    """Numbers ``[U]`` of pieces, equal for equal ones, and the first ``[N]`` of each number."""
    is_short_U = stops_U - starts_U <= LONGEST
    short = np.flatnonzero(is_short_U)
    numbers, firsts = np.empty((2, len(short)), np.int64)
    count = number_pieces(
        text, starts_U[short], stops_U[short], _room_for(len(short)), numbers, firsts
    )
    numbers_U = np.empty(len(starts_U), np.int64)
    numbers_U[short] = numbers
    firsts_N = short[firsts[:count]].tolist()
    long: dict[bytes, int] = {}
    for piece in np.flatnonzero(~is_short_U).tolist():
        number = long.setdefault(
            text[starts_U[piece] : stops_U[piece]].tobytes(), len(firsts_N)
        )
        if number == len(firsts_N):
            firsts_N.append(piece)
        numbers_U[piece] = number
    return numbers_U, np.array(firsts_N, np.int64)
