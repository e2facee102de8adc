"""A hash table from short pieces of text to numbers, looked up by whole arrays.

A piece of at most `LONGEST` bytes is two 64-bit words: its bytes, zeros behind them, its length
on top. The words are the key itself, so a hit is exact and no piece is ever a Python object.
Open addressing with linear probing (Knuth, TAOCP 3, 6.4 L), at most half full, 24 bytes per
slot. About 10 ns per piece looked up while the frequent ones stay in the processor's cache.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Shapes: U pieces to be looked up, N pieces to be added.
Int64 = npt.NDArray[np.int64]
Uint64 = npt.NDArray[np.uint64]

LONGEST = 15  # bytes: the sixteenth holds the length
PADDING = bytes(16)
UNKNOWN = -1
_FIRST_BITS = 12
# Odd constants of high entropy: the golden ratio, and two of MurmurHash3's finaliser.
_MIX = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)))


def _mask(num_bytes: int) -> int:
    return (1 << 8 * min(max(num_bytes, 0), 8)) - 1


# By length; a longer piece gets a length that no entry of the table has.
_LOW = np.array([_mask(length) for length in range(LONGEST + 2)], np.uint64)
_HIGH = np.array([_mask(min(length - 8, 7)) for length in range(LONGEST + 2)], np.uint64)
_LENGTH = np.array([min(i, LONGEST + 1) << 56 for i in range(LONGEST + 2)], np.uint64)


def keys(padded: bytes, starts_U: Int64, lengths_U: Int64) -> tuple[Uint64, Uint64]:
    """The two words of each piece of `padded`, a text with `PADDING` behind it.

    Those of a piece of more than `LONGEST` bytes are found in no table.
    """
    words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
    size_U = np.minimum(lengths_U, LONGEST + 1)
    low_U = words.take(starts_U)
    low_U &= _LOW.take(size_U)
    high_U = words.take(starts_U + 8, mode="clip")
    high_U &= _HIGH.take(size_U)
    high_U |= _LENGTH.take(size_U)
    return low_U, high_U


class PieceTable:
    """Numbers (int64, not negative) by the keys of pieces. Never shrinks."""

    __slots__ = ("_bits", "_high", "_low", "_numbers", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._allocate(_FIRST_BITS)

    def __len__(self) -> int:
        return self._size

    def _allocate(self, bits: int) -> None:
        self._bits = bits
        self._low = np.zeros(1 << bits, np.uint64)
        self._high = np.zeros(1 << bits, np.uint64)  # 0: an empty slot, as no piece is empty
        self._numbers = np.full(1 << bits, UNKNOWN, np.int64)

    def _slots(self, low_U: Uint64, high_U: Uint64) -> Int64:
        mixed_U = low_U * _MIX[0]
        mixed_U ^= high_U * _MIX[1]
        mixed_U ^= mixed_U >> np.uint64(32)
        mixed_U *= _MIX[2]
        mixed_U >>= np.uint64(64 - self._bits)
        return mixed_U.view(np.int64)

    def find(self, low_U: Uint64, high_U: Uint64) -> Int64:
        """The number of each piece, or `UNKNOWN`."""
        slot_U = self._slots(low_U, high_U)
        there_U = self._high.take(slot_U)
        hit_U = (there_U == high_U) & (self._low.take(slot_U) == low_U)
        numbers_U = self._numbers.take(slot_U)
        numbers_U[~hit_U] = UNKNOWN
        left = np.flatnonzero(~hit_U & (there_U != 0))
        last = np.int64((1 << self._bits) - 1)
        while len(left):
            slot = (slot_U[left] + 1) & last
            slot_U[left] = slot
            there = self._high[slot]
            hit = (there == high_U[left]) & (self._low[slot] == low_U[left])
            numbers_U[left[hit]] = self._numbers[slot[hit]]
            left = left[~hit & (there != 0)]
        return numbers_U

    def add(self, low_N: Uint64, high_N: Uint64, numbers_N: Int64) -> None:
        """Adds pieces that are not in it, each once."""
        self._size += len(low_N)
        if self._size > 1 << (self._bits - 1):
            filled = np.flatnonzero(self._high)
            old = self._low[filled], self._high[filled], self._numbers[filled]
            self._allocate((2 * self._size - 1).bit_length())
            self._place(*old)
        self._place(low_N, high_N, numbers_N)

    def _place(self, low_N: Uint64, high_N: Uint64, numbers_N: Int64) -> None:
        """Puts every piece into the first slot that is free for it."""
        last = np.int64((1 << self._bits) - 1)
        slot_N = self._slots(low_N, high_N)
        left = np.arange(len(low_N))
        while len(left):
            free = left[self._high[slot_N[left]] == 0]
            # Of several that want the same slot the last gets it, as its number says.
            self._numbers[slot_N[free]] = free
            won = free[self._numbers[slot_N[free]] == free]
            slot = slot_N[won]
            self._low[slot], self._high[slot] = low_N[won], high_N[won]
            self._numbers[slot] = numbers_N[won]
            waits = np.ones(len(low_N), np.bool_)
            waits[won] = False
            left = left[waits[left]]
            slot_N[left] = (slot_N[left] + 1) & last
