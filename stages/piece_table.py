"""A hash table from short pieces of text to numbers, looked up by whole arrays.

Its layout and its loops are those of `premask.stages.piece_kernels`.
"""

from __future__ import annotations

import numpy as np
from premask.stages.piece_kernels import (
    Int64,
    Uint8,
    Uint64,
    add_pieces,
    find_pieces,
    move_pieces,
    number_pieces,
)

# Shapes: U pieces to be looked up, N distinct ones. A piece is a stretch of a text that has
# `PADDING` behind it.

PADDING = bytes(16)
_FIRST_BITS = 12


def _room_for(size: int) -> Uint64:
    """Free slots, at least twice as many as pieces."""
    bits = max(_FIRST_BITS, (2 * size - 1).bit_length())
    return np.zeros((1 << bits, 4), np.uint64)


class PieceTable:
    """Numbers (int64, not negative) by pieces of at most `LONGEST` bytes. Never shrinks.

    Attributes:
        slots: the table as the kernels take it; another array once pieces were added.
    """

    __slots__ = ("_size", "slots")

    def __init__(self) -> None:
        self._size = 0
        self.slots = _room_for(0)

    def __len__(self) -> int:
        return self._size

    def find(self, text: Uint8, starts_U: Int64, stops_U: Int64) -> Int64:
        """The number of each piece, or `UNKNOWN`."""
        numbers_U = np.empty(len(starts_U), np.int64)
        find_pieces(text, starts_U, stops_U, self.slots, numbers_U)
        return numbers_U

    def add(self, text: Uint8, starts_N: Int64, stops_N: Int64, numbers_N: Int64) -> None:
        """Adds pieces that are not in it, each once."""
        self._size += len(starts_N)
        if 2 * self._size > len(self.slots):
            slots = _room_for(2 * self._size)
            move_pieces(self.slots, slots)
            self.slots = slots
        add_pieces(text, starts_N, stops_N, numbers_N, self.slots)


def distinct(text: Uint8, starts_U: Int64, stops_U: Int64) -> tuple[Int64, Int64]:
    """Numbers ``[U]`` of pieces, equal for equal ones, and the first ``[N]`` of each number."""
    numbers_U, firsts_U = np.empty((2, len(starts_U)), np.int64)
    count = number_pieces(
        text, starts_U, stops_U, _room_for(len(starts_U)), numbers_U, firsts_U
    )
    return numbers_U, firsts_U[:count]
