"""The loops over bytes and pieces of `premask.stages.piece_cache`, compiled by Numba.

A piece of up to `LONGEST` bytes is two 64-bit words: its bytes, zeros behind them, its length
on top. The words are the key itself, so a hit in a table is exact and no piece is ever a Python
object. Tables use open addressing with linear probing (Knuth, TAOCP 3, 6.4 L) and are at most
half full; a slot is one row of four words: the key, a number, and nothing, so that none lies on
two cache lines.
Cost (one core): 0.6 ns per byte to cut, 20 ns per piece to look up (nearly all waiting for
memory), 4 ns per piece to write its tokens.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from premask.kernels._compile import compiled, kernel

# Shapes: U pieces, T tokens; a table has 2 ** bits slots.
Int64 = npt.NDArray[np.int64]
Uint64 = npt.NDArray[np.uint64]
Uint32 = npt.NDArray[np.uint32]
Uint8 = npt.NDArray[np.uint8]

LONGEST = 15  # bytes: the sixteenth holds the length
UNKNOWN = -1
# Where the tokens of a piece stand in a store, and how many they are, in one number.
COUNT_BITS = 28
COUNT = (1 << COUNT_BITS) - 1

_W = np.uint64
# Odd constants of high entropy: the golden ratio, and two of MurmurHash3's finaliser.
_MIX_LOW, _MIX_HIGH, _MIX_BOTH = map(
    np.uint64, (0x9E3779B97F4A7C15, 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
)


def _mask(num_bytes: int) -> int:
    return (1 << 8 * min(max(num_bytes, 0), 8)) - 1


_LOW = np.array([_mask(length) for length in range(LONGEST + 1)], np.uint64)
_HIGH = np.array([_mask(length - 8) for length in range(LONGEST + 1)], np.uint64)


@kernel
def cut_text(
    text: Uint8, splits: Int64, left: Uint8, right: Uint8, wide: bool, cuts: Int64
) -> int:
    """Writes where pieces begin, and where the last ends; gives the number of pieces.

    Args:
        splits: where documents begin, and where the last ends: no piece is of two.
        left, right: by byte; a piece begins where those of two neighbours share a bit.
        wide: whether white space beyond ASCII forbids a cut behind it.
        cuts: room for one more than there are bytes.
    """
    count = 0
    for document in range(len(splits) - 1):
        last = np.uint8(0)
        for place in range(splits[document], splits[document + 1]):
            byte = text[place]
            begins = place == splits[document] or (last & right[byte]) != 0
            if wide and begins and place > splits[document] and text[place - 1] >= 0x80:
                # All of it is written as C2 and one byte, or as E1, E2 or E3 and two bytes.
                begins = text[place - 2] != 0xC2 and not 0xE1 <= text[max(place - 3, 0)] <= 0xE3
            cuts[count] = place
            count += begins
            last = left[byte]
    cuts[count] = splits[-1]
    return count


@compiled
def _eight_bytes(text: Uint8, start: int) -> np.uint64:
    """The bytes from `start` on as a word; the compiler makes one load of it."""
    at = np.uint64(start)
    return (
        _W(text[at])
        | _W(text[at + _W(1)]) << _W(8)
        | _W(text[at + _W(2)]) << _W(16)
        | _W(text[at + _W(3)]) << _W(24)
        | _W(text[at + _W(4)]) << _W(32)
        | _W(text[at + _W(5)]) << _W(40)
        | _W(text[at + _W(6)]) << _W(48)
        | _W(text[at + _W(7)]) << _W(56)
    )


@compiled
def _key(text: Uint8, start: int, length: int) -> tuple[np.uint64, np.uint64]:
    """The two words of a piece that is not too long; 16 bytes of text must lie behind it."""
    size = np.uint64(length)
    low = _eight_bytes(text, start) & _LOW[size]
    high = _eight_bytes(text, start + 8) & _HIGH[size]
    return low, high | size << _W(56)


@compiled
def _slot(slots: Uint64, low: np.uint64, high: np.uint64) -> np.uint64:
    """Where a key stands, or the free slot where it belongs."""
    last = np.uint64(len(slots) - 1)
    mixed = low * _MIX_LOW ^ high * _MIX_HIGH
    mixed ^= mixed >> _W(32)
    slot = (mixed * _MIX_BOTH) >> _W(32) & last
    while slots[slot, 1] != 0 and (slots[slot, 1] != high or slots[slot, 0] != low):
        slot = (slot + _W(1)) & last
    return slot


@compiled
def _number(text: Uint8, start: int, length: int, slots: Uint64) -> int:
    low, high = _key(text, start, length)
    slot = _slot(slots, low, high)
    return UNKNOWN if slots[slot, 1] == 0 else int(np.int64(slots[slot, 2]))


@kernel
def find_pieces(
    text: Uint8,
    starts_U: Int64,
    stops_U: Int64,
    slots: Uint64,
    numbers_U: Int64,
    unknown_U: Int64,
) -> int:
    """Writes the number of each piece, or `UNKNOWN`, which every long piece is.

    `unknown_U` gets the indices of those that are unknown; gives how many they are.
    """
    count = 0
    for piece in range(len(starts_U)):
        length = stops_U[piece] - starts_U[piece]
        found = UNKNOWN
        if length <= LONGEST:
            found = _number(text, starts_U[piece], length, slots)
        numbers_U[piece] = found
        unknown_U[count] = piece
        count += found == UNKNOWN
    return count


@kernel
def add_pieces(
    text: Uint8, starts_U: Int64, stops_U: Int64, numbers_U: Int64, slots: Uint64
) -> None:
    """Adds pieces that are not in a table, each once and none of them long."""
    for piece in range(len(starts_U)):
        low, high = _key(text, starts_U[piece], stops_U[piece] - starts_U[piece])
        slot = _slot(slots, low, high)
        slots[slot, 0], slots[slot, 1], slots[slot, 2] = low, high, _W(numbers_U[piece])


@kernel
def number_pieces(
    text: Uint8,
    starts_U: Int64,
    stops_U: Int64,
    slots: Uint64,
    numbers_U: Int64,
    firsts_U: Int64,
) -> int:
    """Numbers distinct pieces from 0 in their order; gives how many there are.

    `numbers_U` gets the number of each, `firsts_U` the index of the first of each number;
    `slots` is an empty table, and no piece is long.
    """
    count = 0
    for piece in range(len(starts_U)):
        low, high = _key(text, starts_U[piece], stops_U[piece] - starts_U[piece])
        slot = _slot(slots, low, high)
        if slots[slot, 1] == 0:
            slots[slot, 0], slots[slot, 1], slots[slot, 2] = low, high, _W(count)
            firsts_U[count] = piece
            count += 1
        numbers_U[piece] = np.int64(slots[slot, 2])
    return count


@kernel
def move_pieces(old: Uint64, slots: Uint64) -> None:
    """Adds all pieces of a table to an empty one."""
    for i in range(len(old)):
        if old[i, 1] != 0:
            slot = _slot(slots, old[i, 0], old[i, 1])
            for word in range(3):
                slots[slot, word] = old[i, word]


@kernel
def write_tokens(places_U: Int64, ids_S: Uint32, ends_U: Int64, ids_T: Uint32) -> None:
    """Writes the ids of pieces end to end, and where those of each end.

    `places_U` say where they stand in `ids_S`, and how many they are.
    """
    end = 0
    for piece in range(len(places_U)):
        count = places_U[piece] & COUNT
        begin = places_U[piece] >> COUNT_BITS
        for token in range(count):
            ids_T[end + token] = ids_S[begin + token]
        end += count
        ends_U[piece] = end


@kernel
def spell_words(
    text: Uint8,
    starts_U: Int64,
    stops_U: Int64,
    longest: int,
    first: Uint64,
    rest: Uint64,
    unknown: int,
    ids_T: Uint32,
    spans_2T: npt.NDArray[np.int32],
    counts_U: Int64,
) -> int:
    """Writes the WordPiece tokens of plain words; gives how many they are.

    A plain word is ASCII letters and digits, `longest` of them at most, blanks before it.
    Longest match first (Devlin et al., 2018), as `tokenizers` has it: the longest piece of the
    table `first` that begins the word, then the longest of `rest` that goes on, and so forth;
    `unknown` for the whole word where none does.

    Args:
        ids_T, spans_2T: room for a token per byte; spans are bytes of the piece.
        counts_U: how many tokens each piece gets; 0 where it is no plain word.
    """
    total = 0
    for piece in range(len(starts_U)):
        origin, stop = starts_U[piece], stops_U[piece]
        start = origin
        while start < stop and text[start] == 0x20:
            start += 1
        plain = 0 < stop - start <= longest
        for place in range(start, stop if plain else start):
            byte = text[place] | 0x20
            plain &= 0x61 <= byte <= 0x7A or 0x30 <= text[place] <= 0x39
        word, end, table = start, total, first
        while plain and start < stop:
            size = stop - start
            number = _number(text, start, size, table)
            while number == UNKNOWN and size > 1:
                size -= 1
                number = _number(text, start, size, table)
            if number == UNKNOWN:
                start, size, number, end = word, stop - word, unknown, total
            ids_T[end] = number
            spans_2T[0, end] = start - origin
            spans_2T[1, end] = start + size - origin
            start += size
            end += 1
            table = rest
        counts_U[piece] = end - total
        total = end
    return total
