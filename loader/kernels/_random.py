"""Threefry-2x32-20 inside a kernel: the key tree of `premask.masking.threefry`, bit for bit.

Straight-line code on uint32, so that the compiler makes vector instructions of `fill_words`.
Cost: about 1 ns per position (two words) with vectors of 256 bits, 0.65 with 512.
"""

from __future__ import annotations

import numpy as np
from premask._format import Boundary
from premask.kernels._compile import NEVER, Integer, compiled, widest_vectors
from premask.kernels._flags import has, rounded
from premask.masking.threefry import SELECT

_SPECIAL = np.uint8(Boundary.SPECIAL)
_PARITY = np.uint32(0x1BD11BDA)


@compiled
def _round(x: Integer, y: Integer, bits: Integer) -> tuple[Integer, Integer]:
    x = np.uint32(x + y)
    turned = np.uint32(np.uint32(y << np.uint32(bits)) | np.uint32(y >> np.uint32(32 - bits)))
    return x, np.uint32(turned ^ x)


@compiled
def _odd(x: Integer, y: Integer) -> tuple[Integer, Integer]:
    x, y = _round(x, y, 13)
    x, y = _round(x, y, 15)
    x, y = _round(x, y, 26)
    return _round(x, y, 6)


@compiled
def _even(x: Integer, y: Integer) -> tuple[Integer, Integer]:
    x, y = _round(x, y, 17)
    x, y = _round(x, y, 29)
    x, y = _round(x, y, 16)
    return _round(x, y, 24)


@compiled
def block(
    high: Integer, low: Integer, first: Integer, second: Integer
) -> tuple[Integer, Integer]:
    """The two words of a key (`high`, `low`) and a counter (`first`, `second`)."""
    third = np.uint32(high ^ low ^ _PARITY)
    x, y = np.uint32(first + high), np.uint32(second + low)
    x, y = _odd(x, y)
    x, y = np.uint32(x + low), np.uint32(y + third + np.uint32(1))
    x, y = _even(x, y)
    x, y = np.uint32(x + third), np.uint32(y + high + np.uint32(2))
    x, y = _odd(x, y)
    x, y = np.uint32(x + high), np.uint32(y + low + np.uint32(3))
    x, y = _even(x, y)
    x, y = np.uint32(x + low), np.uint32(y + third + np.uint32(4))
    x, y = _odd(x, y)
    return np.uint32(x + third), np.uint32(y + high + np.uint32(5))


@compiled
def row_keys(
    seeds: np.ndarray, policy_word: Integer, epochs: np.ndarray, keys: np.ndarray
) -> None:
    """The keys of all rows' masks; see `premask.masking.threefry.mask_key`."""
    widest_vectors()
    for row in range(len(seeds)):
        seed = seeds[row]
        high, low = np.uint32(seed >> np.uint64(32)), np.uint32(seed & np.uint64(0xFFFFFFFF))
        x, y = block(high, low, np.uint32(policy_word), np.uint32(epochs[row]))
        keys[0, row], keys[1, row] = x, y


@compiled
def fill_words(
    high: Integer,
    low: Integer,
    stream: Integer,
    count: Integer,
    first_L: np.ndarray,
    second_L: np.ndarray,
) -> None:
    """Two words for each of `count` (`rounded`) positions, their upper 31 bits, as int32."""
    widest_vectors()
    for place in range(rounded(count)):
        x, y = block(high, low, np.uint32(place), np.uint32(stream))
        first_L[place] = np.int32(x >> np.uint32(1))
        second_L[place] = np.int32(y >> np.uint32(1))


@compiled
def draw_words(
    high: Integer,
    low: Integer,
    padded: np.ndarray,
    count: Integer,
    upper: Integer,
    hides: bool,
    first: np.ndarray,
    second: np.ndarray,
    text: np.ndarray,
) -> Integer:
    """The words of `count` positions and which of them hold text; the number of those.

    Both are made for `rounded` positions. `padded` are the row's boundaries (`pad_bounds`).

    In `first` stand the `upper` bits of the first word, and the place in the others; or, if
    `hides`, `NEVER` where there is no text: keys of a race. One loop for it all, as every pass
    over a row costs a tenth of this one.
    """
    widest_vectors()
    mask, total = np.int32(upper), np.int32(0)
    rest = np.int32(~mask)
    for place in range(rounded(count)):
        x, y = block(high, low, np.uint32(place), np.uint32(SELECT))
        is_text = np.uint8(has(padded[np.uint64(place + 1)], _SPECIAL) ^ np.uint8(1))
        key = np.int32((np.int32(x >> np.uint32(1)) & mask) | (np.int32(place) & rest))
        first[place] = key if is_text != 0 or not hides else NEVER
        second[place] = np.int32(y >> np.uint32(1))
        text[place] = is_text
        total = np.int32(total + np.int32(is_text))
    return np.int64(total)


@compiled
def word_of(
    high: Integer, low: Integer, place: Integer, stream: Integer
) -> tuple[Integer, Integer]:
    """The two 31-bit words of one position."""
    x, y = block(high, low, np.uint32(place), np.uint32(stream))
    return np.int32(x >> np.uint32(1)), np.int32(y >> np.uint32(1))
