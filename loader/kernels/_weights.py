"""Keys of weighted races inside a kernel: `premask.masking.race`, one candidate at a time."""

from __future__ import annotations

import numpy as np
from premask.kernels._compile import Integer, compiled
from premask.kernels._laws import Choice
from premask.masking.race import _KEY_BITS, _LEVELS, _OFFSET, _STEPS, _TOP, _WEIGHT_LIMIT

_FIRST, _SECOND, _THIRD = _LEVELS[1:]


@compiled
def _log2_exponential(values: np.ndarray, number: Integer) -> Integer:
    """`premask.masking.race.log2_exponential` of a 31-bit number."""
    rest = _TOP - number
    near = min(number, rest)
    index, fraction = number >> 19, (number & ((1 << 19) - 1)) >> 7
    if near < (1 << (_FIRST + 12)):  # one number in 32: the finer tables
        level, bits = 1, _FIRST
        if near < (1 << (_THIRD + 12)):
            level, bits = 3, _THIRD
        elif near < (1 << (_SECOND + 12)):
            level, bits = 2, _SECOND
        piece = (level if number < rest else level + 3) * (_STEPS + 1)
        index = piece + (near >> bits)
        fraction = ((near & ((1 << bits) - 1)) << 12) >> bits
        if near < (1 << 13):
            fraction += 1 << 10
    low, high = np.int64(values[np.uint64(index)]), np.int64(values[np.uint64(index + 1)])
    return low + (((high - low) * fraction) >> 12)


@compiled
def key_of(law: Choice, word: Integer, weight: Integer) -> Integer:
    """The key of a race: of 31 bits of `word` and a log2 weight with 8 fraction bits."""
    weight = min(max(np.int64(weight), -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
    value = _log2_exponential(law.exponential, np.int64(word)) - (weight << 8) + _OFFSET
    value = min(max(value, 0), (1 << _KEY_BITS) - 1)
    return value >> max(0, _KEY_BITS - (31 - law.bits))
